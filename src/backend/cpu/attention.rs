//! `attention`: grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) over the lane's
//! cache up to the row's position.

use super::cache::LayerCache;
use crate::backend::Row;
use crate::model::ModelConfig;

/// The weighted sum of values for each query: `[rows, n_heads, head_dim]`.
pub(super) fn attention(
    config: &ModelConfig,
    mut queries: Vec<f32>,
    rows: &[Row],
    cache: &LayerCache,
) -> Vec<f32> {
    let group = config.n_heads / config.n_kv_heads * config.head_dim;
    let scale = 1.0 / (config.head_dim as f32).sqrt();
    for query in &mut queries {
        *query *= scale;
    }
    let mut out = vec![0.0; queries.len()];
    let mut weights = Vec::new();
    for ((row, queries), out) in rows
        .iter()
        .zip(queries.chunks_exact(config.q_width()))
        .zip(out.chunks_exact_mut(config.q_width()))
    {
        let seen = cache.lane(row.lane as usize, row.position as usize + 1);
        let (keys, values) = (&cache.keys[seen.clone()], &cache.values[seen]);
        for head in 0..config.n_kv_heads {
            let heads = Head {
                index: head,
                size: config.head_dim,
                kv_width: config.kv_width(),
            };
            let group = head * group..(head + 1) * group;
            heads.attend(
                &queries[group.clone()],
                keys,
                values,
                &mut weights,
                &mut out[group],
            );
        }
    }
    out
}

/// One KV head.
struct Head {
    index: usize,
    size: usize,
    kv_width: usize,
}

impl Head {
    /// Attends with all queries that share this KV head, so that each key and value is read once
    /// for all of them. `weights` is scratch space.
    fn attend(
        &self,
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
        weights: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let positions = keys.len() / self.kv_width;
        let n_queries = queries.len() / self.size;
        // `[query, position]`
        weights.clear();
        weights.resize(n_queries * positions, 0.0);
        for (position, key) in self.vectors(keys).enumerate() {
            for (n, query) in queries.chunks_exact(self.size).enumerate() {
                weights[n * positions + position] = dot(query, key);
            }
        }
        weights.chunks_exact_mut(positions).for_each(softmax);
        for (position, value) in self.vectors(values).enumerate() {
            for (n, out) in out.chunks_exact_mut(self.size).enumerate() {
                let weight = weights[n * positions + position];
                for (out, value) in out.iter_mut().zip(value) {
                    *out += weight * value;
                }
            }
        }
    }

    /// This head's part of each position's keys or values.
    fn vectors<'a>(&self, cached: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let part = self.index * self.size..(self.index + 1) * self.size;
        cached
            .chunks_exact(self.kv_width)
            .map(move |slot| &slot[part.clone()])
    }
}

/// The sum of products, in four independent sums that the compiler keeps in one SIMD register.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 4];
    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        for i in 0..4 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum()
}

fn softmax(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = (*x - max).exp();
        sum += *x;
    }
    for x in x {
        *x /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_average_the_values_and_a_large_one_wins() {
        let mut weights = [1.0, 1.0, 1.0, 1.0];
        softmax(&mut weights);
        assert_eq!(weights, [0.25; 4]);
        let mut weights = [0.0, 1000.0, -1000.0];
        softmax(&mut weights);
        assert_eq!(weights, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn each_query_of_a_group_attends_to_its_kv_head_only() {
        // Two positions, two KV heads of size 4; the other head's numbers would show.
        let nine = [9.0; 4];
        let keys = [nine, [10.0, 0.0, 0.0, 0.0], nine, [0.0, 10.0, 0.0, 0.0]].concat();
        let values = [nine, [1.0; 4], nine, [2.0; 4]].concat();
        let queries = [[9.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0]].concat();
        let head = Head {
            index: 1,
            size: 4,
            kv_width: 8,
        };
        let mut out = vec![0.0; 8];
        head.attend(&queries, &keys, &values, &mut Vec::new(), &mut out);
        assert_eq!(out, [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    }
}
