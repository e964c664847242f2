//! RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467), the first step of three stages.

use super::simd::fours;
use wide::f32x4;

/// Divides each row of `x` by its root mean square and multiplies it by `scale`.
pub(super) fn rms_norm(x: &[f32], scale: &[f32], eps: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(scale.len()) {
        let squares = fours(row).iter().map(|&x| f32x4::new(x) * f32x4::new(x));
        let mean_square = squares.sum::<f32x4>().reduce_add() / row.len() as f32;
        let factor = 1.0 / (mean_square + eps).sqrt();
        out.extend(row.iter().zip(scale).map(|(x, scale)| x * factor * scale));
    }
    out
}
