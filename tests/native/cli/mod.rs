//! The command line: each subcommand of the built program, on the real model.

mod measure;

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const MODEL: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
const STEPWISE: &str = "tests/golden/steer_stepwise.safetensors";
const QUESTION: &str = "Why do we need sleep?";

fn program(args: &[&str]) -> Command {
    assert!(
        Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL).exists(),
        "{MODEL} is missing: these tests run the real model, and `cargo xtask test` fetches it"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_cache-steering"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn run(args: &[&str]) -> Output {
    program(args).output().expect("the program starts")
}

/// Standard output of a run that succeeds.
fn stdout(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The one JSON object that a run prints.
fn json(args: &[&str]) -> Value {
    let text = stdout(run(args));
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn generate(args: &[&str]) -> Value {
    json(
        &[
            &[
                "generate",
                "--model",
                MODEL,
                "--backend",
                "cpu",
                "--json",
                "--max-tokens",
                "8",
            ],
            args,
        ]
        .concat(),
    )
}

/// Runs the program, which must fail with one line that says `words`.
fn refused(args: &[&str], words: &[&str]) {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
    assert!(output.stdout.is_empty(), "{args:?}");
    let line = errors.trim_end();
    assert!(
        line.starts_with("error: ") && line.lines().count() == 1,
        "{args:?}: {errors}"
    );
    for word in words {
        assert!(
            line.contains(word),
            "{args:?}: {line}, which lacks {word:?}"
        );
    }
}

/// A file for one test, with these contents.
fn file(name: &str, contents: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, contents).expect("a writable directory");
    path.to_str().expect("a readable path").to_string()
}

fn numbers(value: &Value) -> Vec<u64> {
    value
        .as_array()
        .expect("a list")
        .iter()
        .map(|n| n.as_u64().expect("a number"))
        .collect()
}

#[test]
fn generate_prints_one_object() {
    let golden: Value =
        serde_json::from_str(include_str!("../../golden/golden.json")).expect("JSON");
    let prompt = &golden["prompts"][1];
    let question = prompt["messages"][0]["content"]
        .as_str()
        .expect("a question");
    let steered = &prompt["steered"]["stepwise@6"];
    assert!(
        steered["ties"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|tie| tie.as_u64() >= Some(8))
    );
    let report = generate(&["--prompt", question, "--vectors", STEPWISE, "--values", "6"]);
    assert_eq!(report["prompt_ids"], prompt["input_ids"]);
    assert_eq!(
        numbers(&report["offset_ids"]),
        [198],
        "the offset of a vector that names none"
    );
    assert_eq!(numbers(&report["tokens"]), numbers(&steered["tokens"])[..8]);
    assert!(
        steered["text"]
            .as_str()
            .expect("a text")
            .starts_with(report["text"].as_str().expect("a text"))
    );
    assert_eq!(report["stop_reason"], "max_tokens");
    assert_eq!(report["steering"][0]["values"], 6.0);
    assert_eq!(report["backend"]["kind"], "cpu");
    for timing in ["prefill_ms", "steering_ms", "decode_ms", "first_token_ms"] {
        assert!(
            report["timings"][timing].as_f64() > Some(0.0),
            "{timing}: {report}"
        );
    }
}

#[test]
fn generate_streams_text() {
    let messages = file(
        "messages.json",
        &format!(r#"[{{"role": "user", "content": {QUESTION:?}}}]"#),
    );
    let report = generate(&["--messages", &messages]);
    assert_eq!(report["steering"], Value::Array(Vec::new()));
    assert_eq!(report["timings"]["steering_ms"], 0.0);
    assert!(numbers(&report["offset_ids"]).is_empty());
    let output = run(&[
        "generate",
        "--model",
        MODEL,
        "--backend",
        "cpu",
        "--max-tokens",
        "8",
        "--prompt",
        QUESTION,
    ]);
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        summary.contains("8 tokens") && summary.contains("tokens/s"),
        "{summary}"
    );
    assert!(
        summary.contains("The CPU, because it was asked for"),
        "{summary}"
    );
    assert_eq!(
        stdout(output).trim_end(),
        report["text"].as_str().expect("a text")
    );
}

#[test]
fn zero_strength_is_no_steering() {
    let steered = generate(&[
        "--prompt",
        QUESTION,
        "--vectors",
        STEPWISE,
        "--values",
        "0",
        "--keys",
        "0",
    ]);
    let plain = generate(&["--prompt", QUESTION, "--offset", "\\n"]);
    assert_eq!(numbers(&plain["offset_ids"]), [198]);
    assert_eq!(steered["tokens"], plain["tokens"]);
    assert_eq!(steered["timings"]["steering_ms"], 0.0, "nothing is written");
    let real_newline = generate(&["--prompt", QUESTION, "--offset", "\n"]);
    assert_eq!(real_newline["offset_ids"], plain["offset_ids"]);
    let none = generate(&[
        "--prompt",
        QUESTION,
        "--vectors",
        STEPWISE,
        "--offset",
        "",
        "--values",
        "-1.5",
    ]);
    assert!(numbers(&none["offset_ids"]).is_empty());
    assert_eq!(none["steering"][0]["values"], -1.5);
}

#[test]
fn a_seed_fixes_a_random_answer() {
    let answer = |seed| {
        generate(&[
            "--prompt",
            QUESTION,
            "--temperature",
            "1.2",
            "--top-k",
            "50",
            "--top-p",
            "0.95",
            "--repetition-penalty",
            "1.1",
            "--seed",
            seed,
        ])["tokens"]
            .clone()
    };
    assert_eq!(answer("1"), answer("1"));
    assert_ne!(answer("1"), answer("2"));
}

#[test]
fn extract_writes_a_vector_that_inspect_reads() {
    let pair = |text: &str| {
        let prompt = |answer: &str| {
            format!(
                "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
            )
        };
        serde_json::json!({ "positive": prompt("Let's think. Yes."), "negative": prompt("Yes.") })
    };
    let pairs = file(
        "pairs.jsonl",
        &format!("{}\n{}\n", pair("Is ice cold?"), pair("Is fire hot?")),
    );
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("made/vector.safetensors");
    let out = out.to_str().expect("a readable path");
    stdout(run(&[
        "extract",
        "--model",
        MODEL,
        "--backend",
        "cpu",
        "--pairs",
        &pairs,
        "--out",
        out,
        "--label",
        "Think",
        "--values",
        "4.5",
        "--offset",
        " ",
        "--seed",
        "7",
    ]));
    let report = json(&["inspect", out, "--json"]);
    assert_eq!(report["kind"], "vector");
    assert_eq!(
        [
            &report["n_layers"],
            &report["n_kv_heads"],
            &report["head_dim"]
        ],
        [30, 3, 64]
    );
    let metadata = &report["metadata"];
    assert_eq!(metadata["label"], "Think");
    assert_eq!(metadata["recommended"]["values"], 4.5);
    assert_eq!(metadata["offset"], " ");
    assert_eq!(metadata["pair_set"], "pairs");
    assert_eq!([&metadata["pairs"], &metadata["seed"]], [2, 7]);
    assert_eq!(metadata["model"]["sha256"].as_str().map(str::len), Some(64));
    let norms = report["values_norm"].as_array().expect("a list");
    assert_eq!(norms.len(), 30);
    assert!(
        norms[0].as_f64() < Some(1e-5) && norms[29].as_f64() > Some(0.1),
        "{norms:?}"
    );
    assert!(stdout(run(&["inspect", out])).contains("layers 1 to 29"));
}

#[test]
fn inspect_shows_a_model() {
    let report = json(&["inspect", "--json", MODEL]);
    assert_eq!(report["kind"], "model");
    assert_eq!(report["config"]["n_layers"], 30);
    assert_eq!(
        report["formats"],
        serde_json::json!({ "f32": 61, "q4_1": 210, "q8_0": 1 })
    );
    assert_eq!(report["tokenizer"]["vocab_size"], 49152);
    assert_eq!(report["chat_template"], true);
    let text = stdout(run(&["inspect", "--model", MODEL]));
    assert!(
        text.contains("9 query heads, 3 KV heads, head size 64"),
        "{text}"
    );
}

#[test]
fn score_reads_ids_and_text() {
    let ids = file("ids.json", "[17872, 42, 36366, 542, 3459, 23026]");
    let object = file(
        "ids_object.json",
        r#"{"ids": [17872, 42, 36366, 542, 3459, 23026]}"#,
    );
    let score = |args: &[&str]| {
        json(
            &[
                &["score", "--model", MODEL, "--backend", "cpu", "--json"],
                args,
            ]
            .concat(),
        )
    };
    let by_list = score(&["--ids", &ids]);
    assert_eq!(by_list, score(&["--ids", &object]));
    // The first five of `nll_first20` in golden.json.
    let expected = (6.2108 + 12.703 + 1.6428 + 8.78 + 12.5758) / 5.0;
    let nll = by_list["nll"].as_f64().expect("a number");
    assert!((nll - expected).abs() < 1e-3, "{nll} is not {expected}");
    assert!((by_list["perplexity"].as_f64().expect("a number").ln() - nll).abs() < 1e-9);
    assert_eq!(by_list["tokens"], 6);
    let text = file("text.txt", "The sky is blue.");
    assert_eq!(score(&["--text", &text])["tokens"], 5);
}

#[test]
fn tokenize_reads_an_argument_or_standard_input() {
    let text = "Hi <|im_end|>\n";
    let report = json(&["tokenize", "--model", MODEL, "--text", text, "--json"]);
    assert_eq!(numbers(&report["ids"]), [26843, 216, 2, 198]);
    assert_eq!(
        report["tokens"],
        serde_json::json!(["Hi", "Ġ", "<|im_end|>", "Ċ"])
    );
    let mut child = program(&["tokenize", "--model", MODEL, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(text.as_bytes())
        .expect("a reader");
    let output = child.wait_with_output().expect("an exit");
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON"),
        report
    );
}

#[test]
fn errors_are_one_plain_line() {
    let page = file("page.gguf", "<!doctype html>");
    let page_vector = file("page.safetensors", "<!doctype html>");
    let prompt = ["--prompt", "Hi"];
    let with = |args: &[&'static str]| -> Vec<&'static str> {
        [
            &["generate", "--model", MODEL, "--backend", "cpu"],
            &prompt[..],
            args,
        ]
        .concat()
    };
    refused(&["inspect", "missing.gguf"], &["missing.gguf"]);
    refused(
        &["tokenize", "--model", &page, "--text", "a"],
        &["GGUF", "<!doctype"],
    );
    refused(&["generate", "--model", &page, "--prompt", "Hi"], &["GGUF"]);
    refused(
        &["inspect", &page_vector],
        &["steering vector", "safetensors"],
    );
    refused(
        &with(&["--vectors", "missing.safetensors"]),
        &["missing.safetensors"],
    );
    refused(
        &with(&["--vectors", "tests/golden/golden.json"]),
        &["steering vector"],
    );
    refused(
        &with(&["--vectors", STEPWISE, "--first-layer", "30"]),
        &["layer 30", "0 to 29"],
    );
    refused(&with(&["--temperature", "-1"]), &["temperature", "-1"]);
    refused(&with(&["--top-p", "0"]), &["top-p"]);
    refused(&with(&["--max-tokens", "0"]), &["at least one token"]);
    let pairs = file("no_pairs.json", "[]");
    refused(
        &[
            "extract",
            "--model",
            MODEL,
            "--backend",
            "cpu",
            "--pairs",
            &pairs,
            "--out",
            "never",
        ],
        &["no pair", "positive"],
    );
    let ids = file("no_ids.json", r#"{"tokens": [1]}"#);
    refused(
        &["score", "--model", MODEL, "--backend", "cpu", "--ids", &ids],
        &["ids"],
    );
    let ids = file("large_ids.json", "[1, 99999]");
    refused(
        &["score", "--model", MODEL, "--backend", "cpu", "--ids", &ids],
        &["99999", "49152"],
    );
}

/// Without a driver, `gpu` says so, and `auto` takes the CPU and says why.
#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_the_gpu_fails_with_words() {
    let without = |backend: &str| {
        let args = [
            "generate",
            "--model",
            MODEL,
            "--prompt",
            "Hi",
            "--max-tokens",
            "1",
            "--backend",
            backend,
        ];
        program(&args)
            .env("VK_DRIVER_FILES", "/none")
            .env("VK_ICD_FILENAMES", "/none")
            .output()
            .expect("the program starts")
    };
    let output = without("gpu");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("error: no graphics adapter was found"),
        "{errors}"
    );
    let output = without("auto");
    assert!(output.status.success());
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(summary.contains("The CPU, because"), "{summary}");
}
