//! The GPU backend: WGSL compute shaders through wgpu, the same natively and in a browser.
//!
//! | file | what it is |
//! |---|---|
//! | `device` | the adapter, its limits, and its errors |
//! | `buffer` | its buffers, and how many bytes they are |
//! | `self_test` | whether the device computes what it should |
//! | `adapter` | what wgpu leaves out of a browser's adapter: subgroups, and its name |
//! | `weights` | quantised blocks, repacked for coalesced loads |
//! | `stages` | the stages, and what each binds |
//! | `variants` | the WGSL of each stage in each of its variants |
//! | `choices` | which variants run |
//! | `tune` | which of them are fastest on this device |
//! | `verify` | whether they compute the right thing together |
//! | `kernels` | the compiled pipelines |
//! | `cache` | the KV cache and the operations on it |
//! | `forward` | the order of the kernels |
//! | `attention_weight` | a look at attention beside them |
//! | `decode` | decoding without the CPU: sampling on the GPU, steps submitted ahead |
//! | `pace` | how far ahead |
//! | `builder` | from a stream of weights to a backend |
//! | `profile` | records dispatches, counts them, and times them for benchmarks |
//!
//! # A decode step
//! One token in each lane is `5 x layers + 4` dispatches: `embed`; in every layer `qkv`,
//! `attention`, `project`, `gate_up`, `project`; then `head`, `penalise`, `sample`. They follow one
//! another without the CPU (see `decode`), so a step takes what the GPU takes: for each dispatch
//! its start, and the reading of its weights. A model of this size is bound by the first: SmolLM2
//! in 360M and Q8_0 has 164 dispatches that read 2 MB on average, which a GPU with 1 TB/s reads in
//! 2 us, and a dispatch that waits for the one before costs as much or more. Hence few and fused
//! stages, several lanes in one step, and enough threads in each to read at full speed.
//!
//! Where the time goes, of one lane at 128 tokens of context (SmolLM2-135M in Q4_1; software
//! adapters, so it is arithmetic and not waiting; `bench/` has the figures in full):
//!
//! | | qkv | attention | project | gate_up | head | sampling |
//! |---|---|---|---|---|---|---|
//! | lavapipe, 138 ms | 13 % | 8 % | 22 % | 37 % | 20 % | 0.3 % |
//! | SwiftShader in Chromium, 412 ms | 13 % | 8 % | 21 % | 37 % | 20 % | 0.7 % |
//!
//! An embedding that is larger than what the adapter binds in one piece (Qwen2's has 145 MB in Q8_0,
//! and many adapters bind 128 MiB) lies in several buffers of its rows, and `embed` and `head` are a
//! dispatch for each. Other matrices are far smaller.
//!
//! # Decided without measuring, and why
//! - Steps that were submitted after a lane's last token are not indirect dispatches: each of those
//!   has to be validated, where a stage that sees that no row is active ends at once.
//! - Top-k and top-p do not sort: the cut is found by its key, 8 bits at a time. Weights are
//!   integers, so that a parallel sum is the CPU's to the last bit, and a test can ask for equality.
//! - The parts of a split attention have no dispatch of their own to be merged in: the output
//!   projection merges them as it reads.
//!
//! # What was tried and not kept
//! Measured while it was built, on versions that are gone:
//! - Logits read back in every step and sampled on the CPU, as at first: 200 KB for each token of
//!   each lane, and a wait; now 4 bytes a token come back in batches.
//! - Tiles of the batch as private arrays: SwiftShader took 42 s for 64 rows of prefill, and 11 s
//!   with matrix types.
//! - The tile chosen by the thread's id rather than by the workgroup's: half as fast on lavapipe.
//! - Bounds checks and loop guards left out: no change on lavapipe.
//!
//! No real GPU was at hand for any of these figures. The variants that a real one chooses from are
//! checked for what they compute, on software adapters; which are fastest is for `tune` to find.

mod adapter;
mod attention_weight;
mod buffer;
mod builder;
mod cache;
mod choices;
mod decode;
mod device;
mod forward;
mod kernels;
mod pace;
mod profile;
mod self_test;
mod stages;
mod tune;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod validate;
mod variants;
mod verify;
mod weights;

pub use builder::GpuBuilder;
pub use choices::{KernelChoices, Product, ProductKernel, Reduction};
pub use device::{AdapterInfo, GpuDevice};
pub use profile::StageTime;
pub(super) use self_test::self_test;

use super::{
    AttentionTo, Backend, BackendInfo, BackendKind, CacheSize, DecodeLane, LaneToken, Row, Slot,
    SlotAddress,
};
use crate::Result;
use async_trait::async_trait;
use attention_weight::AttentionWeights;
use cache::GpuCache;
use decode::Decoder;
use device::Fence;
use forward::{Aside, Extent, ForwardPass};
use profile::Recorder;
use std::collections::VecDeque;

/// A model and its KV cache in GPU memory.
pub struct GpuBackend {
    info: BackendInfo,
    device: GpuDevice,
    cache: GpuCache,
    forward: ForwardPass,
    decoder: Decoder,
    /// Batches of a prefill that the GPU may not have done yet.
    submitted: VecDeque<Fence>,
}

/// Batches that are submitted before the first of them is waited for: enough that the GPU always
/// has one, few enough that a prefill can be stopped soon.
const BATCHES_AHEAD: usize = 2;

impl GpuBackend {
    fn new(device: GpuDevice, cache: GpuCache, forward: ForwardPass, decoder: Decoder) -> Self {
        Self {
            info: BackendInfo {
                kind: BackendKind::Gpu,
                device: device.info().name.clone(),
                software: device.info().software,
                max_rows: forward.choices.max_rows,
            },
            device,
            cache,
            forward,
            decoder,
            submitted: VecDeque::new(),
        }
    }

    /// Records the forward pass over `rows`.
    fn record(&mut self, rows: &[Row], extent: Extent, asides: &[Aside]) -> Recorder {
        self.forward.write_batch(&self.device, rows);
        let longest = rows.iter().map(|row| row.position as usize + 1).max();
        let mut recorder = self.device.record();
        self.forward.record(
            &mut recorder,
            rows.len(),
            longest.unwrap_or(0),
            extent,
            asides,
        );
        recorder
    }

    /// Records cache operations and submits them.
    fn operate(
        &mut self,
        record: impl FnOnce(&mut Self, &mut Recorder) -> Result<()>,
    ) -> Result<()> {
        let mut recorder = self.device.record();
        record(self, &mut recorder)?;
        self.device.queue.submit([recorder.finish()]);
        self.device.check()
    }
}

#[async_trait(?Send)]
impl Backend for GpuBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn kernel_choices(&self) -> Option<KernelChoices> {
        Some(self.forward.choices)
    }

    fn cache_size(&self) -> CacheSize {
        self.cache.size()
    }

    fn cut_cache(&mut self, size: CacheSize) {
        self.cache.cut(size);
        self.forward.lane_slots = size.capacity;
        // As when it was made: nothing should have to be compiled in the middle of an answer.
        if !self.info.software {
            self.decoder
                .compile(&self.device, &mut self.forward, size.lanes);
        }
    }

    async fn forward(&mut self, rows: &[Row]) -> Result<()> {
        let all = Extent::Layers(self.forward.layers());
        let recorder = self.record(rows, all, &[]);
        self.submitted
            .push_back(self.device.submit(recorder.finish()));
        if self.submitted.len() > BATCHES_AHEAD
            && let Some(fence) = self.submitted.pop_front()
        {
            fence.wait(&self.device).await?;
        }
        Ok(())
    }

    async fn logits(&mut self, rows: &[Row]) -> Result<Vec<f32>> {
        let recorder = self.record(rows, Extent::Logits, &[]);
        self.forward
            .read_logits(&self.device, recorder, rows.len())
            .await
    }

    async fn attention_to(&mut self, rows: &[Row], position: usize) -> Result<AttentionTo> {
        let size = [rows.len(), position];
        let weights = AttentionWeights::new(&self.device, &mut self.forward, &self.cache, size)?;
        let recorder = self.record(rows, Extent::Logits, &weights.asides);
        let of_logits = rows.len() * self.forward.kernels.model.config.vocab_size;
        let parts = [
            (&self.forward.logits, of_logits),
            (&weights.buffer, weights.len()),
        ];
        let mut readback = self.forward.submit(&self.device, recorder, &parts);
        let mut logits: Vec<f32> = readback.read(&self.device).await?;
        let padded = logits.split_off(of_logits);
        Ok(AttentionTo {
            logits,
            weights: weights.of_layers(&padded),
        })
    }

    fn start_decode(&mut self, lanes: &[DecodeLane], end: &[u32]) -> Result<()> {
        self.decoder
            .start(&self.device, &mut self.forward, lanes, end)
    }

    async fn next_step(&mut self) -> Result<Vec<LaneToken>> {
        self.decoder
            .next_step(&self.device, &mut self.forward)
            .await
    }

    fn copy_slots(&mut self, from: SlotAddress, to: SlotAddress, len: usize) -> Result<()> {
        self.operate(|this, recorder| {
            let kernels = &mut this.forward.kernels;
            this.cache
                .copy_slots(&this.device, kernels, recorder, [from, to], len);
            Ok(())
        })
    }

    fn add_to_slot(&mut self, lane: usize, position: usize, delta: &Slot) -> Result<()> {
        let address = SlotAddress { lane, position };
        self.operate(|this, recorder| {
            let kernels = &mut this.forward.kernels;
            this.cache
                .add_to_slot(&this.device, kernels, recorder, address, delta)
        })
    }

    async fn read_slot(&mut self, lane: usize, position: usize) -> Result<Slot> {
        let address = SlotAddress { lane, position };
        self.cache.read_slot(&self.device, address).await
    }

    async fn residual(&mut self, row: Row, layer: usize) -> Result<Vec<f32>> {
        let recorder = self.record(&[row], Extent::Layers(layer + 1), &[]);
        self.forward.read_residual(&self.device, recorder).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.submitted.clear();
        self.device.finish().await
    }

    fn gpu(&self) -> Option<&GpuDevice> {
        Some(&self.device)
    }
}
