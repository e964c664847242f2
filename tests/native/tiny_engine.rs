//! A tiny engine on each backend, and what the tests of decoding ask of it.

use cache_steering::Engine;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::EngineOptions;
use cache_steering::generate::Sampling;
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{load, synthetic};
use cache_steering::steering::{Steering, SteeringVector, Strength, VectorMetadata};
use pollster::block_on;
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
