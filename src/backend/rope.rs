//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864, equation 34), as a table.
//!
//! Both backends rotate element `i` with element `i + head_dim / 2` of a head by the angle
//! `position * base^(-2 i / head_dim)`, divided by a factor for each `i` where the model has some. The
//! table is computed once: WGSL promises little precision
//! for the sine of a large angle.

use crate::model::ModelConfig;

/// Cosine and sine for every position below `capacity`: `[position, head_dim / 2]`.
pub(crate) fn table(config: &ModelConfig, capacity: usize) -> Vec<[f32; 2]> {
    let half = config.head_dim / 2;
    let frequencies: Vec<f64> = (0..half).map(|i| frequency(config, i)).collect();
    (0..capacity)
        .flat_map(|position| frequencies.iter().map(move |f| position as f64 * f))
        .map(|angle| [angle.cos() as f32, angle.sin() as f32])
        .collect()
}

/// Turns keys in rotate-half order, `[.., head_dim]`, by the angles of `position`, which may be
/// negative: that turns a key of this position back to position 0.
pub(crate) fn rotate(config: &ModelConfig, keys: &mut [f32], position: f64) {
    let half = config.head_dim / 2;
    for head in keys.chunks_exact_mut(config.head_dim) {
        let (first, second) = head.split_at_mut(half);
        for (i, (a, b)) in first.iter_mut().zip(second).enumerate() {
            let angle = position * frequency(config, i);
            let (x, y) = (f64::from(*a), f64::from(*b));
            *a = (x * angle.cos() - y * angle.sin()) as f32;
            *b = (y * angle.cos() + x * angle.sin()) as f32;
        }
    }
}

/// What element `i` of a head turns by from one position to the next.
fn frequency(config: &ModelConfig, i: usize) -> f64 {
    let half = (config.head_dim / 2) as f64;
    let factor = config.rope_factors.get(i).copied().map_or(1.0, f64::from);
    f64::from(config.rope_base).powf(-(i as f64) / half) / factor
}
