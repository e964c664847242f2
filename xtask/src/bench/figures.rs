//! The JSON of a benchmark, as far as names, tables and the plot need it.

use serde_json::Value;

/// A comparison of engines, rather than one engine's report.
pub fn is_comparison(figures: &Value) -> bool {
    figures["engines"].is_array()
}

/// The name that figures are kept under: place, backend, device and model.
pub fn name(place: &str, figures: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if is_comparison(figures) {
        let host = text(&figures["about"]["host"]);
        let processor = host.split("; ").nth(1).unwrap_or(&host);
        let model = text(&figures["model"]);
        let model = model.trim_end_matches(".gguf");
        return slug(&["comparison", processor, model]);
    }
    let backend = text(&figures["device"]["backend"]);
    let host = text(&figures["about"]["host"]);
    // The CPU backend names its arithmetic, and the host the processor.
    let device = match (backend.as_str(), place) {
        ("gpu", "native") => text(&figures["device"]["name"]),
        (_, "browser") => host.split("; ").nth(1).unwrap_or(&host).to_owned(),
        _ => host,
    };
    let precision = match backend.as_str() {
        "cpu" => text(&figures["device"]["name"]).replace("CPU, ", ""),
        _ => String::new(),
    };
    let synthetic = match figures["model"]["synthetic"].as_bool() {
        Some(true) => "synthetic",
        _ => "",
    };
    let model = text(&figures["model"]["name"]);
    let quant = text(&figures["model"]["quant"]);
    slug(&[
        place, &backend, &device, &precision, synthetic, &model, &quant,
    ])
}

/// Lower-case words with dashes between them.
fn slug(parts: &[&str]) -> String {
    let joined = parts.join(" ").to_lowercase();
    let kept = joined.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', " ");
    kept.split_whitespace().collect::<Vec<_>>().join("-")
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_tell_place_device_and_model() {
        let report = json!({
            "about": { "host": "AMD EPYC, 2 threads, linux x86_64" },
            "device": { "backend": "cpu", "name": "CPU, 32-bit floats" },
            "model": { "name": "smollm2-135m", "synthetic": true, "quant": "q4_1" },
        });
        assert_eq!(
            name("native", &report),
            "native-cpu-amd-epyc-2-threads-linux-x86_64-32-bit-floats-synthetic-smollm2-135m-q4_1"
        );
        let comparison = json!({
            "about": { "host": "Chromium 150; AMD EPYC, 2 threads" },
            "model": "A.Q4_1.gguf",
            "engines": [],
        });
        assert_eq!(
            name("comparison", &comparison),
            "comparison-amd-epyc-2-threads-a-q4_1"
        );
    }
}
