//! The sizes and constants of a Llama-architecture model.

use super::metadata::{Metadata, unusable};
use super::weights::BLOCK;
use crate::{Error, Result};
use serde::Serialize;

/// The architecture whose forward pass the engine has.
const ARCHITECTURE: &str = "llama";

/// Base of RoPE's frequencies where a file does not say: that of the first Llama models.
const DEFAULT_ROPE_BASE: f32 = 10_000.0;

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
    /// What divides these frequencies, `[head_dim / 2]`: how Llama 3 stretches positions. Nothing does
    /// where it is empty. It comes with the weights, as the tensor `rope_freqs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rope_factors: Vec<f32>,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f32,
}

impl ModelConfig {
    /// Reads and checks the sizes in a GGUF header.
    ///
    /// # Errors
    /// [`Error::UnsupportedArchitecture`], or [`Error::Metadata`] where a value is missing or makes
    /// no sense. The upper limits are far above those of real models; below them, products of
    /// sizes do not overflow.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let architecture = metadata
            .text("general.architecture")?
            .ok_or_else(|| unusable("general.architecture", "is missing"))?;
        if architecture != ARCHITECTURE {
            return Err(Error::UnsupportedArchitecture {
                found: architecture.to_owned(),
            });
        }
        let size = |key: &str, limit: usize| required_size(metadata, key, limit);
        let width = size("llama.embedding_length", 1 << 16)?;
        let n_heads = size("llama.attention.head_count", 1 << 10)?;
        let n_kv_heads = match metadata.integer("llama.attention.head_count_kv")? {
            Some(_) => size("llama.attention.head_count_kv", n_heads)?,
            None => n_heads,
        };
        if !n_heads.is_multiple_of(n_kv_heads) {
            return Err(unusable(
                "llama.attention.head_count_kv",
                format!("is {n_kv_heads}, which does not divide the {n_heads} query heads"),
            ));
        }
        let config = Self {
            name: metadata
                .text("general.name")?
                .unwrap_or_default()
                .to_owned(),
            architecture: architecture.to_owned(),
            n_layers: size("llama.block_count", 1 << 10)?,
            width,
            ffn_width: size("llama.feed_forward_length", 1 << 20)?,
            n_heads,
            n_kv_heads,
            head_dim: head_dim(metadata, width, n_heads)?,
            vocab_size: metadata
                .texts("tokenizer.ggml.tokens")?
                .map_or(0, |tokens| tokens.len()),
            context_length: size("llama.context_length", 1 << 24)?,
            rope_base: rope_base(metadata)?,
            rope_factors: Vec::new(),
            norm_eps: norm_eps(metadata)?,
        };
        if config.vocab_size == 0 {
            return Err(unusable("tokenizer.ggml.tokens", "is missing or empty"));
        }
        for (key, columns) in [
            ("llama.embedding_length", config.width),
            ("llama.feed_forward_length", config.ffn_width),
            ("llama.attention.head_count", config.q_width()),
        ] {
            if !columns.is_multiple_of(BLOCK) {
                return Err(unusable(
                    key,
                    format!(
                        "gives matrices of {columns} columns, which is not a multiple of {BLOCK}"
                    ),
                ));
            }
        }
        Ok(config)
    }

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

/// A size that must be there, at least 1 and at most `limit`.
fn required_size(metadata: &Metadata, key: &str, limit: usize) -> Result<usize> {
    let value = metadata
        .integer(key)?
        .ok_or_else(|| unusable(key, "is missing"))?;
    usize::try_from(value)
        .ok()
        .filter(|size| (1..=limit).contains(size))
        .ok_or_else(|| unusable(key, format!("is {value}, but must be from 1 to {limit}")))
}

/// The size of one head: said outright, or the model's width divided among its heads.
fn head_dim(metadata: &Metadata, width: usize, n_heads: usize) -> Result<usize> {
    const KEY: &str = "llama.attention.key_length";
    const LIMIT: usize = 1 << 10;
    let said = metadata.integer(KEY)?.is_some();
    let head_dim = if said {
        required_size(metadata, KEY, LIMIT)?
    } else if width.is_multiple_of(n_heads) {
        width / n_heads
    } else {
        return Err(unusable(
            "llama.attention.head_count",
            format!("is {n_heads}, which does not divide the width of {width}"),
        ));
    };
    if !head_dim.is_multiple_of(4) || head_dim > LIMIT {
        let key = if said {
            KEY
        } else {
            "llama.attention.head_count"
        };
        return Err(unusable(
            key,
            format!("gives heads of size {head_dim}, but must give a multiple of 4 up to {LIMIT}"),
        ));
    }
    for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
        match metadata.integer(key)? {
            Some(other) if other != head_dim as u64 => {
                return Err(unusable(
                    key,
                    format!("is {other}, but only the size of a head, {head_dim}, is supported"),
                ));
            }
            _ => {}
        }
    }
    Ok(head_dim)
}

/// The base of RoPE's frequencies; a model that stretches positions in another way is refused.
fn rope_base(metadata: &Metadata) -> Result<f32> {
    const SCALING: &str = "llama.rope.scaling.type";
    match metadata.text(SCALING)? {
        None | Some("none") => {}
        Some(other) => {
            return Err(unusable(
                SCALING,
                format!("is {other:?}, which is not supported"),
            ));
        }
    }
    const KEY: &str = "llama.rope.freq_base";
    let base = metadata.real(KEY)?.unwrap_or(DEFAULT_ROPE_BASE);
    if !base.is_finite() || base <= 1.0 {
        return Err(unusable(
            KEY,
            format!("is {base}, but must be greater than 1"),
        ));
    }
    Ok(base)
}

fn norm_eps(metadata: &Metadata) -> Result<f32> {
    const KEY: &str = "llama.attention.layer_norm_rms_epsilon";
    let eps = metadata
        .real(KEY)?
        .ok_or_else(|| unusable(KEY, "is missing"))?;
    if !(eps > 0.0 && eps < 1.0) {
        return Err(unusable(
            KEY,
            format!("is {eps}, but must be between 0 and 1"),
        ));
    }
    Ok(eps)
}
