//! `attention`: grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) over the lane's
//! cache up to the row's position.
//!
//! The cache is read in chunks that the processor's first cache holds, and each chunk is done with
//! for all rows and all queries of a KV head before the next; the softmax is kept up to date from
//! chunk to chunk (Milakov and Gimelshein 2018, arXiv 1805.02867). Chunks begin at the same
//! positions for every row, so a row's result does not depend on the rows beside it.

use super::cache::LayerCache;
use super::simd::{exp, fours, fours_mut};
use crate::backend::Row;
use crate::model::ModelConfig;
use std::array;
use std::ops::Range;
use wide::f32x4;

/// Positions of a chunk: with heads of size 64, 16 KiB of keys and as many of values.
const CHUNK: usize = 64;

/// Fours of floats that are added up in registers.
const SEGMENT: usize = 8;

/// The weighted sum of values for each query: `[rows, n_heads, head_dim]`.
pub(super) fn attention(
    config: &ModelConfig,
    mut queries: Vec<f32>,
    rows: &[Row],
    cache: &LayerCache,
) -> Vec<f32> {
    let size = config.head_dim;
    let group = config.n_heads / config.n_kv_heads;
    let scale = 1.0 / (size as f32).sqrt();
    for query in &mut queries {
        *query *= scale;
    }
    let mut out = vec![0.0; queries.len()];
    let mut states = vec![Softmax::new(); rows.len() * config.n_heads];
    let last = rows.iter().map(|row| row.position as usize).max();
    for start in (0..=last.unwrap_or(0)).step_by(CHUNK) {
        for kv_head in 0..config.n_kv_heads {
            for (number, row) in rows.iter().enumerate() {
                let end = (row.position as usize + 1).min(start + CHUNK);
                if start >= end {
                    continue;
                }
                let chunk = Chunk::new(config, cache, row.lane as usize, start..end, kv_head);
                let first = number * config.n_heads + kv_head * group;
                let heads = first..first + group;
                let floats = first * size..(first + group) * size;
                let queries = queries[floats.clone()].chunks_exact(size);
                let outs = out[floats].chunks_exact_mut(size);
                for ((query, state), out) in queries.zip(&mut states[heads]).zip(outs) {
                    chunk.attend(query, state, out);
                }
            }
        }
    }
    for (out, state) in out.chunks_exact_mut(size).zip(states) {
        multiply(out, 1.0 / state.sum);
    }
    out
}

/// What the softmax of one query has seen.
#[derive(Clone, Copy)]
struct Softmax {
    /// The largest score.
    max: f32,
    /// The sum of the weights, which are relative to that of the largest score.
    sum: f32,
}

impl Softmax {
    fn new() -> Self {
        Self {
            max: f32::MIN,
            sum: 0.0,
        }
    }
}

/// Some positions of one lane, of which one KV head is looked at.
pub(super) struct Chunk<'a> {
    /// `[position, kv_width]`
    keys: &'a [f32],
    values: &'a [f32],
    kv_width: usize,
    /// Where in a position's keys and values the head's begin.
    first: usize,
}

impl<'a> Chunk<'a> {
    pub fn new(
        config: &ModelConfig,
        cache: &'a LayerCache,
        lane: usize,
        positions: Range<usize>,
        kv_head: usize,
    ) -> Self {
        let seen = cache.range(lane, positions);
        Self {
            keys: &cache.keys[seen.clone()],
            values: &cache.values[seen],
            kv_width: config.kv_width(),
            first: kv_head * config.head_dim,
        }
    }

    /// Adds to `out` the values with their weights, relative to the largest so far. There are at most
    /// [`CHUNK`] positions.
    fn attend(&self, query: &[f32], state: &mut Softmax, out: &mut [f32]) {
        let mut weights = [[0.0; 4]; CHUNK / 4];
        let positions = self.keys.len() / self.kv_width;
        let weights = &mut weights[..positions.div_ceil(4)];
        self.scores(query, weights);
        let max = weights
            .iter()
            .fold(f32x4::splat(state.max), |max, &weights| {
                max.fast_max(f32x4::new(weights))
            });
        let [a, b, c, d] = max.to_array();
        let max = larger(larger(a, b), larger(c, d));
        let mut sum = f32x4::ZERO;
        for weights in weights.iter_mut() {
            let weight = exp(f32x4::new(*weights) - f32x4::splat(max));
            sum += weight;
            *weights = weight.to_array();
        }
        if max > state.max {
            let [factor, ..] = exp(f32x4::splat(state.max - max)).to_array();
            state.sum *= factor;
            multiply(out, factor);
        }
        state.max = max;
        state.sum += sum.reduce_add();
        self.add_values(&weights.as_flattened()[..positions], out);
    }

    /// The products with the keys, four at a time; those beyond the last position are the least
    /// that there is, which gives them no weight.
    pub fn scores(&self, query: &[f32], scores: &mut [[f32; 4]]) {
        let positions = self.keys.len() / self.kv_width;
        for (number, scores) in scores.iter_mut().enumerate() {
            let keys = array::from_fn(|i| {
                let position = (4 * number + i).min(positions - 1);
                &self.keys[position * self.kv_width + self.first..][..query.len()]
            });
            *scores = dot_products(query, keys);
        }
        scores.as_flattened_mut()[positions..].fill(f32::MIN);
    }

    fn add_values(&self, weights: &[f32], out: &mut [f32]) {
        let (segments, rest) = fours_mut(out).as_chunks_mut::<SEGMENT>();
        for (number, out) in segments.iter_mut().enumerate() {
            self.add_segment(weights, number * SEGMENT, out);
        }
        let done = segments.len() * SEGMENT;
        for (number, out) in rest.iter_mut().enumerate() {
            self.add_segment(weights, done + number, array::from_mut(out));
        }
    }

    /// Adds some of the head's values, from the given four on.
    fn add_segment<const N: usize>(&self, weights: &[f32], start: usize, out: &mut [[f32; 4]; N]) {
        let mut sums = out.map(f32x4::new);
        let values = self.values[self.first + 4 * start..].chunks(self.kv_width);
        for (weight, values) in weights.iter().zip(values) {
            let weight = f32x4::splat(*weight);
            for (sum, value) in sums.iter_mut().zip(&fours(values)[..N]) {
                *sum += weight * f32x4::new(*value);
            }
        }
        *out = sums.map(f32x4::to_array);
    }
}

fn dot_products(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    let mut sums = [f32x4::ZERO; 4];
    let (segments, rest) = fours(a).as_chunks::<SEGMENT>();
    let b = b.map(|b| fours(b).as_chunks::<SEGMENT>());
    for (i, a) in segments.iter().enumerate() {
        add_products(&mut sums, a, b.map(|(segments, _)| &segments[i]));
    }
    for (i, a) in rest.iter().enumerate() {
        add_products(
            &mut sums,
            &[*a],
            b.map(|(_, rest)| array::from_ref(&rest[i])),
        );
    }
    sums.map(f32x4::reduce_add)
}

#[inline(always)]
fn add_products<const N: usize>(sums: &mut [f32x4; 4], a: &[[f32; 4]; N], b: [&[[f32; 4]; N]; 4]) {
    for i in 0..N {
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum += f32x4::new(a[i]) * f32x4::new(b[i]);
        }
    }
}

/// Of two numbers. The standard library's, which also knows NaN, is a call in WebAssembly.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

fn multiply(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::CacheSize;
    use crate::backend::cpu::cache::KvCache;
    use crate::model::synthetic;

    /// As the formula says it, in double precision.
    fn exact(config: &ModelConfig, queries: &[f32], rows: &[Row], cache: &LayerCache) -> Vec<f64> {
        let size = config.head_dim;
        let mut out = Vec::new();
        for (row, queries) in rows.iter().zip(queries.chunks(config.q_width())) {
            for (head, query) in queries.chunks(size).enumerate() {
                let first = head / (config.n_heads / config.n_kv_heads) * size;
                let slots = (0..=row.position as usize)
                    .map(|position| cache.slot(row.lane as usize, position).start + first);
                let weight = |start: usize| {
                    let products = query.iter().zip(&cache.keys[start..start + size]);
                    let score: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    (score / (size as f64).sqrt()).exp()
                };
                let sum: f64 = slots.clone().map(weight).sum();
                out.extend((0..size).map(|i| {
                    let values = slots
                        .clone()
                        .map(|start| weight(start) * f64::from(cache.values[start + i]));
                    values.sum::<f64>() / sum
                }));
            }
        }
        out
    }

    fn row(lane: u32, position: u32) -> Row {
        Row {
            token: 0,
            lane,
            position,
        }
    }

    #[test]
    fn attention_is_what_the_formula_says_whatever_rows_are_beside_a_row() {
        for (head_dim, n_kv_heads) in [(16, 2), (64, 1), (36, 4)] {
            let config = ModelConfig {
                head_dim,
                n_kv_heads,
                ..synthetic::tiny()
            };
            let size = CacheSize {
                lanes: 2,
                capacity: 3 * CHUNK,
            };
            let mut cache = KvCache::new(&config, size).unwrap();
            let cache = &mut cache.layers[0];
            for (i, (key, value)) in cache.keys.iter_mut().zip(&mut cache.values).enumerate() {
                *key = (i as f32 * 0.7).sin() * 2.0;
                *value = (i as f32 * 0.3).cos();
            }
            let edge = CHUNK as u32;
            let rows = [0, 1, 2, 3, 4, edge - 1, edge, edge + 1, 3 * edge - 1];
            let rows: Vec<Row> = rows.iter().flat_map(|&p| [row(0, p), row(1, p)]).collect();
            let queries: Vec<f32> = (0..rows.len() * config.q_width())
                .map(|i| (i as f32 * 0.11).sin() * 3.0)
                .collect();
            let found = attention(&config, queries.clone(), &rows, cache);
            let expected = exact(&config, &queries, &rows, cache);
            for (found, expected) in found.iter().zip(expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5);
            }
            for (i, row) in rows.iter().enumerate() {
                let part = i * config.q_width()..(i + 1) * config.q_width();
                let alone = attention(&config, queries[part.clone()].to_vec(), &[*row], cache);
                assert_eq!(alone, found[part]);
            }
        }
    }

    #[test]
    fn scores_of_any_size_are_weighed() {
        let config = ModelConfig {
            n_heads: 1,
            n_kv_heads: 1,
            head_dim: 4,
            ..synthetic::tiny()
        };
        let size = CacheSize {
            lanes: 1,
            capacity: 2 * CHUNK,
        };
        let mut cache = KvCache::new(&config, size).unwrap();
        let cache = &mut cache.layers[0];
        // The largest score by far is in the second chunk, after one by far the smallest.
        cache.keys[4 * 3] = -1e4;
        cache.keys[4 * (CHUNK + 5)] = 1e4;
        cache.values[4 * (CHUNK + 5)..][..4].fill(7.0);
        let last = row(0, 2 * CHUNK as u32 - 1);
        let found = attention(&config, vec![1.0, 0.0, 0.0, 0.0], &[last], cache);
        assert_eq!(found, [7.0; 4]);
    }
}
