//! `--model`, `--backend`, `--precision`, and what they open.

use super::{kernels, progress};
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::EngineOptions;
use cache_steering::model::load::{FileSource, check_first, read_header};
use cache_steering::model::{ChatTemplate, LoadProgress, ModelConfig, Tokenizer};
use cache_steering::{Engine, Result};
use clap::ValueEnum;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct ModelArgs {
    /// Model file, GGUF
    #[arg(long, value_name = "F.gguf")]
    model: PathBuf,
    #[command(flatten)]
    run: RunArgs,
}

/// Where and how a model runs.
#[derive(Clone, Copy, clap::Args)]
pub struct RunArgs {
    /// Where to run it
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,
    /// How the CPU computes
    #[arg(long, value_enum, default_value_t = Precision::Quantized)]
    precision: Precision,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    /// The GPU, unless there is none or it computes in software
    Auto,
    /// Any graphics adapter, a software one included
    Gpu,
    /// The processor
    Cpu,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    /// 32-bit floats: the reference
    F32,
    /// Weights as they are in the file, 16-bit activations: several times as fast, and what
    /// browsers use where they have no GPU
    Quantized,
}

impl ModelArgs {
    /// What of the model deals with text.
    pub async fn text(&self) -> Result<TextParts> {
        text(&self.model).await
    }

    /// Loads the model with one lane of `capacity` positions, or as many as the model has.
    pub async fn load(&self, capacity: usize) -> Result<Engine> {
        self.load_lanes(1, capacity).await
    }

    /// As [`ModelArgs::load`], with several lanes.
    pub async fn load_lanes(&self, lanes: usize, capacity: usize) -> Result<Engine> {
        let options = EngineOptions {
            kernels: kernels::remembered(&self.model),
            ..self.run.options(lanes, capacity.max(1))
        };
        let bar = progress::bytes("loading the model");
        let mut observer = |LoadProgress { done, total }| {
            bar.set_length(total.unwrap_or(done));
            bar.set_position(done);
            ControlFlow::Continue(())
        };
        let mut source = FileSource::open(&self.model)?;
        let engine = Engine::load(&mut source, &options, &mut observer).await?;
        bar.finish_and_clear();
        kernels::remember(&self.model, &engine);
        Ok(engine)
    }
}

impl RunArgs {
    /// What these arguments say, with a KV cache of this size.
    pub fn options(self, lanes: usize, capacity: usize) -> EngineOptions {
        EngineOptions {
            backend: match self.backend {
                Backend::Auto => BackendChoice::Auto,
                Backend::Gpu => BackendChoice::Gpu,
                Backend::Cpu => BackendChoice::Cpu,
            },
            cpu_precision: match self.precision {
                Precision::F32 => CpuPrecision::F32,
                Precision::Quantized => CpuPrecision::Quantized,
            },
            lanes,
            capacity: Some(capacity),
            kernels: None,
        }
    }
}

/// A model without its weights.
pub struct TextParts {
    pub config: ModelConfig,
    pub tokenizer: Tokenizer,
    pub chat: ChatTemplate,
}

/// Reads what of a model deals with text. The header is small, so this costs little even where the
/// weights are loaded afterwards, and it tells how long the KV cache has to be.
pub async fn text(path: &Path) -> Result<TextParts> {
    let header = read_header(&mut FileSource::open(path)?).await?;
    check_first(&header)?;
    Ok(TextParts {
        config: ModelConfig::from_metadata(&header.metadata)?,
        tokenizer: Tokenizer::from_metadata(&header.metadata)?,
        chat: ChatTemplate::from_metadata(&header.metadata)?,
    })
}
