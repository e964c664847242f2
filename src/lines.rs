//! JSON lines: one object a line, or one list of them.

use serde::de::DeserializeOwned;

/// Reads a JSON list, or JSON lines with one object each; blank lines are skipped. The error says
/// where and why.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|e| e.to_string());
    }
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 1)))
        .collect()
}
