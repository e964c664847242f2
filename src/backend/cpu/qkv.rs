//! `qkv`: RMSNorm, the three projections with their biases, RoPE, and the write of keys and values to the cache.

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
    let mut values = layer.value.multiply(&normed)?;
    let projected = [&mut queries, &mut keys, &mut values];
    for (rows, bias) in projected.into_iter().zip(&layer.biases) {
        add_bias(rows, bias);
    }

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

/// Adds a bias, which may be empty, to each row.
fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len().max(1)) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
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
    fn a_bias_is_added_to_every_row() {
        let mut rows = [1.0, 2.0, 3.0, 4.0];
        add_bias(&mut rows, &[]);
        assert_eq!(rows, [1.0, 2.0, 3.0, 4.0]);
        add_bias(&mut rows, &[10.0, 20.0]);
        assert_eq!(rows, [11.0, 22.0, 13.0, 24.0]);
    }

    #[test]
    fn a_quarter_turn_swaps_the_halves_of_each_head() {
        let mut heads = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        rotate(&mut heads, &[[0.0, 1.0], [1.0, 0.0]]);
        assert_eq!(heads, [-3.0, 2.0, 1.0, 4.0, -7.0, 6.0, 5.0, 8.0]);
    }
}
