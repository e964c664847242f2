//! Vocabularies whose embedding is larger than what a device binds in one piece.

use crate::backends::{EXACT, check_pair, device, load_with, pair_with, rows, shape, tokens};
use cache_steering::Error;
use cache_steering::backend::gpu::{
    GpuBuilder, GpuDevice, KernelChoices, ProductKernel, Reduction,
};
use cache_steering::backend::{Backend, BackendBuilder, CacheSize, DecodeLane};
use cache_steering::generate::Sampling;
use cache_steering::model::weights::{WeightFormat, WeightName};
use cache_steering::model::{ModelConfig, synthetic};
use candle_core::quantized::GgmlDType;
use pollster::block_on;

/// Enough for the logits of a batch, a third of the embedding in F32, half of it in Q8_0.
const LARGEST: u64 = 1_100_000;

fn config(format: WeightFormat) -> ModelConfig {
    ModelConfig {
        width: if format == WeightFormat::F32 {
            192
        } else {
            512
        },
        ..shape(6, 2, 16, 4001)
    }
}

fn small_device() -> GpuDevice {
    device().with_largest_buffer(LARGEST)
}

fn choices() -> [KernelChoices; 3] {
    let mut hardware = KernelChoices::hardware();
    // The logits of a longer batch are beyond the limit.
    hardware.max_rows = 64;
    let subgroups = ProductKernel::vector(Reduction::Subgroup, 16, 8);
    [
        KernelChoices::software(),
        hardware,
        KernelChoices::fixed(subgroups),
    ]
}

#[test]
fn parts_give_the_logits_of_the_whole() {
    for format in [WeightFormat::F32, WeightFormat::Q8_0] {
        let config = config(format);
        for choices in choices() {
            let what = format!("{format:?}, {choices:?}");
            if choices.check(&device()).is_err() {
                continue;
            }
            let mut split = pair_with(small_device(), &config, format, choices, 3, EXACT);
            check_pair(&mut split, &config, &what);
            let mut whole = pair_with(device(), &config, format, choices, 3, EXACT);
            // The ends of all parts, and what lies between them.
            let mut prompt = tokens(30, config.vocab_size);
            prompt.extend([0, 1333, 1334, 2000, 2001, 2667, 2668, 4000]);
            let batch = rows(1, 0, prompt);
            let logits = [&mut split, &mut whole]
                .map(|pair| block_on(pair.gpu.logits(&batch)).expect("logits"));
            assert!(logits[0] == logits[1], "{what}: not the same bits");
        }
    }
}

/// A head with weights of its own is split as well; tokens of every part are drawn.
#[test]
fn a_head_in_parts_is_sampled_from() {
    let config = config(WeightFormat::F32);
    let cache = CacheSize {
        lanes: 1,
        capacity: 64,
    };
    let weights = (0..).zip(WeightName::required(&config).chain([WeightName::Output]));
    let tensors = weights.map(|(n, name)| {
        let (rows, cols) = name.shape(&config);
        let wave = move |i: usize| ((i * 7919 + n * 104_729) % 10_007) as f32 / 5003.5 - 1.0;
        let scale = if name.is_vector() { 1.0 } else { 0.2 };
        let values = (0..rows * cols).map(|i| scale * wave(i)).collect();
        (name, GgmlDType::F32, values)
    });
    let gguf = synthetic::file(&config, tensors).expect("a model file");
    let run = |device: GpuDevice| {
        let counter = device.clone();
        let mut backend = load_with(&gguf, |c| {
            let choices = KernelChoices::software();
            Ok(Box::new(GpuBuilder::with_choices(
                device, c, cache, choices,
            )?))
        });
        let before = counter.dispatches();
        block_on(backend.logits(&rows(0, 0, [3999]))).expect("logits");
        let dispatches = counter.dispatches() - before;
        (sampled(&mut *backend), dispatches)
    };
    let (split, split_dispatches) = run(small_device());
    let (whole, whole_dispatches) = run(device());
    assert_eq!(split, whole);
    let third = |token: &u32| token / 1334;
    assert!((0..3).all(|part| split.iter().any(|token| third(token) == part)));
    assert_eq!(whole_dispatches, 2 + 5 * config.n_layers as u64);
    assert_eq!(split_dispatches, whole_dispatches + 2 + 2);
}

fn sampled(backend: &mut dyn Backend) -> Vec<u32> {
    let lane = DecodeLane {
        row: rows(0, 1, [17])[0],
        sampling: Sampling {
            temperature: 1.0,
            seed: 3,
            ..Sampling::default()
        },
        seen: Vec::new(),
        limit: 40,
        activation: None,
    };
    backend.start_decode(&[lane], &[]).expect("a decoding");
    let step = |_| block_on(backend.next_step()).expect("a step")[0].token;
    (0..40).map(step).collect()
}

/// What is not the embedding or the head has to fit.
#[test]
fn another_matrix_beyond_the_limit_is_refused() {
    let config = config(WeightFormat::F32);
    let device = device().with_largest_buffer(300_000);
    let cache = CacheSize {
        lanes: 1,
        capacity: 32,
    };
    let mut builder = GpuBuilder::with_choices(device, &config, cache, KernelChoices::software())
        .expect("a small cache");
    let added = synthetic::weights(
        &ModelConfig {
            ffn_width: 1600,
            ..config
        },
        WeightFormat::F32,
    )
    .try_for_each(|(name, matrix)| builder.add(name, matrix));
    match added {
        Err(Error::GpuLimit { what, limit, .. }) => {
            assert_eq!((what.as_str(), limit), ("blk.0.ffn_gate.weight", 300_000));
        }
        other => panic!("{other:?}"),
    }
}
