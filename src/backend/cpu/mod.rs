//! The forward pass on the CPU, one stage a file, with the names of [the stage table](super).
//!
//! Matrices are multiplied in one of two ways ([`CpuPrecision`]): as floats by candle, which is the
//! reference for everything else, or in `quantized`, which is what runs for visitors whose browser
//! has no real GPU. One thread does all of it, except that candle's matrix product for long
//! prompts takes as many as `RAYON_NUM_THREADS` says, or the processor has.

mod add_to_residual;
mod attention;
mod attention_weight;
mod builder;
mod cache;
mod decode;
mod embed;
mod gate_up;
mod head;
mod matrix;
mod norm;
mod project;
mod qkv;
mod quantized;
mod sample;
mod simd;
mod weights;

pub use builder::CpuBuilder;
pub use sample::Sampler;
pub(super) use sample::{SAMPLE_THREADS, SamplingUnits};

use super::{
    AttentionTo, Backend, BackendInfo, CacheSize, DecodeLane, LaneToken, Row, Slot, SlotAddress,
};
use crate::Result;
use crate::model::ModelConfig;
use crate::steering::Activation;
use async_trait::async_trait;
use attention_weight::Watch;
use cache::KvCache;
use decode::Decoding;
use serde::{Deserialize, Serialize};
use weights::Weights;

/// Rows of one batch. A prefill of this many unpacks each weight once for all of them, which leaves
/// unpacking 5 % of the time; more would only take longer to stop. A browser is slower and has
/// someone waiting, on a phone maybe: here a batch of 32 takes a sixth of a second.
const MAX_ROWS: usize = if cfg!(target_arch = "wasm32") {
    32
} else {
    128
};

/// How matrices are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuPrecision {
    /// Weights are unpacked to 32-bit floats: exact, four to eight times the memory.
    F32,
    /// Weights stay in the 4 or 8 bits of the file (floats become 8 bits), and activations are
    /// rounded to 16 bits, in blocks of 32: several times as fast, a quarter to an eighth of the
    /// memory to read, and off by hardly more than another order of additions.
    Quantized,
}

/// A model in main memory.
pub(crate) struct CpuBackend {
    config: ModelConfig,
    info: BackendInfo,
    weights: Weights,
    /// Cosine and sine of every angle: `[position, head_dim / 2]`.
    rope: Vec<[f32; 2]>,
    cache: KvCache,
    decoding: Decoding,
}

impl CpuBackend {
    /// Runs the rows through the first `layers` layers and gives the residual stream:
    /// `[rows, width]`. Rows that have an activation get it after its layer; a watch looks at every
    /// layer.
    fn run(
        &mut self,
        rows: &[Row],
        layers: usize,
        activations: &[Option<Activation>],
        mut watch: Option<&mut Watch>,
    ) -> Result<Vec<f32>> {
        let config = &self.config;
        let mut x = embed::embed(&self.weights.embedding, rows)?;
        let caches = &mut self.cache.layers;
        for (index, (layer, cache)) in self
            .weights
            .layers
            .iter()
            .zip(caches)
            .enumerate()
            .take(layers)
        {
            let queries = qkv::qkv(config, layer, &self.rope, &x, rows, cache)?;
            if let Some(watch) = &mut watch {
                watch.look(config, &queries, rows, cache);
            }
            let attended = attention::attention(config, queries, rows, cache);
            project::project(&layer.attention_output, &attended, &mut x)?;
            let hidden = gate_up::gate_up(config, layer, &x)?;
            project::project(&layer.down, &hidden, &mut x)?;
            add_to_residual::add_to_residual(index, activations, &mut x);
        }
        Ok(x)
    }
}

#[async_trait(?Send)]
impl Backend for CpuBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn cache_size(&self) -> CacheSize {
        self.cache.size
    }

    fn cut_cache(&mut self, size: CacheSize) {
        self.cache.cut(size);
    }

    async fn forward(&mut self, rows: &[Row]) -> Result<()> {
        self.run(rows, self.config.n_layers, &[], None).map(drop)
    }

    async fn logits(&mut self, rows: &[Row]) -> Result<Vec<f32>> {
        let x = self.run(rows, self.config.n_layers, &[], None)?;
        head::head(&self.config, &self.weights, &x)
    }

    async fn attention_to(&mut self, rows: &[Row], position: usize) -> Result<AttentionTo> {
        let mut watch = Watch {
            position,
            weights: Vec::new(),
        };
        let x = self.run(rows, self.config.n_layers, &[], Some(&mut watch))?;
        Ok(AttentionTo {
            logits: head::head(&self.config, &self.weights, &x)?,
            weights: watch.weights,
        })
    }

    fn start_decode(&mut self, lanes: &[DecodeLane], end: &[u32]) -> Result<()> {
        self.begin(lanes, end)
    }

    async fn next_step(&mut self) -> Result<Vec<LaneToken>> {
        self.step().await
    }

    fn copy_slots(&mut self, from: SlotAddress, to: SlotAddress, len: usize) -> Result<()> {
        self.cache.copy_slots(from, to, len);
        Ok(())
    }

    fn add_to_slot(&mut self, lane: usize, position: usize, delta: &Slot) -> Result<()> {
        self.cache.add_to_slot(lane, position, delta);
        Ok(())
    }

    async fn read_slot(&mut self, lane: usize, position: usize) -> Result<Slot> {
        Ok(self.cache.read_slot(lane, position))
    }

    async fn residual(&mut self, row: Row, layer: usize) -> Result<Vec<f32>> {
        self.run(&[row], layer + 1, &[], None)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
