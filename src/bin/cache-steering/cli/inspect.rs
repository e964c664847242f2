//! `cache-steering inspect`: what a model or vector file holds.

use super::{files, print, print_json};
use cache_steering::model::load::{ByteSource, FileSource, read_header};
use cache_steering::model::{ModelConfig, Tokenizer};
use cache_steering::steering::{SteeringVector, StrengthUnit, VectorMetadata};
use cache_steering::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct FileArgs {
    /// A file; one that ends in .safetensors is a vector, any other a model
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A model file, GGUF
    #[arg(long, value_name = "F.gguf")]
    model: Option<PathBuf>,
    /// A vector file
    #[arg(long, value_name = "F.safetensors")]
    vectors: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: FileArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ModelReport {
    kind: &'static str,
    gguf_version: u32,
    bytes: Option<u64>,
    config: ModelConfig,
    parameters: u64,
    tensors: usize,
    /// Number of tensors of each storage type.
    formats: BTreeMap<String, usize>,
    tokenizer: TokenizerReport,
    chat_template: bool,
}

#[derive(Serialize)]
struct TokenizerReport {
    model: Option<String>,
    pre: Option<String>,
    vocab_size: usize,
}

#[derive(Serialize)]
struct VectorReport {
    kind: &'static str,
    n_layers: usize,
    n_kv_heads: usize,
    head_dim: usize,
    metadata: VectorMetadata,
    /// Euclidean norm of each layer.
    values_norm: Vec<f64>,
    keys_norm: Vec<f64>,
}

pub async fn run(args: Args) -> Result<()> {
    let FileArgs {
        file,
        model,
        vectors,
    } = args.file;
    let (path, is_vector) = match (file, model, vectors) {
        (_, _, Some(path)) => (path, true),
        (_, Some(path), _) => (path, false),
        (Some(path), _, _) => {
            let is_vector = path.extension().is_some_and(|e| e == "safetensors");
            (path, is_vector)
        }
        (None, None, None) => return Err(Error::InvalidRequest("name a file".into())),
    };
    if is_vector {
        let report = VectorReport::new(&path)?;
        if args.json {
            print_json(&report)
        } else {
            print(&report.to_text())
        }
    } else {
        let report = ModelReport::new(&path).await?;
        if args.json {
            print_json(&report)
        } else {
            print(&report.to_text())
        }
    }
}

impl ModelReport {
    async fn new(path: &Path) -> Result<Self> {
        let mut source = FileSource::open(path)?;
        let header = read_header(&mut source).await?;
        let text = |key| {
            header
                .metadata
                .text(key)
                .map(|text| text.map(str::to_owned))
        };
        let mut formats = BTreeMap::new();
        for tensor in &header.tensors {
            *formats.entry(tensor.type_name()).or_insert(0) += 1;
        }
        Ok(Self {
            kind: "model",
            gguf_version: header.version,
            bytes: source.size(),
            config: ModelConfig::from_metadata(&header.metadata)?,
            parameters: header
                .tensors
                .iter()
                .map(|t| t.shape.iter().product::<usize>() as u64)
                .sum(),
            tensors: header.tensors.len(),
            formats,
            tokenizer: TokenizerReport {
                model: text("tokenizer.ggml.model")?,
                pre: text("tokenizer.ggml.pre")?,
                vocab_size: Tokenizer::from_metadata(&header.metadata)?.vocab_size(),
            },
            chat_template: text("tokenizer.chat_template")?.is_some(),
        })
    }

    fn to_text(&self) -> String {
        let c = &self.config;
        let formats: Vec<String> = self
            .formats
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let unknown = || "unknown".to_string();
        let mut table = Table::default();
        table.row("model", &c.name);
        table.row("architecture", c.architecture.name());
        if let Some(bytes) = self.bytes {
            table.row("file", format!("{bytes} bytes, GGUF {}", self.gguf_version));
        }
        table.row("parameters", self.parameters);
        table.row(
            "tensors",
            format!("{} ({})", self.tensors, formats.join(", ")),
        );
        table.row("layers", c.n_layers);
        table.row(
            "width",
            format!("{}, {} in the feed-forward network", c.width, c.ffn_width),
        );
        table.row(
            "attention",
            format!(
                "{} query heads, {} KV heads, head size {}",
                c.n_heads, c.n_kv_heads, c.head_dim
            ),
        );
        table.row(
            "context",
            format!("{} tokens, RoPE base {}", c.context_length, c.rope_base),
        );
        table.row("norm epsilon", c.norm_eps);
        table.row(
            "tokenizer",
            format!(
                "{} ({}), {} tokens",
                self.tokenizer.model.clone().unwrap_or_else(unknown),
                self.tokenizer.pre.clone().unwrap_or_else(unknown),
                self.tokenizer.vocab_size
            ),
        );
        table.row(
            "chat template",
            if self.chat_template { "yes" } else { "no" },
        );
        table.0
    }
}

impl VectorReport {
    fn new(path: &Path) -> Result<Self> {
        let vector = SteeringVector::from_bytes(&files::read(path)?)?;
        let norms = |tensor: &[f32]| {
            tensor
                .chunks(vector.layer_len().max(1))
                .map(|layer| {
                    layer
                        .iter()
                        .map(|&x| f64::from(x).powi(2))
                        .sum::<f64>()
                        .sqrt()
                })
                .collect()
        };
        let [n_layers, n_kv_heads, head_dim] = vector.dims;
        Ok(Self {
            kind: "vector",
            n_layers,
            n_kv_heads,
            head_dim,
            values_norm: norms(&vector.values),
            keys_norm: norms(&vector.keys),
            metadata: vector.metadata,
        })
    }

    fn to_text(&self) -> String {
        let m = &self.metadata;
        let r = &m.recommended;
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        let mut table = Table::default();
        table.row(
            "sizes",
            format!(
                "{} layers, {} KV heads, head size {}",
                self.n_layers, self.n_kv_heads, self.head_dim
            ),
        );
        table.row("offset", format!("{:?}", m.offset));
        table.row(
            "strength",
            format!(
                "values {}, keys {}, layers {} to {}{}",
                r.values,
                r.keys,
                r.first_layer,
                r.last_layer.unwrap_or(self.n_layers.saturating_sub(1)),
                match r.unit {
                    StrengthUnit::Vector => "",
                    StrengthUnit::Slot => ", in lengths of the slot",
                }
            ),
        );
        for (name, value) in [
            ("label", m.label.clone()),
            ("description", m.description.clone()),
            ("model", m.model.name.clone()),
            ("architecture", m.model.architecture.clone()),
            ("model sha256", m.model.sha256.clone()),
            ("marker", m.marker.clone()),
            (
                "penalty",
                m.repetition_penalty.map(|penalty| penalty.to_string()),
            ),
            ("extraction", Some(format!("{:?}", m.extraction))),
            ("pair set", m.pair_set.clone()),
            ("style", m.style.clone()),
            ("selection", m.selection.map(|s| format!("{s:?}"))),
            ("pairs", number(m.pairs.map(|n| n as u64))),
            ("shots", number(m.shots.map(|n| n as u64))),
            ("seed", number(m.seed)),
            ("made by", m.made_by.clone()),
        ] {
            if let Some(value) = value {
                table.row(name, value);
            }
        }
        table.row("norm by layer", "values      keys");
        for (layer, (values, keys)) in self.values_norm.iter().zip(&self.keys_norm).enumerate() {
            table.row(
                &format!("{layer:>13}"),
                format!("{values:<10.5}  {keys:.5}"),
            );
        }
        table.0
    }
}

/// Lines of a name and a value.
#[derive(Default)]
struct Table(String);

impl Table {
    fn row(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{name:<14} {value}");
    }
}
