//! Synthetic models, in memory and behind an address.

use cache_steering::Engine;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::backend::gpu::KernelChoices;
use cache_steering::engine::EngineOptions;
use cache_steering::model::load::MemorySource;
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{ModelConfig, synthetic};
use cache_steering::steering::{SteeringVector, Strength, VectorMetadata};
use std::ops::ControlFlow;
use wasm_bindgen::prelude::*;

/// Lanes of an engine.
pub const LANES: usize = 8;

/// A model file of the smallest sizes.
pub fn gguf(format: WeightFormat) -> Vec<u8> {
    synthetic::gguf(&synthetic::tiny(), format, 7).expect("a synthetic model")
}

/// The model on a backend, with exact arithmetic.
pub async fn engine(gguf: &[u8], backend: BackendChoice) -> Engine {
    engine_with(gguf, backend, None).await
}

/// The same, with these kernels.
pub async fn engine_with(
    gguf: &[u8],
    backend: BackendChoice,
    kernels: Option<KernelChoices>,
) -> Engine {
    let options = EngineOptions {
        backend,
        cpu_precision: CpuPrecision::F32,
        lanes: LANES,
        capacity: Some(400),
        kernels,
    };
    let mut source = MemorySource::new(gguf.to_vec());
    Engine::load(&mut source, &options, &mut |_| ControlFlow::Continue(()))
        .await
        .expect("a synthetic model loads")
}

/// A vector for the model that makes a difference everywhere.
pub fn vector(config: &ModelConfig) -> SteeringVector {
    let wave = |scale: f32| (0..config.slot_len()).map(move |i| scale * (i as f32).sin());
    SteeringVector {
        keys: wave(0.5).collect(),
        values: wave(2.0).collect(),
        dims: [config.n_layers, config.n_kv_heads, config.head_dim],
        metadata: VectorMetadata {
            recommended: Strength {
                values: 1.0,
                keys: 0.5,
                ..Strength::default()
            },
            label: Some("Wave".into()),
            ..VectorMetadata::default()
        },
    }
}

/// `count` tokens that look random and are all in the vocabulary.
pub fn tokens(count: u32) -> Vec<u32> {
    let vocab_size = synthetic::tiny().vocab_size as u32;
    (0..count).map(|i| (i * 7919 + 13) % vocab_size).collect()
}

#[wasm_bindgen(inline_js = "
    export const address = (bytes) => URL.createObjectURL(new Blob([bytes]));
    export const after = (ms) => new Promise((done) => setTimeout(done, ms));
    export function trickle(bytes, ms) {
        const original = self.fetch;
        self.fetch = async (url, init) => {
            if (url !== 'trickle:') return original(url, init);
            let at = 0;
            return new Response(new ReadableStream({
                start(controller) {
                    init.signal?.addEventListener('abort', () => controller.error(init.signal.reason));
                },
                async pull(controller) {
                    await new Promise((done) => setTimeout(done, ms));
                    if (init.signal?.aborted) return;
                    if (at >= bytes.length) return controller.close();
                    controller.enqueue(bytes.slice(at, at += 1000));
                },
            }));
        };
    }
")]
extern "C" {
    /// An address under which `fetch` gives these bytes.
    pub fn address(bytes: Vec<u8>) -> String;
    /// Resolves after so many milliseconds.
    pub fn after(ms: u32) -> js_sys::Promise;
    /// Makes `fetch` give these bytes under the address `trickle:`, 1000 every so many
    /// milliseconds, as a slow server does.
    pub fn trickle(bytes: Vec<u8>, ms: u32);
}
