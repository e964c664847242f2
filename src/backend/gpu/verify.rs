//! Whether the kernels that were chosen compute, all together and on the real weights, what the
//! plain ones do. Choosing compares one product at a time; here are attention, its parts merged,
//! and what activations of a real model do to f16.

use super::choices::KernelChoices;
use super::device::GpuDevice;
use super::forward::{Extent, ForwardPass};
use super::tune::agrees;
use crate::backend::Row;
use crate::{Error, Result};

/// Difference of the logits, as a part of the largest, that rounding in f16 explains.
const TOLERANCE: f32 = 3e-2;

/// A position late enough for attention to be split.
const LATE: u32 = 300;

/// Keeps the chosen kernels, or takes simpler ones that are right.
///
/// # Errors
/// [`Error::Gpu`] where even those are wrong, or as
/// [`Backend::forward`](crate::backend::Backend::forward).
pub(super) async fn verify(device: &GpuDevice, forward: &mut ForwardPass) -> Result<()> {
    let chosen = forward.choices;
    let mut plain = KernelChoices::software();
    (plain.f16_cache, plain.max_rows) = (chosen.f16_cache, chosen.max_rows);
    let expected = logits(device, forward, plain).await?;
    let mut whole = chosen.in_f32();
    whole.split_attention = false;
    for choices in [chosen, chosen.in_f32(), whole] {
        if agrees(
            &logits(device, forward, choices).await?,
            &expected,
            TOLERANCE,
        ) {
            return Ok(());
        }
        log::warn!("together these kernels compute wrong numbers: {choices:?}");
    }
    Err(Error::Gpu {
        reason: "it computes wrong numbers with this model".into(),
    })
}

/// Logits of a short prefill and, at late positions, of a step of one row, of two, four and eight, in
/// these kernels, which the pass is left with.
async fn logits(
    device: &GpuDevice,
    forward: &mut ForwardPass,
    choices: KernelChoices,
) -> Result<Vec<f32>> {
    forward.choices = choices;
    let cache = forward.kernels.model.cache;
    let row = |lane: u32, position: u32| Row {
        token: 17 + position % 200,
        lane,
        position: position.min(cache.capacity as u32 - 1),
    };
    let lanes = cache.lanes.min(2) as u32;
    let late = LATE.min((cache.capacity as u32).saturating_sub(16));
    // Rows of one lane follow each other.
    let step = |rows: u32| (0..rows).map(move |i| row(i % lanes, late + rows - 1 + i / lanes));
    let mut batches = vec![(0..20).map(|position| row(0, position)).collect()];
    batches.extend([1, 2, 4, 8].map(|rows| step(rows).collect()));
    let mut logits = Vec::new();
    for rows in batches as Vec<Vec<Row>> {
        let longest = rows.iter().map(|row| row.position as usize + 1).max();
        forward.write_batch(device, &rows);
        let mut recorder = device.record();
        forward.record(
            &mut recorder,
            rows.len(),
            longest.unwrap_or(0),
            Extent::Logits,
            &[],
        );
        logits.extend(forward.read_logits(device, recorder, rows.len()).await?);
    }
    Ok(logits)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::backend::gpu::{GpuBuilder, ProductKernel, Reduction};
    use crate::backend::{BackendBuilder, CacheSize};
    use crate::model::synthetic;
    use crate::model::weights::WeightFormat;
    use pollster::block_on;

    #[test]
    fn kernels_that_are_wrong_together_are_refused() {
        let device = block_on(GpuDevice::request()).expect("an adapter");
        let config = synthetic::tiny();
        let cache = CacheSize {
            lanes: 2,
            capacity: 320,
        };
        let choices = KernelChoices::software();
        let mut builder = GpuBuilder::with_choices(device.clone(), &config, cache, choices)
            .expect("a small cache");
        for (name, matrix) in synthetic::weights(&config, WeightFormat::Q8_0) {
            builder.add(name, matrix).expect("a small matrix");
        }
        let mut backend = block_on(builder.build()).expect("a backend");

        backend.forward.choices = KernelChoices::hardware();
        block_on(verify(&device, &mut backend.forward)).expect("kernels that are right");
        assert_eq!(backend.forward.choices, KernelChoices::hardware());

        // No subgroup has as many threads as this kernel takes for granted.
        let wrong = ProductKernel::vector(Reduction::Subgroup, 1, 256);
        backend.forward.choices = KernelChoices::fixed(wrong);
        let refused = block_on(verify(&device, &mut backend.forward));
        assert!(matches!(refused, Err(Error::Gpu { .. })));
    }
}
