//! `qkv`: RMSNorm, the three projections, RoPE, and the write of keys and values to the cache.

use super::cache::LayerCache;
use super::norm::rms_norm;
use super::weights::Layer;
use crate::Result;
use crate::backend::Row;
use crate::model::ModelConfig;

/// Fills the rows' slots of the cache and gives the queries: `[rows, n_heads, head_dim]`.
pub(super) fn qkv(
    config: &ModelConfig,
    layer: &Layer,
    rope: &[[f32; 2]],
    x: &[f32],
    rows: &[Row],
    cache: &mut LayerCache,
) -> Result<Vec<f32>> {
    let normed = rms_norm(x, &layer.attention_norm, config.norm_eps);
    let mut queries = layer.query.multiply(&normed)?;
    let mut keys = layer.key.multiply(&normed)?;
    let values = layer.value.multiply(&normed)?;

    let half = config.head_dim / 2;
    let angles = |row: &Row| &rope[row.position as usize * half..][..half];
    for (row, query) in rows.iter().zip(queries.chunks_exact_mut(config.q_width())) {
        rotate(query, angles(row));
    }
    let new = keys
        .chunks_exact_mut(config.kv_width())
        .zip(values.chunks_exact(config.kv_width()));
    for (row, (key, value)) in rows.iter().zip(new) {
        rotate(key, angles(row));
        let slot = cache.slot(row.lane as usize, row.position as usize);
        cache.keys[slot.clone()].copy_from_slice(key);
        cache.values[slot].copy_from_slice(value);
    }
    Ok(queries)
}

/// Turns element `i` of each head together with element `i + head_dim / 2`.
fn rotate(heads: &mut [f32], angles: &[[f32; 2]]) {
    for head in heads.chunks_exact_mut(2 * angles.len()) {
        let (first, second) = head.split_at_mut(angles.len());
        for ((a, b), [cos, sin]) in first.iter_mut().zip(second).zip(angles) {
            (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_the_halves_of_each_head() {
        let mut heads = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        rotate(&mut heads, &[[0.0, 1.0], [1.0, 0.0]]);
        assert_eq!(heads, [-3.0, 2.0, 1.0, 4.0, -7.0, 6.0, 5.0, 8.0]);
    }
}
