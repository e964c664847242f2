//! From a stream of weights to a model on the GPU.
//!
//! The matrices that a stage multiplies with together (query, key and value; gate and up) are
//! stacked as they arrive, so that the stage is one dispatch.

use super::GpuBackend;
use super::buffer::GpuBuffer;
use super::cache::{self, GpuCache};
use super::choices::KernelChoices;
use super::decode::Decoder;
use super::device::GpuDevice;
use super::forward::{ForwardPass, LayerWeights, Weights};
use super::weights::GpuMatrix;
use super::{tune, verify};
use crate::backend::{Backend, BackendBuilder, CacheSize};
use crate::model::ModelConfig;
use crate::model::weights::{LayerWeight, WeightMatrix, WeightName};
use crate::{Error, Result};
use async_trait::async_trait;
use std::collections::HashMap;

/// Takes weights to GPU memory and becomes a [`GpuBackend`].
pub struct GpuBuilder {
    device: GpuDevice,
    config: ModelConfig,
    cache: GpuCache,
    choices: KernelChoices,
    /// Whether the choices are to be measured.
    tune: bool,
    /// Matrices that wait for the ones they are stacked with.
    waiting: HashMap<WeightName, WeightMatrix>,
    /// Uploaded matrices, by the name of the first that is stacked in them.
    matrices: HashMap<WeightName, GpuMatrix>,
    /// The embedding, and the head where it has weights of its own, in parts.
    vocabularies: HashMap<WeightName, Vec<GpuMatrix>>,
    /// Norms' scales and biases, as bytes of floats.
    vectors: HashMap<WeightName, Vec<u8>>,
}

/// The matrices that are stacked with `name`, in the order of their rows.
fn stacked(name: WeightName) -> Vec<WeightName> {
    use LayerWeight::{Gate, Key, Query, Up, Value};
    match name {
        WeightName::Layer(layer, Query | Key | Value) => [Query, Key, Value]
            .map(|w| WeightName::Layer(layer, w))
            .into(),
        WeightName::Layer(layer, Gate | Up) => {
            [Gate, Up].map(|w| WeightName::Layer(layer, w)).into()
        }
        _ => vec![name],
    }
}

impl GpuBuilder {
    /// The most positions that each of `lanes` can have in a KV cache on this device.
    pub fn largest_capacity(device: &GpuDevice, config: &ModelConfig, lanes: usize) -> usize {
        let f16 = KernelChoices::for_device(device).f16_cache;
        cache::largest_capacity(device, config, lanes, f16)
    }

    /// Reserves the KV cache: what does not fit is said before any weight is read. On a real GPU,
    /// which kernels run is measured once the weights are there, in about a second.
    ///
    /// # Errors
    /// [`Error::GpuLimit`] where the cache exceeds what the adapter binds in one piece.
    pub fn new(device: GpuDevice, config: &ModelConfig, cache: CacheSize) -> Result<Self> {
        let tune = !device.info().software;
        let choices = KernelChoices::for_device(&device);
        Ok(Self {
            tune,
            ..Self::with_choices(device, config, cache, choices)?
        })
    }

    /// As [`GpuBuilder::new`], with these kernels, as they are.
    ///
    /// # Errors
    /// As [`GpuBuilder::new`], and [`Error::Gpu`] where the device cannot run these kernels.
    pub fn with_choices(
        device: GpuDevice,
        config: &ModelConfig,
        cache: CacheSize,
        choices: KernelChoices,
    ) -> Result<Self> {
        choices.check(&device)?;
        Ok(Self {
            cache: GpuCache::new(&device, config, cache, choices.f16_cache)?,
            choices,
            tune: false,
            device,
            config: config.clone(),
            waiting: HashMap::new(),
            matrices: HashMap::new(),
            vocabularies: HashMap::new(),
            vectors: HashMap::new(),
        })
    }

    /// Has the kernels measured, even on a software adapter, which does without.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.tune = true;
        self
    }

    fn take_matrix(&mut self, name: WeightName) -> Result<GpuMatrix> {
        self.matrices.remove(&name).ok_or_else(|| missing(name))
    }

    fn take_norm(&mut self, name: WeightName) -> Result<GpuBuffer> {
        let scale = self.vectors.remove(&name).ok_or_else(|| missing(name))?;
        self.device.storage_with(&name.gguf_name(), &scale)
    }

    /// The norm's scale of a layer's attention and, where the model has them, the biases of what
    /// follows it, in one buffer: WebGPU promises no more than the stage has without them.
    fn take_attention_norm(&mut self, layer: usize, has_biases: bool) -> Result<GpuBuffer> {
        let norm = WeightName::Layer(layer, LayerWeight::AttentionNorm);
        let names = LayerWeight::BIASES.map(|bias| WeightName::Layer(layer, bias));
        for bias in names.into_iter().filter(|_| has_biases) {
            let bytes = bias.shape(&self.config).1 * size_of::<f32>();
            let values = self.vectors.remove(&bias);
            let behind = self.vectors.get_mut(&norm).ok_or_else(|| missing(norm))?;
            behind.extend(values.unwrap_or_else(|| vec![0; bytes]));
        }
        self.take_norm(norm)
    }
}

fn missing(name: WeightName) -> Error {
    Error::MissingTensor {
        name: name.gguf_name(),
    }
}

#[async_trait(?Send)]
impl BackendBuilder for GpuBuilder {
    fn add(&mut self, name: WeightName, matrix: WeightMatrix) -> Result<()> {
        if name == WeightName::RopeFactors {
            self.config.rope_factors = bytemuck::pod_collect_to_vec(&matrix.data);
            return Ok(());
        }
        if name.is_vector() {
            self.vectors.insert(name, matrix.data);
            return Ok(());
        }
        if matches!(name, WeightName::Embedding | WeightName::Output) {
            let parts = GpuMatrix::upload_parts(&self.device, &name.gguf_name(), &matrix)?;
            self.vocabularies.insert(name, parts);
            return self.device.check();
        }
        self.waiting.insert(name, matrix);
        let names = stacked(name);
        if !names.iter().all(|n| self.waiting.contains_key(n)) {
            return Ok(());
        }
        let parts = names
            .iter()
            .filter_map(|n| self.waiting.remove(n))
            .collect();
        let whole = WeightMatrix::stack(parts)?;
        let uploaded = GpuMatrix::upload(&self.device, &names[0].gguf_name(), &whole)?;
        self.matrices.insert(names[0], uploaded);
        self.device.check()
    }

    async fn finish(self: Box<Self>) -> Result<Box<dyn Backend>> {
        Ok(Box::new(self.build().await?))
    }
}

impl GpuBuilder {
    pub(super) async fn build(mut self) -> Result<GpuBackend> {
        let has_biases = self.vectors.keys().any(|name| name.is_bias());
        let mut layers = Vec::with_capacity(self.config.n_layers);
        for layer in 0..self.config.n_layers {
            let name = |weight| WeightName::Layer(layer, weight);
            layers.push(LayerWeights {
                attention_norm: self.take_attention_norm(layer, has_biases)?,
                qkv: self.take_matrix(name(LayerWeight::Query))?,
                attention_output: self.take_matrix(name(LayerWeight::AttentionOutput))?,
                ffn_norm: self.take_norm(name(LayerWeight::FfnNorm))?,
                gate_up: self.take_matrix(name(LayerWeight::Gate))?,
                down: self.take_matrix(name(LayerWeight::Down))?,
            });
        }
        let weights = Weights {
            embedding: self
                .vocabularies
                .remove(&WeightName::Embedding)
                .ok_or_else(|| missing(WeightName::Embedding))?,
            layers,
            output_norm: self.take_norm(WeightName::OutputNorm)?,
            output: self.vocabularies.remove(&WeightName::Output),
            has_biases,
        };
        let Self {
            device,
            config,
            cache,
            choices,
            tune,
            ..
        } = self;
        let mut forward = ForwardPass::new(&device, &config, &cache, weights, choices)?;
        device.check()?;
        if tune {
            tune::tune(&device, &mut forward).await?;
            verify::verify(&device, &mut forward).await?;
        }
        let decoder = Decoder::new(&device, &config, cache.size(), &mut forward)?;
        // A software adapter compiles slowly, and runs few of the variants.
        if !device.info().software {
            decoder.compile(&device, &mut forward, cache.size().lanes);
        }
        device.check()?;
        Ok(GpuBackend::new(device, cache, forward, decoder))
    }
}
