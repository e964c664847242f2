//! The sizes and constants of a Llama-architecture model.

use serde::Serialize;

/// What the forward pass needs to know of a checkpoint, read from its GGUF metadata.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConfig {
    /// `general.name`, or the empty string.
    pub name: String,
    /// `general.architecture`.
    pub architecture: String,
    /// Transformer blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width inside the feed-forward network.
    pub ffn_width: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; each serves `n_heads / n_kv_heads` query heads (GQA).
    pub n_kv_heads: usize,
    /// Size of one head.
    pub head_dim: usize,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Longest sequence that the model was trained for.
    pub context_length: usize,
    /// Base of the rotary position embedding's frequencies.
    pub rope_base: f32,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f32,
}

impl ModelConfig {
    /// Width of all query heads together: rows of the query projection.
    pub fn q_width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all KV heads together: values that one layer caches for one position, for keys
    /// and again for values.
    pub fn kv_width(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }

    /// Number of values of `keys`, or of `values`, in one slot of the cache over all layers. The
    /// order is `[n_layers, n_kv_heads, head_dim]`.
    pub fn slot_len(&self) -> usize {
        self.n_layers * self.kv_width()
    }
}
