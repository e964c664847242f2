//! `gate_up`: RMSNorm, gate and up projections, SwiGLU (Shazeer 2020, arXiv 2002.05202).

use super::norm::rms_norm;
use super::simd::{exp, fours, fours_mut};
use super::weights::Layer;
use crate::Result;
use crate::model::ModelConfig;
use wide::f32x4;

/// The hidden activations of the feed-forward network: `[rows, ffn_width]`.
pub(super) fn gate_up(config: &ModelConfig, layer: &Layer, x: &[f32]) -> Result<Vec<f32>> {
    let normed = rms_norm(x, &layer.ffn_norm, config.norm_eps);
    let mut hidden = layer.gate.multiply(&normed)?;
    let up = layer.up.multiply(&normed)?;
    for (hidden, up) in fours_mut(&mut hidden).iter_mut().zip(fours(&up)) {
        let gate = f32x4::new(*hidden);
        let silu = gate / (f32x4::ONE + exp(-gate));
        *hidden = (silu * f32x4::new(*up)).to_array();
    }
    Ok(hidden)
}
