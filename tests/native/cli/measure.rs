//! `eval` and `sweep`, with vectors of two pairs and short answers.

use super::{MODEL, file, refused, run, stdout};
use serde_json::Value;

const SET: &str = "vectors/contrastive.jsonl";
const QUESTIONS: &str = r#####"{"id": "hours", "question": "A baker makes 12 rolls an hour. How many in 5 hours?", "answer": "#### 60"}
{"id": "ice", "question": "Which of these floats on water?", "choices": {"text": ["ice", "iron"], "label": ["A", "B"]}, "answerKey": "A"}
"#####;

/// A place for a file that the program writes.
fn place(name: &str) -> String {
    let path = file(name, "");
    std::fs::remove_file(&path).expect("a file that was just written");
    path
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The arguments of a command, on the CPU.
fn command<'a>(name: &'a str, base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&[name, "--model", MODEL, "--backend", "cpu"], base, more].concat()
}

/// The conditions of a file of figures, in order, each once.
fn conditions(json: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(&read(json)).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    let name = |row: &Value| row["condition"].as_str().expect("a name").to_string();
    let mut names: Vec<String> = rows.iter().map(name).collect();
    names.dedup();
    names
}

#[test]
fn eval_compares_with_activations_and_goes_on_where_it_was() {
    let questions = file("eval_questions.jsonl", QUESTIONS);
    let [vector, answers, figures, plot] = [
        "stepwise.safetensors",
        "answers.jsonl",
        "figures.json",
        "figures.svg",
    ]
    .map(place);
    let about = ["--style", "stepwise", "--marker", "^Step 1"];
    let how = ["--set", SET, "--count", "2", "--out", &vector];
    stdout(run(&command("extract", &about, &how)));
    let base = [
        "--questions",
        &questions,
        "--vectors",
        &vector,
        "--answers",
        &answers,
    ];
    let measured = |more: &[&str]| {
        let short = [&["--max-tokens", "6", "--repetition-penalty", "1"], more].concat();
        stdout(run(&command("eval", &base, &short)))
    };
    let first = measured(&["--without", "offset,prompt,prompt+steered"]);
    assert!(first.contains("| plain | plain |"), "{first}");
    assert!(first.contains("| stepwise at 6 | choices |"), "{first}");
    let kept = read(&answers);
    assert_eq!(kept.lines().count(), 4);

    let more = measured(&[
        "--without",
        "offset,prompt,prompt+steered",
        "--set",
        SET,
        "--activation-layers",
        "10,20",
        "--activation-strengths",
        "0,4",
        "--json",
        &figures,
        "--plot",
        &plot,
    ]);
    assert!(
        read(&answers).starts_with(&kept),
        "what was kept is not made again"
    );
    assert_eq!(read(&answers).lines().count(), 4 + 8, "{more}");
    let names = conditions(&figures);
    assert_eq!(names.len(), 6, "{names:?}");
    assert_eq!(names[5], "activation, stepwise, layer 20 at 4");
    assert!(read(&plot).contains("stepwise at 6"));

    let answer = |condition: &str| -> Vec<String> {
        read(&answers)
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|answer| answer["condition"] == condition)
            .map(|answer| answer["text"].as_str().expect("a text").to_string())
            .collect()
    };
    assert_eq!(answer("plain").len(), 2);
    for layer in [10, 20] {
        let at = |strength: u32| {
            answer(&format!(
                "activation, stepwise, layer {layer} at {strength}"
            ))
        };
        assert_eq!(at(0), answer("plain"), "an activation at 0 is none");
        assert_ne!(at(4), answer("plain"));
    }

    // Other answers are made where anything else is asked for, such as longer ones.
    stdout(run(&command(
        "eval",
        &base,
        &[
            "--max-tokens",
            "7",
            "--without",
            "offset,prompt,prompt+steered",
        ],
    )));
    assert_eq!(read(&answers).lines().count(), 4 + 8 + 4);
    let twice = command("eval", &base, &["--vectors", &vector]);
    refused(&twice, &["two conditions are called", "stepwise"]);
    let foreign = [
        "--questions",
        &questions,
        "--vectors",
        &vector,
        "--answers",
        &questions,
    ];
    refused(&command("eval", &foreign, &[]), &["no answers", &questions]);
}

#[test]
fn sweep_changes_one_thing() {
    let questions = file("sweep_questions.jsonl", QUESTIONS);
    let figures = place("sweep.json");
    let styles = ["--styles", "vectors/styles.json", "--style", "analogy"];
    let how = [
        "--questions",
        &questions,
        "--max-tokens",
        "4",
        "--json",
        &figures,
    ];
    let base = [&["--set", SET], &styles[..], &how[..]].concat();
    stdout(run(&command(
        "sweep",
        &base,
        &["--over", "pairs", "--at", "1,2"],
    )));
    let names = conditions(&figures);
    assert!(names[0].ends_with(", 1 pairs"), "{names:?}");
    assert!(names[1].ends_with(", 2 pairs"), "{names:?}");

    let over = |what, value| command("sweep", &base, &["--over", what, "--at", value]);
    refused(&over("pairs", "1.5"), &["1.5"]);
    refused(&over("first-layer", "30"), &["layer 30", "0 to 29"]);
}
