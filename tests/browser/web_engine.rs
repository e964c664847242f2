//! The class that JavaScript uses, called as JavaScript calls it.

use crate::support::{address, after, gguf, trickle, vector};
use cache_steering::model::synthetic;
use cache_steering::model::weights::WeightFormat;
use cache_steering::web::WebEngine;
use cache_steering::web::error::WebError;
use js_sys::{Array, Function, JSON, Object, Reflect, Uint8Array};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

pub fn json(text: &str) -> JsValue {
    JSON::parse(text).expect("valid JSON in the test")
}

fn load_request(url: &str, backend: &str) -> JsValue {
    json(&format!(
        r#"{{"url": "{url}", "backend": "{backend}", "capacity": 300}}"#
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
    assert_eq!(get(&events[0], &["tokens", "length"]), 2.0);
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

/// A request with one file of these chunks and properties.
fn files_request(chunks: JsValue, properties: &str) -> JsValue {
    let file = json(properties);
    Reflect::set(&file, &"chunks".into(), &chunks).expect("a property");
    let request = json(r#"{"backend": "cpu", "capacity": 256}"#);
    Reflect::set(&request, &"files".into(), &Array::of1(&file)).expect("a property");
    request
}

fn chunks(bytes: &[u8]) -> JsValue {
    bytes
        .chunks(10_000)
        .map(|chunk| JsValue::from(Uint8Array::from(chunk)))
        .collect::<Array>()
        .into()
}

#[wasm_bindgen_test]
async fn takes_the_bytes_from_javascript() {
    let engine = WebEngine::new().expect("an engine");
    let bytes = gguf(WeightFormat::Q8_0);
    let info = engine
        .load(files_request(chunks(&bytes), "{}"), None)
        .await
        .expect("a model");
    let sha256 = get(&info, &["model", "sha256"])
        .as_string()
        .expect("a digest");
    let other = "00".repeat(32);

    let expected = |sha256: &str| format!(r#"{{"sha256": "{}"}}"#, sha256.to_uppercase());
    let request = files_request(chunks(&bytes), &expected(&sha256));
    engine.load(request, None).await.expect("the same file");
    let request = files_request(chunks(&bytes), &expected(&other));
    let refused = engine.load(request, None).await.err().map(name);
    assert_eq!(refused.as_deref(), Some("Checksum"));

    // What was verified before is taken at its word.
    let verified = format!(r#"{{"sha256": "{other}", "verified": true}}"#);
    let request = files_request(chunks(&bytes), &verified);
    let info = engine.load(request, None).await.expect("a verified file");
    assert_eq!(get(&info, &["model", "sha256"]), other.as_str());
}

#[wasm_bindgen_test]
async fn takes_a_model_that_is_split() {
    let engine = WebEngine::new().expect("an engine");
    let bytes = gguf(WeightFormat::Q8_0);
    let parts = synthetic::split(&bytes, 3).expect("parts");
    let sizes: usize = parts.iter().map(Vec::len).sum();
    let request = |parts: &[Vec<u8>]| {
        let files = parts.iter().map(|part| {
            let file = json(&format!(r#"{{"bytes": {}}}"#, part.len()));
            Reflect::set(&file, &"chunks".into(), &chunks(part)).expect("a property");
            file
        });
        let request = json(r#"{"backend": "cpu", "capacity": 256}"#);
        Reflect::set(&request, &"files".into(), &files.collect::<Array>()).expect("a property");
        request
    };
    let (on_progress, progress) = recorder(|_| {});
    let loaded = engine.load(request(&parts), Some(on_progress)).await;
    let info = loaded.expect("a model");
    assert_eq!(get(&info, &["model", "bytes"]), sizes as f64);
    assert_eq!(get(&progress.borrow()[0], &["total"]), sizes as f64);
    let refused = engine.load(request(&parts[..2]), None).await;
    assert_eq!(refused.err().map(name).as_deref(), Some("Split"));
}

#[wasm_bindgen_test]
async fn throws_on_what_the_chunks_throw() {
    let engine = WebEngine::new().expect("an engine");
    let thrower = js_sys::eval(
        "({ async *[Symbol.asyncIterator]() { yield new Uint8Array(4); throw new RangeError('no more'); } })",
    );
    let request = files_request(thrower.expect("an iterable"), "{}");
    let thrown = engine.load(request, None).await.err().map(JsValue::from);
    assert!(thrown.is_some_and(|error| error.is_instance_of::<js_sys::RangeError>()));
}

/// A file whose next bytes never come.
#[wasm_bindgen_test]
async fn a_stop_does_not_wait_for_chunks() {
    let engine = Rc::new(WebEngine::new().expect("an engine"));
    let stalled = js_sys::eval(
        "({ [Symbol.asyncIterator]() { return { next: () => new Promise(() => {}) }; } })",
    );
    let stopper = engine.clone();
    wasm_bindgen_futures::spawn_local(async move {
        JsFuture::from(after(50)).await.expect("a pause");
        stopper.stop();
    });
    let request = files_request(stalled.expect("an iterable"), "{}");
    let stopped = engine.load(request, None).await.err().map(name);
    assert_eq!(stopped.as_deref(), Some("Cancelled"));
}

/// The values of a list of numbers.
fn numbers(list: &JsValue) -> Vec<f64> {
    let list: Array = list.clone().unchecked_into();
    list.iter().filter_map(|value| value.as_f64()).collect()
}

/// So many lanes, every other one steered, with what else the request says.
fn many(lanes: usize, more: &str) -> JsValue {
    let lane = |number: usize| match number % 2 {
        0 => r#"{"offset": "\n"}"#.to_string(),
        _ => format!(
            r#"{{"steering": [{{"vector": "wave", "strength": {{"values": {number}, "keys": 0, "firstLayer": 1}}}}]}}"#
        ),
    };
    let lanes: Vec<String> = (0..lanes).map(lane).collect();
    json(&format!(
        r#"{{
            "messages": [{{"role": "user", "content": "Why?"}}],
            "lanes": [{}],
            "maxTokens": 3
            {more}
        }}"#,
        lanes.join(", ")
    ))
}

#[wasm_bindgen_test]
async fn answers_in_eight_lanes_at_once() {
    for backend in ["cpu", "gpu"] {
        let engine = loaded(backend).await;
        let generate = async |request| engine.generate(request, None).await;
        let info = engine.info().expect("no error");
        let memory = |of: &JsValue, kind: &str| {
            let bytes = get(of, &["memory", kind]).as_f64();
            bytes.expect("a number of bytes")
        };
        assert_eq!(memory(&info, "gpu") > 0.0, backend == "gpu");
        assert!(memory(&info, "wasm") >= 65536.0);

        let two = generate(many(2, "")).await.expect("two answers");
        let again = generate(many(2, "")).await.expect("two answers");
        assert_eq!(get(&again, &["timings", "prefillTokens"]), 0.0);
        let eight = generate(many(8, "")).await.expect("eight answers");
        for (lane, of_two) in [("0", true), ("1", true), ("3", false), ("6", false)] {
            let tokens = |of: &JsValue| numbers(&get(of, &["lanes", lane, "tokens"]));
            assert!(!tokens(&eight).is_empty());
            assert!(
                !of_two || tokens(&eight) == tokens(&two),
                "{backend}, lane {lane}"
            );
        }
        // Another number of them finds the prompt; its first lane alone leaves the others.
        let five = generate(many(5, "")).await.expect("five answers");
        assert_eq!(get(&five, &["timings", "prefillTokens"]), 0.0);
        let one = generate(many(1, r#", "firstLane": 7"#)).await;
        let one = one.expect("one answer");
        assert_eq!(get(&one, &["timings", "prefillTokens"]), 0.0);
        let before = memory(&eight, "gpu");
        assert!(memory(&one, "gpu") - before < 10_000.0);
        let refused = generate(many(9, "")).await.err().map(name);
        assert_eq!(refused.as_deref(), Some("InvalidRequest"));
        let two = generate(many(2, "")).await.expect("two answers");
        assert!(get(&two, &["timings", "prefillTokens"]).as_f64() > Some(0.0));
    }
}

#[wasm_bindgen_test]
async fn a_lane_goes_on_with_a_conversation_of_its_own() {
    let engine = loaded("cpu").await;
    let told = engine
        .generate(many(2, ""), None)
        .await
        .expect("two answers");
    let of_lane = |of: &JsValue, lane: &str, key: &str| get(of, &["lanes", lane, key]);
    assert_eq!(
        of_lane(&told, "0", "promptTokens"),
        of_lane(&told, "1", "promptTokens")
    );
    assert!(of_lane(&told, "0", "write").is_undefined());
    let write = of_lane(&told, "1", "write");
    let position = get(&write, &["position"]).as_f64();
    let prompt = of_lane(&told, "1", "promptTokens").as_f64();
    assert_eq!(position, prompt.map(|tokens| tokens - 1.0));
    let values = numbers(&get(&write, &["values"]));
    assert!(values.len() == 3 && values[0] == 0.0 && values[1] > 0.0);
    assert_eq!(numbers(&get(&write, &["keys"])), [0.0; 3]);

    let message =
        |role: &str, content: &str| format!(r#"{{"role": "{role}", "content": "{content}"}}"#);
    let longer = [
        message("user", "Why?"),
        message("assistant", "So."),
        message("user", "Sure?"),
    ];
    let request = json(&format!(
        r#"{{
            "messages": [{}],
            "lanes": [{{"messages": [{}]}}, {{}}],
            "maxTokens": 2
        }}"#,
        message("user", "Why?"),
        longer.join(", ")
    ));
    let (on_event, events) = recorder(|_| {});
    let result = engine.generate(request, Some(on_event)).await;
    let result = result.expect("two answers");
    let counts = ["0", "1"].map(|lane| of_lane(&result, lane, "promptTokens").as_f64());
    assert!(counts[0] > counts[1] && counts[1] == prompt);
    let told = ["0", "1"].map(|lane| get(&events.borrow()[0], &["tokens", lane]).as_f64());
    assert_eq!(told, counts);
    assert_eq!(get(&result, &["promptTokens"]).as_f64(), counts[0]);

    // Lane 1 alone, steered, beside the plain one: they can be compared.
    let request = json(
        r#"{
            "messages": [{"role": "user", "content": "Why?"}],
            "lanes": [{"offset": "", "steering": [{"vector": "wave"}]}],
            "firstLane": 1,
            "maxTokens": 3
        }"#,
    );
    let plain = json(
        r#"{
            "messages": [{"role": "user", "content": "Why?"}],
            "lanes": [{}, {}],
            "maxTokens": 3
        }"#,
    );
    engine.generate(plain, None).await.expect("two answers");
    let anew = engine.generate(request, None).await.expect("one answer");
    assert_eq!(get(&anew, &["timings", "prefillTokens"]), 0.0);
    assert_eq!(get(&anew, &["lanes", "length"]), 1.0);
    let steered = js_sys::Uint32Array::new(&of_lane(&anew, "0", "tokens")).to_vec();
    let found = engine
        .inspect(steered.clone(), None)
        .await
        .expect("an inspection");
    assert_eq!(get(&found, &["tokens", "length"]), steered.len() as f64);
    let written = of_lane(&anew, "0", "write");
    assert_eq!(get(&found, &["position"]), get(&written, &["position"]));
}
