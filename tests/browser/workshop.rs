//! Making and judging vectors, called as JavaScript calls it.

use crate::web_engine::{get, json, loaded, recorder};
use cache_steering::steering::SteeringVector;
use wasm_bindgen_test::wasm_bindgen_test;

const STYLE: &str = r#"{
    "id": "slow", "label": "Slow", "description": "Counts on", "marker": ".",
    "pairs": 3, "shots": 2, "offset": "\n",
    "recommended": {"values": 2, "keys": 0, "firstLayer": 1}, "repetitionPenalty": 1.1
}"#;
const QUESTIONS: [&str; 2] = [
    r#####"{"question": "2 and 2?", "answer": "#### 4"}"#####,
    r#"{"question": "Why?"}"#,
];

fn items() -> String {
    let item = |i: u32| {
        format!(
            r#"{{"question": "{i} and {i}?", "answer": "{}", "reasoning": {{"slow": "Count on from {i}."}}}}"#,
            2 * i
        )
    };
    let items: Vec<String> = (1..5).map(item).collect();
    format!("[{}]", items.join(","))
}

fn extract_request() -> String {
    format!(
        r#"{{"style": {STYLE}, "items": {}, "set": "sums"}}"#,
        items()
    )
}

#[wasm_bindgen_test]
async fn both_backends_make_the_same_vector_and_can_use_it() {
    let mut made = Vec::new();
    for backend in ["cpu", "gpu"] {
        let engine = loaded(backend).await;
        let (on_progress, progress) = recorder(|_| {});
        let info = engine
            .extract(json(&extract_request()), Some(on_progress))
            .await
            .expect("a vector");
        assert_eq!(get(&info, &["label"]), "Slow");
        assert_eq!(get(&info, &["pairs"]), 3.0);
        assert!(!progress.borrow().is_empty());
        let file = engine.vector_file("slow".into()).expect("a file");
        made.push(SteeringVector::from_bytes(&file).expect("a vector"));
    }
    let largest = made[0].values.iter().fold(0f32, |max, x| max.max(x.abs()));
    for (a, b) in made[0].values.iter().zip(&made[1].values) {
        assert!((a - b).abs() < 1e-3 * largest, "{a} {b}");
    }
    assert_eq!(made[0].metadata, made[1].metadata);
}

#[wasm_bindgen_test]
async fn a_vector_is_calibrated_and_evaluated() {
    let engine = loaded("cpu").await;
    engine
        .extract(json(&extract_request()), None)
        .await
        .expect("a vector");
    let found = engine
        .calibrate("slow".into(), QUESTIONS.join("\n"), None)
        .await
        .expect("a calibration");
    assert_eq!(get(&found, &["trials", "0", "values"]), 1.0);
    assert_eq!(get(&found, &["trials", "0", "answers"]), 2.0);

    let request = |answers: &str| {
        json(&format!(
            r#"{{
                "questions": {:?},
                "conditions": [
                    {{"name": "plain"}},
                    {{"name": "slow", "steering": [{{"vector": "slow"}}], "appended": "Think."}},
                    {{"name": "off", "activation": {{"vector": "slow", "strength": 0}}}},
                    {{"name": "on", "activation": {{"vector": "slow", "strength": 40, "layer": 0}}}}
                ],
                "sampling": {{"repetitionPenalty": 1}},
                "maxTokens": 4, "answers": {answers}, "items": {}
            }}"#,
            QUESTIONS.join("\n"),
            items(),
        ))
    };
    let (on_answer, told) = recorder(|_| {});
    let result = engine
        .evaluate(request("[]"), Some(on_answer))
        .await
        .expect("figures");
    let told = told.take();
    let (answers, preparing): (Vec<_>, Vec<_>) = told
        .iter()
        .partition(|event| get(event, &["preparing"]).is_undefined());
    assert_eq!(answers.len(), 8, "each answer is told once");
    assert!(!preparing.is_empty(), "so are the prompts of activations");
    assert_eq!(get(&result, &["answers", "length"]), 8.0);
    let text = |index: usize| get(&result, &["answers", &index.to_string(), "text"]);
    assert_eq!(text(0), text(2), "an activation at 0 is none");
    assert_ne!(text(0), text(3));
    let table = get(&result, &["table"]).as_string().expect("a table");
    assert!(
        table.contains("**slow**") && table.contains("| plain |"),
        "{table}"
    );

    let answers = js_sys::JSON::stringify(&get(&result, &["answers"])).expect("JSON");
    let (on_answer, told) = recorder(|_| {});
    engine
        .evaluate(request(&String::from(answers)), Some(on_answer))
        .await
        .expect("figures");
    let told = told.borrow();
    let mut answers = told
        .iter()
        .filter(|event| get(event, &["preparing"]).is_undefined());
    assert!(answers.next().is_none(), "what is there is not made again");
}

#[wasm_bindgen_test]
async fn what_cannot_be_made_is_refused_with_words() {
    let engine = loaded("cpu").await;
    let too_few = extract_request().replace("\"pairs\": 3", "\"pairs\": 9");
    let error = engine
        .extract(json(&too_few), None)
        .await
        .expect_err("a refusal");
    assert_eq!(error.name(), "Pairs");
    let error = engine.vector_file("loud".into()).expect_err("a refusal");
    assert_eq!(error.name(), "UnknownVector");
    let error = engine
        .calibrate("wave".into(), "{".into(), None)
        .await
        .expect_err("a refusal");
    assert_eq!(error.name(), "Questions");
}
