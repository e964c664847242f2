//! Which variant of a kernel runs, and what a device remembers of that.
//!
//! A matrix product can be spread over a GPU in several ways, and which is fastest depends on the
//! device, on the matrix and on the rows of the batch. [`KernelChoices`] holds one
//! [`ProductKernel`] for each; `tune` measures them, and a caller may keep them.
//!
//! f32 is the reference. With the KV cache, weights and inputs in f16 (sums stay f32), the logits of
//! the synthetic test models differ by less than 0.4 % of the largest one. The perplexity of
//! SmolLM2-135M in Q4_1 stays within 1 %, which a test asks of the beginning of the golden text; of
//! all of its 1,024 tokens it was measured once, on lavapipe, as 0.01 % off.

use super::device::GpuDevice;
use super::stages::LEAST_MAX_ROWS;
use crate::model::ModelConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Workgroup memory of [`ProductKernel::Tiled`].
const TILED_BYTES: u32 = ((64 + 32) * 9 * 16) + 128 * 4;

/// Largest batch that choices may ask for: its rows are a uniform buffer.
const MOST_ROWS: usize = 512;

/// The version of the kernels: choices that were measured on other ones are measured again.
const KERNELS: u32 = 2;

/// How the threads that share a pair of weight rows add their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// One thread for each pair: nothing to add. For software adapters.
    Row,
    /// Through workgroup memory, behind a barrier.
    Workgroup,
    /// Within a subgroup, without memory.
    Subgroup,
}

/// How a matrix product is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ProductKernel {
    /// Every thread multiplies a slice of a pair of weight rows with up to 8 batch rows
    /// (`shaders/products/vector.wgsl`).
    Vector {
        /// How slices are added.
        reduction: Reduction,
        /// Pairs of weight rows of a workgroup.
        pairs: u32,
        /// Threads that share a pair; 1 for [`Reduction::Row`].
        slices: u32,
        /// Whether weights and inputs are multiplied in f16 (sums stay f32).
        half: bool,
    },
    /// Tiles of 64 weight rows and 32 batch rows in workgroup memory
    /// (`shaders/products/tiled.wgsl`), for prefill.
    Tiled,
}

impl ProductKernel {
    /// The kernel of software adapters, and the reference that the others are compared with.
    pub const ROW: Self = Self::Vector {
        reduction: Reduction::Row,
        pairs: 64,
        slices: 1,
        half: false,
    };

    /// A kernel in f32 with this reduction.
    pub const fn vector(reduction: Reduction, pairs: u32, slices: u32) -> Self {
        Self::Vector {
            reduction,
            pairs,
            slices,
            half: false,
        }
    }

    /// The same kernel in f16 or f32, where it has such a variant.
    pub(super) fn with_half(mut self, in_f16: bool) -> Self {
        if let Self::Vector { half, .. } = &mut self {
            *half = in_f16;
        }
        self
    }

    /// Threads of a workgroup.
    pub(super) fn threads(self) -> u32 {
        match self {
            Self::Vector { pairs, slices, .. } => pairs.saturating_mul(slices),
            Self::Tiled => 128,
        }
    }

    /// Pairs of weight rows of a workgroup.
    pub(super) fn pairs(self) -> u32 {
        match self {
            Self::Vector { pairs, .. } => pairs,
            Self::Tiled => 32,
        }
    }

    /// Batch rows of a workgroup in a batch of `rows`.
    pub(super) fn tile(self, rows: usize) -> usize {
        match self {
            // A row kernel is for software adapters, where eight rows at once do not fit the
            // registers of a CPU.
            Self::Vector { reduction, .. } => {
                let tiles = match reduction {
                    Reduction::Row => &[1, 2, 4][..],
                    _ => &[1, 2, 4, 8],
                };
                let fits = tiles.iter().find(|tile| **tile >= rows);
                *fits.unwrap_or(&tiles[tiles.len() - 1])
            }
            Self::Tiled => 32,
        }
    }

    /// Whether a device has the features and the sizes that this needs.
    pub(super) fn fits(self, device: &GpuDevice) -> bool {
        let abilities = device.abilities();
        let limits = device.device.limits();
        let threads = self.threads();
        let (largest_slices, memory) = match self {
            Self::Tiled => (u32::MAX, TILED_BYTES),
            Self::Vector {
                reduction, slices, ..
            } => match reduction {
                Reduction::Row => (1, 0),
                Reduction::Subgroup if slices.is_power_of_two() => {
                    (abilities.subgroup.unwrap_or(0), 0)
                }
                Reduction::Subgroup => (0, 0),
                // Three sums for each row of the largest tile.
                Reduction::Workgroup => (u32::MAX, threads.saturating_mul(3 * 8 * 4)),
            },
        };
        let slices = match self {
            Self::Vector { slices, .. } => slices,
            Self::Tiled => 1,
        };
        threads > 0
            && threads <= limits.max_compute_invocations_per_workgroup
            && threads <= limits.max_compute_workgroup_size_x
            && memory <= limits.max_compute_workgroup_storage_size
            && slices <= largest_slices
            && (!self.needs_f16() || abilities.f16)
    }

    /// Whether slices are added within subgroups.
    pub(super) fn needs_subgroups(self) -> bool {
        matches!(
            self,
            Self::Vector {
                reduction: Reduction::Subgroup,
                ..
            }
        )
    }

    /// Whether values are multiplied in f16.
    pub fn needs_f16(self) -> bool {
        matches!(self, Self::Vector { half: true, .. })
    }
}

/// A matrix of the model, by what it is for: their sizes differ, so their best kernels do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Queries, keys and values.
    Qkv,
    /// Attention output.
    Output,
    /// Gate and up.
    GateUp,
    /// FFN down.
    Down,
    /// The head.
    Head,
}

impl Product {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Qkv,
        Self::Output,
        Self::GateUp,
        Self::Down,
        Self::Head,
    ];
}

/// Batches by their number of rows: the largest of each class.
pub(super) const CLASSES: [usize; 5] = [1, 2, 4, 8, usize::MAX];

/// The variants that a device runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelChoices {
    /// Identifies what they were measured on ([`KernelChoices::key`]); 0 where they were not.
    pub key: u32,
    /// For each [`Product`], the kernel for batches of 1, 2, 4, 8 and more rows.
    products: [[ProductKernel; CLASSES.len()]; Product::ALL.len()],
    /// Whether keys and values are cached as f16.
    pub f16_cache: bool,
    /// Whether attention may split a long sequence over several workgroups.
    pub split_attention: bool,
    /// Largest batch of one pass.
    pub max_rows: usize,
}

impl KernelChoices {
    /// What suits a software adapter: no barriers, f32, short batches.
    pub fn software() -> Self {
        Self::fixed(ProductKernel::ROW)
    }

    /// One kernel for every product and every batch, with f32 caches and whole sequences: for
    /// tests and experiments.
    pub fn fixed(kernel: ProductKernel) -> Self {
        Self {
            key: 0,
            products: [[kernel; CLASSES.len()]; Product::ALL.len()],
            f16_cache: false,
            split_attention: false,
            max_rows: LEAST_MAX_ROWS,
        }
    }

    /// What suits most GPUs, before anything was measured.
    pub fn hardware() -> Self {
        let few = ProductKernel::vector(Reduction::Workgroup, 8, 16);
        let mut choices = Self::fixed(few);
        for product in Product::ALL {
            choices.set(product, usize::MAX, ProductKernel::Tiled);
        }
        choices.split_attention = true;
        choices.max_rows = 128;
        choices
    }

    /// A number that is another one for another adapter, driver, model or version of the kernels:
    /// choices with this key hold for this device and model.
    pub fn key(device: &GpuDevice, config: &ModelConfig) -> u32 {
        let measured_on = (KERNELS, device.abilities(), config);
        let text = format!("{measured_on:?}");
        // FNV-1a. Two that collide cost speed at worst: what does not fit a device is not taken.
        text.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        })
    }

    /// What suits a device, before anything was measured.
    pub fn for_device(device: &GpuDevice) -> Self {
        if device.info().software {
            return Self::software();
        }
        Self {
            f16_cache: device.abilities().f16,
            ..Self::hardware()
        }
    }

    /// The same kernels without f16; the cache stays as it is.
    pub(super) fn in_f32(self) -> Self {
        Self {
            products: self
                .products
                .map(|of| of.map(|kernel| kernel.with_half(false))),
            ..self
        }
    }

    /// Refuses kernels that the device cannot run.
    ///
    /// # Errors
    /// [`Error::Gpu`], naming the first of them.
    pub fn check(&self, device: &GpuDevice) -> Result<()> {
        let kernels = || self.products.iter().flatten();
        let unfit = kernels().find(|kernel| !kernel.fits(device));
        if let Some(kernel) = unfit {
            return Err(Error::Gpu {
                reason: format!("this device cannot run the kernel {kernel:?}"),
            });
        }
        let merging = &self.products[Product::Output as usize][..CLASSES.len() - 1];
        if self.split_attention && merging.contains(&ProductKernel::Tiled) {
            return Err(Error::Gpu {
                reason: "a tiled kernel cannot merge the parts of a split attention".into(),
            });
        }
        if !(LEAST_MAX_ROWS..=MOST_ROWS).contains(&self.max_rows) {
            return Err(Error::Gpu {
                reason: format!(
                    "a batch of {} rows is not from 1 to {MOST_ROWS}",
                    self.max_rows
                ),
            });
        }
        if self.f16_cache && !device.abilities().f16 {
            return Err(Error::Gpu {
                reason: "this device has no f16, which the KV cache was to be kept in".into(),
            });
        }
        Ok(())
    }

    /// The kernel of a product for a batch of `rows`.
    pub fn product(&self, product: Product, rows: usize) -> ProductKernel {
        self.products[product as usize][class(rows)]
    }

    /// Chooses the kernel of a product for batches as large as `rows`: of 1, 2, up to 4, up to 8,
    /// or more.
    pub fn set(&mut self, product: Product, rows: usize, kernel: ProductKernel) {
        self.products[product as usize][class(rows)] = kernel;
    }
}

fn class(rows: usize) -> usize {
    // The last class has no end.
    CLASSES.partition_point(|largest| *largest < rows)
}
