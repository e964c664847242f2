//! Which backend runs a model, and why.
//!
//! A real GPU is faster than the CPU by far. A software adapter (SwiftShader in browsers, lavapipe
//! on Linux) is not: it runs shaders on the same CPU, slower than code made for it. What decides
//! is what the adapter says of itself.

use super::cpu::{CpuBuilder, CpuPrecision};
use super::gpu::{GpuBuilder, GpuDevice, KernelChoices, self_test};
use super::{BackendBuilder, CacheSize};
use crate::model::ModelConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Positions of a lane where the caller does not say how many: a cache of 90 MB a lane for
/// SmolLM2-135M, and of 170 MB for SmolLM2-360M.
pub const DEFAULT_CAPACITY: usize = 2048;

/// A GPU that cannot hold this many positions of a lane does not fit the model.
const LEAST_CAPACITY: usize = 256;

/// What the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// The GPU, unless there is none or it computes in software or the model does not fit.
    #[default]
    Auto,
    /// wgpu on whatever adapter there is, or an error.
    Gpu,
    /// The processor.
    Cpu,
}

/// A backend that was found to be usable, before the model's sizes are known.
pub struct ChosenBackend {
    device: Option<GpuDevice>,
    /// Whether the CPU may take over where the model does not fit the GPU.
    fall_back: bool,
    reason: String,
}

/// Looks for an adapter where the choice allows one.
///
/// # Errors
/// [`Error::NoAdapter`] or [`Error::Gpu`] where the GPU was asked for by name.
pub async fn choose(choice: BackendChoice) -> Result<ChosenBackend> {
    let cpu = |reason: String| ChosenBackend {
        device: None,
        fall_back: false,
        reason,
    };
    match choice {
        BackendChoice::Cpu => Ok(cpu("The CPU, because it was asked for.".into())),
        BackendChoice::Gpu => {
            let (device, note) = tested_device().await?;
            let name = &device.info().name;
            let reason = format!("The GPU ({name}){note}, because it was asked for.");
            Ok(ChosenBackend {
                device: Some(device),
                fall_back: false,
                reason,
            })
        }
        BackendChoice::Auto => match tested_device().await {
            Ok((device, _)) if device.info().software => Ok(cpu(format!(
                "The CPU, because the only graphics adapter ({}) computes in software, which is slower.",
                device.info().name
            ))),
            Ok((device, note)) => {
                let reason = format!("The GPU ({}){note}.", device.info().name);
                Ok(ChosenBackend {
                    device: Some(device),
                    fall_back: true,
                    reason,
                })
            }
            Err(Error::NoAdapter { .. }) => Ok(cpu(
                "The CPU, because there is no graphics adapter that can be used.".into(),
            )),
            Err(Error::Gpu { reason } | Error::DeviceLost { reason }) => Ok(cpu(format!(
                "The CPU, because the graphics driver cannot be trusted: {reason}."
            ))),
            Err(error) => Err(error),
        },
    }
}

/// A device that computes what it should, and what there is to say of it. A software adapter is not
/// tested: it does not run unless somebody asks for it.
async fn tested_device() -> Result<(GpuDevice, &'static str)> {
    let device = GpuDevice::request().await?;
    if device.info().software {
        return Ok((device, ""));
    }
    match self_test(&device).await {
        Ok(()) => return Ok((device, "")),
        Err(error) => log::warn!("{error}"),
    }
    let had_f16 = device.has_f16();
    // Another device, because what a driver complained of stays with the first.
    let device = GpuDevice::request_without_f16().await?;
    self_test(&device).await?;
    let note = match had_f16 {
        true => " without half precision, which its driver computes wrongly",
        false => "",
    };
    Ok((device, note))
}

impl ChosenBackend {
    /// A builder for a model of these sizes, and the sentence that says which backend runs and why.
    /// Without a `capacity`, each lane gets [`DEFAULT_CAPACITY`] positions, or as many as the GPU
    /// can hold. `kernels` are the GPU's, where they were measured on the same adapter and model
    /// sizes, or fixed by hand; otherwise the GPU is measured.
    ///
    /// # Errors
    /// [`Error::GpuLimit`] where the GPU was asked for by name and the model does not fit, or as
    /// [`Backend::forward`](super::Backend::forward).
    pub fn builder(
        self,
        config: &ModelConfig,
        lanes: usize,
        capacity: Option<usize>,
        precision: CpuPrecision,
        kernels: Option<KernelChoices>,
    ) -> Result<(Box<dyn BackendBuilder>, String)> {
        let size = |default: usize| CacheSize {
            lanes,
            // One more for the engine, which sets a steered slot aside.
            capacity: capacity.unwrap_or(default).min(config.context_length) + 1,
        };
        let cpu = || CpuBuilder::new(config, size(DEFAULT_CAPACITY), precision);
        let Some(device) = self.device else {
            return Ok((Box::new(cpu()?), self.reason));
        };
        let largest = GpuBuilder::largest_capacity(&device, config, lanes).saturating_sub(1);
        let default = largest.clamp(LEAST_CAPACITY, DEFAULT_CAPACITY);
        let fits = |kernels: &KernelChoices| match kernels.key {
            // By hand: what is wrong with them is said.
            0 => true,
            key => key == KernelChoices::key(&device, config) && kernels.check(&device).is_ok(),
        };
        let gpu = match kernels.filter(fits) {
            Some(kernels) => GpuBuilder::with_choices(device, config, size(default), kernels),
            None => GpuBuilder::new(device, config, size(default)),
        };
        match gpu {
            Ok(builder) => Ok((Box::new(builder), self.reason)),
            Err(Error::GpuLimit { what, need, limit }) if self.fall_back => Ok((
                Box::new(cpu()?),
                format!(
                    "The CPU, because the model does not fit the graphics adapter: {what} needs \
                     {need} bytes in one piece, and {limit} are allowed."
                ),
            )),
            Err(error) => Err(error),
        }
    }
}
