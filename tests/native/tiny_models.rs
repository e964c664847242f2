//! Tiny models of each architecture against Hugging Face transformers: see `tests/golden/README.md`.

use crate::backends::{EXACT, assert_close, device, load_with, rows};
use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::gpu::{GpuBuilder, KernelChoices};
use cache_steering::backend::{Backend, CacheSize, Row};
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
    /// Positions of the prompt whose logits and attention are golden.
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

/// A golden tensor: of an architecture's name the logits of the prompt's kept positions, then of the
/// decoded tokens; of `<name>.attention` the weights of the kept positions,
/// `[position that is attended to, n_layers, kept, n_heads]`.
fn golden_tensor(name: &str) -> Vec<f32> {
    let file = include_bytes!("../golden/tiny_models.safetensors");
    let tensors = SafeTensors::deserialize(file).expect("golden data");
    let tensor = tensors.tensor(name).expect("a golden tensor");
    bytemuck::pod_collect_to_vec(tensor.data())
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

/// What each of the prompt's positions gets of the kept ones' attention, in the order of the golden
/// weights.
fn attention(backend: &mut dyn Backend) -> Vec<f32> {
    let Golden { prompt, kept, .. } = golden();
    let all = rows(0, 0, prompt);
    for chunk in all.chunks(40) {
        block_on(backend.forward(chunk)).expect("a prefill");
    }
    let kept: Vec<Row> = kept.into_iter().map(|position| all[position]).collect();
    let logits = block_on(backend.logits(&kept)).expect("logits");
    let weights = (0..all.len()).map(|position| {
        let found = block_on(backend.attention_to(&kept, position)).expect("attention");
        assert_eq!(found.logits, logits, "a look changes nothing");
        found.weights
    });
    weights.collect::<Vec<_>>().concat()
}

#[test]
fn both_backends_give_the_logits_of_transformers() {
    on_every_backend(|architecture, backend, tolerance, what| {
        let found = logits(backend, config(architecture).vocab_size);
        let golden = golden_tensor(architecture.name());
        assert_close(&found, &golden, tolerance, what);
    });
}

#[test]
fn both_backends_attend_as_transformers_does() {
    on_every_backend(|architecture, backend, tolerance, what| {
        let found = attention(backend);
        let expected = golden_tensor(&format!("{}.attention", architecture.name()));
        assert_close(&found, &expected, tolerance, what);
        let of_position = found.len() / golden().prompt.len();
        for one in 0..of_position {
            let of_all = found.iter().skip(one).step_by(of_position);
            let sum: f32 = of_all.sum();
            assert!((sum - 1.0).abs() < 1e-5, "{what}: all together get {sum}");
        }
    });
}

/// Checks each architecture on the CPU, and on the GPU with several choices of kernels, each with the
/// difference that it may make.
fn on_every_backend(mut check: impl FnMut(Architecture, &mut dyn Backend, f32, &str)) {
    for architecture in Architecture::ALL {
        let config = config(architecture);
        let gguf = gguf(&config);
        let mut check = |mut backend: Box<dyn Backend>, tolerance: f32, what: &str| {
            let what = format!("{architecture:?}, {what}");
            check(architecture, &mut *backend, tolerance, &what);
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
