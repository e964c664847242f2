//! What one write to the cache did, as the engine tells it, against sums of this file's own.

use crate::loading::go_on;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::{EngineOptions, Inspection, SlotAttention};
use cache_steering::generate::{LaneRequest, Request, generate, prompt_ids};
use cache_steering::model::Message;
use cache_steering::model::load::FileSource;
use cache_steering::steering::{Steering, SteeringVector, Strength};
use cache_steering::{Engine, Error};
use candle_core::Device;
use candle_core::quantized::gguf_file;
use pollster::block_on;
use std::ops::ControlFlow;
use std::sync::Arc;

const MODEL: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
const VECTOR: &str = "vectors/SmolLM2-135M-Instruct/think-aloud.safetensors";

fn engine() -> Engine {
    engine_on(BackendChoice::Cpu)
}

fn engine_on(backend: BackendChoice) -> Engine {
    let options = EngineOptions {
        backend,
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

/// Answers a question plain and steered, and gives the prompt and both answers.
fn answers(engine: &mut Engine, values: f32) -> (Vec<u32>, [Vec<u32>; 2]) {
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
    let outcome = block_on(generate(engine, &request, go_on)).expect("answers");
    let answers = [0, 1].map(|lane| outcome.lanes[lane].tokens.clone());
    ([prompt, offset].concat(), answers)
}

/// The same without the plain answer.
fn answer(engine: &mut Engine, values: f32) -> (Vec<u32>, Vec<u32>) {
    let (prompt, [_, steered]) = answers(engine, values);
    (prompt, steered)
}

fn inspect(engine: &mut Engine, answer: &[u32]) -> Result<Inspection, Error> {
    block_on(engine.inspect(0, 1, answer, &mut |_| ControlFlow::Continue(())))
}

/// Appends tokens to a lane.
fn prefill(engine: &mut Engine, lane: usize, tokens: &[u32]) {
    let go_on = &mut |_| ControlFlow::Continue(());
    block_on(engine.prefill(&[(lane, tokens)], go_on)).unwrap();
}

/// Makes lane 0 hold `tokens`, with or without steering at `position`.
fn hold(engine: &mut Engine, tokens: &[u32], position: usize, steering: &[Steering]) {
    let (before, rest) = tokens.split_at(position + 1);
    engine.truncate(0, 0).unwrap();
    prefill(engine, 0, before);
    block_on(engine.steer(0, position, steering)).unwrap();
    prefill(engine, 0, rest);
}

/// The probabilities of what follows `tokens`, with or without steering at `position`.
fn probabilities(tokens: &[u32], position: usize, steering: &[Steering]) -> Vec<f64> {
    let mut engine = engine();
    let (last, before) = tokens.split_last().unwrap();
    hold(&mut engine, before, position, steering);
    let logits = block_on(engine.logits(&[(0, *last)])).unwrap().remove(0);
    let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
    logits.iter().map(|&l| f64::from(l).exp() / sum).collect()
}

#[test]
fn every_token_is_told_with_what_else_could_have_come() {
    let mut engine = engine();
    let (prompt, answer) = answer(&mut engine, 4.0);
    let found = inspect(&mut engine, &answer).expect("an inspection");
    let told: Vec<u32> = found.tokens.iter().map(|t| t.token).collect();
    assert_eq!(told, answer);
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
    let (_, answer) = answer(&mut engine, 4.0);
    let found = inspect(&mut engine, &answer).expect("an inspection");
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

/// A tensor of the model's file.
fn tensor(layer: usize, name: &str) -> Vec<f64> {
    let mut file = std::fs::File::open(MODEL).unwrap();
    let content = gguf_file::Content::read(&mut file).unwrap();
    let name = format!("blk.{layer}.{name}.weight");
    let tensor = content.tensor(&mut file, &name, &Device::Cpu).unwrap();
    let values = tensor.dequantize(&Device::Cpu).unwrap().flatten_all();
    let values: Vec<f32> = values.unwrap().to_vec1().unwrap();
    values.into_iter().map(f64::from).collect()
}

/// What the last of `tokens` gives of its attention to `slot` in `layer`, which is not the first, as
/// the mean over the heads: from what comes out of the layer before, the weights in the file, and the
/// keys in the cache.
fn attention(engine: &mut Engine, tokens: &[u32], layer: usize, slot: usize) -> f64 {
    let config = engine.model().config.clone();
    let (&last, before) = tokens.split_last().unwrap();
    engine.truncate(0, before.len()).unwrap();
    let x = block_on(engine.residual(0, last, layer - 1)).unwrap();
    prefill(engine, 0, &[last]);
    let square = x.iter().map(|x| f64::from(x * x)).sum::<f64>() / x.len() as f64;
    let rms = (square + f64::from(config.norm_eps)).sqrt();
    let norm = tensor(layer, "attn_norm");
    let normed: Vec<f64> = (x.iter().zip(&norm))
        .map(|(x, scale)| f64::from(*x) / rms * scale)
        .collect();
    let projection = tensor(layer, "attn_q");
    let query = |row: usize| -> f64 {
        let weights = &projection[row * config.width..][..config.width];
        weights.iter().zip(&normed).map(|(w, x)| w * x).sum()
    };
    let slots = 0..tokens.len();
    let slots: Vec<_> = slots
        .map(|position| block_on(engine.read_slot(0, position)).unwrap().keys)
        .collect();
    let half = config.head_dim / 2;
    let of_head = |head: usize| {
        let kv_head = head / (config.n_heads / config.n_kv_heads);
        // The file has next to each other what the cache has half a head apart.
        let turned = (0..half).map(|i| {
            let row = head * config.head_dim + 2 * i;
            let (a, b) = (query(row), query(row + 1));
            let exponent = -(i as f64) / half as f64;
            let angle = before.len() as f64 * f64::from(config.rope_base).powf(exponent);
            let (sin, cos) = angle.sin_cos();
            (a * cos - b * sin, a * sin + b * cos)
        });
        let turned: Vec<(f64, f64)> = turned.collect();
        let scores = slots.iter().map(|keys| {
            let key = &keys[(layer * config.n_kv_heads + kv_head) * config.head_dim..];
            let product = |i: usize, (a, b): &(f64, f64)| {
                a * f64::from(key[i]) + b * f64::from(key[i + half])
            };
            let products = turned.iter().enumerate().map(|(i, pair)| product(i, pair));
            (products.sum::<f64>() / (config.head_dim as f64).sqrt()).exp()
        });
        let scores: Vec<f64> = scores.collect();
        scores[slot] / scores.iter().sum::<f64>()
    };
    (0..config.n_heads).map(of_head).sum::<f64>() / config.n_heads as f64
}

#[test]
fn the_attention_to_the_slot_is_that_of_the_token_before() {
    let mut engine = engine();
    let (prompt, answer) = answer(&mut engine, 4.0);
    let found = inspect(&mut engine, &answer).expect("an inspection");
    let slot = found.position;
    assert_eq!(slot, prompt.len() - 2);
    let mut largest = 0f64;
    for at in [0, 1, 8] {
        // The offset token is the first that follows the slot, and predicts the first of the answer.
        let tokens = [&prompt[..], &answer[..at]].concat();
        let SlotAttention { steered, plain } = &found.tokens[at].attention;
        let layers = engine.model().config.n_layers;
        assert_eq!([steered.len(), plain.len()], [layers; 2]);
        for (found, steering) in [(steered, vec![steering(4.0)]), (plain, vec![])] {
            hold(&mut engine, &tokens, slot, &steering);
            for layer in [1, 14, 29] {
                let expected = attention(&mut engine, &tokens, layer, slot);
                let found = f64::from(found[layer]);
                assert!(
                    (found - expected).abs() < 1e-4 * expected.max(0.01),
                    "token {at}, layer {layer}: {found}, not {expected}"
                );
                largest = largest.max(found);
            }
        }
    }
    assert!(largest > 0.01, "somebody looks at the slot: {largest}");
}

#[test]
fn the_gpu_attends_to_the_slot_as_the_cpu_does() {
    let mut cpu = engine();
    let (prompt, answer) = answer(&mut cpu, 4.0);
    let on_cpu = inspect(&mut cpu, &answer).expect("an inspection");
    let mut gpu = engine_on(BackendChoice::Gpu);
    let (before, offset) = prompt.split_at(on_cpu.position + 1);
    prefill(&mut gpu, 0, before);
    gpu.copy_lane(0, 1).unwrap();
    block_on(gpu.steer(1, on_cpu.position, &[steering(4.0)])).unwrap();
    // The same answer, whatever the GPU would have said.
    prefill(&mut gpu, 1, &[offset, &answer].concat());
    let on_gpu = inspect(&mut gpu, &answer).expect("an inspection");
    assert!(on_cpu.tokens.len() > 8 && on_gpu.tokens.len() == on_cpu.tokens.len());
    for (cpu, gpu) in on_cpu.tokens.iter().zip(&on_gpu.tokens) {
        assert_eq!(cpu.token, gpu.token);
        let [cpu, gpu] = [cpu, gpu].map(|token| {
            let SlotAttention { steered, plain } = &token.attention;
            [&steered[..], plain].concat()
        });
        for (cpu, gpu) in cpu.iter().zip(gpu) {
            assert!((cpu - gpu).abs() < 1e-3 * cpu.max(0.01), "{cpu} {gpu}");
        }
    }
}

#[test]
fn answers_after_a_look_are_those_before() {
    let mut engine = engine();
    let before = answers(&mut engine, 4.0);
    inspect(&mut engine, &before.1[1]).expect("an inspection");
    assert_eq!(answers(&mut engine, 4.0), before);
    assert_ne!(before.1[0], before.1[1], "steering changes the answer");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut engine = engine();
    let refused = inspect(&mut engine, &[]).expect_err("nothing is there");
    assert!(refused.to_string().contains("no answer was steered"));
    let (_, plain) = answer(&mut engine, 0.0);
    let refused = inspect(&mut engine, &plain);
    assert!(refused.is_err(), "strength 0 steers nothing");
    let (_, steered) = answer(&mut engine, 4.0);
    for other in [&plain, &[&steered[..], &[1, 2]].concat()] {
        let refused = inspect(&mut engine, other).expect_err("it gave another answer");
        assert!(refused.to_string().contains("another answer"));
    }
    let go_on = &mut |_| ControlFlow::Continue(());
    let itself = block_on(engine.inspect(1, 1, &steered, go_on));
    assert!(itself.is_err(), "a lane beside itself");
}

#[test]
fn a_plain_lane_that_holds_something_else_is_given_the_prompt() {
    let mut engine = engine();
    let (prompt, steered) = answer(&mut engine, 4.0);
    let expected = inspect(&mut engine, &steered).expect("an inspection");
    let position = expected.position;
    // Another prompt from the fourth token on, and the same one, steered.
    for (tokens, steerings) in [
        ([&prompt[..3], &[5, 6, 7]].concat(), vec![]),
        (prompt.clone(), vec![steering(-3.0)]),
    ] {
        answer(&mut engine, 4.0);
        hold(
            &mut engine,
            &tokens,
            position.min(tokens.len() - 1),
            &steerings,
        );
        let found = inspect(&mut engine, &steered).expect("an inspection");
        assert_eq!(found.tokens.len(), expected.tokens.len());
        for (found, expected) in found.tokens.iter().zip(&expected.tokens) {
            let (found, expected) = (found.kl, expected.kl);
            assert!(
                (found - expected).abs() < 1e-3 * expected.max(0.1),
                "{found} {expected}"
            );
        }
    }
}
