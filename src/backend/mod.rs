//! Where a model runs: one trait, two implementations.
//!
//! In comes a batch of [`Row`]s, out go logits. A row is one token at one position of one *lane*;
//! a lane is one sequence with its own keys and values in the cache. Prefill is a batch of
//! consecutive positions of one lane, a decode step is a batch of one position of each lane, and
//! both run through the same stages:
//!
//! | stage | what it computes |
//! |---|---|
//! | `embed` | the token's row of the embedding |
//! | `qkv` | RMSNorm, the three projections, RoPE, and the write of keys and values to the cache |
//! | `attention_weight` | how much attention goes to one position: only where somebody asks |
//! | `attention` | grouped-query attention over the lane's cache up to the row's position |
//! | `project` | a projection added to the residual stream: attention output, and FFN down |
//! | `gate_up` | RMSNorm, gate and up projections, SwiGLU |
//! | `add_to_residual` | activation steering, after one layer: only in lanes that ask for it |
//! | `head` | RMSNorm and the logits |
//! | `sample` | the next token; on the GPU in two parts, `penalise` and `sample` |
//!
//! A stage has the same name in `shaders/`, in [`gpu`] and in [`cpu`]. Callers that keep track of
//! what is in the cache use [`Engine`](crate::Engine); a backend trusts its rows to be in range.

pub mod choose;
pub mod cpu;
pub mod gpu;
pub(crate) mod rope;

use crate::Result;
use crate::generate::Sampling;
use crate::model::weights::{WeightMatrix, WeightName};
use crate::steering::Activation;
use async_trait::async_trait;
use gpu::KernelChoices;
use serde::{Deserialize, Serialize};

/// One token at one position of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Token id, less than the vocabulary's size.
    pub token: u32,
    /// Lane, less than [`CacheSize::lanes`].
    pub lane: u32,
    /// Position in the lane, less than [`CacheSize::capacity`].
    pub position: u32,
}

/// What a lane needs to decode without being told anything more.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeLane {
    /// The first input: a token that is not in the cache yet, and where it belongs.
    pub row: Row,
    /// How its tokens are chosen.
    pub sampling: Sampling,
    /// Tokens that the repetition penalty counts as seen before.
    pub seen: Vec<u32>,
    /// Most tokens to sample. The lane needs room for so many from the first input's position on.
    pub limit: usize,
    /// What is added to the residual stream at every step, if anything.
    pub activation: Option<Activation>,
}

/// A token that was sampled in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneToken {
    /// The lane.
    pub lane: usize,
    /// The token.
    pub token: u32,
}

/// How many sequences the KV cache holds and how long each may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheSize {
    /// Sequences.
    pub lanes: usize,
    /// Positions of each sequence.
    pub capacity: usize,
}

/// Lanes that a KV cache can be cut into after it was made ([`Backend::cut_cache`]), or as many as it
/// was made with.
pub const MOST_LANES: usize = 8;

/// The keys and values of one cached position over all layers, each
/// `[n_layers, n_kv_heads, head_dim]`; keys after RoPE, in rotate-half order.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Keys.
    pub keys: Vec<f32>,
    /// Values.
    pub values: Vec<f32>,
}

/// What rows gave, and what they attended to.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionTo {
    /// As of [`Backend::logits`]: `[rows, vocab_size]`.
    pub logits: Vec<f32>,
    /// The weight of one position in the sum over all that a row sees, which is 1:
    /// `[n_layers, rows, n_heads]`. 0 for a position behind the row's own.
    pub weights: Vec<f32>,
}

/// One position of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotAddress {
    /// The lane.
    pub lane: usize,
    /// The position.
    pub position: usize,
}

/// Which of the implementations runs, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendInfo {
    /// `gpu` or `cpu`.
    pub kind: BackendKind,
    /// The adapter's name, or the CPU's precision.
    pub device: String,
    /// Whether a GPU adapter computes in software.
    pub software: bool,
    /// Largest number of rows in one call of [`Backend::forward`].
    pub max_rows: usize,
}

/// The two implementations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// WGSL compute shaders through wgpu.
    Gpu,
    /// The processor.
    Cpu,
}

/// A model's weights and KV cache on a device, and the forward pass over them.
///
/// All methods act in the order of their calls. Those that are not `async` may return before the
/// device has done the work.
#[async_trait(?Send)]
pub trait Backend {
    /// What this runs on.
    fn info(&self) -> &BackendInfo;

    /// Which kernels run, where there is a choice.
    fn kernel_choices(&self) -> Option<KernelChoices> {
        None
    }

    /// The KV cache's size.
    fn cache_size(&self) -> CacheSize;

    /// Cuts the memory of the KV cache into other lanes, which hold nothing: no more positions in all
    /// than it was made with, no longer lanes, and no more of them than [`MOST_LANES`] or than it was made
    /// with.
    fn cut_cache(&mut self, size: CacheSize);

    /// Runs `rows` (at most [`BackendInfo::max_rows`]) through every layer and leaves their keys
    /// and values in the cache. A row sees the cache of its lane up to its own position, the rows
    /// before it in the same batch included.
    ///
    /// # Errors
    /// [`Error::Gpu`](crate::Error::Gpu), [`Error::DeviceLost`](crate::Error::DeviceLost) or
    /// [`Error::Cpu`](crate::Error::Cpu).
    async fn forward(&mut self, rows: &[Row]) -> Result<()>;

    /// [`Backend::forward`], then the logits of each row: `[rows, vocab_size]`.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    async fn logits(&mut self, rows: &[Row]) -> Result<Vec<f32>>;

    /// [`Backend::logits`], and how much of its attention each query head of a row gives to `position`
    /// of the row's lane.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    async fn attention_to(&mut self, rows: &[Row], position: usize) -> Result<AttentionTo>;

    /// Begins to decode in these lanes, at most [`BackendInfo::max_rows`], in place of a decoding
    /// that was begun before. Each goes on until it has sampled one of the tokens `end`, or its
    /// limit. Other work on the backend ends the decoding.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for sampling parameters that make no
    /// sense, or as [`Backend::forward`].
    fn start_decode(&mut self, lanes: &[DecodeLane], end: &[u32]) -> Result<()>;

    /// The tokens of the next decode step, one for each lane that goes on; none once all lanes have
    /// ended. The device may be several steps ahead: beyond the inputs of the steps that were
    /// taken, the cache of these lanes may hold anything.
    ///
    /// # Errors
    /// [`Error::NotANumber`](crate::Error::NotANumber), or as [`Backend::forward`].
    async fn next_step(&mut self) -> Result<Vec<LaneToken>>;

    /// Copies `len` positions, from one address on, to those from another on. The two ranges have
    /// nothing in common.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    fn copy_slots(&mut self, from: SlotAddress, to: SlotAddress, len: usize) -> Result<()>;

    /// Adds `delta` to the cached keys and values at `position` of `lane`, in one dispatch (GPU)
    /// or one pass over the cache (CPU).
    ///
    /// # Errors
    /// As [`Backend::forward`].
    fn add_to_slot(&mut self, lane: usize, position: usize, delta: &Slot) -> Result<()>;

    /// Reads the cached keys and values at `position` of `lane`.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    async fn read_slot(&mut self, lane: usize, position: usize) -> Result<Slot>;

    /// The residual stream of a row after `layer`: `[width]`. The row goes no further, so that the
    /// cache holds it up to that layer only: the next row at this position has to replace it.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    async fn residual(&mut self, row: Row, layer: usize) -> Result<Vec<f32>>;

    /// Waits until the device has done all work that was given to it: for timings.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    async fn finish(&mut self) -> Result<()>;

    /// The graphics device that this runs on, if it does: for counts and times.
    fn gpu(&self) -> Option<&gpu::GpuDevice> {
        None
    }
}

/// Takes a model's weights one at a time, in any order, and becomes a [`Backend`].
#[async_trait(?Send)]
pub trait BackendBuilder {
    /// Takes one tensor.
    ///
    /// # Errors
    /// [`Error::GpuLimit`](crate::Error::GpuLimit) where it does not fit the device.
    fn add(&mut self, name: WeightName, matrix: WeightMatrix) -> Result<()>;

    /// The backend, once every tensor of [`WeightName::required`] was added.
    ///
    /// # Errors
    /// [`Error::MissingTensor`](crate::Error::MissingTensor), or as [`Backend::forward`].
    async fn finish(self: Box<Self>) -> Result<Box<dyn Backend>>;
}
