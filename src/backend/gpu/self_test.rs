//! Whether a device computes what it should. Drivers that do not are in use, and a language model
//! that runs on one talks nonsense with confidence.
//!
//! A tiny made-up model runs on the device, in the kernels that a real one would start with, and
//! its logits are compared with those of the CPU: a prefill, a decode step of two lanes, and a
//! sampled token.

use super::{GpuBuilder, GpuDevice, KernelChoices};
use crate::backend::cpu::{CpuBuilder, CpuPrecision};
use crate::backend::{Backend, BackendBuilder, CacheSize, DecodeLane, Row};
use crate::generate::Sampling;
use crate::model::synthetic;
use crate::model::weights::{WeightFormat, WeightMatrix, WeightName};
use crate::{Error, Result};

/// Tokens that are prefilled: more than fill one tile.
const PROMPT: u32 = 40;

/// Differences of logits, as parts of the largest, that rounding explains: f16 has 11 bits, and
/// errors add up over the layers.
const TOLERANCE: [f32; 2] = [1e-3, 2e-2];

const CACHE: CacheSize = CacheSize {
    lanes: 2,
    capacity: 64,
};

/// Refuses a device that computes wrong numbers.
///
/// # Errors
/// [`Error::Gpu`], also where the driver reports an error of its own.
pub(in crate::backend) async fn self_test(device: &GpuDevice) -> Result<()> {
    let choices = KernelChoices::for_device(device);
    let half = choices.f16_cache;
    let error = match error_of(device, choices).await {
        Err(Error::NotANumber) => f32::NAN,
        error => error?,
    };
    let tolerance = TOLERANCE[usize::from(half)];
    log::debug!("self-test: off by {error}, of {tolerance} that are allowed");
    if error < tolerance {
        return Ok(());
    }
    Err(Error::Gpu {
        reason: format!(
            "it computes wrong numbers{}",
            if half { " in half precision" } else { "" }
        ),
    })
}

/// How far the device is off with these kernels.
async fn error_of(device: &GpuDevice, choices: KernelChoices) -> Result<f32> {
    let config = synthetic::tiny();
    let gpu = GpuBuilder::with_choices(device.clone(), &config, CACHE, choices)?;
    let cpu = CpuBuilder::new(&config, CACHE, CpuPrecision::F32)?;
    let weights = || synthetic::weights(&config, WeightFormat::Q4_1);
    let mut gpu = filled(Box::new(gpu), weights()).await?;
    let mut cpu = filled(Box::new(cpu), weights()).await?;
    difference(&mut *gpu, &mut *cpu, config.vocab_size).await
}

/// The largest difference of two backends' logits, as a part of the largest logit; not a number
/// where the first samples another token than its logits say.
async fn difference(
    gpu: &mut dyn Backend,
    cpu: &mut dyn Backend,
    vocab_size: usize,
) -> Result<f32> {
    let (found, expected) = (logits(gpu).await?, logits(cpu).await?);
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let difference = found
        .iter()
        .zip(&expected)
        // A comparison that is never true lets NaN through.
        .fold(0f32, |m, (a, b)| match (a - b).abs() {
            d if d <= m => m,
            d => d,
        });

    let last = &found[found.len() - vocab_size..];
    let best = (0..vocab_size).fold(0, |best, token| match last[token] > last[best] {
        true => token,
        false => best,
    });
    let lane = DecodeLane {
        row: decode_rows()[1],
        sampling: Sampling::default(),
        seen: Vec::new(),
        limit: 1,
        activation: None,
    };
    gpu.start_decode(&[lane], &[])?;
    let sampled = gpu.next_step().await?;
    let right = sampled.iter().map(|t| t.token as usize).eq([best]);
    Ok(match right {
        true => difference / largest,
        false => f32::NAN,
    })
}

async fn filled(
    mut builder: Box<dyn BackendBuilder>,
    weights: impl Iterator<Item = (WeightName, WeightMatrix)>,
) -> Result<Box<dyn Backend>> {
    for (name, matrix) in weights {
        builder.add(name, matrix)?;
    }
    builder.finish().await
}

async fn logits(backend: &mut dyn Backend) -> Result<Vec<f32>> {
    let prompt: Vec<Row> = (0..PROMPT)
        .map(|i| Row {
            token: i * 7 + 5,
            lane: i / (PROMPT - 1),
            position: i % (PROMPT - 1),
        })
        .collect();
    backend.forward(&prompt).await?;
    backend.logits(&decode_rows()).await
}

/// A step of a long and a short lane.
fn decode_rows() -> [Row; 2] {
    let row = |lane, position| Row {
        token: 17,
        lane,
        position,
    };
    [row(0, PROMPT - 1), row(1, 1)]
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::model::weights::LayerWeight;
    use pollster::block_on;

    #[test]
    fn a_device_that_computes_right_passes() {
        let device = block_on(GpuDevice::request()).expect("an adapter");
        block_on(self_test(&device)).expect("a device that computes right");
        let hardware = KernelChoices::hardware();
        let error = block_on(error_of(&device, hardware)).expect("an error");
        assert!(error < TOLERANCE[0], "{error}");
    }

    /// How far the device is off with weights that are not the CPU's.
    fn error_with(spoil: impl Fn(WeightName, &mut WeightMatrix)) -> Result<f32> {
        let device = block_on(GpuDevice::request()).expect("an adapter");
        let config = synthetic::tiny();
        let choices = KernelChoices::for_device(&device);
        let gpu = GpuBuilder::with_choices(device, &config, CACHE, choices).expect("a builder");
        let cpu = CpuBuilder::new(&config, CACHE, CpuPrecision::F32).expect("a builder");
        let weights = || synthetic::weights(&config, WeightFormat::Q4_1);
        let spoiled = weights().map(|(name, mut matrix)| {
            spoil(name, &mut matrix);
            (name, matrix)
        });
        let mut gpu = block_on(filled(Box::new(gpu), spoiled)).expect("a backend");
        let mut cpu = block_on(filled(Box::new(cpu), weights())).expect("a backend");
        block_on(difference(&mut *gpu, &mut *cpu, config.vocab_size))
    }

    #[test]
    fn a_device_that_computes_wrong_does_not() {
        let doubled = error_with(|name, matrix| {
            // The norm's scales, of one layer: a small fault in one stage.
            if name == WeightName::Layer(1, LayerWeight::FfnNorm) {
                for value in matrix.data.chunks_exact_mut(4) {
                    value[2] ^= 0x40;
                }
            }
        });
        assert!(doubled.expect("an error") > TOLERANCE[1]);
    }

    #[test]
    fn a_device_that_gives_no_numbers_does_not() {
        let error = error_with(|name, matrix| {
            if name == WeightName::OutputNorm {
                matrix.data.fill(0xff);
            }
        });
        assert!(matches!(error, Err(Error::NotANumber)));
    }
}
