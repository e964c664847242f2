//! The write to the cache, on both backends.

use crate::support::{engine, gguf, tokens, vector};
use cache_steering::backend::choose::BackendChoice;
use cache_steering::generate::{LaneRequest, Request, generate};
use cache_steering::model::weights::WeightFormat;
use cache_steering::steering::{Steering, Strength};
use std::ops::ControlFlow;
use std::sync::Arc;
use wasm_bindgen_test::wasm_bindgen_test;

/// A plain lane, one whose strength is 0, and one that is steered; and the logits that follow.
async fn check(backend: BackendChoice) {
    let mut engine = engine(&gguf(WeightFormat::Q4_1), backend).await;
    let vector = Arc::new(vector(&engine.model().config));
    let lane = |strength: Option<Strength>| LaneRequest {
        offset: vec![13],
        steering: Vec::from_iter(strength.map(|strength| Steering {
            vector: vector.clone(),
            strength,
        })),
        ..LaneRequest::default()
    };
    let off = Strength {
        values: 0.0,
        keys: 0.0,
        first_layer: 0,
        ..Strength::default()
    };
    let request = Request {
        prompt: tokens(30),
        lanes: vec![
            lane(None),
            lane(Some(off)),
            lane(Some(vector.metadata.recommended)),
        ],
        max_tokens: 6,
        stop_repeating: false,
        ..Request::default()
    };
    let observer = &mut |_| ControlFlow::Continue(());
    let outcome = generate(&mut engine, &request, observer)
        .await
        .expect("three answers");
    let [plain, at_zero, _] = &outcome.lanes[..] else {
        panic!("{} lanes", outcome.lanes.len());
    };
    assert!(!plain.tokens.is_empty());
    assert_eq!(plain.tokens, at_zero.tokens, "strength 0 changes no token");

    // A random model hardly changes its mind; its logits tell more. The prompt and the offset.
    for lane in 0..3 {
        engine.truncate(lane, 31).expect("a shorter lane");
    }
    let next = engine
        .logits(&[(0, 5), (1, 5), (2, 5)])
        .await
        .expect("a decode step");
    assert_eq!(next[0], next[1], "strength 0 changes no bit of the logits");
    assert_ne!(next[0], next[2], "the vector makes a difference");
}

#[wasm_bindgen_test]
async fn on_the_gpu() {
    check(BackendChoice::Gpu).await;
}

#[wasm_bindgen_test]
async fn on_the_cpu() {
    check(BackendChoice::Cpu).await;
}
