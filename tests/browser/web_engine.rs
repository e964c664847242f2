//! The class that JavaScript uses, called as JavaScript calls it.

use crate::support::{address, gguf, trickle, vector};
use cache_steering::model::synthetic;
use cache_steering::model::weights::WeightFormat;
use cache_steering::web::WebEngine;
use cache_steering::web::error::WebError;
use js_sys::{Array, Function, JSON, Object, Reflect};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

pub fn json(text: &str) -> JsValue {
    JSON::parse(text).expect("valid JSON in the test")
}

fn load_request(url: &str, backend: &str) -> JsValue {
    json(&format!(
        r#"{{"url": "{url}", "backend": "{backend}", "capacity": 256}}"#
    ))
}

/// A plain and a steered lane, so many tokens each.
fn generate_request(vector: &str, max_tokens: usize) -> JsValue {
    json(&format!(
        r#"{{
            "messages": [{{"role": "user", "content": "Why is the sky blue?"}}],
            "lanes": [{{"offset": "\n"}}, {{"steering": [{{"vector": "{vector}"}}]}}],
            "maxTokens": {max_tokens}
        }}"#
    ))
}

pub fn get(object: &JsValue, path: &[&str]) -> JsValue {
    path.iter().fold(object.clone(), |object, key| {
        Reflect::get(&object, &(*key).into()).expect("an object")
    })
}

fn name(error: WebError) -> String {
    get(&error.into(), &["name"]).as_string().expect("a name")
}

pub async fn loaded(backend: &str) -> WebEngine {
    let engine = WebEngine::new().expect("an engine");
    let url = address(gguf(WeightFormat::Q8_0));
    engine
        .load(load_request(&url, backend), None)
        .await
        .expect("a model");
    let file = vector(&synthetic::tiny())
        .to_bytes()
        .expect("a vector file");
    engine.add_vector("wave".into(), &file).expect("a vector");
    engine
}

/// A callback that keeps what it is told, and what it kept.
pub fn recorder(mut then: impl FnMut(&JsValue) + 'static) -> (Function, Rc<RefCell<Vec<JsValue>>>) {
    let events: Rc<RefCell<Vec<JsValue>>> = Rc::default();
    let kept = events.clone();
    let closure = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
        then(&event);
        kept.borrow_mut().push(event);
    });
    (closure.into_js_value().unchecked_into(), events)
}

fn types(events: &[JsValue]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| get(event, &["type"]).as_string())
        .collect()
}

#[wasm_bindgen_test]
async fn loads_and_streams_both_lanes() {
    let engine = WebEngine::new().expect("an engine");
    assert!(engine.info().expect("no error").is_undefined());
    let bytes = gguf(WeightFormat::Q8_0);
    let size = bytes.len() as f64;
    let (on_progress, progress) = recorder(|_| {});
    let request = load_request(&address(bytes), "cpu");
    let info = engine
        .load(request, Some(on_progress))
        .await
        .expect("a model");
    assert_eq!(get(&info, &["backend"]), "cpu");
    assert_eq!(get(&info, &["model", "layers"]), 3.0);
    assert_eq!(get(&info, &["model", "bytes"]), size);
    assert_eq!(get(&progress.borrow()[0], &["total"]), size);

    let url = address(
        vector(&synthetic::tiny())
            .to_bytes()
            .expect("a vector file"),
    );
    let about = engine
        .load_vector("wave".into(), url)
        .await
        .expect("a vector");
    assert_eq!(get(&about, &["label"]), "Wave");
    assert_eq!(get(&about, &["recommended", "firstLayer"]), 1.0);

    let (on_event, events) = recorder(|_| {});
    let result = engine
        .generate(generate_request("wave", 6), Some(on_event))
        .await
        .expect("answers");
    let events = events.borrow();
    let types = types(&events);
    assert_eq!(types[0], "prompt");
    assert!(types.contains(&"prefill".into()));
    assert_eq!(types.iter().filter(|t| *t == "finished").count(), 2);
    for lane in 0..2u32 {
        let of_lane = |key: &str| {
            let text: Vec<JsValue> = events
                .iter()
                .filter(|e| get(e, &["type"]) == "token" && get(e, &["lane"]) == f64::from(lane))
                .map(|e| get(e, &[key]))
                .collect();
            text
        };
        let told: String = of_lane("text")
            .iter()
            .filter_map(JsValue::as_string)
            .collect();
        let answer = get(&result, &["lanes", &lane.to_string()]);
        assert_eq!(get(&answer, &["text"]), told.as_str());
        let tokens: Array = get(&answer, &["tokens"]).unchecked_into();
        assert_eq!(tokens.length() as usize, of_lane("token").len());
    }
    assert!(
        get(&result, &["timings", "prefillMs"])
            .as_f64()
            .is_some_and(|ms| ms > 0.0)
    );
}

#[wasm_bindgen_test]
async fn runs_on_the_browsers_webgpu() {
    let engine = loaded("gpu").await;
    assert_eq!(get(&engine.info().expect("no error"), &["backend"]), "gpu");
    let result = engine
        .generate(generate_request("wave", 3), None)
        .await
        .expect("answers");
    assert_eq!(get(&result, &["lanes", "1", "tokens", "length"]), 3.0);
}

#[wasm_bindgen_test]
async fn stops_within_one_token() {
    let engine = Rc::new(loaded("cpu").await);
    let stopper = engine.clone();
    let (on_event, events) = recorder(move |event| {
        if get(event, &["type"]) == "token" {
            stopper.stop();
        }
    });
    let result = engine
        .generate(generate_request("wave", 200), Some(on_event))
        .await
        .expect("a part");
    assert_eq!(
        types(&events.borrow())
            .iter()
            .filter(|t| *t == "token")
            .count(),
        1
    );
    assert_eq!(get(&result, &["lanes", "0", "stopReason"]), "cancelled");

    // The next request is not stopped by that.
    let result = engine
        .generate(generate_request("wave", 2), None)
        .await
        .expect("answers");
    assert_eq!(get(&result, &["lanes", "0", "tokens", "length"]), 2.0);
}

/// A stop that comes as a message, as the worker gets it: it is heard only if the event loop runs.
#[wasm_bindgen_test]
async fn hears_messages_while_it_computes() {
    let engine = Rc::new(loaded("cpu").await);
    let channel = web_sys::MessageChannel::new().expect("a channel");
    let stopper = engine.clone();
    let on_message = Closure::<dyn FnMut()>::new(move || stopper.stop());
    channel
        .port2()
        .set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    let port = channel.port1();
    let (on_event, events) = recorder(move |event| {
        if get(event, &["type"]) == "token" {
            port.post_message(&JsValue::NULL).expect("a message");
        }
    });
    engine
        .generate(generate_request("wave", 200), Some(on_event))
        .await
        .expect("a part");
    let tokens = types(&events.borrow())
        .iter()
        .filter(|t| *t == "token")
        .count();
    assert!(
        tokens <= 4,
        "{tokens} tokens of 2 lanes after a stop was sent"
    );
    channel.port2().close();
}

#[wasm_bindgen_test]
async fn refuses_a_second_call_with_words() {
    let engine = Rc::new(loaded("cpu").await);
    let other = engine.clone();
    let refused: Rc<RefCell<Option<WebError>>> = Rc::default();
    let seen = refused.clone();
    let (on_event, _) = recorder(move |event| {
        if get(event, &["type"]) == "prompt" {
            let (other, seen) = (other.clone(), seen.clone());
            wasm_bindgen_futures::spawn_local(async move {
                seen.replace(
                    other
                        .generate(generate_request("wave", 1), None)
                        .await
                        .err(),
                );
            });
        }
    });
    engine
        .generate(generate_request("wave", 8), Some(on_event))
        .await
        .expect("answers");
    assert_eq!(refused.take().map(name).as_deref(), Some("Busy"));
}

#[wasm_bindgen_test]
async fn a_callback_that_throws_ends_the_work() {
    let engine = loaded("cpu").await;
    let thrower = Function::new_with_args("event", "throw new Error('from the callback')");
    let result = engine
        .generate(generate_request("wave", 50), Some(thrower))
        .await
        .expect("a part");
    assert_eq!(get(&result, &["lanes", "1", "stopReason"]), "cancelled");
}

#[wasm_bindgen_test]
async fn cancels_a_download() {
    let engine = Rc::new(WebEngine::new().expect("an engine"));
    trickle(gguf(WeightFormat::F32), 10);
    let stopper = engine.clone();
    let (on_progress, _) = recorder(move |_| stopper.stop());
    let cancelled = engine
        .load(load_request("trickle:", "cpu"), Some(on_progress))
        .await;
    assert_eq!(cancelled.err().map(name).as_deref(), Some("Cancelled"));
    let nothing = engine.generate(generate_request("wave", 1), None).await;
    assert_eq!(nothing.err().map(name).as_deref(), Some("NoModel"));
}

#[wasm_bindgen_test]
async fn names_what_is_wrong_with_a_request() {
    let engine = loaded("cpu").await;
    let error = |result: Result<JsValue, WebError>| result.err().map(name).unwrap_or_default();

    let unknown = engine.generate(generate_request("nobody", 1), None).await;
    assert_eq!(error(unknown), "UnknownVector");
    let nonsense = engine.generate(Object::new().into(), None).await;
    assert_eq!(error(nonsense), "BadArgument");
    let too_long = json(&format!(
        r#"{{"messages": [{{"role": "user", "content": "{}"}}], "lanes": [{{}}], "maxTokens": 1}}"#,
        "x".repeat(400)
    ));
    assert_eq!(error(engine.generate(too_long, None).await), "ContextFull");
    assert_eq!(
        error(engine.add_vector("bad".into(), b"nothing")),
        "VectorFile"
    );
    let mut config = synthetic::tiny();
    config.n_layers += 1;
    let other_model = vector(&config).to_bytes().expect("a vector file");
    assert_eq!(
        error(engine.add_vector("bad".into(), &other_model)),
        "VectorMismatch"
    );

    // None of these has cost the engine.
    engine
        .generate(generate_request("wave", 1), None)
        .await
        .expect("answers");

    let page = address(b"<!doctype html><title>Not found</title>".to_vec());
    assert_eq!(
        error(engine.load(load_request(&page, "cpu"), None).await),
        "NotGguf"
    );
}

#[wasm_bindgen_test]
async fn refuses_a_file_with_another_checksum() {
    let engine = WebEngine::new().expect("an engine");
    let url = address(gguf(WeightFormat::Q8_0));
    let request = load_request(&url, "cpu");
    Reflect::set(&request, &"sha256".into(), &"00".repeat(32).into()).expect("a property");
    let refused = engine.load(request, None).await.err().map(name);
    assert_eq!(refused.as_deref(), Some("Fetch"));
}
