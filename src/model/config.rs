//! The sizes and constants of a model, and the architectures that the engine has.

use super::metadata::{Metadata, unusable};
use super::weights::BLOCK;
use crate::{Error, Result};
use serde::Serialize;

/// A family of models that the engine has the forward pass of. GGUF files name it in
/// `general.architecture`, and it begins the names of their keys: `llama.block_count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Llama 2 and 3, SmolLM, and what is built like them.
    Llama,
    /// Qwen2 and Qwen2.5: as Llama, with biases of queries, keys and values.
    Qwen2,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Llama, Self::Qwen2];

    /// The name in `general.architecture`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }

    /// The architecture of a name that [`Architecture::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether queries, keys and values always have biases. Where they need not, a file may have
    /// them all the same.
    pub fn has_biases(self) -> bool {
        self == Self::Qwen2
    }

    /// Whether GGUF files hold the two rows of queries and of keys that RoPE turns together as
    /// neighbours, and not half a head apart.
    pub(super) fn interleaves_rows(self) -> bool {
        self == Self::Llama
    }

    /// A metadata key: `llama.block_count` for `block_count`.
    pub(super) fn key(self, rest: &str) -> String {
        format!("{}.{rest}", self.name())
    }
}

/// Base of RoPE's frequencies where a file does not say: that of the first Llama models.
const DEFAULT_ROPE_BASE: f32 = 10_000.0;

/// What the forward pass needs to know of a checkpoint, read from its GGUF metadata.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConfig {
    /// `general.name`, or the empty string.
    pub name: String,
    /// `general.architecture`.
    pub architecture: Architecture,
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
        let architecture = Architecture::from_name(architecture).ok_or_else(|| {
            Error::UnsupportedArchitecture {
                found: architecture.to_owned(),
            }
        })?;
        let keys = Keys {
            metadata,
            architecture,
        };
        let width = keys.size("embedding_length", 1 << 16)?;
        let n_heads = keys.size("attention.head_count", 1 << 10)?;
        let n_kv_heads = match keys.integer("attention.head_count_kv")? {
            Some(_) => keys.size("attention.head_count_kv", n_heads)?,
            None => n_heads,
        };
        if !n_heads.is_multiple_of(n_kv_heads) {
            return Err(keys.unusable(
                "attention.head_count_kv",
                format!("is {n_kv_heads}, which does not divide the {n_heads} query heads"),
            ));
        }
        let config = Self {
            name: metadata
                .text("general.name")?
                .unwrap_or_default()
                .to_owned(),
            architecture,
            n_layers: keys.size("block_count", 1 << 10)?,
            width,
            ffn_width: keys.size("feed_forward_length", 1 << 20)?,
            n_heads,
            n_kv_heads,
            head_dim: keys.head_dim(width, n_heads)?,
            vocab_size: metadata
                .texts("tokenizer.ggml.tokens")?
                .map_or(0, |tokens| tokens.len()),
            context_length: keys.size("context_length", 1 << 24)?,
            rope_base: keys.rope_base()?,
            rope_factors: Vec::new(),
            norm_eps: keys.norm_eps()?,
        };
        if config.vocab_size == 0 {
            return Err(unusable("tokenizer.ggml.tokens", "is missing or empty"));
        }
        for (key, columns) in [
            ("embedding_length", config.width),
            ("feed_forward_length", config.ffn_width),
            ("attention.head_count", config.q_width()),
        ] {
            if !columns.is_multiple_of(BLOCK) {
                return Err(keys.unusable(
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

/// The metadata of one architecture, by keys without its name.
#[derive(Clone, Copy)]
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: Architecture,
}

impl Keys<'_> {
    fn integer(self, key: &str) -> Result<Option<u64>> {
        self.metadata.integer(&self.architecture.key(key))
    }

    fn real(self, key: &str) -> Result<Option<f32>> {
        self.metadata.real(&self.architecture.key(key))
    }

    fn unusable(self, key: &str, problem: impl Into<String>) -> Error {
        unusable(&self.architecture.key(key), problem)
    }

    /// A size that must be there, at least 1 and at most `limit`.
    fn size(self, key: &str, limit: usize) -> Result<usize> {
        let value = self
            .integer(key)?
            .ok_or_else(|| self.unusable(key, "is missing"))?;
        usize::try_from(value)
            .ok()
            .filter(|size| (1..=limit).contains(size))
            .ok_or_else(|| self.unusable(key, format!("is {value}, but must be from 1 to {limit}")))
    }

    /// The size of one head: said outright, or the model's width divided among its heads.
    fn head_dim(self, width: usize, n_heads: usize) -> Result<usize> {
        const KEY: &str = "attention.key_length";
        const HEADS: &str = "attention.head_count";
        const LIMIT: usize = 1 << 10;
        let said = self.integer(KEY)?.is_some();
        let head_dim = if said {
            self.size(KEY, LIMIT)?
        } else if width.is_multiple_of(n_heads) {
            width / n_heads
        } else {
            return Err(self.unusable(
                HEADS,
                format!("is {n_heads}, which does not divide the width of {width}"),
            ));
        };
        if !head_dim.is_multiple_of(4) || head_dim > LIMIT {
            return Err(self.unusable(
                if said { KEY } else { HEADS },
                format!(
                    "gives heads of size {head_dim}, but must give a multiple of 4 up to {LIMIT}"
                ),
            ));
        }
        for key in ["attention.value_length", "rope.dimension_count"] {
            match self.integer(key)? {
                Some(other) if other != head_dim as u64 => {
                    return Err(self.unusable(
                        key,
                        format!(
                            "is {other}, but only the size of a head, {head_dim}, is supported"
                        ),
                    ));
                }
                _ => {}
            }
        }
        Ok(head_dim)
    }

    /// The base of RoPE's frequencies; a model that stretches positions in another way is refused.
    fn rope_base(self) -> Result<f32> {
        const SCALING: &str = "rope.scaling.type";
        match self.metadata.text(&self.architecture.key(SCALING))? {
            None | Some("none") => {}
            Some(other) => {
                return Err(self.unusable(SCALING, format!("is {other:?}, which is not supported")));
            }
        }
        const KEY: &str = "rope.freq_base";
        let base = self.real(KEY)?.unwrap_or(DEFAULT_ROPE_BASE);
        if !base.is_finite() || base <= 1.0 {
            return Err(self.unusable(KEY, format!("is {base}, but must be greater than 1")));
        }
        Ok(base)
    }

    fn norm_eps(self) -> Result<f32> {
        const KEY: &str = "attention.layer_norm_rms_epsilon";
        let eps = self
            .real(KEY)?
            .ok_or_else(|| self.unusable(KEY, "is missing"))?;
        if !(eps > 0.0 && eps < 1.0) {
            return Err(self.unusable(KEY, format!("is {eps}, but must be between 0 and 1")));
        }
        Ok(eps)
    }
}
