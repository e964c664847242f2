//! Extraction: from contrastive pairs to a vector.
//!
//! Both prompts of a pair run through the model; what the cache holds at the last token of each,
//! over all layers, is read; the vector is the mean over the pairs of positive minus negative.

use super::{ContrastivePair, SteeringVector, VectorMetadata, VectorModel};
use crate::backend::Slot;
use crate::engine::{Engine, PrefillProgress};
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use serde::Serialize;
use std::ops::ControlFlow;

/// How far an extraction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExtractProgress {
    /// Prompts that are done.
    pub done: usize,
    /// Prompts in all: two for each pair.
    pub total: usize,
}

/// Makes a vector from pairs. Takes lane 0 for it; what the two prompts of a pair have in common
/// at their beginning is computed once. `metadata` is what the caller knows of the vector; the
/// model, the number of pairs and this program's version are filled in.
///
/// # Errors
/// [`Error::Pairs`] for no pair or an empty prompt, [`Error::ContextFull`] for a prompt that is
/// longer than a lane, [`Error::Cancelled`] where the observer breaks, or what the backend gives.
pub async fn extract(
    engine: &mut Engine,
    pairs: &[ContrastivePair],
    metadata: VectorMetadata,
    observer: &mut dyn Observer<ExtractProgress>,
) -> Result<SteeringVector> {
    if pairs.is_empty() {
        return Err(Error::Pairs {
            reason: "there is no pair".into(),
        });
    }
    let config = engine.model().config.clone();
    let total = 2 * pairs.len();
    // f64: a mean of many f32 differences must not depend on their number.
    let mut keys = vec![0f64; config.slot_len()];
    let mut values = vec![0f64; config.slot_len()];
    for (i, pair) in pairs.iter().enumerate() {
        for (side, (text, sign)) in [(&pair.positive, 1.0), (&pair.negative, -1.0)]
            .into_iter()
            .enumerate()
        {
            let mut observer = Watch {
                observer,
                progress: ExtractProgress {
                    done: 2 * i + side,
                    total,
                },
            };
            let slot =
                last_slot(engine, text, &mut observer)
                    .await
                    .map_err(|error| match error {
                        Error::InvalidRequest(reason) => Error::Pairs {
                            reason: format!("pair {}: {reason}", i + 1),
                        },
                        other => other,
                    })?;
            for (sum, x) in keys.iter_mut().zip(&slot.keys) {
                *sum += sign * f64::from(*x);
            }
            for (sum, x) in values.iter_mut().zip(&slot.values) {
                *sum += sign * f64::from(*x);
            }
        }
    }
    // The last report; there is nothing left to stop.
    let _ = observer
        .observe(ExtractProgress { done: total, total })
        .await;
    let mean = |sum: Vec<f64>| {
        sum.into_iter()
            .map(|s| (s / pairs.len() as f64) as f32)
            .collect()
    };
    let metadata = VectorMetadata {
        model: VectorModel {
            name: Some(config.name),
            architecture: Some(config.architecture),
            sha256: Some(engine.model().file.sha256.clone()),
        },
        pairs: Some(pairs.len()),
        made_by: Some(concat!("cache-steering ", env!("CARGO_PKG_VERSION")).into()),
        ..metadata
    };
    Ok(SteeringVector {
        keys: mean(keys),
        values: mean(values),
        dims: [config.n_layers, config.n_kv_heads, config.head_dim],
        metadata,
    })
}

/// Keys and values at the last token of a prompt.
async fn last_slot(
    engine: &mut Engine,
    text: &str,
    observer: &mut dyn Observer<PrefillProgress>,
) -> Result<Slot> {
    let ids = engine.model().tokenizer.encode(text)?;
    let Some(last) = ids.len().checked_sub(1) else {
        return Err(Error::InvalidRequest("a prompt is empty".into()));
    };
    let cached = engine.keep_prefix(0, &ids)?;
    engine.prefill(&[(0, &ids[cached..])], observer).await?;
    engine.read_slot(0, last).await
}

/// Asks the observer of the extraction at each batch of a prefill.
struct Watch<'a> {
    observer: &'a mut dyn Observer<ExtractProgress>,
    progress: ExtractProgress,
}

#[async_trait(?Send)]
impl Observer<PrefillProgress> for Watch<'_> {
    async fn observe(&mut self, _: PrefillProgress) -> ControlFlow<()> {
        self.observer.observe(self.progress).await
    }
}
