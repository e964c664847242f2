//! Contrastive pairs: the text from which a vector is made.

use crate::{Error, Result, lines};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Two prompts that differ only in how their few-shot answers are written. Both are already in the
/// model's chat format and end with the generation prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContrastivePair {
    /// The prompt that shows the behaviour that is wanted.
    pub positive: String,
    /// The same prompt without it.
    pub negative: String,
}

/// Reads a JSON list of pairs, or JSON lines with one pair each (blank lines are skipped). Other
/// fields of a pair are ignored.
///
/// # Errors
/// [`Error::Pairs`] with the line and column of what cannot be read, or where there is no pair.
pub fn parse(text: &str) -> Result<Vec<ContrastivePair>> {
    parse_list(text, "pair", r#"the texts "positive" and "negative""#)
}

/// Reads a JSON list, or JSON lines, of anything that vectors are made from; `what` is one of them,
/// `holds` what it has.
pub(super) fn parse_list<T: DeserializeOwned>(
    text: &str,
    what: &str,
    holds: &str,
) -> Result<Vec<T>> {
    let bad = |reason: String| Error::Pairs {
        reason: format!("{reason}. It takes a JSON list, or JSON lines, of objects with {holds}"),
    };
    let list = lines::parse(text).map_err(bad)?;
    if list.is_empty() {
        return Err(bad(format!("there is no {what} in the file")));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list_and_lines_alike() {
        let list = r#"[{"positive": "a", "negative": "b"}, {"positive": "c", "negative": "d", "note": 1}]"#;
        let lines = "{\"positive\": \"a\", \"negative\": \"b\"}\n\n{\"positive\": \"c\", \"negative\": \"d\"}\n";
        assert_eq!(parse(list).unwrap(), parse(lines).unwrap());
        assert_eq!(parse(list).unwrap()[1].negative, "d");
    }

    #[test]
    fn says_which_line_is_wrong() {
        let error =
            parse("{\"positive\": \"a\", \"negative\": \"b\"}\n{\"positive\": \"a\"}").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 2") && text.contains("negative"),
            "{text}"
        );
    }

    #[test]
    fn refuses_a_file_without_pairs() {
        for text in ["", "[]", "\n\n"] {
            assert!(matches!(parse(text), Err(Error::Pairs { .. })), "{text:?}");
        }
    }
}
