//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864, equation 34), as a table.
//!
//! Both backends rotate element `i` with element `i + head_dim / 2` of a head by the angle
//! `position * base^(-2 i / head_dim)`. The table is computed once: WGSL promises little precision
//! for the sine of a large angle.

use crate::model::ModelConfig;

/// Cosine and sine for every position below `capacity`: `[position, head_dim / 2]`.
pub(crate) fn table(config: &ModelConfig, capacity: usize) -> Vec<[f32; 2]> {
    let half = config.head_dim / 2;
    let frequency = |i| f64::from(config.rope_base).powf(-(i as f64) / half as f64);
    let frequencies: Vec<f64> = (0..half).map(frequency).collect();
    (0..capacity)
        .flat_map(|position| frequencies.iter().map(move |f| position as f64 * f))
        .map(|angle| [angle.cos() as f32, angle.sin() as f32])
        .collect()
}
