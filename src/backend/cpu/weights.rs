//! The weights in main memory.

use super::matrix::Matrix;

/// All weights of a model.
pub(super) struct Weights {
    /// `[vocab_size, width]`.
    pub embedding: Matrix,
    pub layers: Vec<Layer>,
    /// `[width]`.
    pub output_norm: Vec<f32>,
    /// `[vocab_size, width]`, or `None` where the embedding serves as the head too.
    pub output: Option<Matrix>,
}

/// The weights of one transformer block, as
/// [`LayerWeight`](crate::model::weights::LayerWeight) describes them.
pub(super) struct Layer {
    pub attention_norm: Vec<f32>,
    pub query: Matrix,
    pub key: Matrix,
    pub value: Matrix,
    /// Of queries, keys and values; empty where the model has none.
    pub biases: [Vec<f32>; 3],
    pub attention_output: Matrix,
    pub ffn_norm: Vec<f32>,
    pub gate: Matrix,
    pub up: Matrix,
    pub down: Matrix,
}
