//! `cargo xtask record`: real answers for the page to replay before any model is loaded.

use crate::model;
use crate::project::{Project, capture, say};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;

/// Questions, and the presets that steer their answers.
const RECORDINGS: [(&str, &str); 4] = [
    ("Why is the sky blue?", "think-aloud"),
    ("What makes bread rise?", "strategy"),
    ("Why do cats purr?", "stepwise"),
    ("How does a bicycle stay upright?", "analogy"),
];

/// In the repository, and on the page's site.
const FILE: &str = "vectors/recordings.json";

const FOLDER: &str = "vectors/SmolLM2-135M-Instruct";

/// What every answer is made with, as somebody would type it.
const COMMAND: &str = "cache-steering generate --backend cpu --precision f32 --max-tokens 120";

pub fn run(project: &Project) -> Result<()> {
    let model = model::fetch(project)?;
    let model = model.strip_prefix(&project.root).unwrap_or(&model);
    let model = model.to_string_lossy();
    let recordings: Vec<Value> = RECORDINGS
        .iter()
        .map(|&(question, preset)| {
            say(&format!("{question} {preset}"));
            let vector = format!("{FOLDER}/{preset}.safetensors");
            Ok(json!({
                "question": question,
                "preset": preset,
                "plain": record(project, &model, question, &["--offset", "\\n"])?,
                "steered": record(project, &model, question, &["--vectors", &vector])?,
            }))
        })
        .collect::<Result<_>>()?;
    let file = project.root.join(FILE);
    let text = serde_json::to_string_pretty(&recordings)? + "\n";
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// One answer, with the command that gives it.
fn record(project: &Project, model: &str, question: &str, options: &[&str]) -> Result<Value> {
    let words = ["--model", model, "--prompt", question];
    let mut args: Vec<&str> = COMMAND.split(' ').skip(1).collect();
    args.extend(words.iter().chain(options));
    let tool = ["run", "--release", "--quiet", "--bin=cache-steering", "--"];
    let run = [&tool[..], &args, &["--json"]].concat();
    let out = capture(&mut project.cargo(&run))?;
    let answer: Value = serde_json::from_str(&out).context("the answer is no JSON")?;
    Ok(json!({
        "command": shown(&args),
        "promptTokens": answer["prompt_ids"].as_array().map_or(0, Vec::len),
        "strength": answer["steering"][0]["values"],
        "layers": answer["layers"],
        "write": write(&answer),
        "pieces": answer["pieces"],
        "stopReason": answer["stop_reason"],
    }))
}

/// What was added, in parts of what was there, with digits that a picture shows.
fn write(answer: &Value) -> Value {
    let rounded = |part: &str| -> Vec<f64> {
        let layers = answer["write"][part].as_array().into_iter().flatten();
        let figures = layers.filter_map(Value::as_f64);
        figures.map(|x| (x * 1000.0).round() / 1000.0).collect()
    };
    match &answer["write"] {
        Value::Null => Value::Null,
        write => json!({
            "position": write["position"],
            "firstLayer": answer["steering"][0]["firstLayer"],
            "values": rounded("values"),
            "keys": rounded("keys"),
        }),
    }
}

/// A command as a shell takes it.
fn shown(args: &[&str]) -> String {
    let quoted = args.iter().map(|arg| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        match arg.chars().all(plain) {
            true => (*arg).to_owned(),
            false => format!("\"{arg}\""),
        }
    });
    let program = COMMAND.split(' ').take(1).map(str::to_owned);
    program.chain(quoted).collect::<Vec<_>>().join(" ")
}
