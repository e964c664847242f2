//! The WGSL kernels, through the browser's WebGPU, against the CPU engine.

use crate::support::{LANES, engine, engine_with, gguf, tokens};
use cache_steering::Engine;
use cache_steering::backend::BackendKind;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::gpu::{KernelChoices, ProductKernel, Reduction};
use cache_steering::model::weights::WeightFormat;
use std::ops::ControlFlow;
use wasm_bindgen_test::wasm_bindgen_test;

/// Both engines add up in float32, in different orders.
const TOLERANCE: f32 = 2e-5;

/// Fills three lanes to different lengths, one of them by a copy, and gives the logits of a decode
/// step of all three.
async fn logits(engine: &mut Engine) -> Vec<Vec<f32>> {
    let prompt = tokens(93);
    let parts = [(0, &prompt[..]), (1, &prompt[40..45])];
    let observer = &mut |_| ControlFlow::Continue(());
    engine.prefill(&parts, observer).await.expect("a prefill");
    engine.copy_lane(0, 2).expect("a copy");
    engine.truncate(2, 70).expect("a truncation");
    engine
        .logits(&[(0, 3), (1, 4), (2, 9)])
        .await
        .expect("a decode step")
}

async fn check(format: WeightFormat) {
    check_kernels(format, None).await;
}

async fn check_kernels(format: WeightFormat, kernels: Option<KernelChoices>) {
    let gguf = gguf(format);
    let mut gpu = engine_with(&gguf, BackendChoice::Gpu, kernels).await;
    let mut cpu = engine(&gguf, BackendChoice::Cpu).await;
    assert_eq!(gpu.backend_info().kind, BackendKind::Gpu);
    assert_eq!(cpu.backend_info().kind, BackendKind::Cpu);

    let (on_gpu, on_cpu) = (logits(&mut gpu).await, logits(&mut cpu).await);
    assert_eq!(on_gpu.len(), 3);
    compare(&on_gpu, &on_cpu, format.name());
    assert_ne!(
        on_gpu[0], on_gpu[2],
        "lanes of other lengths have other answers"
    );
}

fn compare(on_gpu: &[Vec<f32>], on_cpu: &[Vec<f32>], what: &str) {
    assert_eq!(on_gpu.len(), on_cpu.len());
    for (row, (g, c)) in on_gpu.iter().zip(on_cpu).enumerate() {
        assert_eq!(g.len(), c.len());
        let largest = c.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.0, "{what}, row {row}: all zero");
        let error = g.iter().zip(c).fold(0f32, |m, (g, c)| m.max((g - c).abs())) / largest;
        assert!(error < TOLERANCE, "{what}, row {row}: off by {error}");
    }
}

#[wasm_bindgen_test]
async fn q8_0() {
    check(WeightFormat::Q8_0).await;
}

#[wasm_bindgen_test]
async fn q4_0() {
    check(WeightFormat::Q4_0).await;
}

#[wasm_bindgen_test]
async fn q4_1() {
    check(WeightFormat::Q4_1).await;
}

#[wasm_bindgen_test]
async fn f16() {
    check(WeightFormat::F16).await;
}

#[wasm_bindgen_test]
async fn f32() {
    check(WeightFormat::F32).await;
}

/// Products through workgroup memory and in tiles, and attention that may be split.
#[wasm_bindgen_test]
async fn workgroups() {
    check_kernels(WeightFormat::Q4_1, Some(KernelChoices::hardware())).await;
}

/// Products within subgroups, which the engine asks the browser for behind wgpu's back.
#[wasm_bindgen_test]
async fn subgroups() {
    let kernel = ProductKernel::vector(Reduction::Subgroup, 16, 4);
    check_kernels(WeightFormat::Q8_0, Some(KernelChoices::fixed(kernel))).await;
}

/// A sequence long enough for attention to take it in parts, beside as many short ones as a tile
/// has rows: what the output projection merges.
#[wasm_bindgen_test]
async fn split_attention_in_eight_lanes() {
    let gguf = gguf(WeightFormat::Q8_0);
    let kernels = Some(KernelChoices::hardware());
    let mut gpu = engine_with(&gguf, BackendChoice::Gpu, kernels).await;
    let mut cpu = engine(&gguf, BackendChoice::Cpu).await;
    let mut logits = Vec::new();
    for engine in [&mut gpu, &mut cpu] {
        let prompt = tokens(300);
        let parts: Vec<(usize, &[u32])> = (0..LANES)
            .map(|lane| {
                (
                    lane,
                    if lane == 0 {
                        &prompt[..]
                    } else {
                        &prompt[lane..][..2]
                    },
                )
            })
            .collect();
        let observer = &mut |_| ControlFlow::Continue(());
        engine.prefill(&parts, observer).await.expect("a prefill");
        let inputs: Vec<(usize, u32)> = (0..LANES).map(|lane| (lane, 3)).collect();
        let together = engine.logits(&inputs).await.expect("a step");
        let alone = engine.logits(&[(0, 5)]).await.expect("a step");
        logits.push([together, alone].concat());
    }
    let [on_gpu, on_cpu] = &logits[..] else {
        unreachable!("two engines");
    };
    compare(on_gpu, on_cpu, "split attention");
}
