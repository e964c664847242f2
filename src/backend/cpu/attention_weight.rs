//! How much attention goes to one position, beside `attention`, which leaves no weights.

use super::attention::Chunk;
use super::cache::LayerCache;
use crate::backend::Row;
use crate::model::ModelConfig;

/// A look at one position of the rows' lanes.
pub(super) struct Watch {
    pub position: usize,
    /// Of the layers so far: `[layer, row, query head]`.
    pub weights: Vec<f32>,
}

impl Watch {
    /// Takes the weights of one layer, from its queries `[rows, n_heads, head_dim]`.
    pub fn look(
        &mut self,
        config: &ModelConfig,
        queries: &[f32],
        rows: &[Row],
        cache: &LayerCache,
    ) {
        let size = config.head_dim;
        let group = config.n_heads / config.n_kv_heads;
        let scale = 1.0 / (size as f32).sqrt();
        let of_rows = queries.chunks_exact(config.q_width());
        for (row, queries) in rows.iter().zip(of_rows) {
            let positions = row.position as usize + 1;
            let mut scores = vec![[0.0; 4]; positions.div_ceil(4)];
            for (head, query) in queries.chunks_exact(size).enumerate() {
                let chunk =
                    Chunk::new(config, cache, row.lane as usize, 0..positions, head / group);
                chunk.scores(query, &mut scores);
                let scores = &scores.as_flattened()[..positions];
                let largest = scores.iter().copied().fold(f32::MIN, f32::max);
                let weight = |score: f32| ((score - largest) * scale).exp();
                let sum: f32 = scores.iter().copied().map(weight).sum();
                let watched = scores.get(self.position).copied().map_or(0.0, weight);
                self.weights.push(watched / sum);
            }
        }
    }
}
