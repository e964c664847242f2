//! The forward pass on the CPU: candle multiplies the matrices, plain Rust does the rest.
//!
//! It is written to be read from top to bottom, one stage a file, with the names of
//! [the stage table](super). In tests it is the reference for the GPU; for visitors whose browser
//! has no real GPU it is what runs.
//!
//! One thread does all of it, except that candle's general matrix product for long prompts takes
//! as many as `RAYON_NUM_THREADS` says, or the processor has; in a browser there is one.

mod attention;
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
mod sample;
mod weights;

pub use builder::CpuBuilder;
pub use sample::Sampler;
pub(super) use sample::{SAMPLE_THREADS, SamplingUnits};

use super::{Backend, BackendInfo, CacheSize, DecodeLane, LaneToken, Row, Slot, SlotAddress};
use crate::Result;
use crate::model::ModelConfig;
use async_trait::async_trait;
use cache::KvCache;
use decode::Decoding;
use serde::{Deserialize, Serialize};
use weights::Weights;

/// Rows of one batch. A prefill of this many reads each weight once for all of them; more would
/// only take longer to stop. A browser is slower and has someone waiting.
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
    /// Weights are in 8 bits, and activations of short batches are rounded to 8 bits too, in
    /// blocks of 32: a quarter of the memory to read, logits off by a few tenths.
    Int8,
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
    /// Runs the rows through every layer and gives the residual stream: `[rows, width]`.
    fn run(&mut self, rows: &[Row]) -> Result<Vec<f32>> {
        let config = &self.config;
        let mut x = embed::embed(&self.weights.embedding, rows)?;
        for (layer, cache) in self.weights.layers.iter().zip(&mut self.cache.layers) {
            let queries = qkv::qkv(config, layer, &self.rope, &x, rows, cache)?;
            let attended = attention::attention(config, queries, rows, cache);
            project::project(&layer.attention_output, &attended, &mut x)?;
            let hidden = gate_up::gate_up(config, layer, &x)?;
            project::project(&layer.down, &hidden, &mut x)?;
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

    async fn forward(&mut self, rows: &[Row]) -> Result<()> {
        self.run(rows).map(drop)
    }

    async fn logits(&mut self, rows: &[Row]) -> Result<Vec<f32>> {
        let x = self.run(rows)?;
        head::head(&self.config, &self.weights, &x)
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

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
