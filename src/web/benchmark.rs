//! The benchmark for JavaScript: made-up weights, or a model behind an address.

use super::fetch::FetchSource;
use crate::backend::CacheSize;
use crate::backend::choose::BackendChoice;
use crate::benchmark::{About, Plan, Report, Subject, SyntheticModel};
use crate::engine::EngineOptions;
use crate::model::LoadProgress;
use crate::model::weights::WeightFormat;
use crate::observer::Observer;
use crate::{Engine, Error, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use web_sys::AbortSignal;
use web_time::Duration;

/// What to measure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BenchmarkRequest {
    /// The model.
    pub model: BenchmarkModel,
    /// Where it runs.
    #[serde(default)]
    pub backend: BackendChoice,
    /// All lengths and lanes instead of what a visitor waits for.
    #[serde(default)]
    pub full: bool,
    /// Time for all of it.
    pub budget_ms: u32,
    /// When, how and where it runs.
    pub about: About,
}

/// A shape to make up weights for, or a file.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum BenchmarkModel {
    /// Made-up weights.
    Synthetic {
        /// One of [`SyntheticModel::SHAPES`].
        synthetic: String,
        /// Format of the weights.
        quant: String,
        /// Transformer blocks, where not all of the shape's are wanted.
        layers: Option<usize>,
    },
    /// A GGUF file.
    File {
        /// Its address.
        url: String,
    },
}

/// The figures.
#[derive(Debug, Serialize)]
pub struct BenchmarkResult {
    /// Each by itself.
    pub report: Report,
    /// All as text in columns, to be copied.
    pub table: String,
}

impl BenchmarkRequest {
    pub(super) fn plan(&self) -> Plan {
        let budget = Duration::from_millis(self.budget_ms.into());
        if self.full {
            // A buffer in WebAssembly's memory is never given back.
            let copy_bytes = 64 << 20;
            Plan {
                copy_bytes,
                ..Plan::full(budget)
            }
        } else {
            Plan::quick(budget)
        }
    }

    pub(super) fn subject(&self, signal: AbortSignal) -> Result<Box<dyn Subject>> {
        let options = EngineOptions::default();
        match &self.model {
            BenchmarkModel::Synthetic {
                synthetic,
                quant,
                layers,
            } => {
                let mut config = SyntheticModel::shape(synthetic)?;
                config.n_layers = layers.unwrap_or(config.n_layers).clamp(1, config.n_layers);
                Ok(Box::new(SyntheticModel {
                    config,
                    format: WeightFormat::from_name(quant).ok_or_else(|| {
                        Error::InvalidRequest(format!("there is no weight format {quant:?}"))
                    })?,
                    backend: self.backend,
                    cpu_precision: options.cpu_precision,
                }))
            }
            BenchmarkModel::File { url } => Ok(Box::new(ModelUrl {
                url: url.clone(),
                backend: self.backend,
                signal,
            })),
        }
    }
}

/// A model behind an address, fetched anew each time; the browser's cache may have it.
struct ModelUrl {
    url: String,
    backend: BackendChoice,
    signal: AbortSignal,
}

#[async_trait(?Send)]
impl Subject for ModelUrl {
    async fn engine(
        &mut self,
        cache: CacheSize,
        observer: &mut dyn Observer<()>,
    ) -> Result<Engine> {
        let mut source = FetchSource::open(&self.url, self.signal.clone()).await?;
        let options = EngineOptions {
            backend: self.backend,
            lanes: cache.lanes,
            capacity: Some(cache.capacity),
            ..EngineOptions::default()
        };
        Engine::load(&mut source, &options, &mut Loading(observer)).await
    }
}

struct Loading<'a>(&'a mut dyn Observer<()>);

#[async_trait(?Send)]
impl Observer<LoadProgress> for Loading<'_> {
    async fn observe(&mut self, _: LoadProgress) -> ControlFlow<()> {
        self.0.observe(()).await
    }
}
