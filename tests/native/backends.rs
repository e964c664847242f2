//! The GPU backend against the CPU backend, on synthetic models of many shapes and formats.

use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::gpu::{GpuBuilder, GpuDevice, KernelChoices};
use cache_steering::backend::{Backend, BackendBuilder, CacheSize, Row, Slot, SlotAddress};
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{Architecture, ModelConfig, load, synthetic};
use pollster::block_on;
use std::ops::ControlFlow;

/// Both backends, holding the same model.
pub struct Pair {
    pub gpu: Box<dyn Backend>,
    cpu: Box<dyn Backend>,
    vocab_size: usize,
    /// Largest difference of a number, in parts of the largest one.
    pub tolerance: f32,
}

/// Both sides add up in f32, in different orders.
pub const EXACT: f32 = 2e-5;

pub fn shape(n_heads: usize, n_kv_heads: usize, head_dim: usize, vocab_size: usize) -> ModelConfig {
    ModelConfig {
        name: "synthetic".into(),
        architecture: Architecture::Llama,
        n_layers: 3,
        width: 96,
        ffn_width: 160,
        n_heads,
        n_kv_heads,
        head_dim,
        vocab_size,
        context_length: 256,
        rope_base: 10_000.0,
        rope_factors: Vec::new(),
        norm_eps: 1e-5,
    }
}

pub fn load_with(
    gguf: &[u8],
    build: impl FnOnce(&ModelConfig) -> cache_steering::Result<Box<dyn BackendBuilder>>,
) -> Box<dyn Backend> {
    let mut source = load::MemorySource::new(gguf.to_vec());
    let loaded = block_on(load(&mut source, build, &mut |_| ControlFlow::Continue(())));
    loaded.expect("a synthetic model loads").1
}

pub fn device() -> GpuDevice {
    block_on(GpuDevice::request()).expect("a Vulkan, Metal or DirectX adapter")
}

/// Both backends, the GPU with the kernels that suit it.
pub fn pair(config: &ModelConfig, format: WeightFormat) -> Pair {
    let device = device();
    let mut choices = KernelChoices::for_device(&device);
    choices.f16_cache = false;
    pair_with(device, config, format, choices, 3, EXACT)
}

pub fn pair_with(
    device: GpuDevice,
    config: &ModelConfig,
    format: WeightFormat,
    choices: KernelChoices,
    lanes: usize,
    tolerance: f32,
) -> Pair {
    let gguf = synthetic::gguf(config, format, 7).expect("a synthetic model");
    let cache = CacheSize {
        lanes,
        capacity: config.context_length,
    };
    Pair {
        gpu: load_with(&gguf, |c| {
            let builder = GpuBuilder::with_choices(device, c, cache, choices)?;
            Ok(Box::new(builder))
        }),
        cpu: load_with(&gguf, |c| {
            Ok(Box::new(CpuBuilder::new(c, cache, CpuPrecision::F32)?))
        }),
        vocab_size: config.vocab_size,
        tolerance,
    }
}

pub fn rows(lane: u32, start: u32, tokens: impl IntoIterator<Item = u32>) -> Vec<Row> {
    (start..)
        .zip(tokens)
        .map(|(position, token)| Row {
            token,
            lane,
            position,
        })
        .collect()
}

/// `count` tokens that look random and are all in the vocabulary.
pub fn tokens(count: u32, vocab_size: usize) -> Vec<u32> {
    (0..count)
        .map(|i| (i * 7919 + 13) % vocab_size as u32)
        .collect()
}

pub fn assert_close(gpu: &[f32], cpu: &[f32], tolerance: f32, what: &str) {
    assert_eq!(gpu.len(), cpu.len(), "{what}");
    let largest = cpu.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.0, "{what}: all zero");
    for (i, (g, c)) in gpu.iter().zip(cpu).enumerate() {
        let error = (g - c).abs() / largest;
        assert!(
            error < tolerance,
            "{what}: value {i} is {g} on the GPU, {c} on the CPU"
        );
    }
}

impl Pair {
    pub fn forward(&mut self, rows: &[Row]) {
        block_on(self.gpu.forward(rows)).expect("GPU forward");
        block_on(self.cpu.forward(rows)).expect("CPU forward");
    }

    pub fn compare_logits(&mut self, rows: &[Row], what: &str) -> Vec<f32> {
        let gpu = block_on(self.gpu.logits(rows)).expect("GPU logits");
        let cpu = block_on(self.cpu.logits(rows)).expect("CPU logits");
        assert_eq!(gpu.len(), rows.len() * self.vocab_size, "{what}");
        assert_close(&gpu, &cpu, self.tolerance, what);
        gpu
    }

    /// How much the rows attend to a position.
    fn compare_attention(&mut self, rows: &[Row], position: usize, what: &str) {
        let [gpu, cpu] = [&mut self.gpu, &mut self.cpu]
            .map(|backend| block_on(backend.attention_to(rows, position)).expect("attention"));
        assert_close(&gpu.logits, &cpu.logits, self.tolerance, what);
        assert_close(&gpu.weights, &cpu.weights, self.tolerance, what);
    }

    pub fn compare_slots(&mut self, lane: usize, position: usize, what: &str) -> Slot {
        let gpu = block_on(self.gpu.read_slot(lane, position)).expect("GPU slot");
        let cpu = block_on(self.cpu.read_slot(lane, position)).expect("CPU slot");
        assert_close(&gpu.keys, &cpu.keys, self.tolerance, what);
        assert_close(&gpu.values, &cpu.values, self.tolerance, what);
        gpu
    }
}

/// Prefill in several tiles and chunks, then a batched decode of lanes at different positions.
fn check_model(config: &ModelConfig, format: WeightFormat) {
    let what = format!("{config:?} {}", format.name());
    let mut pair = pair(config, format);
    check_pair(&mut pair, config, &what);
    let last = &tokens(93, config.vocab_size)[64..];
    // The last of these positions is not seen by all of the rows.
    for position in [0, 40, 64, 80] {
        pair.compare_attention(&rows(0, 64, last.to_vec()), position, &what);
    }
}

pub fn check_pair(pair: &mut Pair, config: &ModelConfig, what: &str) {
    let prompt = tokens(93, config.vocab_size);
    // 64, then 29 rows: 3 full tiles and one that is not; the second chunk attends to the first.
    pair.forward(&rows(0, 0, prompt[..64].to_vec()));
    pair.compare_logits(&rows(0, 64, prompt[64..].to_vec()), what);
    pair.compare_slots(0, 92, what);

    for backend in [&mut pair.gpu, &mut pair.cpu] {
        backend
            .copy_slots(
                SlotAddress {
                    lane: 0,
                    position: 0,
                },
                SlotAddress {
                    lane: 2,
                    position: 0,
                },
                70,
            )
            .expect("a copy");
    }
    pair.compare_slots(2, 69, what);
    pair.forward(&rows(1, 0, [5]));
    let batch = [rows(0, 93, [3]), rows(1, 1, [4]), rows(2, 70, [9])].concat();
    pair.compare_logits(&batch, what);
}

#[test]
fn every_weight_format() {
    let config = shape(6, 2, 16, 320);
    for format in [
        WeightFormat::Q8_0,
        WeightFormat::Q4_0,
        WeightFormat::Q4_1,
        WeightFormat::F16,
        WeightFormat::F32,
    ] {
        check_model(&config, format);
    }
}

#[test]
fn every_head_layout() {
    // No grouping; one KV head for all; an odd vocabulary.
    for config in [
        shape(4, 4, 24, 320),
        shape(3, 1, 32, 320),
        shape(1, 1, 96, 321),
        // Four heads together, twice; a head for each thread of a workgroup, and more.
        shape(8, 1, 32, 320),
        shape(8, 2, 260, 320),
    ] {
        check_model(&config, WeightFormat::Q8_0);
    }
}

/// A layer of SmolLM2-360M, whose width is no multiple of 256, with a small vocabulary.
#[test]
fn a_layer_of_the_360m() {
    let config = ModelConfig {
        n_layers: 1,
        vocab_size: 320,
        ..synthetic::smollm2_360m()
    };
    check_model(&config, WeightFormat::Q8_0);
}

#[test]
fn steering_moves_what_follows_and_nothing_else() {
    let config = shape(6, 2, 16, 320);
    let mut pair = pair(&config, WeightFormat::Q4_1);
    let prompt = tokens(20, config.vocab_size);
    for lane in 0..2 {
        pair.forward(&rows(lane, 0, prompt.clone()));
    }
    let decode = [rows(0, 20, [11]), rows(1, 20, [11])].concat();
    let before = pair.compare_logits(&decode, "before");
    let (plain, other) = before.split_at(config.vocab_size);
    assert_eq!(
        plain, other,
        "two lanes with the same tokens agree to the bit"
    );

    let wave = |scale: f32| (0..config.slot_len()).map(move |i| scale * (i as f32).sin());
    let delta = Slot {
        keys: wave(0.5).collect(),
        values: wave(2.0).collect(),
    };
    let neighbour = pair.compare_slots(1, 18, "neighbour");
    let target = pair.compare_slots(1, 19, "target");
    for backend in [&mut pair.gpu, &mut pair.cpu] {
        backend.add_to_slot(1, 19, &delta).expect("steering");
    }
    assert_eq!(pair.compare_slots(1, 18, "neighbour"), neighbour);
    let steered = pair.compare_slots(1, 19, "target");
    for (i, value) in steered.values.iter().enumerate() {
        assert_eq!(*value, target.values[i] + delta.values[i]);
    }
    let after = pair.compare_logits(&decode, "after");
    assert_eq!(
        after[..config.vocab_size],
        *plain,
        "the other lane stays as it was"
    );
    assert_ne!(after[config.vocab_size..], *other, "the steered lane moves");
}

/// Factors that turn the frequencies of one base into those of another are that base.
#[test]
fn rope_factors_divide_the_frequencies() {
    let base = shape(6, 2, 16, 320);
    let ratio = 3f32;
    let factored = ModelConfig {
        rope_factors: (0..8).map(|i| ratio.powf(i as f32 / 8.0)).collect(),
        ..base.clone()
    };
    let other_base = ModelConfig {
        rope_base: base.rope_base * ratio,
        ..base.clone()
    };
    let logits = |config: &ModelConfig| {
        let mut pair = pair(config, WeightFormat::F32);
        pair.compare_logits(&rows(0, 0, tokens(40, 320)), "every position")
    };
    let [factored, other_base, plain] = [&factored, &other_base, &base].map(logits);
    assert_close(&factored, &other_base, EXACT, "factors and base");
    let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-3;
    assert!(factored.iter().zip(&plain).any(differs));
}
