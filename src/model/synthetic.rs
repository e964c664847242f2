//! Models of any size with random weights: as complete GGUF files, or made up one tensor at a time.
//!
//! They exercise the loader and the backends where no real model of that size, format or shape is
//! at hand: in tests, in the browser, and in benchmarks. They are complete down to the tokenizer
//! and the chat template, and say nothing of sense. Their rows of queries and keys count as being
//! in the file's order: of a llama model, the loader reorders them.

use super::metadata::{Metadata, Value};
use super::weights::{BLOCK, LayerWeight, WeightFormat, WeightMatrix, WeightName};
use super::{Architecture, ChatTemplate, Model, ModelConfig, ModelFile, Tokenizer, WeightSize};
use crate::{Error, Result};
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};
use half::f16;
use std::io::Cursor;

/// Special tokens, with the ids that they have in SmolLM2.
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// The smallest vocabulary: special tokens and one token for each byte.
pub const MIN_VOCAB: usize = SPECIAL.len() + 256;

/// Messages between `<|im_start|>` and `<|im_end|>`.
const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A model that loads in no time, with sizes that are all different.
pub fn tiny() -> ModelConfig {
    ModelConfig {
        name: "synthetic".into(),
        architecture: Architecture::Llama,
        n_layers: 3,
        width: 96,
        ffn_width: 160,
        n_heads: 8,
        n_kv_heads: 2,
        head_dim: 16,
        vocab_size: 320,
        context_length: 512,
        rope_base: 10_000.0,
        rope_factors: Vec::new(),
        norm_eps: 1e-5,
    }
}

/// The shape of SmolLM2-135M.
pub fn smollm2_135m() -> ModelConfig {
    ModelConfig {
        name: "smollm2-135m".into(),
        n_layers: 30,
        width: 576,
        ffn_width: 1536,
        n_heads: 9,
        n_kv_heads: 3,
        ..smollm2_360m()
    }
}

/// The shape of SmolLM2-360M.
pub fn smollm2_360m() -> ModelConfig {
    ModelConfig {
        name: "smollm2-360m".into(),
        n_layers: 32,
        width: 960,
        ffn_width: 2560,
        n_heads: 15,
        n_kv_heads: 5,
        head_dim: 64,
        vocab_size: 49152,
        context_length: 8192,
        rope_base: 100_000.0,
        rope_factors: Vec::new(),
        ..tiny()
    }
}

/// Writes a model of these sizes, with its head tied to the embedding. Matrices are in `format`,
/// norms in F32; the same `seed` gives the same weights, each tensor's independent of the others.
///
/// # Errors
/// [`Error::InvalidRequest`] where the vocabulary is too small or too large, [`Error::Cpu`] where
/// the sizes do not fit the format.
pub fn gguf(config: &ModelConfig, format: WeightFormat, seed: u64) -> Result<Vec<u8>> {
    gguf_of_types(config, |_| format.dtype(), seed)
}

/// The same with a type for each matrix.
///
/// # Errors
/// As [`gguf`].
pub fn gguf_of_types(
    config: &ModelConfig,
    dtype: impl Fn(WeightName) -> GgmlDType,
    seed: u64,
) -> Result<Vec<u8>> {
    let weights = WeightName::required(config).zip(0..).map(|(name, n)| {
        let mut random = Random(seed.wrapping_mul(0x1_0000_0001).wrapping_add(n << 40));
        let values = values(config, name, &mut random);
        let dtype = match name.is_vector() {
            true => GgmlDType::F32,
            false => dtype(name),
        };
        (name, dtype, values)
    });
    let factors = Some(config.rope_factors.clone())
        .filter(|factors| !factors.is_empty())
        .map(|factors| (WeightName::RopeFactors, GgmlDType::F32, factors));
    file(config, weights.chain(factors))
}

/// Writes a model of these tensors: of each its name, how it is stored, and its values, row after row.
///
/// # Errors
/// As [`gguf`].
pub fn file(
    config: &ModelConfig,
    tensors: impl IntoIterator<Item = (WeightName, GgmlDType, Vec<f32>)>,
) -> Result<Vec<u8>> {
    let metadata = metadata(config)?;
    let tensors: Vec<(String, QTensor)> = tensors
        .into_iter()
        .map(|(name, dtype, values)| {
            let (rows, cols) = name.shape(config);
            let tensor = match name.is_vector() {
                true => Tensor::from_vec(values, cols, &Device::Cpu)?,
                false => Tensor::from_vec(values, (rows, cols), &Device::Cpu)?,
            };
            Ok((name.gguf_name(), QTensor::quantize(&tensor, dtype)?))
        })
        .collect::<Result<_>>()?;
    let metadata: Vec<(&str, &Value)> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    write(&metadata, tensors.iter())
}

/// The types of a file named Q4_K_M, as llama.cpp chooses them: K-quants where a row has a multiple of
/// 256 values, Q5_0 for Q4_K and Q8_0 for Q6_K elsewhere, and more bits in some layers.
pub fn q4_k_m(config: &ModelConfig) -> impl Fn(WeightName) -> GgmlDType {
    let config = config.clone();
    move |name| {
        let n = config.n_layers;
        let more_bits = match name {
            WeightName::Embedding | WeightName::Output => true,
            WeightName::Layer(i, LayerWeight::Value | LayerWeight::Down) => {
                i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2
            }
            _ => false,
        };
        match (name.shape(&config).1.is_multiple_of(256), more_bits) {
            (true, true) => GgmlDType::Q6K,
            (true, false) => GgmlDType::Q4K,
            (false, true) => GgmlDType::Q8_0,
            (false, false) => GgmlDType::Q5_0,
        }
    }
}

/// Splits a model file into `count`, as `gguf-split` of llama.cpp does: all metadata in the first.
///
/// # Errors
/// [`Error::Cpu`] where it is no GGUF file, [`Error::InvalidRequest`] where it has fewer tensors.
pub fn split(gguf: &[u8], count: usize) -> Result<Vec<Vec<u8>>> {
    let mut file = Cursor::new(gguf);
    let content = gguf_file::Content::read(&mut file)?;
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort_by_key(|name| content.tensor_infos[*name].offset);
    let numbers = |n: usize| {
        [
            ("split.no", Value::U16(n as u16)),
            ("split.count", Value::U16(count as u16)),
            ("split.tensors.count", Value::I32(names.len() as i32)),
        ]
    };
    if count == 0 || count > names.len() {
        return Err(Error::InvalidRequest(format!(
            "a model of {} tensors cannot be split into {count} files",
            names.len()
        )));
    }
    (0..count)
        .map(|n| {
            let part = names.len() * n / count..names.len() * (n + 1) / count;
            let tensors: Vec<(String, QTensor)> = names[part]
                .iter()
                .map(|name| {
                    let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
                    Ok(((*name).clone(), tensor))
                })
                .collect::<Result<_>>()?;
            let numbers = numbers(n);
            let mut metadata: Vec<(&str, &Value)> =
                numbers.iter().map(|(key, value)| (*key, value)).collect();
            if n == 0 {
                metadata.extend(content.metadata.iter().map(|(k, v)| (k.as_str(), v)));
            }
            write(&metadata, tensors.iter())
        })
        .collect()
}

fn write<'a>(
    metadata: &[(&str, &Value)],
    tensors: impl Iterator<Item = &'a (String, QTensor)>,
) -> Result<Vec<u8>> {
    let tensors: Vec<(&str, &QTensor)> = tensors
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, metadata, &tensors)?;
    Ok(file.into_inner())
}

/// A model without its weights, to go with those of [`weights`].
///
/// # Errors
/// [`Error::InvalidRequest`] where the vocabulary is too small or too large.
pub fn model(config: &ModelConfig) -> Result<Model> {
    let metadata = Metadata(metadata(config)?.into_iter().collect());
    Ok(Model {
        config: config.clone(),
        tokenizer: Tokenizer::from_metadata(&metadata)?,
        chat: ChatTemplate::from_metadata(&metadata)?,
        file: ModelFile {
            bytes: 0,
            sha256: String::new(),
            parts: Vec::new(),
        },
        weights: WeightSize::default(),
    })
}

/// The weights of a model of these sizes, made up one at a time as they are asked for, for timings:
/// random blocks whose scales keep activations finite. As in real files of four bits a weight, the
/// embedding that the head is tied to has eight.
pub fn weights(
    config: &ModelConfig,
    format: WeightFormat,
) -> impl Iterator<Item = (WeightName, WeightMatrix)> {
    WeightName::required(config).zip(1..).map(move |(name, n)| {
        let (rows, cols) = name.shape(config);
        let (mean, deviation) = distribution(config, name);
        let format = match (name, format) {
            _ if name.is_vector() => WeightFormat::F32,
            (WeightName::Embedding, WeightFormat::Q4_0 | WeightFormat::Q4_1) => WeightFormat::Q8_0,
            _ => format,
        };
        let mut random = Random(n << 40);
        let data = blocks(format, rows * cols / BLOCK, mean, deviation, &mut random);
        let matrix = WeightMatrix {
            format,
            rows,
            cols,
            data,
        };
        (name, matrix)
    })
}

/// `count` blocks of random values with this deviation; F32 has the mean as well.
fn blocks(
    format: WeightFormat,
    count: usize,
    mean: f32,
    deviation: f32,
    random: &mut Random,
) -> Vec<u8> {
    let mut data = vec![0; count * format.block_bytes()];
    match format {
        WeightFormat::F32 => {
            for value in data.chunks_exact_mut(4) {
                let drawn = mean + deviation * random.next();
                value.copy_from_slice(&drawn.to_le_bytes());
            }
            return data;
        }
        WeightFormat::F16 => {
            for value in data.chunks_exact_mut(2) {
                let drawn = f16::from_f32(deviation * random.next());
                value.copy_from_slice(&drawn.to_le_bytes());
            }
            return data;
        }
        WeightFormat::Q8_0 | WeightFormat::Q4_0 | WeightFormat::Q4_1 => {}
    }
    for bytes in data.chunks_mut(8) {
        let drawn = random.bits().to_le_bytes();
        bytes.copy_from_slice(&drawn[..bytes.len()]);
    }
    // Uniform integers of 8 bits deviate by 74 from their mean, those of 4 bits by 4.6.
    let scale = f16::from_f32(match format {
        WeightFormat::Q8_0 => deviation / 74.0,
        _ => deviation / 4.6,
    });
    let minimum = f16::from_f32(-7.5 * scale.to_f32());
    for block in data.chunks_exact_mut(format.block_bytes()) {
        block[..2].copy_from_slice(&scale.to_le_bytes());
        if format == WeightFormat::Q4_1 {
            block[2..4].copy_from_slice(&minimum.to_le_bytes());
        }
    }
    data
}

/// Mean and standard deviation of a tensor's values.
fn distribution(config: &ModelConfig, name: WeightName) -> (f32, f32) {
    // Each matrix keeps the size of its input; what is added to the residual stream is smaller,
    // so that the stream does not grow with the number of layers.
    let per_input = 1.0 / (name.shape(config).1 as f32).sqrt();
    let per_layer = 1.0 / (2.0 * config.n_layers as f32).sqrt();
    match name {
        _ if name.is_bias() => (0.0, 0.3),
        _ if name.is_vector() => (1.0, 0.1),
        WeightName::Embedding | WeightName::Output => (0.0, 2.0 * per_input),
        WeightName::Layer(_, LayerWeight::AttentionOutput | LayerWeight::Down) => {
            (0.0, per_input * per_layer)
        }
        _ => (0.0, per_input),
    }
}

fn values(config: &ModelConfig, name: WeightName, random: &mut Random) -> Vec<f32> {
    let (rows, cols) = name.shape(config);
    let (mean, deviation) = distribution(config, name);
    // A uniform distribution reaches the square root of 3 times its deviation.
    let reach = deviation * 3f32.sqrt();
    (0..rows * cols)
        .map(|_| mean + reach * random.next())
        .collect()
}

fn metadata(config: &ModelConfig) -> Result<Vec<(String, Value)>> {
    let (tokens, merges) = vocabulary(config.vocab_size)?;
    let kinds = (0..tokens.len()).map(|id| Value::I32(if id < SPECIAL.len() { 3 } else { 1 }));
    let text = |text: &str| Value::String(text.into());
    let list = |texts: Vec<String>| Value::Array(texts.into_iter().map(Value::String).collect());
    let size = |size: usize| Value::U32(size as u32);
    let sizes = [
        ("block_count", size(config.n_layers)),
        ("context_length", size(config.context_length)),
        ("embedding_length", size(config.width)),
        ("feed_forward_length", size(config.ffn_width)),
        ("attention.head_count", size(config.n_heads)),
        ("attention.head_count_kv", size(config.n_kv_heads)),
        ("attention.key_length", size(config.head_dim)),
        ("attention.value_length", size(config.head_dim)),
        ("rope.dimension_count", size(config.head_dim)),
        ("rope.freq_base", Value::F32(config.rope_base)),
        (
            "attention.layer_norm_rms_epsilon",
            Value::F32(config.norm_eps),
        ),
    ];
    let texts = [
        ("general.architecture", text(config.architecture.name())),
        ("general.name", text(&config.name)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", list(tokens)),
        ("tokenizer.ggml.token_type", Value::Array(kinds.collect())),
        ("tokenizer.ggml.merges", list(merges)),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.chat_template", text(CHATML)),
    ];
    let sizes = sizes.map(|(key, value)| (config.architecture.key(key), value));
    let texts = texts.map(|(key, value)| (key.to_owned(), value));
    Ok(texts.into_iter().chain(sizes).collect())
}

/// Tokens and merges: the special tokens, the bytes, then pairs of bytes.
fn vocabulary(size: usize) -> Result<(Vec<String>, Vec<String>)> {
    let mut bytes: Vec<char> = super::tokenizer::characters().into();
    // Letters and the space come first, so that the merges of a small vocabulary are of use.
    bytes.sort_by_key(|&c| (!(c.is_ascii_lowercase() || c == 'Ġ'), c));
    let pairs = size
        .checked_sub(MIN_VOCAB)
        .filter(|&pairs| pairs <= bytes.len() * bytes.len())
        .ok_or_else(|| {
            let most = MIN_VOCAB + bytes.len() * bytes.len();
            Error::InvalidRequest(format!(
                "a synthetic vocabulary has {MIN_VOCAB} to {most} tokens, not {size}"
            ))
        })?;
    let pairs: Vec<(char, char)> = bytes
        .iter()
        .flat_map(|&left| bytes.iter().map(move |&right| (left, right)))
        .take(pairs)
        .collect();
    let tokens = SPECIAL
        .map(str::to_owned)
        .into_iter()
        .chain(bytes.iter().map(char::to_string))
        .chain(pairs.iter().map(|(left, right)| format!("{left}{right}")))
        .collect();
    let merges = pairs.iter().map(|(left, right)| format!("{left} {right}"));
    Ok((tokens, merges.collect()))
}

/// SplitMix64 (Steele et al. 2014): small, fast, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number from -1 to 1.
    fn next(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
