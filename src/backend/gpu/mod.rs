//! The GPU backend: WGSL compute shaders through wgpu, the same natively and in a browser.
//!
//! | file | what it is |
//! |---|---|
//! | `device` | the adapter, its limits, and its errors |
//! | `weights` | quantised blocks, repacked for coalesced loads |
//! | `stages` | the stages, and what each binds |
//! | `variants` | the WGSL of each stage in each of its variants |
//! | `choices` | which variants run |
//! | `tune` | which of them are fastest on this device |
//! | `kernels` | the compiled pipelines |
//! | `cache` | the KV cache and the operations on it |
//! | `forward` | the order of the kernels |
//! | `builder` | from a stream of weights to a backend |
//! | `profile` | records dispatches, counts them, and times them for benchmarks |

mod builder;
mod cache;
mod choices;
mod device;
mod forward;
mod kernels;
mod profile;
mod stages;
mod tune;
mod variants;
mod weights;

pub use builder::GpuBuilder;
pub use choices::{KernelChoices, Product, ProductKernel, Reduction};
pub use device::{AdapterInfo, GpuDevice};
pub use profile::StageTime;

use super::{Backend, BackendInfo, BackendKind, CacheSize, Row, Slot};
use crate::Result;
use async_trait::async_trait;
use cache::GpuCache;
use forward::ForwardPass;
use profile::Recorder;

/// A model and its KV cache in GPU memory.
pub struct GpuBackend {
    info: BackendInfo,
    device: GpuDevice,
    cache: GpuCache,
    forward: ForwardPass,
}

impl GpuBackend {
    fn new(device: GpuDevice, cache: GpuCache, forward: ForwardPass) -> Self {
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
        }
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
        let commands = self.forward.record(&self.device, rows, false);
        self.device.queue.submit([commands]);
        self.device.check()
    }

    async fn logits(&mut self, rows: &[Row]) -> Result<Vec<f32>> {
        let commands = self.forward.record(&self.device, rows, true);
        self.device.queue.submit([commands]);
        self.forward.read_logits(&self.device, rows.len()).await
    }

    fn copy_lane(&mut self, from: usize, to: usize, len: usize) -> Result<()> {
        self.operate(|this, recorder| {
            let kernels = &mut this.forward.kernels;
            this.cache
                .copy_lane(&this.device, kernels, recorder, [from, to, len]);
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
        self.device.finish().await
    }

    fn gpu(&self) -> Option<&GpuDevice> {
        Some(&self.device)
    }
}
