//! A tiny engine on each backend, and what the tests of decoding ask of it.

use cache_steering::Engine;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::{DecodeRequest, EngineOptions};
use cache_steering::generate::Sampling;
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{load, synthetic};
use cache_steering::steering::{Steering, SteeringVector, Strength, VectorMetadata};
use pollster::block_on;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

pub const BACKENDS: [BackendChoice; 2] = [BackendChoice::Gpu, BackendChoice::Cpu];

pub fn tiny(backend: BackendChoice, lanes: usize, capacity: usize) -> Engine {
    let config = synthetic::tiny();
    let gguf = synthetic::gguf(&config, WeightFormat::Q8_0, 3).expect("a synthetic model");
    let options = EngineOptions {
        backend,
        cpu_precision: CpuPrecision::F32,
        lanes,
        capacity: Some(capacity),
        kernels: None,
    };
    let mut source = load::MemorySource::new(gguf);
    let observer = &mut |_| ControlFlow::Continue(());
    block_on(Engine::load(&mut source, &options, observer)).expect("an engine")
}

/// Tokens that are in the vocabulary, other ones for another length.
pub fn prompt(count: u32) -> Vec<u32> {
    (0..count).map(|i| (i * 7919 + 13 + count) % 320).collect()
}

pub fn warm(seed: u32) -> Sampling {
    Sampling {
        temperature: 0.9,
        top_k: 60,
        repetition_penalty: 1.2,
        seed,
        ..Sampling::default()
    }
}

pub fn steering(strength: f32) -> Vec<Steering> {
    let config = synthetic::tiny();
    let wave = |scale: f32| (0..config.slot_len()).map(move |i| scale * (i as f32).sin());
    let vector = SteeringVector {
        keys: wave(0.5).collect(),
        values: wave(1.0).collect(),
        dims: [config.n_layers, config.n_kv_heads, config.head_dim],
        metadata: VectorMetadata::default(),
    };
    let strength = Strength {
        values: strength,
        keys: strength / 4.0,
        ..Strength::default()
    };
    vec![Steering {
        vector: Arc::new(vector),
        strength,
    }]
}

/// Makes a lane hold these tokens alone.
pub fn prefill(engine: &mut Engine, lane: usize, tokens: &[u32]) {
    engine.truncate(lane, 0).expect("a lane");
    let observer = &mut |_| ControlFlow::Continue(());
    block_on(engine.prefill(&[(lane, tokens)], observer)).expect("a prefill");
}

/// Every lane's tokens of one decoding.
pub fn decode(engine: &mut Engine, requests: &[DecodeRequest]) -> BTreeMap<usize, Vec<u32>> {
    engine.start_decode(requests).expect("a start");
    let mut tokens: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    loop {
        let step = block_on(engine.next_step()).expect("a step");
        if step.is_empty() {
            return tokens;
        }
        for token in step {
            tokens.entry(token.lane).or_default().push(token.token);
        }
    }
}

/// Lanes of other prompts, seeds and limits: those that end make the batch smaller, and the others do not
/// notice. `limits` has a lane with each.
pub fn check_that_lanes_are_as_alone(engine: &mut Engine, limits: &[(usize, usize)]) {
    let of_lane = |&(lane, limit): &(usize, usize)| DecodeRequest {
        lane,
        input: 40 + lane as u32,
        sampling: warm(lane as u32),
        limit,
        activation: None,
    };
    let requests: Vec<DecodeRequest> = limits.iter().map(of_lane).collect();
    let mut decoded = |requests: &[DecodeRequest]| {
        for &(lane, _) in limits {
            prefill(engine, lane, &prompt(5 + 4 * lane as u32));
        }
        decode(engine, requests)
    };
    let together = decoded(&requests);
    for request in requests {
        let alone = decoded(std::slice::from_ref(&request));
        let lane = request.lane;
        assert_eq!(together[&lane], alone[&lane], "lane {lane}");
        assert!(alone[&lane].len() <= request.limit && !alone[&lane].is_empty());
    }
}
