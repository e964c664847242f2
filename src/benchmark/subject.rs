//! What is measured: a model that can be loaded as often as there are caches to try.

use crate::backend::CacheSize;
use crate::backend::choose::{BackendChoice, choose};
use crate::backend::cpu::CpuPrecision;
use crate::engine::Engine;
use crate::model::weights::{WeightFormat, WeightName};
use crate::model::{ModelConfig, WeightSize, synthetic};
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;

/// A model to measure.
#[async_trait(?Send)]
pub trait Subject {
    /// Loads it with a KV cache of this size, or of a smaller capacity where the model is trained
    /// for fewer positions. The observer hears now and then, and can break off.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or what loading gives.
    async fn engine(&mut self, cache: CacheSize, observer: &mut dyn Observer<()>)
    -> Result<Engine>;
}

/// A model whose weights are made up while it is loaded, one tensor at a time.
#[derive(Debug, Clone)]
pub struct SyntheticModel {
    /// Its sizes.
    pub config: ModelConfig,
    /// Format of its matrices; see [`synthetic::weights`].
    pub format: WeightFormat,
    /// Where it runs.
    pub backend: BackendChoice,
    /// How the CPU computes.
    pub cpu_precision: CpuPrecision,
}

impl SyntheticModel {
    /// The names of the shapes that there are.
    pub const SHAPES: [&str; 2] = ["smollm2-135m", "smollm2-360m"];

    /// The sizes that go by a name of [`SyntheticModel::SHAPES`].
    ///
    /// # Errors
    /// [`Error::InvalidRequest`].
    pub fn shape(name: &str) -> Result<ModelConfig> {
        match name {
            "smollm2-135m" => Ok(synthetic::smollm2_135m()),
            "smollm2-360m" => Ok(synthetic::smollm2_360m()),
            _ => Err(Error::InvalidRequest(format!(
                "there is no synthetic model {name:?}: choose one of {}",
                Self::SHAPES.join(", ")
            ))),
        }
    }
}

#[async_trait(?Send)]
impl Subject for SyntheticModel {
    async fn engine(
        &mut self,
        cache: CacheSize,
        observer: &mut dyn Observer<()>,
    ) -> Result<Engine> {
        let mut model = synthetic::model(&self.config)?;
        let chosen = choose(self.backend).await?;
        let CacheSize { lanes, capacity } = cache;
        let (mut builder, reason) = chosen.builder(
            &self.config,
            lanes,
            Some(capacity),
            self.cpu_precision,
            None,
        )?;
        let mut weights = WeightSize::default();
        for (name, matrix) in synthetic::weights(&self.config, self.format) {
            weights.add(name, &matrix);
            builder.add(name, matrix)?;
            // A layer takes milliseconds: often enough to hear a stop.
            let layer_starts = !matches!(name, WeightName::Layer(..)) || name.is_vector();
            if layer_starts && observer.observe(()).await.is_break() {
                return Err(Error::Cancelled);
            }
        }
        model.weights = weights;
        Ok(Engine::new(model, builder.finish().await?, reason))
    }
}
