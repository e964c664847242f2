//! The GPU backend: WGSL compute shaders through wgpu, the same natively and in a browser.
//!
//! | file | what it is |
//! |---|---|
//! | `device` | the adapter, its limits, and its errors |
//! | `self_test` | whether the device computes what it should |
//! | `subgroups` | the one feature that wgpu cannot ask a browser for |
//! | `weights` | quantised blocks, repacked for coalesced loads |
//! | `stages` | the stages, and what each binds |
//! | `variants` | the WGSL of each stage in each of its variants |
//! | `choices` | which variants run |
//! | `tune` | which of them are fastest on this device |
//! | `kernels` | the compiled pipelines |
//! | `cache` | the KV cache and the operations on it |
//! | `forward` | the order of the kernels |
//! | `decode` | decoding without the CPU: sampling on the GPU, steps submitted ahead |
//! | `pace` | how far ahead |
//! | `builder` | from a stream of weights to a backend |
//! | `profile` | records dispatches, counts them, and times them for benchmarks |

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
mod subgroups;
mod tune;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod validate;
mod variants;
mod weights;

pub use builder::GpuBuilder;
pub use choices::{KernelChoices, Product, ProductKernel, Reduction};
pub use device::{AdapterInfo, GpuDevice};
pub use profile::StageTime;
pub(super) use self_test::self_test;

use super::{
    Backend, BackendInfo, BackendKind, CacheSize, DecodeLane, LaneToken, Row, Slot, SlotAddress,
};
use crate::Result;
use async_trait::async_trait;
use cache::GpuCache;
use decode::Decoder;
use device::Fence;
use forward::ForwardPass;
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
    fn record(&mut self, rows: &[Row], logits: bool) -> Recorder {
        self.forward.write_batch(&self.device, rows);
        let longest = rows.iter().map(|row| row.position as usize + 1).max();
        let mut recorder = self.device.record();
        self.forward
            .record(&mut recorder, rows.len(), longest.unwrap_or(0), logits);
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

    async fn forward(&mut self, rows: &[Row]) -> Result<()> {
        let recorder = self.record(rows, false);
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
        let recorder = self.record(rows, true);
        self.forward
            .read_logits(&self.device, recorder, rows.len())
            .await
    }

    fn start_decode(&mut self, lanes: &[DecodeLane], end: &[u32]) -> Result<()> {
        self.decoder.start(&self.device, &self.forward, lanes, end)
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
        self.operate(|this, recorder| {
            let kernels = &mut this.forward.kernels;
            this.cache
                .add_to_slot(&this.device, kernels, recorder, [lane, position], delta)
        })
    }

    async fn read_slot(&mut self, lane: usize, position: usize) -> Result<Slot> {
        self.cache.read_slot(&self.device, lane, position).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.submitted.clear();
        self.device.finish().await
    }

    fn gpu(&self) -> Option<&GpuDevice> {
        Some(&self.device)
    }
}
