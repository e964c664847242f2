//! The figures in `bench/` as tables in its README and as a plot for the project's.

use super::figures::{is_comparison, number};
use super::{kept, store};
use crate::project::{Project, say};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fmt::Write;
use std::fs;

const BEGIN: &str = "<!-- figures: cargo xtask bench --plot -->";
const END: &str = "<!-- end of figures -->";

/// Writes `bench/comparison.svg` and the tables of `bench/README.md`.
pub fn draw(project: &Project) -> Result<()> {
    let folder = kept(project)?;
    let figures: Vec<Value> = store::read(&folder)?.into_iter().map(|(_, v)| v).collect();
    let (comparisons, reports): (Vec<_>, Vec<_>) = figures.iter().partition(|f| is_comparison(f));
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if !comparisons.is_empty() {
        write("comparison.svg", svg(&comparisons))?;
    }
    let readme = folder.join("README.md");
    let text =
        fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("{} has no line {BEGIN}", readme.display()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{} has no line {END}", readme.display()))?;
    let tables = tables(&comparisons, &reports);
    write(
        "README.md",
        format!("{before}{BEGIN}\n\n{tables}{END}{after}"),
    )?;
    say("drew bench/comparison.svg and the tables of bench/README.md");
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn real(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The engine that the ratios of a comparison refer to.
fn base(comparison: &Value) -> &Value {
    let engines = comparison["engines"].as_array();
    let mut engines = engines.into_iter().flatten();
    engines
        .find(|engine| engine["name"] == comparison["base"])
        .unwrap_or(&Value::Null)
}

fn tables(comparisons: &[&Value], reports: &[&Value]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for comparison in comparisons {
        let about = &comparison["about"];
        let (model, base) = (text(&comparison["model"]), base(comparison));
        let _ = writeln!(
            out,
            "{model}, {}, {}, `{}`:\n\n| engine | prefill, tokens/s | ratio | decode, tokens/s | ratio | runs |\n|---|--:|--:|--:|--:|--:|",
            text(&about["host"]),
            text(&about["date"]),
            text(&about["command"]),
        );
        for engine in comparison["engines"].as_array().into_iter().flatten() {
            let [prefill, decode] = ["prefill", "decode"].map(|stage| {
                let median = real(&engine[stage]["median"]);
                let ratio = median / real(&base[stage]["median"]);
                format!("{} | {} x", number(median), number(ratio))
            });
            let (name, runs) = (text(&engine["name"]), &engine["decode"]["samples"]);
            let _ = writeln!(out, "| {name} | {prefill} | {decode} | {runs} |");
        }
        out.push('\n');
    }
    for report in reports {
        out.push_str(&report_table(report));
    }
    out
}

fn report_table(report: &Value) -> String {
    let mut out = String::new();
    let (about, model, device) = (&report["about"], &report["model"], &report["device"]);
    let made_up = match model["synthetic"].as_bool() {
        Some(true) => ", made-up weights",
        _ => "",
    };
    let software = match device["software"].as_bool() {
        Some(true) => ", which computes in software",
        _ => "",
    };
    let _ = writeln!(
        out,
        "{} {}{made_up}, {}{software}; {}, {}, `{}`:\n\n| figure | median | |\n|---|--:|---|",
        text(&model["name"]),
        text(&model["quant"]),
        text(&device["name"]),
        text(&about["host"]),
        text(&about["date"]),
        text(&about["command"]),
    );
    let mut row = |what: String, figure: String, note: String| {
        let _ = writeln!(out, "| {what} | {figure} | {note} |");
    };
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    for p in list("prefill") {
        row(
            format!("prefill, {} tokens", p["tokens"]),
            format!("{} tokens/s", number(real(&p["tokensPerSecond"]))),
            format!("{} ms", number(real(&p["ms"]["median"]))),
        );
    }
    for d in list("decode") {
        let mut notes = vec![format!("{} ms a step", number(real(&d["ms"]["median"])))];
        if d["lanes"] != 1 {
            notes.push(format!("{} x one lane", number(real(&d["overOneLane"]))));
        }
        let share = 100.0 * real(&d["bandwidthShare"]);
        if share.is_finite() {
            notes.push(format!("{} % of the copy bandwidth", number(share)));
        }
        row(
            format!("decode at {}, lanes: {}", d["context"], d["lanes"]),
            format!("{} tokens/s", number(real(&d["tokensPerSecond"]))),
            notes.join(", "),
        );
    }
    let steering = &report["steering"];
    if steering.is_object() {
        row(
            "steering write, once".into(),
            format!("{} us", number(real(&steering["writeUs"]["median"]))),
            format!(
                "{} % of one token",
                number(100.0 * real(&steering["overToken"]))
            ),
        );
        let restart = real(&steering["restartMs"]["median"]);
        if restart.is_finite() {
            row(
                "new strength to first token".into(),
                format!("{} ms", number(restart)),
                String::new(),
            );
        }
    }
    row(
        "weights of a step".into(),
        format!("{} MB", number(real(&model["weightBytes"]) / 1e6)),
        String::new(),
    );
    row(
        "copy bandwidth".into(),
        format!(
            "{} GB/s",
            number(real(&report["copy"]["bytesPerSecond"]) / 1e9)
        ),
        String::new(),
    );
    if report["dispatchesPerStep"].is_number() {
        row(
            "dispatches of a step".into(),
            number(real(&report["dispatchesPerStep"])),
            format!("{} layers", model["layers"]),
        );
    }
    let stages = list("stages");
    let all: f64 = stages.iter().map(|stage| real(&stage["us"])).sum();
    for stage in &stages {
        let us = real(&stage["us"]);
        row(
            format!("{} x {}", stage["dispatches"], text(&stage["stage"])),
            format!("{} us", number(us)),
            format!("{} % of the stages", number(100.0 * us / all)),
        );
    }
    for left_out in list("leftOut") {
        row(text(&left_out).into(), "left out".into(), String::new());
    }
    out.push('\n');
    out
}

const WIDTH: f64 = 760.0;
/// Room for names on the left and for figures on the right.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 140.0;
const ROW: f64 = 24.0;

/// Horizontal bars, one panel for each stage of each comparison.
fn svg(comparisons: &[&Value]) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    for comparison in comparisons {
        let _ = writeln!(
            body,
            "<text class=\"title\" x=\"0\" y=\"{}\">{}</text>\n<text class=\"soft\" x=\"0\" y=\"{}\">{}</text>",
            y + 18.0,
            escape(&title(comparison)),
            y + 36.0,
            escape(&format!(
                "{}, {}",
                text(&comparison["about"]["host"]),
                text(&comparison["about"]["date"])
            )),
        );
        y += 46.0;
        for (stage, label) in [
            ("decode", "Writing (decode), tokens per second"),
            ("prefill", "Reading a prompt (prefill), tokens per second"),
        ] {
            y = panel(&mut body, comparison, (stage, label), y);
        }
        y += 14.0;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" role=\"img\">\n\
         <title>Tokens per second of engines that run the same model in a browser</title>\n\
         <style>\n\
         text {{ font: 13px system-ui, sans-serif; fill: #1f1d1a }}\n\
         .title {{ font-size: 15px; font-weight: 600 }}\n\
         .label {{ font-weight: 600 }}\n\
         .soft {{ fill: #5d5850; font-size: 12px }}\n\
         .own {{ fill: #b2470d }}\n\
         .peer {{ fill: #8d867a }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #ece8e1 }}\n\
         .soft {{ fill: #aba498 }}\n\
         .own {{ fill: #f3a06c }}\n\
         .peer {{ fill: #7d766b }}\n\
         }}\n\
         </style>\n{body}</svg>\n"
    )
}

fn title(comparison: &Value) -> String {
    text(&comparison["model"])
        .trim_end_matches(".gguf")
        .to_owned()
}

/// Draws the bars of one stage from `y` down, and gives where they end.
fn panel(body: &mut String, comparison: &Value, (stage, label): (&str, &str), y: f64) -> f64 {
    let engines: Vec<&Value> = comparison["engines"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let median = |engine: &Value| real(&engine[stage]["median"]);
    let largest = engines
        .iter()
        .map(|e| median(e))
        .fold(f64::MIN_POSITIVE, f64::max);
    let reference = median(base(comparison));
    let _ = writeln!(
        body,
        "<text class=\"label\" x=\"0\" y=\"{}\">{label}</text>",
        y + 14.0
    );
    let mut y = y + 24.0;
    for engine in engines {
        let name = text(&engine["name"]);
        let own = name.starts_with("cache-steering");
        let length = (WIDTH - LEFT - RIGHT) * median(engine) / largest;
        let ratio = match engine["name"] == comparison["base"] {
            true => String::new(),
            false => format!(", {} x", number(median(engine) / reference)),
        };
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
             <rect class=\"{}\" x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" rx=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{}{ratio}</text>",
            LEFT - 8.0,
            y + 13.0,
            escape(name),
            if own { "own" } else { "peer" },
            y,
            ROW - 6.0,
            LEFT + length + 8.0,
            y + 13.0,
            number(median(engine)),
        );
        y += ROW;
    }
    y + 8.0
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn comparison() -> Value {
        let rate = |median: f64| json!({ "median": median, "least": median, "samples": 3 });
        json!({
            "about": { "host": "a browser; a machine", "date": "2026-01-01", "command": "c" },
            "model": "A<B.gguf",
            "base": "cache-steering, CPU",
            "engines": [
                { "name": "cache-steering, CPU", "prefill": rate(50.0), "decode": rate(20.0) },
                { "name": "peer", "prefill": rate(100.0), "decode": rate(5.0) },
            ],
        })
    }

    #[test]
    fn ratios_refer_to_the_base() {
        let comparison = comparison();
        let table = tables(&[&comparison], &[]);
        assert!(
            table.contains("| peer | 100 | 2.00 x | 5.00 | 0.25 x | 3 |"),
            "{table}"
        );
    }

    #[test]
    fn the_longest_bar_fills_the_room_and_text_is_escaped() {
        let drawn = svg(&[&comparison()]);
        assert!(drawn.contains("width=\"430.0\""), "{drawn}");
        assert!(drawn.contains("width=\"107.5\""), "{drawn}");
        assert!(
            drawn.contains("A&lt;B") && !drawn.contains("A<B"),
            "{drawn}"
        );
        assert!(drawn.contains("0.25 x") && drawn.contains("prefers-color-scheme: dark"));
        assert_eq!(drawn.matches("class=\"own\"").count(), 2);
    }

    #[test]
    fn a_report_becomes_a_table() {
        let timing = json!({ "median": 2.0, "least": 1.0, "samples": 3 });
        let report = json!({
            "about": { "host": "h", "date": "d", "command": "c" },
            "device": { "name": "a GPU", "software": false },
            "model": { "name": "m", "quant": "q8_0", "synthetic": true, "weightBytes": 5e6, "layers": 2 },
            "decode": [{ "context": 128, "lanes": 2, "ms": timing, "tokensPerSecond": 1000.0, "overOneLane": 1.1 }],
            "steering": { "writeUs": timing, "overToken": 0.5 },
            "copy": { "bytesPerSecond": 3e9 },
            "stages": [{ "stage": "qkv", "dispatches": 2, "us": 7.0 }],
        });
        let table = report_table(&report);
        for row in [
            "m q8_0, made-up weights, a GPU; h, d, `c`:",
            "| decode at 128, lanes: 2 | 1000 tokens/s | 2.00 ms a step, 1.10 x one lane |",
            "| steering write, once | 2.00 us | 50.0 % of one token |",
            "| copy bandwidth | 3.00 GB/s |  |",
            "| 2 x qkv | 7.00 us | 100 % of the stages |",
        ] {
            assert!(table.contains(row), "{table}");
        }
    }
}
