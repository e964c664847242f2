//! Every variant of the GPU's kernels against the CPU backend.

use crate::backends::{EXACT, check_pair, device, load_with, pair, pair_with, rows, shape, tokens};
use cache_steering::backend::gpu::{
    GpuBuilder, GpuDevice, KernelChoices, Product, ProductKernel, Reduction,
};
use cache_steering::backend::{CacheSize, Row};
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{Architecture, ModelConfig, synthetic};

/// The kernels that are compared with the CPU, and the difference that each may make.
fn kernels() -> Vec<(KernelChoices, f32)> {
    let vector = ProductKernel::vector;
    let f32_kernels = [
        ProductKernel::ROW,
        ProductKernel::Tiled,
        vector(Reduction::Workgroup, 4, 32),
        vector(Reduction::Subgroup, 32, 4),
        vector(Reduction::Subgroup, 16, 8),
    ];
    let mut kernels: Vec<_> = f32_kernels
        .into_iter()
        .map(|kernel| (KernelChoices::fixed(kernel), EXACT))
        .collect();
    for kernel in [
        half(Reduction::Workgroup, 8, 16),
        half(Reduction::Subgroup, 32, 4),
    ] {
        kernels.push((KernelChoices::fixed(kernel), HALF));
    }
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
    // An odd vocabulary; three query heads together; biases.
    let config = ModelConfig {
        architecture: Architecture::Qwen2,
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
        let in_f16 = choices.product(Product::Head, 1).needs_f16();
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
