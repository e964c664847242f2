//! `head`: RMSNorm and the logits.

use super::norm::rms_norm;
use super::weights::Weights;
use crate::Result;
use crate::model::ModelConfig;

/// The logits of each row: `[rows, vocab_size]`.
pub(super) fn head(config: &ModelConfig, weights: &Weights, x: &[f32]) -> Result<Vec<f32>> {
    let normed = rms_norm(x, &weights.output_norm, config.norm_eps);
    let matrix = weights.output.as_ref().unwrap_or(&weights.embedding);
    matrix.multiply(&normed)
}
