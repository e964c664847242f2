//! The weights of a model: their names, their storage formats, and one tensor
//! on its way from the file to a backend.

use super::{ModelConfig, blocks};
use crate::Result;
use candle_core::quantized::GgmlDType;

/// How the values of a matrix are stored. The first three are GGML's blocks of 32 values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// f16 scale `d`, 32 signed bytes: `w = d * q`. 34 bytes a block.
    Q8_0,
    /// f16 scale `d`, 32 nibbles: `w = d * (q - 8)`. 18 bytes a block.
    Q4_0,
    /// f16 scale `d` and minimum `m`, 32 nibbles: `w = d * q + m`. 20 bytes a block.
    Q4_1,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

/// Values in one block of a quantised format; matrices have rows that are a multiple of it.
pub const BLOCK: usize = 32;

impl WeightFormat {
    /// Bytes that 32 consecutive values of a row take.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::F16 => 64,
            Self::F32 => 128,
        }
    }

    /// The same format as candle's type.
    pub fn dtype(self) -> GgmlDType {
        match self {
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::F16 => GgmlDType::F16,
            Self::F32 => GgmlDType::F32,
        }
    }

    /// The format of a name that [`WeightFormat::name`] gives.
    pub fn from_name(name: &str) -> Option<Self> {
        use WeightFormat::{F16, F32, Q4_0, Q4_1, Q8_0};
        [Q8_0, Q4_0, Q4_1, F16, F32]
            .into_iter()
            .find(|format| format.name() == name)
    }

    /// The name as GGML writes it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }
}

/// One tensor of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightName {
    /// Token embedding, `[vocab_size, width]`.
    Embedding,
    /// Scale of the RMSNorm before the head, `[width]`.
    OutputNorm,
    /// The head, `[vocab_size, width]`; absent where it is tied to the embedding.
    Output,
    /// [`ModelConfig::rope_factors`], `[head_dim / 2]`; absent in most models.
    RopeFactors,
    /// A tensor of a transformer block.
    Layer(usize, LayerWeight),
}

/// One tensor of a transformer block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerWeight {
    /// Scale of the RMSNorm before attention, `[width]`.
    AttentionNorm,
    /// Query projection, `[q_width, width]`.
    Query,
    /// Added to queries, `[q_width]`; see [`Architecture::has_biases`](super::Architecture::has_biases).
    QueryBias,
    /// Key projection, `[kv_width, width]`.
    Key,
    /// Added to keys, `[kv_width]`.
    KeyBias,
    /// Value projection, `[kv_width, width]`.
    Value,
    /// Added to values, `[kv_width]`.
    ValueBias,
    /// Attention output projection, `[width, q_width]`.
    AttentionOutput,
    /// Scale of the RMSNorm before the feed-forward network, `[width]`.
    FfnNorm,
    /// Gate projection, `[ffn_width, width]`.
    Gate,
    /// Up projection, `[ffn_width, width]`.
    Up,
    /// Down projection, `[width, ffn_width]`.
    Down,
}

impl LayerWeight {
    /// All tensors of a block, in the order of the forward pass.
    pub const ALL: [LayerWeight; 12] = [
        Self::AttentionNorm,
        Self::Query,
        Self::QueryBias,
        Self::Key,
        Self::KeyBias,
        Self::Value,
        Self::ValueBias,
        Self::AttentionOutput,
        Self::FfnNorm,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// The biases, in the order in which the stage `qkv` computes what they are added to.
    pub const BIASES: [LayerWeight; 3] = [Self::QueryBias, Self::KeyBias, Self::ValueBias];

    fn gguf_name(self) -> &'static str {
        match self {
            Self::AttentionNorm => "attn_norm.weight",
            Self::Query => "attn_q.weight",
            Self::QueryBias => "attn_q.bias",
            Self::Key => "attn_k.weight",
            Self::KeyBias => "attn_k.bias",
            Self::Value => "attn_v.weight",
            Self::ValueBias => "attn_v.bias",
            Self::AttentionOutput => "attn_output.weight",
            Self::FfnNorm => "ffn_norm.weight",
            Self::Gate => "ffn_gate.weight",
            Self::Up => "ffn_up.weight",
            Self::Down => "ffn_down.weight",
        }
    }
}

impl WeightName {
    /// The name in a GGUF file, such as `blk.3.attn_q.weight`.
    pub fn gguf_name(self) -> String {
        match self {
            Self::Embedding => "token_embd.weight".into(),
            Self::OutputNorm => "output_norm.weight".into(),
            Self::Output => "output.weight".into(),
            Self::RopeFactors => "rope_freqs.weight".into(),
            Self::Layer(layer, weight) => format!("blk.{layer}.{}", weight.gguf_name()),
        }
    }

    /// The tensor that a GGUF name stands for, if it is one that the engine knows.
    pub fn from_gguf_name(name: &str) -> Option<Self> {
        match name {
            "token_embd.weight" => return Some(Self::Embedding),
            "output_norm.weight" => return Some(Self::OutputNorm),
            "output.weight" => return Some(Self::Output),
            "rope_freqs.weight" => return Some(Self::RopeFactors),
            _ => {}
        }
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let weight = LayerWeight::ALL
            .into_iter()
            .find(|w| w.gguf_name() == rest)?;
        Some(Self::Layer(layer.parse().ok()?, weight))
    }

    /// Whether this is a single row of floats, such as the scale of an RMSNorm, and not a matrix.
    pub fn is_vector(self) -> bool {
        use LayerWeight::{AttentionNorm, FfnNorm};
        match self {
            Self::OutputNorm | Self::RopeFactors => true,
            Self::Embedding | Self::Output => false,
            Self::Layer(_, AttentionNorm | FfnNorm) => true,
            Self::Layer(..) => self.is_bias(),
        }
    }

    /// Whether this is added to what a projection gives.
    pub fn is_bias(self) -> bool {
        matches!(self, Self::Layer(_, weight) if LayerWeight::BIASES.contains(&weight))
    }

    /// Rows and columns for a model of these sizes; a vector is one row.
    pub fn shape(self, config: &ModelConfig) -> (usize, usize) {
        let c = config;
        match self {
            Self::Embedding | Self::Output => (c.vocab_size, c.width),
            Self::OutputNorm => (1, c.width),
            Self::RopeFactors => (1, c.head_dim / 2),
            Self::Layer(_, weight) => match weight {
                LayerWeight::AttentionNorm | LayerWeight::FfnNorm => (1, c.width),
                LayerWeight::QueryBias => (1, c.q_width()),
                LayerWeight::KeyBias | LayerWeight::ValueBias => (1, c.kv_width()),
                LayerWeight::Query => (c.q_width(), c.width),
                LayerWeight::Key | LayerWeight::Value => (c.kv_width(), c.width),
                LayerWeight::AttentionOutput => (c.width, c.q_width()),
                LayerWeight::Gate | LayerWeight::Up => (c.ffn_width, c.width),
                LayerWeight::Down => (c.width, c.ffn_width),
            },
        }
    }

    /// Every tensor that a model of these sizes must have ([`WeightName::Output`] may be tied,
    /// [`WeightName::RopeFactors`] is rare, and biases are of some architectures alone).
    pub fn required(config: &ModelConfig) -> impl Iterator<Item = WeightName> {
        let biases = config.architecture.has_biases();
        [Self::Embedding, Self::OutputNorm]
            .into_iter()
            .chain(
                (0..config.n_layers)
                    .flat_map(|layer| LayerWeight::ALL.map(|weight| Self::Layer(layer, weight))),
            )
            .filter(move |name| biases || !name.is_bias())
    }
}

/// One matrix, or a norm's scale or a bias as a single row, in the bytes of its format: row after row.
///
/// Query and key projections, and their biases, have their rows in *rotate-half* order (the order of Hugging Face
/// checkpoints: RoPE turns element `i` with element `i + head_dim / 2`), whatever the file's order
/// was, so that a cached key means the same on every backend and in every vector file.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightMatrix {
    /// Storage format of `data`.
    pub format: WeightFormat,
    /// Output size.
    pub rows: usize,
    /// Input size.
    pub cols: usize,
    /// `rows * cols / 32 * format.block_bytes()` bytes.
    pub data: Vec<u8>,
}

impl WeightMatrix {
    /// The values, row after row.
    ///
    /// # Errors
    /// [`Error::Cpu`](crate::Error::Cpu) where `data` has another length than the sizes say.
    pub fn dequantize(&self) -> Result<Vec<f32>> {
        blocks::unpack(self.format.dtype(), &self.data, self.rows * self.cols)
    }

    /// The values in another format.
    ///
    /// # Errors
    /// As [`WeightMatrix::dequantize`].
    pub fn into_format(self, format: WeightFormat) -> Result<WeightMatrix> {
        if format == self.format {
            return Ok(self);
        }
        let data = blocks::pack(format, &self.dequantize()?)?;
        Ok(WeightMatrix {
            format,
            data,
            ..self
        })
    }

    /// Stacks the rows of matrices of equal width. Where their formats differ, all become the widest
    /// of them; blocks of 4 and 8 bits, [`WeightFormat::Q8_0`].
    ///
    /// # Errors
    /// As [`WeightMatrix::dequantize`].
    pub fn stack(mut parts: Vec<WeightMatrix>) -> Result<WeightMatrix> {
        // An embedding is large enough that a second copy of it counts.
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let has = |format| parts.iter().any(|part| part.format == format);
        let format = match parts.first() {
            Some(first) if parts.iter().all(|p| p.format == first.format) => first.format,
            _ if has(WeightFormat::F32) => WeightFormat::F32,
            _ if has(WeightFormat::F16) => WeightFormat::F16,
            _ => WeightFormat::Q8_0,
        };
        let mut stacked = WeightMatrix {
            format,
            rows: 0,
            cols: parts.first().map_or(0, |p| p.cols),
            data: Vec::new(),
        };
        for part in parts {
            stacked.rows += part.rows;
            stacked.data.extend(part.into_format(format)?.data);
        }
        Ok(stacked)
    }
}
