//! The real model on the browser's WebGPU and on its CPU, against the golden numbers.

use cache_steering::backend::BackendKind;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::engine::EngineOptions;
use cache_steering::web::fetch::FetchSource;
use cache_steering::{Engine, Error};
use serde_json::Value;
use std::ops::ControlFlow;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_sys::AbortController;

/// The test page's server gives the files of the project's folder.
const MODEL: &str = "/models/SmolLM2-135M-Instruct.Q4_1.gguf";

fn ids(list: &Value) -> Vec<u32> {
    let list = list.as_array().expect("a list of ids");
    list.iter()
        .map(|id| id.as_u64().expect("an id") as u32)
        .collect()
}

#[wasm_bindgen_test]
async fn the_gpu_gives_the_golden_tokens() {
    // A software adapter makes one or two a second.
    check(BackendChoice::Gpu, BackendKind::Gpu, 3).await;
}

/// With quantized weights, as visitors have it.
#[wasm_bindgen_test]
async fn the_cpu_gives_the_golden_tokens() {
    check(BackendChoice::Cpu, BackendKind::Cpu, 32).await;
}

async fn check(backend: BackendChoice, kind: BackendKind, tokens: usize) {
    let controller = AbortController::new().expect("an AbortController");
    let mut source = match FetchSource::open(MODEL, controller.signal()).await {
        Err(Error::Fetch { reason, .. }) if reason.contains("404") => {
            // `cargo xtask test` always has the model; a plain `wasm-pack test` need not.
            console_log!("skipped: {MODEL} is not there; `cargo xtask fetch-model` fetches it");
            return;
        }
        source => source.expect("the model's address answers"),
    };
    let options = EngineOptions {
        backend,
        lanes: 1,
        capacity: Some(128),
        ..EngineOptions::default()
    };
    let mut engine = Engine::load(&mut source, &options, &mut |_| ControlFlow::Continue(()))
        .await
        .expect("the real model loads");
    assert_eq!(engine.backend_info().kind, kind);

    let golden: Value = serde_json::from_str(include_str!("../golden/golden.json")).expect("JSON");
    let golden = &golden["prompts"][1];
    let prompt = ids(&golden["input_ids"]);
    let (&last, cached) = prompt.split_last().expect("a prompt");
    engine
        .prefill(&[(0, cached)], &mut |_| ControlFlow::Continue(()))
        .await
        .expect("a prefill");

    let mut input = last;
    for (step, &expected) in ids(&golden["baseline"]["tokens"])[..tokens]
        .iter()
        .enumerate()
    {
        let logits = engine
            .logits(&[(0, input)])
            .await
            .expect("logits")
            .remove(0);
        if step == 0 {
            for pair in golden["baseline"]["first_top10"]
                .as_array()
                .expect("a list")
            {
                let token = pair[0].as_u64().expect("an id") as usize;
                let logit = pair[1].as_f64().expect("a logit");
                let error = (f64::from(logits[token]) - logit).abs();
                assert!(error < 5e-3, "token {token}: {} for {logit}", logits[token]);
            }
        }
        let best = logits.iter().copied().fold(f32::MIN, f32::max);
        input = logits.iter().position(|&l| l == best).expect("the largest") as u32;
        assert_eq!(input, expected, "token {step}");
    }
}
