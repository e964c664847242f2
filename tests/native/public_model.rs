//! The exact shape of the model that the public page runs, SmolLM2-360M, in the types of its two files.

use crate::backends::{EXACT, device, load_with, rows, tokens};
use cache_steering::backend::CacheSize;
use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::gpu::{GpuBuilder, KernelChoices};
use cache_steering::model::{ModelConfig, synthetic};
use candle_core::quantized::GgmlDType;
use pollster::block_on;

/// Bytes that the vocabulary of the real files takes more than the synthetic one, by their sizes:
/// 386,404,992 and 270,590,880.
const VOCABULARY: u64 = 431_000;

const CACHE: CacheSize = CacheSize {
    lanes: 1,
    capacity: 64,
};

/// The GPU and the CPU agree on a prompt and on what follows it.
fn check(config: &ModelConfig, gguf: &[u8]) {
    let mut choices = KernelChoices::for_device(&device());
    choices.f16_cache = false;
    let mut gpu = load_with(gguf, |c| {
        let builder = GpuBuilder::with_choices(device(), c, CACHE, choices)?;
        Ok(Box::new(builder))
    });
    let mut cpu = load_with(gguf, |c| {
        Ok(Box::new(CpuBuilder::new(c, CACHE, CpuPrecision::F32)?))
    });
    let prompt = rows(0, 0, tokens(6, config.vocab_size));
    for batch in [&prompt[..5], &prompt[5..]] {
        let [on_gpu, on_cpu] =
            [&mut gpu, &mut cpu].map(|b| block_on(b.logits(batch)).expect("logits"));
        let largest = on_cpu
            .iter()
            .fold(0f32, |most, logit| most.max(logit.abs()));
        for (a, b) in on_gpu.iter().zip(&on_cpu) {
            assert!((a - b).abs() <= EXACT * largest, "{a} {b} of {largest}");
        }
    }
}

#[test]
fn in_q8_0() {
    let config = synthetic::smollm2_360m();
    let gguf = synthetic::gguf_of_types(&config, |_| GgmlDType::Q8_0, 1).expect("a model");
    assert!((386_404_992 - gguf.len() as u64).abs_diff(VOCABULARY) < 1000);
    check(&config, &gguf);
}

#[test]
fn in_the_mix_of_q4_k_m() {
    let config = synthetic::smollm2_360m();
    let gguf = synthetic::gguf_of_types(&config, synthetic::q4_k_m(&config), 1).expect("a model");
    assert!((270_590_880 - gguf.len() as u64).abs_diff(VOCABULARY) < 1000);
    check(&config, &gguf);
}
