//! The GPU backend against the CPU backend, on synthetic models of many shapes and formats.

use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::gpu::{
    GpuBuilder, GpuDevice, KernelChoices, Product, ProductKernel, Reduction,
};
use cache_steering::backend::{Backend, BackendBuilder, CacheSize, Row, Slot, SlotAddress};
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{ModelConfig, load, synthetic};
use pollster::block_on;
use std::ops::ControlFlow;

/// Both backends, holding the same model.
struct Pair {
    gpu: Box<dyn Backend>,
    cpu: Box<dyn Backend>,
    vocab_size: usize,
    /// Largest difference of a number, in parts of the largest one.
    tolerance: f32,
}

/// Both sides add up in f32, in different orders.
const EXACT: f32 = 2e-5;

fn shape(n_heads: usize, n_kv_heads: usize, head_dim: usize, vocab_size: usize) -> ModelConfig {
    ModelConfig {
        name: "synthetic".into(),
        architecture: "llama".into(),
        n_layers: 3,
        width: 96,
        ffn_width: 160,
        n_heads,
        n_kv_heads,
        head_dim,
        vocab_size,
        context_length: 256,
        rope_base: 10_000.0,
        norm_eps: 1e-5,
    }
}

fn load_with(
    gguf: &[u8],
    build: impl FnOnce(&ModelConfig) -> cache_steering::Result<Box<dyn BackendBuilder>>,
) -> Box<dyn Backend> {
    let mut source = load::MemorySource::new(gguf.to_vec());
    let loaded = block_on(load(&mut source, build, &mut |_| ControlFlow::Continue(())));
    loaded.expect("a synthetic model loads").1
}

fn device() -> GpuDevice {
    block_on(GpuDevice::request()).expect("a Vulkan, Metal or DirectX adapter")
}

/// Both backends, the GPU with the kernels that suit it.
fn pair(config: &ModelConfig, format: WeightFormat) -> Pair {
    let device = device();
    let mut choices = KernelChoices::for_device(&device);
    choices.f16_cache = false;
    pair_with(device, config, format, choices, 3, EXACT)
}

fn pair_with(
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

fn rows(lane: u32, start: u32, tokens: impl IntoIterator<Item = u32>) -> Vec<Row> {
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
fn tokens(count: u32, vocab_size: usize) -> Vec<u32> {
    (0..count)
        .map(|i| (i * 7919 + 13) % vocab_size as u32)
        .collect()
}

fn assert_close(gpu: &[f32], cpu: &[f32], tolerance: f32, what: &str) {
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
    fn forward(&mut self, rows: &[Row]) {
        block_on(self.gpu.forward(rows)).expect("GPU forward");
        block_on(self.cpu.forward(rows)).expect("CPU forward");
    }

    fn compare_logits(&mut self, rows: &[Row], what: &str) -> Vec<f32> {
        let gpu = block_on(self.gpu.logits(rows)).expect("GPU logits");
        let cpu = block_on(self.cpu.logits(rows)).expect("CPU logits");
        assert_eq!(gpu.len(), rows.len() * self.vocab_size, "{what}");
        assert_close(&gpu, &cpu, self.tolerance, what);
        gpu
    }

    fn compare_slots(&mut self, lane: usize, position: usize, what: &str) -> Slot {
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
    check_pair(&mut pair(config, format), config, &what);
}

fn check_pair(pair: &mut Pair, config: &ModelConfig, what: &str) {
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

/// The kernels that are compared with the CPU, and the difference that each may make.
fn kernels() -> Vec<(KernelChoices, f32)> {
    let vector = ProductKernel::vector;
    let f32_kernels = [
        ProductKernel::ROW,
        ProductKernel::Tiled,
        vector(Reduction::Workgroup, 4, 32),
        vector(Reduction::Subgroup, 32, 4),
    ];
    let mut kernels: Vec<_> = f32_kernels
        .into_iter()
        .map(|kernel| (KernelChoices::fixed(kernel), EXACT))
        .collect();
    kernels.push((
        KernelChoices::fixed(half(Reduction::Workgroup, 8, 16)),
        HALF,
    ));
    let mut f16_cache = KernelChoices::hardware();
    f16_cache.f16_cache = true;
    kernels.push((f16_cache, HALF));
    kernels
}

fn half(reduction: Reduction, pairs: u32, slices: u32) -> ProductKernel {
    ProductKernel::Vector {
        reduction,
        pairs,
        slices,
        half: true,
    }
}

/// f16 has 11 bits, and errors add up over the layers.
const HALF: f32 = 4e-3;

/// Whether a device may lack what a kernel needs: lavapipe has all of it.
fn is_lavapipe(device: &GpuDevice) -> bool {
    device.info().name.contains("llvmpipe")
}

#[test]
fn every_kernel() {
    let device = device();
    // An odd vocabulary; three query heads together.
    let config = ModelConfig {
        n_layers: 2,
        ..shape(6, 2, 16, 321)
    };
    for (choices, tolerance) in kernels() {
        let what = format!("{choices:?}");
        if let Err(reason) = choices.check(&device) {
            assert!(!is_lavapipe(&device), "{what}: {reason}");
            continue;
        }
        let format = WeightFormat::Q4_1;
        let mut pair = pair_with(device.clone(), &config, format, choices, 8, tolerance);
        let prompt = tokens(37, config.vocab_size);
        pair.forward(&rows(0, 0, prompt));
        for lane in 1..8 {
            pair.forward(&rows(lane, 0, [lane + 20]));
        }
        // Every tile of a decode step, and one that is not full. lavapipe takes a second to compile
        // one in f16, whose tiles differ from the others' in the type alone.
        let in_f16 = choices.product(Product::Head, 1) == half(Reduction::Workgroup, 8, 16);
        for lanes in if in_f16 {
            &[1, 8][..]
        } else {
            &[1, 2, 4, 5, 8]
        } {
            let batch: Vec<Row> = (0..*lanes)
                .flat_map(|lane| rows(lane, if lane == 0 { 37 } else { 1 }, [lane + 40]))
                .collect();
            pair.compare_logits(&batch, &what);
        }
        pair.compare_slots(0, 30, &what);
    }
}

/// Each weight format unpacks in f16 as it does in f32.
#[test]
fn every_weight_format_in_f16() {
    let device = device();
    let config = shape(6, 2, 16, 320);
    for format in [
        WeightFormat::Q8_0,
        WeightFormat::Q4_0,
        WeightFormat::Q4_1,
        WeightFormat::F16,
        WeightFormat::F32,
    ] {
        let choices = KernelChoices::fixed(half(Reduction::Row, 64, 1));
        if let Err(reason) = choices.check(&device) {
            assert!(!is_lavapipe(&device), "{reason}");
            continue;
        }
        let mut pair = pair_with(device.clone(), &config, format, choices, 1, HALF);
        pair.compare_logits(&rows(0, 0, [7]), format.name());
    }
}

/// Sequences long enough for attention to take them in 4 and 16 parts, beside short ones.
#[test]
fn split_attention() {
    let config = ModelConfig {
        n_layers: 2,
        context_length: 1088,
        ..shape(6, 2, 16, 320)
    };
    let device = device();
    let choices = KernelChoices::hardware();
    let mut pair = pair_with(device, &config, WeightFormat::Q8_0, choices, 3, EXACT);
    let prompt = tokens(1080, config.vocab_size);
    let mut done = 0;
    for until in [300, 1080] {
        for start in (done..until).step_by(64) {
            let end = (start + 64).min(until);
            pair.forward(&rows(0, start as u32, prompt[start..end].to_vec()));
        }
        done = until;
        let position = until as u32;
        pair.compare_logits(&rows(0, position, [7]), "one lane");
        pair.forward(&rows(1, 0, [5]));
        let batch = [rows(0, position, [3]), rows(1, 1, [4])].concat();
        pair.compare_logits(&batch, "a long and a short lane");
        let batch = [rows(0, position, [3]), rows(1, 1, [4]), rows(2, 0, [9])].concat();
        pair.compare_logits(&batch, "three lanes");
    }
}

/// Products of one model in different kernels.
#[test]
fn kernels_of_each_product() {
    let config = shape(6, 2, 16, 320);
    let mut choices = KernelChoices::hardware();
    choices.set(
        Product::Down,
        1,
        ProductKernel::vector(Reduction::Workgroup, 2, 64),
    );
    choices.set(Product::Head, 1, ProductKernel::ROW);
    assert_eq!(choices.product(Product::Head, 1), ProductKernel::ROW);
    assert_ne!(choices.product(Product::Head, 2), ProductKernel::ROW);
    assert_eq!(choices.product(Product::Qkv, 9), ProductKernel::Tiled);
    let json = serde_json::to_string(&choices).expect("JSON");
    let read: KernelChoices = serde_json::from_str(&json).expect("the same choices");
    assert_eq!(read, choices);
    let mut pair = pair_with(device(), &config, WeightFormat::Q4_0, read, 3, EXACT);
    check_pair(&mut pair, &config, "mixed");
}

/// What is measured computes the same, and is known again.
#[test]
fn measured_kernels() {
    let config = shape(6, 2, 16, 320);
    let device = device();
    let gguf = synthetic::gguf(&config, WeightFormat::Q8_0, 7).expect("a synthetic model");
    let cache = CacheSize {
        lanes: 3,
        capacity: config.context_length,
    };
    let gpu = load_with(&gguf, |c| {
        Ok(Box::new(
            GpuBuilder::new(device.clone(), c, cache)?.measured(),
        ))
    });
    let choices = gpu.kernel_choices().expect("kernels");
    assert_eq!(choices.key, KernelChoices::key(&device, &config));
    let wider = ModelConfig {
        width: 128,
        ..config.clone()
    };
    assert_ne!(choices.key, KernelChoices::key(&device, &wider));
    choices
        .check(&device)
        .expect("kernels that the device runs");

    let mut pair = pair(&config, WeightFormat::Q8_0);
    // One of them may be in f16.
    (pair.gpu, pair.tolerance) = (gpu, HALF);
    check_pair(&mut pair, &config, &format!("{choices:?}"));
}

#[test]
fn a_kernel_that_no_device_runs_is_refused() {
    let device = device();
    for kernel in [
        ProductKernel::vector(Reduction::Workgroup, 1024, 64),
        ProductKernel::vector(Reduction::Subgroup, 1, 3),
        ProductKernel::vector(Reduction::Row, 8, 8),
        ProductKernel::vector(Reduction::Workgroup, 0, 8),
    ] {
        assert!(KernelChoices::fixed(kernel).check(&device).is_err());
    }
}
