//! What one write to the cache did, as the engine tells it, against sums of this file's own.

use crate::loading::go_on;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::{EngineOptions, Inspection};
use cache_steering::generate::{LaneRequest, Request, generate, prompt_ids};
use cache_steering::model::Message;
use cache_steering::model::load::FileSource;
use cache_steering::steering::{Steering, SteeringVector, Strength};
use cache_steering::{Engine, Error};
use pollster::block_on;
use std::ops::ControlFlow;
use std::sync::Arc;

const MODEL: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
const VECTOR: &str = "vectors/SmolLM2-135M-Instruct/think-aloud.safetensors";

fn engine() -> Engine {
    let options = EngineOptions {
        backend: BackendChoice::Cpu,
        cpu_precision: CpuPrecision::F32,
        lanes: 2,
        capacity: Some(128),
        kernels: None,
    };
    let mut source = FileSource::open(MODEL).expect("the model: `cargo xtask fetch-model` gets it");
    block_on(Engine::load(&mut source, &options, &mut go_on)).expect("an engine")
}

fn steering(values: f32) -> Steering {
    let bytes = std::fs::read(VECTOR).expect("the vector");
    let vector = SteeringVector::from_bytes(&bytes).expect("a vector");
    let strength = Strength {
        values,
        keys: values / 2.0,
        ..vector.metadata.recommended
    };
    Steering {
        vector: Arc::new(vector),
        strength,
    }
}

/// Answers a question plain and steered, and gives the prompt and the steered answer.
fn answer(engine: &mut Engine, values: f32) -> (Vec<u32>, Vec<u32>) {
    let message = Message {
        role: "user".into(),
        content: "Why is the sky blue?".into(),
    };
    let offset = engine.model().tokenizer.encode("\n").unwrap();
    let prompt = prompt_ids(engine.model(), &[message]).unwrap();
    let lane = |steering| LaneRequest {
        offset: offset.clone(),
        steering,
        ..LaneRequest::default()
    };
    let request = Request {
        prompt: prompt.clone(),
        lanes: vec![lane(vec![]), lane(vec![steering(values)])],
        max_tokens: 12,
        stop_repeating: false,
        ..Request::default()
    };
    let go_on = &mut |_| ControlFlow::Continue(());
    let mut outcome = block_on(generate(engine, &request, go_on)).expect("answers");
    ([prompt, offset].concat(), outcome.lanes.remove(1).tokens)
}

fn inspect(engine: &mut Engine) -> Result<Inspection, Error> {
    block_on(engine.inspect(0, 1, &mut |_| ControlFlow::Continue(())))
}

/// The probabilities of what follows `tokens`, with or without steering at `position`.
fn probabilities(tokens: &[u32], position: usize, steering: &[Steering]) -> Vec<f64> {
    let mut engine = engine();
    let (before, rest) = tokens.split_at(position + 1);
    let (last, rest) = rest.split_last().unwrap();
    let go_on = &mut |_| ControlFlow::Continue(());
    block_on(engine.prefill(&[(0, before)], go_on)).unwrap();
    block_on(engine.steer(0, position, steering)).unwrap();
    block_on(engine.prefill(&[(0, rest)], go_on)).unwrap();
    let logits = block_on(engine.logits(&[(0, *last)])).unwrap().remove(0);
    let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
    logits.iter().map(|&l| f64::from(l).exp() / sum).collect()
}

#[test]
fn every_token_is_told_with_what_else_could_have_come() {
    let mut engine = engine();
    let (prompt, answer) = answer(&mut engine, 4.0);
    let found = inspect(&mut engine).expect("an inspection");
    let told: Vec<u32> = found.tokens.iter().map(|t| t.token).collect();
    assert_eq!(told, answer[..told.len()]);
    assert!(
        told.len() + 1 >= answer.len(),
        "{} of {}",
        told.len(),
        answer.len()
    );
    // Greedy: the likeliest token was chosen.
    for token in &found.tokens {
        assert_eq!(token.steered[0].token, token.token);
        assert!(token.steered.is_sorted_by(|a, b| a.p >= b.p));
    }

    for at in [0, 5] {
        let tokens = [&prompt[..], &told[..at]].concat();
        let plain = probabilities(&tokens, found.position, &[]);
        let steered = probabilities(&tokens, found.position, &[steering(4.0)]);
        let kl: f64 = steered
            .iter()
            .zip(&plain)
            .map(|(s, p)| s * (s / p).ln())
            .sum();
        let token = &found.tokens[at];
        assert!(
            (token.kl - kl).abs() < 1e-3 * kl.max(0.1),
            "{} {kl}",
            token.kl
        );
        for (candidates, p) in [(&token.plain, &plain), (&token.steered, &steered)] {
            assert_eq!(candidates.len(), 5);
            for candidate in candidates {
                let exact = p[candidate.token as usize];
                assert!((candidate.p - exact).abs() < 1e-3, "{candidate:?} {exact}");
            }
        }
    }
    // The write makes the answer begin in its way; what follows from that follows by itself.
    assert!(found.tokens[0].kl > 2.0, "{}", found.tokens[0].kl);
    let rest: f64 = found.tokens[1..].iter().map(|t| t.kl).sum();
    assert!(rest / ((told.len() - 1) as f64) < found.tokens[0].kl);
}

#[test]
fn the_change_of_the_slot_is_what_was_added() {
    let mut engine = engine();
    answer(&mut engine, 4.0);
    let found = inspect(&mut engine).expect("an inspection");
    let config = engine.model().config.clone();
    let slot = block_on(engine.read_slot(0, found.position)).unwrap();
    let vector = steering(4.0).vector;
    let length = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>().sqrt();
    assert_eq!(found.values.len(), config.n_layers);
    for (layer, heads) in found.values.iter().enumerate() {
        assert_eq!(heads.len(), config.n_kv_heads);
        for (head, &change) in heads.iter().enumerate() {
            let at = (layer * config.n_kv_heads + head) * config.head_dim;
            let of_head = at..at + config.head_dim;
            let added = 4.0 * length(&vector.values[of_head.clone()]);
            let expected = match layer {
                0 => 0.0,
                _ => added / length(&slot.values[of_head]),
            };
            assert!(
                (change - expected).abs() <= 1e-3 * expected.max(0.01),
                "{change} {expected}"
            );
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut engine = engine();
    let refused = inspect(&mut engine).expect_err("nothing is there");
    assert!(refused.to_string().contains("no answer was steered"));
    answer(&mut engine, 0.0);
    assert!(inspect(&mut engine).is_err(), "strength 0 steers nothing");
    answer(&mut engine, 4.0);
    engine.truncate(0, 3).unwrap();
    let refused = inspect(&mut engine).expect_err("another prompt");
    assert!(refused.to_string().contains("holds another prompt"));
}
