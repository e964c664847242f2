//! Activation steering, the method that cache steering is compared with: a direction in the residual
//! stream of one layer, taken from the same contrastive pairs at the same token, and added at every
//! decode step (Rimsky et al. 2023, arXiv 2312.06681; section 4 of the paper of cache steering).

use super::extract::{ExtractProgress, Extractor, bad};
use super::{ContrastivePair, extract};
use crate::model::ModelConfig;
use crate::observer::Observer;
use crate::{Error, Result};
use std::sync::Arc;

/// What is added to the residual stream of a lane, after one layer, at every decode step.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// The layer, counted from 0.
    pub layer: usize,
    /// What is added, `[width]`.
    pub delta: Arc<[f32]>,
}

impl Activation {
    /// `strength` times a direction.
    pub fn new(layer: usize, direction: &[f32], strength: f32) -> Self {
        Self {
            layer,
            delta: direction.iter().map(|x| strength * x).collect(),
        }
    }

    /// The layer to start with: at two thirds of SmolLM2-135M the style changes and the text holds longest
    /// (`vectors/README.md`).
    pub fn usual_layer(n_layers: usize) -> usize {
        n_layers * 2 / 3
    }

    /// Whether it adds nothing. Such a run is bit-identical to one without it.
    pub(crate) fn is_zero(&self) -> bool {
        self.delta.iter().all(|x| *x == 0.0)
    }

    /// Refuses what does not fit the model, and what is not a number.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`].
    pub(crate) fn check(&self, config: &ModelConfig) -> Result<()> {
        let (n_layers, width) = (config.n_layers, config.width);
        if self.layer >= n_layers || self.delta.len() != width {
            return Err(Error::InvalidRequest(format!(
                "an activation of {} values cannot be added after layer {}: the model has the layers 0 to {}, {width} values wide",
                self.delta.len(),
                self.layer,
                n_layers.saturating_sub(1),
            )));
        }
        if !self.delta.iter().all(|x| x.is_finite()) {
            return Err(Error::InvalidRequest(
                "an activation must be of finite numbers".into(),
            ));
        }
        Ok(())
    }
}

impl Extractor<'_> {
    /// The direction of each of some layers, `[layers, width]`: the mean over the pairs of positive
    /// minus negative, of the residual stream after the layer, at the last token.
    ///
    /// # Errors
    /// As [`Extractor::extract`]; [`Error::InvalidRequest`] for a layer that does not exist.
    pub async fn directions(
        &mut self,
        pairs: &[ContrastivePair],
        layers: &[usize],
        observer: &mut dyn Observer<ExtractProgress>,
    ) -> Result<Vec<Vec<f32>>> {
        if pairs.is_empty() {
            return Err(bad("there is no pair".into()));
        }
        let mut watch = extract::Watch::new(observer, pairs.len());
        let mut sums: Vec<Vec<f64>> = vec![Vec::new(); layers.len()];
        for (i, pair) in pairs.iter().enumerate() {
            for (text, sign) in [(&pair.positive, 1.0), (&pair.negative, -1.0)] {
                let residuals = self.residuals(text, layers, &mut watch).await;
                let residuals = residuals.map_err(|error| extract::of_pair(i, error))?;
                for (sum, residual) in sums.iter_mut().zip(residuals) {
                    sum.resize(residual.len(), 0.0);
                    for (sum, x) in sum.iter_mut().zip(residual) {
                        *sum += sign * f64::from(x);
                    }
                }
                watch.progress.done += 1;
            }
        }
        // The last report; there is nothing left to stop.
        let _ = watch.tell().await;
        let mean = |sum: Vec<f64>| {
            sum.iter()
                .map(|x| (x / pairs.len() as f64) as f32)
                .collect()
        };
        Ok(sums.into_iter().map(mean).collect())
    }

    /// The residual stream at the last token of a prompt, after each of some layers.
    async fn residuals(
        &mut self,
        text: &str,
        layers: &[usize],
        watch: &mut extract::Watch<'_>,
    ) -> Result<Vec<Vec<f32>>> {
        if watch.tell().await.is_break() {
            return Err(Error::Cancelled);
        }
        let ids = self.engine.model().tokenizer.encode_whole(text)?;
        let Some((last, before)) = ids.split_last() else {
            return Err(Error::InvalidRequest("an empty prompt has no token".into()));
        };
        let mut residuals = Vec::with_capacity(layers.len());
        for &layer in layers {
            let key = (ids.clone(), layer);
            let known = self.residuals.get(&key).cloned();
            residuals.push(match known {
                Some(residual) => residual,
                None => {
                    let cached = self.engine.keep_prefix(0, before)?;
                    self.engine
                        .prefill(&[(0, &before[cached..])], watch)
                        .await?;
                    let residual = self.engine.residual(0, *last, layer).await?;
                    self.residuals.insert(key, residual.clone());
                    residual
                }
            });
        }
        Ok(residuals)
    }
}
