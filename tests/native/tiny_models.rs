//! Tiny models of each architecture against Hugging Face transformers: see `tests/golden/README.md`.

use crate::backends::{EXACT, assert_close, device, load_with, rows};
use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::gpu::{GpuBuilder, KernelChoices};
use cache_steering::backend::{Backend, CacheSize};
use cache_steering::model::weights::{LayerWeight, WeightName};
use cache_steering::model::{Architecture, ModelConfig, synthetic};
use candle_core::quantized::GgmlDType;
use pollster::block_on;
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    prompt: Vec<u32>,
    /// Tokens that follow the prompt one at a time.
    decode: Vec<u32>,
    /// Positions of the prompt whose logits are golden.
    kept: Vec<usize>,
    llama_rope_factors: Vec<f32>,
}

const CACHE: CacheSize = CacheSize {
    lanes: 1,
    capacity: 128,
};

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/tiny_models.json")).expect("golden data")
}

/// The golden logits of a model: those of the prompt's kept positions, then of the decoded tokens.
fn golden_logits(architecture: Architecture) -> Vec<f32> {
    let file = include_bytes!("../golden/tiny_models.safetensors");
    let tensors = SafeTensors::deserialize(file).expect("golden data");
    let logits = tensors.tensor(architecture.name()).expect("its logits");
    bytemuck::pod_collect_to_vec(logits.data())
}

fn config(architecture: Architecture) -> ModelConfig {
    let tiny = ModelConfig {
        architecture,
        n_heads: 6,
        ..synthetic::tiny()
    };
    match architecture {
        Architecture::Llama => ModelConfig {
            rope_factors: golden().llama_rope_factors,
            ..tiny
        },
        Architecture::Qwen2 => ModelConfig {
            rope_base: 1_000_000.0,
            ..tiny
        },
    }
}

/// Numbers from -1 to 1, as `tiny_models.py` makes them.
fn uniform(tensor: usize, count: usize) -> impl Iterator<Item = f32> {
    (0..count as u32).map(move |i| {
        let mut h = i.wrapping_add((tensor as u32) << 20);
        h ^= h >> 16;
        h = h.wrapping_mul(0x85eb_ca6b);
        h ^= h >> 13;
        h = h.wrapping_mul(0xc2b2_ae35);
        h ^= h >> 16;
        (h >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// The values of a weight, with rows in the order of the checkpoint.
fn values(config: &ModelConfig, name: WeightName) -> Vec<f32> {
    let tensor = match name {
        WeightName::Embedding => 0,
        WeightName::OutputNorm => 1,
        WeightName::Output => 2,
        WeightName::RopeFactors => return config.rope_factors.clone(),
        WeightName::Layer(layer, weight) => {
            let place = LayerWeight::ALL.iter().position(|w| *w == weight);
            16 * (layer + 1) + place.expect("a known weight")
        }
    };
    let (rows, cols) = name.shape(config);
    uniform(tensor, rows * cols)
        .map(|u| match name {
            _ if name.is_bias() => u,
            WeightName::Embedding => u,
            _ if name.is_vector() => 1.0 + u / 4.0,
            _ => u / 4.0,
        })
        .collect()
}

/// Reorders rows as converters do for llama files: those half a head apart become neighbours.
fn interleave(values: &[f32], rows: usize, head_dim: usize) -> Vec<f32> {
    let cols = values.len() / rows;
    let half = head_dim / 2;
    (0..rows)
        .flat_map(|row| {
            let (head, place) = (row / head_dim, row % head_dim);
            let from = head * head_dim + place % 2 * half + place / 2;
            values[from * cols..][..cols].to_vec()
        })
        .collect()
}

/// A file with these weights, as a converter writes it.
fn gguf(config: &ModelConfig) -> Vec<u8> {
    use LayerWeight::{Key, KeyBias, Query, QueryBias};
    let llama = config.architecture == Architecture::Llama;
    let mut names: Vec<WeightName> = WeightName::required(config).collect();
    if llama {
        names.extend([WeightName::Output, WeightName::RopeFactors]);
        for layer in 0..config.n_layers {
            names.extend(LayerWeight::BIASES.map(|bias| WeightName::Layer(layer, bias)));
        }
    }
    let tensors = names.into_iter().map(|name| {
        let mut values = values(config, name);
        let rows = match name {
            WeightName::Layer(_, Query | QueryBias) => config.q_width(),
            WeightName::Layer(_, Key | KeyBias) => config.kv_width(),
            _ => 0,
        };
        if llama && rows > 0 {
            values = interleave(&values, rows, config.head_dim);
        }
        (name, GgmlDType::F32, values)
    });
    synthetic::file(config, tensors).expect("a model file")
}

/// What a backend gives for the golden tokens, in the order of the golden logits.
fn logits(backend: &mut dyn Backend, vocab_size: usize) -> Vec<f32> {
    let golden = golden();
    let mut all = Vec::new();
    let (first, second) = golden.prompt.split_at(40);
    for (start, chunk) in [(0, first), (first.len(), second)] {
        let batch = rows(0, start as u32, chunk.to_vec());
        let logits = block_on(backend.logits(&batch)).expect("logits");
        let in_chunk = |position: &&usize| (start..start + chunk.len()).contains(position);
        for position in golden.kept.iter().filter(in_chunk) {
            all.extend(&logits[(position - start) * vocab_size..][..vocab_size]);
        }
    }
    for (position, token) in (golden.prompt.len() as u32..).zip(golden.decode) {
        all.extend(block_on(backend.logits(&rows(0, position, [token]))).expect("logits"));
    }
    all
}

#[test]
fn both_backends_give_the_logits_of_transformers() {
    for architecture in Architecture::ALL {
        let config = config(architecture);
        let gguf = gguf(&config);
        let golden = golden_logits(architecture);
        let check = |mut backend: Box<dyn Backend>, tolerance: f32, what: &str| {
            let what = format!("{architecture:?}, {what}");
            let found = logits(&mut *backend, config.vocab_size);
            assert_close(&found, &golden, tolerance, &what);
        };
        let cpu = load_with(&gguf, |c| {
            Ok(Box::new(CpuBuilder::new(c, CACHE, CpuPrecision::F32)?))
        });
        check(cpu, EXACT, "CPU");
        let device = device();
        let mut half = KernelChoices::hardware();
        half.f16_cache = true;
        for (choices, tolerance) in [
            (KernelChoices::software(), EXACT),
            (KernelChoices::hardware(), EXACT),
            (half, 4e-3),
        ] {
            let what = format!("{choices:?}");
            if half == choices && choices.check(&device).is_err() {
                continue;
            }
            let gpu = load_with(&gguf, |c| {
                let builder = GpuBuilder::with_choices(device.clone(), c, CACHE, choices)?;
                Ok(Box::new(builder))
            });
            check(gpu, tolerance, &what);
        }
    }
}
