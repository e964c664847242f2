//! Collects the weights as they come off the stream.

use super::cache::KvCache;
use super::decode::Decoding;
use super::matrix::Matrix;
use super::weights::{Layer, Weights};
use super::{CpuBackend, CpuPrecision, MAX_ROWS};
use crate::backend::{Backend, BackendBuilder, BackendInfo, BackendKind, CacheSize, rope};
use crate::model::ModelConfig;
use crate::model::weights::{LayerWeight, WeightMatrix, WeightName};
use crate::{Error, Result};
use std::collections::HashMap;

/// Makes a CPU backend.
pub struct CpuBuilder {
    config: ModelConfig,
    precision: CpuPrecision,
    cache: KvCache,
    vectors: HashMap<WeightName, Vec<f32>>,
    matrices: HashMap<WeightName, Matrix>,
}

impl CpuBuilder {
    /// A builder for a model of these sizes, with an empty KV cache.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the cache is too large.
    pub fn new(config: &ModelConfig, cache: CacheSize, precision: CpuPrecision) -> Result<Self> {
        Ok(Self {
            config: config.clone(),
            precision,
            cache: KvCache::new(config, cache)?,
            vectors: HashMap::new(),
            matrices: HashMap::new(),
        })
    }

    fn layer(&mut self, index: usize) -> Result<Layer> {
        let name = |weight| WeightName::Layer(index, weight);
        Ok(Layer {
            attention_norm: take(&mut self.vectors, name(LayerWeight::AttentionNorm))?,
            query: take(&mut self.matrices, name(LayerWeight::Query))?,
            key: take(&mut self.matrices, name(LayerWeight::Key))?,
            value: take(&mut self.matrices, name(LayerWeight::Value))?,
            biases: LayerWeight::BIASES
                .map(|bias| self.vectors.remove(&name(bias)).unwrap_or_default()),
            attention_output: take(&mut self.matrices, name(LayerWeight::AttentionOutput))?,
            ffn_norm: take(&mut self.vectors, name(LayerWeight::FfnNorm))?,
            gate: take(&mut self.matrices, name(LayerWeight::Gate))?,
            up: take(&mut self.matrices, name(LayerWeight::Up))?,
            down: take(&mut self.matrices, name(LayerWeight::Down))?,
        })
    }
}

fn take<T>(weights: &mut HashMap<WeightName, T>, name: WeightName) -> Result<T> {
    weights.remove(&name).ok_or_else(|| Error::MissingTensor {
        name: name.gguf_name(),
    })
}

#[async_trait::async_trait(?Send)]
impl BackendBuilder for CpuBuilder {
    fn add(&mut self, name: WeightName, matrix: WeightMatrix) -> Result<()> {
        if name == WeightName::RopeFactors {
            self.config.rope_factors = bytemuck::pod_collect_to_vec(&matrix.data);
        } else if name.is_vector() {
            let values = bytemuck::pod_collect_to_vec(&matrix.data);
            self.vectors.insert(name, values);
        } else {
            let matrix = Matrix::new(matrix, self.precision)?;
            self.matrices.insert(name, matrix);
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Box<dyn Backend>> {
        let layers = (0..self.config.n_layers)
            .map(|index| self.layer(index))
            .collect::<Result<_>>()?;
        let weights = Weights {
            embedding: take(&mut self.matrices, WeightName::Embedding)?,
            layers,
            output_norm: take(&mut self.vectors, WeightName::OutputNorm)?,
            output: self.matrices.remove(&WeightName::Output),
        };
        let device = match self.precision {
            CpuPrecision::F32 => "CPU, 32-bit floats",
            CpuPrecision::Quantized => "CPU, quantized weights",
        };
        Ok(Box::new(CpuBackend {
            info: BackendInfo {
                kind: BackendKind::Cpu,
                device: device.into(),
                software: false,
                max_rows: MAX_ROWS,
            },
            rope: rope::table(&self.config, self.cache.size.capacity),
            config: self.config,
            weights,
            cache: self.cache,
            decoding: Decoding::default(),
        }))
    }
}
