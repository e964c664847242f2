//! Extraction: from contrastive pairs to a vector.
//!
//! Both prompts of a pair run through the model; what the cache holds at one token of each, over all
//! layers, is read. The vector is what the pairs have in common: the mean of positive minus
//! negative, unless [`ExtractOptions`] say otherwise. Keys are turned back to position 0 before they
//! are averaged, because prompts are of different lengths, and RoPE has turned each key by its own
//! position; [`KeyFrame::Cached`] leaves them as the reference implementation does.

use super::cluster::largest_cluster;
use super::{ContrastivePair, KeyFrame, SteeringVector, VectorMetadata, VectorModel};
use crate::backend::{Slot, rope};
use crate::engine::{Engine, PrefillProgress};
use crate::model::Model;
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// How a vector is made of pairs. The default is the method of the paper, with keys in the frame of
/// the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtractOptions {
    /// Where in the prompts.
    pub token: TokenPosition,
    /// What is taken of each pair.
    pub contrast: Contrast,
    /// How the pairs are brought together.
    pub average: Average,
    /// Keeps so many heads, over all layers, whose part of the values is the longest, and sets the
    /// others to 0; all where `None`.
    pub heads: Option<usize>,
    /// Whether keys are averaged as the cache holds them, or turned back first.
    pub key_frame: KeyFrame,
}

/// A token of a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenPosition {
    /// The last one.
    #[default]
    Last,
    /// The one before it.
    Penultimate,
    /// Counted from 0; negative ones from the end, -1 being the last.
    Index(i64),
}

/// What is taken of a pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contrast {
    /// Positive minus negative.
    #[default]
    Difference,
    /// The positive alone; the negative prompts are not run.
    Positive,
}

/// How pairs are brought together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Average {
    /// Their mean.
    #[default]
    Mean,
    /// The mean of the largest of so many clusters (k-means on the values), which leaves out pairs
    /// that are unlike the others.
    Clusters(usize),
}

/// How far an extraction is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExtractProgress {
    /// Prompts that are done.
    pub done: usize,
    /// Prompts in all: two for each pair.
    pub total: usize,
    /// How stable the vector is by now: the cosine of what the odd and the even pairs give. Near 1,
    /// more pairs change little.
    pub stability: Option<f32>,
}

/// Makes vectors with one engine, of which it takes lane 0. What was read for a prompt is kept, so
/// that vectors which share prompts, as the styles of one set share their negative ones, compute
/// them once; so is what two prompts have in common at their beginning.
pub struct Extractor<'a> {
    pub(super) engine: &'a mut Engine,
    /// By prompt and position.
    slots: HashMap<(Vec<u32>, usize), Slot>,
    /// By prompt and layer.
    pub(super) residuals: HashMap<(Vec<u32>, usize), Vec<f32>>,
}

impl<'a> Extractor<'a> {
    /// Nothing is computed yet.
    pub fn new(engine: &'a mut Engine) -> Self {
        Self {
            engine,
            slots: HashMap::new(),
            residuals: HashMap::new(),
        }
    }

    /// The model of the engine.
    pub fn model(&self) -> &Model {
        self.engine.model()
    }

    /// Makes a vector from pairs. `metadata` is what the caller knows of it; the model, the number
    /// of pairs, the options and this program's version are filled in.
    ///
    /// # Errors
    /// [`Error::Pairs`] for no pair or an empty prompt, [`Error::ContextFull`] for a prompt that is
    /// longer than a lane, [`Error::Cancelled`] where the observer breaks, or what the backend gives.
    pub async fn extract(
        &mut self,
        pairs: &[ContrastivePair],
        options: &ExtractOptions,
        metadata: VectorMetadata,
        observer: &mut dyn Observer<ExtractProgress>,
    ) -> Result<SteeringVector> {
        if pairs.is_empty() {
            return Err(bad("there is no pair".into()));
        }
        if options.heads == Some(0) {
            return Err(bad("no head is to be kept: keep at least one".into()));
        }
        if let Average::Clusters(count) = options.average
            && (count == 0 || count > pairs.len())
        {
            return Err(bad(format!(
                "{} pairs cannot make {count} clusters",
                pairs.len()
            )));
        }
        let mut watch = Watch::new(observer, pairs.len());
        let mut contrasts = Vec::with_capacity(pairs.len());
        for (i, pair) in pairs.iter().enumerate() {
            let contrast = self
                .contrast(pair, options, &mut watch)
                .await
                .map_err(|error| of_pair(i, error))?;
            contrasts.push(contrast);
            watch.progress.stability = stability(&contrasts);
        }
        // The last report; there is nothing left to stop.
        let _ = watch.tell().await;

        let mut slot = match options.average {
            Average::Mean => mean(&contrasts.iter().collect::<Vec<_>>()),
            Average::Clusters(count) => mean(&largest_cluster(&contrasts, count)),
        };
        let config = self.engine.model().config.clone();
        if let Some(heads) = options.heads {
            keep_longest(&mut slot, config.head_dim, heads);
        }
        Ok(SteeringVector {
            keys: slot.keys,
            values: slot.values,
            dims: [config.n_layers, config.n_kv_heads, config.head_dim],
            metadata: VectorMetadata {
                model: VectorModel {
                    name: Some(config.name),
                    architecture: Some(config.architecture.name().to_owned()),
                    sha256: Some(self.engine.model().file.sha256.clone()),
                },
                extraction: *options,
                pairs: Some(pairs.len()),
                made_by: Some(concat!("cache-steering ", env!("CARGO_PKG_VERSION")).into()),
                ..metadata
            },
        })
    }

    /// What one pair says.
    async fn contrast(
        &mut self,
        pair: &ContrastivePair,
        options: &ExtractOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Slot> {
        let positive = self.slot(&pair.positive, options, watch).await?;
        watch.progress.done += 1;
        let contrast = match options.contrast {
            Contrast::Positive => positive,
            Contrast::Difference => {
                let negative = self.slot(&pair.negative, options, watch).await?;
                let minus = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect();
                Slot {
                    keys: minus(&positive.keys, &negative.keys),
                    values: minus(&positive.values, &negative.values),
                }
            }
        };
        watch.progress.done += 1;
        Ok(contrast)
    }

    /// Keys and values at the token of a prompt.
    async fn slot(
        &mut self,
        text: &str,
        options: &ExtractOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Slot> {
        if watch.tell().await.is_break() {
            return Err(Error::Cancelled);
        }
        let ids = self.engine.model().tokenizer.encode_whole(text)?;
        let position = options.token.of(ids.len())?;
        let prompt = (ids, position);
        let mut slot = match self.slots.get(&prompt) {
            Some(slot) => slot.clone(),
            None => {
                let ids = &prompt.0[..=position];
                let cached = self.engine.keep_prefix(0, ids)?;
                self.engine.prefill(&[(0, &ids[cached..])], watch).await?;
                let slot = self.engine.read_slot(0, position).await?;
                self.slots.insert(prompt, slot.clone());
                slot
            }
        };
        if options.key_frame == KeyFrame::Zero {
            rope::rotate(
                &self.engine.model().config,
                &mut slot.keys,
                -(position as f64),
            );
        }
        Ok(slot)
    }
}

impl TokenPosition {
    /// The position in a prompt of `len` tokens.
    fn of(self, len: usize) -> Result<usize> {
        let from_end = |back: usize| len.checked_sub(back);
        let position = match self {
            Self::Last => from_end(1),
            Self::Penultimate => from_end(2),
            Self::Index(index) => match usize::try_from(index) {
                Ok(index) => Some(index),
                Err(_) => from_end(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
            },
        };
        position.filter(|position| *position < len).ok_or_else(|| {
            Error::InvalidRequest(format!("a prompt of {len} tokens has no such token"))
        })
    }
}

/// Sums in f64: a mean of many f32 numbers must not depend on how many there are.
fn mean(slots: &[&Slot]) -> Slot {
    let mean = |part: fn(&Slot) -> &[f32]| {
        let len = slots.first().map_or(0, |slot| part(slot).len());
        let mut sums = vec![0f64; len];
        for slot in slots {
            for (sum, x) in sums.iter_mut().zip(part(slot)) {
                *sum += f64::from(*x);
            }
        }
        let count = slots.len() as f64;
        sums.into_iter().map(|sum| (sum / count) as f32).collect()
    };
    Slot {
        keys: mean(|slot| &slot.keys),
        values: mean(|slot| &slot.values),
    }
}

/// The cosine between the values that the odd and the even pairs give.
fn stability(contrasts: &[Slot]) -> Option<f32> {
    let half = |first: usize| -> Vec<&Slot> { contrasts.iter().skip(first).step_by(2).collect() };
    let (even, odd) = (half(0), half(1));
    if odd.is_empty() {
        return None;
    }
    let (even, odd) = (mean(&even).values, mean(&odd).values);
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let norms = (dot(&even, &even) * dot(&odd, &odd)).sqrt();
    (norms > 0.0).then(|| (dot(&even, &odd) / norms) as f32)
}

/// Sets all heads to 0 but the `count` whose values are the longest.
fn keep_longest(slot: &mut Slot, head_dim: usize, count: usize) {
    let square = |head: &[f32]| head.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let mut heads: Vec<(usize, f64)> = slot
        .values
        .chunks(head_dim)
        .map(square)
        .enumerate()
        .collect();
    heads.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (head, _) in heads.into_iter().skip(count) {
        let range = head * head_dim..(head + 1) * head_dim;
        slot.values[range.clone()].fill(0.0);
        slot.keys[range].fill(0.0);
    }
}

pub(super) fn bad(reason: String) -> Error {
    Error::Pairs { reason }
}

/// Says which pair a prompt that makes no sense is in.
pub(super) fn of_pair(index: usize, error: Error) -> Error {
    match error {
        Error::InvalidRequest(reason) => bad(format!("pair {}: {reason}", index + 1)),
        other => other,
    }
}

/// Asks the observer of the extraction at each batch of a prefill.
pub(super) struct Watch<'a> {
    observer: &'a mut dyn Observer<ExtractProgress>,
    pub progress: ExtractProgress,
}

impl<'a> Watch<'a> {
    pub fn new(observer: &'a mut dyn Observer<ExtractProgress>, pairs: usize) -> Self {
        Self {
            observer,
            progress: ExtractProgress {
                done: 0,
                total: 2 * pairs,
                stability: None,
            },
        }
    }

    pub async fn tell(&mut self) -> ControlFlow<()> {
        self.observer.observe(self.progress).await
    }
}

#[async_trait(?Send)]
impl Observer<PrefillProgress> for Watch<'_> {
    async fn observe(&mut self, _: PrefillProgress) -> ControlFlow<()> {
        self.tell().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(values: &[f32]) -> Slot {
        Slot {
            keys: values.iter().map(|x| -x).collect(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn tokens_are_counted_from_both_ends() {
        let of = |token: TokenPosition| token.of(5).ok();
        assert_eq!(of(TokenPosition::Last), Some(4));
        assert_eq!(of(TokenPosition::Penultimate), Some(3));
        assert_eq!(of(TokenPosition::Index(0)), Some(0));
        assert_eq!(of(TokenPosition::Index(-5)), Some(0));
        for outside in [5, -6, i64::MIN, i64::MAX] {
            assert_eq!(of(TokenPosition::Index(outside)), None);
        }
        assert!(TokenPosition::Last.of(0).is_err());
    }

    #[test]
    fn stability_is_the_cosine_of_halves() {
        assert_eq!(stability(&[slot(&[1.0, 0.0])]), None);
        assert_eq!(
            stability(&[slot(&[1.0, 0.0]), slot(&[2.0, 0.0])]),
            Some(1.0)
        );
        assert_eq!(
            stability(&[slot(&[1.0, 0.0]), slot(&[0.0, 3.0])]),
            Some(0.0)
        );
        assert_eq!(stability(&[slot(&[0.0, 0.0]), slot(&[0.0, 3.0])]), None);
    }

    #[test]
    fn the_longest_heads_stay() {
        let mut pruned = slot(&[1.0, 1.0, 3.0, 0.0, 2.0, 2.0]);
        keep_longest(&mut pruned, 2, 1);
        assert_eq!(pruned, slot(&[0.0, 0.0, 3.0, 0.0, 0.0, 0.0]));
        let mut kept = slot(&[1.0, 1.0, 3.0, 0.0]);
        keep_longest(&mut kept, 2, 9);
        assert_eq!(kept, slot(&[1.0, 1.0, 3.0, 0.0]));
    }
}
