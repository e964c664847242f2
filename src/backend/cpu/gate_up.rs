//! `gate_up`: RMSNorm, gate and up projections, SwiGLU (Shazeer 2020, arXiv 2002.05202).

use super::norm::rms_norm;
use super::weights::Layer;
use crate::Result;
use crate::model::ModelConfig;

/// The hidden activations of the feed-forward network: `[rows, ffn_width]`.
pub(super) fn gate_up(config: &ModelConfig, layer: &Layer, x: &[f32]) -> Result<Vec<f32>> {
    let normed = rms_norm(x, &layer.ffn_norm, config.norm_eps);
    let mut hidden = layer.gate.multiply(&normed)?;
    let up = layer.up.multiply(&normed)?;
    for (gate, up) in hidden.iter_mut().zip(up) {
        let silu = *gate / (1.0 + (-*gate).exp());
        *gate = silu * up;
    }
    Ok(hidden)
}
