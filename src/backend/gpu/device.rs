//! The connection to a graphics adapter, and what it reports when something goes wrong.

use super::adapter;
use super::buffer::GpuBuffer;
use super::profile::Profiler;
use crate::{Error, Result};
use futures_channel::oneshot;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// What an adapter says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// The adapter's name, or the API's name where a browser hides it.
    pub name: String,
    /// Whether it computes on the CPU (lavapipe, SwiftShader, WARP).
    pub software: bool,
}

/// An adapter's device and queue.
#[derive(Debug, Clone)]
pub struct GpuDevice {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    info: AdapterInfo,
    abilities: Abilities,
    /// Bytes that a storage buffer may have.
    largest_buffer: u64,
    fault: Arc<Mutex<Option<Fault>>>,
    pub(super) profiler: Rc<RefCell<Profiler>>,
    /// Bytes of the buffers that are held.
    pub(super) allocated: Rc<Cell<u64>>,
}

/// What kernels may use beyond what every adapter has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Arithmetic and storage in f16.
    pub f16: bool,
    /// Threads of the smallest subgroup, where kernels may use subgroups.
    pub subgroup: Option<u32>,
    /// The adapter and its driver, to know them again.
    pub identity: String,
}

/// Features that make kernels faster, or measure them.
const USEFUL: wgpu::Features = wgpu::Features::SHADER_F16
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::TIMESTAMP_QUERY);

impl Abilities {
    fn of(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Self {
        let features = device.features();
        let subgroups = adapter::has_subgroups(device);
        Self {
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroup: (subgroups && info.subgroup_min_size > 1).then_some(info.subgroup_min_size),
            identity: adapter::identity(info),
        }
    }
}

/// What the driver reported outside of any call of ours.
#[derive(Debug, Clone)]
enum Fault {
    Lost(String),
    Error(String),
}

impl GpuDevice {
    /// Asks the system, or the browser, for its fastest adapter and opens a device with all of the
    /// adapter's limits. A software adapter is accepted; see [`AdapterInfo::software`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is no adapter, [`Error::Gpu`] where it gives no device.
    pub async fn request() -> Result<Self> {
        Self::request_with(USEFUL).await
    }

    /// As [`GpuDevice::request`], for a driver whose f16 does not work.
    ///
    /// # Errors
    /// As [`GpuDevice::request`].
    pub(crate) async fn request_without_f16() -> Result<Self> {
        Self::request_with(USEFUL.difference(wgpu::Features::SHADER_F16)).await
    }

    async fn request_with(useful: wgpu::Features) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = instance
            .request_adapter(&wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::HighPerformance,
                ..Default::default()
            })
            .await
            .map_err(|e| Error::NoAdapter {
                detail: if cfg!(target_arch = "wasm32") {
                    " by this browser".into()
                } else {
                    format!(" ({e})")
                },
            })?;
        adapter::watch();
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("cache-steering"),
                required_features: adapter.features() & useful,
                required_limits: adapter.limits(),
                ..Default::default()
            })
            .await
            .map_err(|e| Error::Gpu {
                reason: e.to_string(),
            })?;

        let described = adapter.get_info();
        let info = AdapterInfo {
            name: if described.name.is_empty() {
                "WebGPU adapter".into()
            } else {
                described.name.clone()
            },
            software: described.device_type == wgpu::DeviceType::Cpu,
        };

        let abilities = Abilities::of(&device, &described);
        let fault = Arc::new(Mutex::new(None));
        let lost = fault.clone();
        device.set_device_lost_callback(move |reason, message| {
            // Dropping the device also "loses" it; nobody is left to be told.
            if reason != wgpu::DeviceLostReason::Destroyed {
                report(&lost, Fault::Lost(message));
            }
        });
        let failed = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            log::error!("GPU: {error}");
            report(&failed, Fault::Error(error.to_string()));
        }));
        let limits = device.limits();
        let bound = limits.max_storage_buffer_binding_size;
        Ok(Self {
            largest_buffer: bound.min(limits.max_buffer_size),
            device,
            queue,
            info,
            abilities,
            fault,
            profiler: Rc::default(),
            allocated: Rc::default(),
        })
    }

    /// Whether kernels may use f16.
    pub(crate) fn has_f16(&self) -> bool {
        self.abilities.f16
    }

    /// What the adapter says of itself.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What its kernels may use.
    pub(super) fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Bytes that a storage buffer may have.
    pub(super) fn largest_buffer(&self) -> u64 {
        self.largest_buffer
    }

    /// The same device, as if it bound no more than so many bytes in one piece: to see here what
    /// smaller ones do.
    #[must_use]
    pub fn with_largest_buffer(mut self, bytes: u64) -> Self {
        self.largest_buffer = self.largest_buffer.min(bytes);
        self
    }

    /// The driver's last complaint, if it had one: errors arrive after the call that caused them.
    pub(super) fn check(&self) -> Result<()> {
        let fault = self.fault.lock().unwrap_or_else(|e| e.into_inner()).clone();
        match fault {
            None => Ok(()),
            Some(Fault::Lost(reason)) => Err(Error::DeviceLost { reason }),
            Some(Fault::Error(reason)) => Err(Error::Gpu { reason }),
        }
    }

    /// Waits until the GPU has done all work that was submitted so far.
    pub(super) async fn finish(&self) -> Result<()> {
        self.fence(None).wait(self).await
    }

    /// Submits commands, and gives what to wait for them with.
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> Fence {
        let submission = self.queue.submit([commands]);
        self.fence(Some(submission))
    }

    fn fence(&self, submission: Option<wgpu::SubmissionIndex>) -> Fence {
        let (sender, done) = oneshot::channel();
        self.queue.on_submitted_work_done(move || {
            // The receiver is gone where the caller was dropped while it waited.
            let _ = sender.send(());
        });
        Fence { submission, done }
    }

    /// Submits commands that fill the first `size` bytes of `staging`, and asks for them.
    pub(super) fn submit_and_read(
        &self,
        commands: wgpu::CommandBuffer,
        staging: GpuBuffer,
        size: u64,
    ) -> Readback {
        let submission = self.queue.submit([commands]);
        let (sender, mapped) = oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, ..size, move |result| {
            // The receiver is gone where nobody wants the result any more.
            let _ = sender.send(result);
        });
        // Firefox completes a map on a slow timer unless another submit follows it.
        #[cfg(target_arch = "wasm32")]
        self.queue.submit([]);
        Readback {
            staging,
            size,
            submission,
            mapped,
        }
    }

    /// Natively, callbacks run only while somebody polls; a browser has its event loop. Waits for
    /// one submission, or for all.
    fn drive(&self, submission: Option<wgpu::SubmissionIndex>) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Err(e) = self.device.poll(wgpu::PollType::Wait {
            submission_index: submission,
            timeout: None,
        }) {
            report(&self.fault, Fault::Lost(e.to_string()));
        }
        #[cfg(target_arch = "wasm32")]
        let _ = submission;
    }
}

/// Work that was submitted.
pub(super) struct Fence {
    /// All work, where there is none.
    submission: Option<wgpu::SubmissionIndex>,
    done: oneshot::Receiver<()>,
}

impl Fence {
    /// Waits until it is done, but not for what was submitted after it.
    pub async fn wait(self, device: &GpuDevice) -> Result<()> {
        // A submission that was refused would never be done.
        device.check()?;
        device.drive(self.submission);
        device.check()?;
        // A sender that was dropped means that the device went away; `check` knows why.
        let _ = self.done.await;
        device.check()
    }
}

/// Results on their way from the GPU.
pub(super) struct Readback {
    /// Free again once it was read.
    pub staging: GpuBuffer,
    size: u64,
    submission: wgpu::SubmissionIndex,
    mapped: oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Readback {
    /// Waits for the results, but not for what was submitted after them.
    pub async fn read<T: bytemuck::Pod>(&mut self, device: &GpuDevice) -> Result<Vec<T>> {
        // A submission that was refused would never be done.
        device.check()?;
        device.drive(Some(self.submission.clone()));
        device.check()?;
        let outcome = (&mut self.mapped).await;
        device.check()?;
        let unreadable = |e: String| Error::Gpu {
            reason: format!("its results could not be read back: {e}"),
        };
        match outcome {
            Ok(result) => result.map_err(|e| unreadable(e.to_string()))?,
            Err(e) => return Err(unreadable(e.to_string())),
        }
        let values = {
            let view = self
                .staging
                .get_mapped_range(..self.size)
                .map_err(|e| unreadable(e.to_string()))?;
            bytemuck::pod_collect_to_vec(&view)
        };
        self.staging.unmap();
        Ok(values)
    }
}

/// Keeps the first fault: the later ones follow from it. A loss outranks an error.
fn report(slot: &Mutex<Option<Fault>>, fault: Fault) {
    let mut slot = slot.lock().unwrap_or_else(|e| e.into_inner());
    if slot.is_none() || matches!(fault, Fault::Lost(_)) {
        *slot = Some(fault);
    }
}
