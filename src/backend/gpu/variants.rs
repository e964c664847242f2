//! One kernel: a stage in one of its variants, and its WGSL.
//!
//! A kernel's source is plain text put together from the files of `shaders/`: first the constants
//! of the model and of this variant, then the shared parts, then the stage. There is one variant
//! for each weight format, matrix size, tile of batch rows, [`ProductKernel`] and number of splits
//! that a model and a device need.

use super::cache::slots;
use super::choices::{ProductKernel, Reduction};
use super::stages::{MAX_END_TOKENS, SHARES, Stage, decode_rows};
use crate::backend::CacheSize;
use crate::backend::cpu::SAMPLE_THREADS;
use crate::model::ModelConfig;
use crate::model::weights::WeightFormat;
use std::fmt::Write;

/// What all kernels of a model have in common.
#[derive(Debug, Clone)]
pub(super) struct KernelModel {
    pub config: ModelConfig,
    /// As it was made; kernels hold for every other cut of it.
    pub cache: CacheSize,
    /// Whether the cache is kept in f16.
    pub f16_cache: bool,
    /// Whether queries, keys and values have biases.
    pub has_biases: bool,
    /// Largest batch of one pass: bounds the activation buffers and the work of one submit.
    pub max_rows: usize,
}

/// The weight matrix that a variant multiplies with, or some of the rows of one that is bound in
/// several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MatrixShape {
    pub format: WeightFormat,
    /// The first of its rows, in the whole matrix.
    pub first: usize,
    pub rows: usize,
    pub cols: usize,
}

/// How a matrix product is computed, for a tile of batch rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ProductVariant {
    kernel: ProductKernel,
    tile: usize,
}

/// One kernel: a stage, with its matrix, product and splits where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    pub stage: Stage,
    matrix: Option<MatrixShape>,
    product: Option<ProductVariant>,
    /// Parts of the sequence that attention leaves unmerged, and that the attention output's
    /// projection merges; 1 for none.
    splits: usize,
}

/// Workgroup memory that every adapter has.
const WORKGROUP_BYTES: usize = 16 << 10;

/// Whether splits of an input of this width can be merged, by workgroups of any size.
pub(super) fn can_merge(width: usize) -> bool {
    merged_bytes(1, width) + parts_bytes(1, 256) <= WORKGROUP_BYTES
}

/// Workgroup memory of a tile of merged input rows (`shaders/inputs/merged.wgsl`).
fn merged_bytes(tile: usize, width: usize) -> usize {
    tile * width * size_of::<f32>()
}

/// Workgroup memory of the sums of a tile (`shaders/products/workgroup.wgsl`).
fn parts_bytes(tile: usize, threads: usize) -> usize {
    3 * tile * threads * size_of::<f32>()
}

impl Variant {
    /// A stage without weights.
    pub fn plain(stage: Stage) -> Self {
        Self {
            stage,
            matrix: None,
            product: None,
            splits: 1,
        }
    }

    /// A stage that looks values up in a matrix.
    pub fn lookup(stage: Stage, matrix: MatrixShape) -> Self {
        Self {
            matrix: Some(matrix),
            ..Self::plain(stage)
        }
    }

    /// Attention over a sequence in so many parts.
    pub fn attention(splits: usize) -> Self {
        Self {
            splits,
            ..Self::plain(Stage::Attention)
        }
    }

    /// A stage that multiplies `rows` batch rows with a matrix, in the smallest tile that takes
    /// them all, or the largest. `splits` is what attention left, for the stage that follows it.
    pub fn product(
        stage: Stage,
        matrix: MatrixShape,
        kernel: ProductKernel,
        rows: usize,
        splits: usize,
    ) -> Self {
        let mut tile = kernel.tile(rows);
        if splits > 1 {
            let bytes = |tile| {
                let parts = parts_bytes(tile, kernel.threads() as usize);
                merged_bytes(tile, matrix.cols) + parts
            };
            while tile > 1 && bytes(tile) > WORKGROUP_BYTES {
                tile /= 2;
            }
        }
        Self {
            stage,
            matrix: Some(matrix),
            product: Some(ProductVariant { kernel, tile }),
            splits,
        }
    }

    /// Workgroups of a pass over `rows` batch rows; `width` is how many items the stage has for
    /// each: pairs of weight rows, blocks, heads, or vec4s.
    pub fn workgroups(&self, model: &KernelModel, width: usize, rows: usize) -> [u32; 3] {
        let [x, y, z] = match (self.stage, self.product) {
            (_, Some(product)) => [
                width.div_ceil(product.kernel.pairs() as usize),
                rows.div_ceil(product.tile),
                1,
            ],
            (Stage::Attention, _) => [width / heads_together(&model.config), rows, self.splits],
            (Stage::AttentionWeight | Stage::Sample, _) => [width, rows, 1],
            _ => [width.div_ceil(64), rows, 1],
        };
        [x as u32, y as u32, z as u32]
    }

    /// The name of the entry point.
    pub fn entry_point(&self) -> &'static str {
        match self.product {
            Some(_) => "multiply",
            None => self.stage.name(),
        }
    }

    /// The WGSL source.
    pub fn source(&self, model: &KernelModel) -> String {
        let mut source = self.directives(model);
        self.constants(model, &mut source);
        for part in self.parts(&model.config) {
            source.push_str(part);
        }
        source
    }

    /// Whether it needs f16, beside what unpacks it.
    pub fn needs_f16(&self, model: &KernelModel) -> bool {
        let caches = matches!(
            self.stage,
            Stage::Qkv
                | Stage::AttentionWeight
                | Stage::Attention
                | Stage::AddToSlot
                | Stage::CopySlots
        );
        caches && model.f16_cache || self.product.is_some_and(|p| p.kernel.needs_f16())
    }

    /// Whether it runs within subgroups.
    pub fn needs_subgroups(&self) -> bool {
        self.product.is_some_and(|p| p.kernel.needs_subgroups())
    }

    fn directives(&self, model: &KernelModel) -> String {
        let mut directives = String::new();
        if self.needs_f16(model) {
            directives.push_str("enable f16;\n");
        }
        // Browsers ask for the directive; naga has the functions without it and refuses it.
        if self.needs_subgroups() && cfg!(target_arch = "wasm32") {
            directives.push_str("enable subgroups;\n");
        }
        directives
    }

    fn constants(&self, model: &KernelModel, source: &mut String) {
        let KernelModel { config, cache, .. } = model;
        let mut constant = |name: &str, value: usize| {
            // Writing to a string cannot fail.
            let _ = writeln!(source, "const {name} = {value}u;");
        };
        constant("MAX_ROWS", model.max_rows);
        constant("N_LAYERS", config.n_layers);
        constant("WIDTH", config.width);
        constant("N_HEADS", config.n_heads);
        constant("N_KV_HEADS", config.n_kv_heads);
        constant("HEAD_DIM", config.head_dim);
        constant("SLOTS", slots(*cache));
        constant("SPLITS", self.splits);
        constant("VOCAB_SIZE", config.vocab_size);
        constant("DECODE_ROWS", decode_rows(*cache));
        constant("SHARES", SHARES);
        constant("SAMPLE_THREADS", SAMPLE_THREADS as usize);
        constant("MAX_END_TOKENS", MAX_END_TOKENS);
        if let Some(matrix) = self.matrix {
            constant("FIRST_ROW", matrix.first);
            constant("WEIGHT_ROWS", matrix.rows);
            constant("WEIGHT_COLS", matrix.cols);
        }
        if self.stage == Stage::Attention {
            constant("THREADS", attention_threads(config));
        }
        let mut half = false;
        if let Some(ProductVariant { kernel, .. }) = self.product {
            constant("THREADS", kernel.threads() as usize);
            constant("PAIRS", kernel.pairs() as usize);
            if let ProductKernel::Vector { slices, .. } = kernel {
                constant("SLICES", slices as usize);
            }
            half = kernel.needs_f16();
        }
        let float = |half: bool| if half { "f16" } else { "f32" };
        let scale = 1.0 / (config.head_dim as f32).sqrt();
        let _ = writeln!(source, "const HAS_BIASES = {};", model.has_biases);
        let _ = writeln!(source, "const NORM_EPS = f32({:e});", config.norm_eps);
        let _ = writeln!(source, "const ATTENTION_SCALE = f32({scale:e});");
        // Of weights and inputs as they are multiplied, and of cached keys and values.
        let _ = writeln!(source, "alias Real = {};", float(half));
        let _ = writeln!(
            source,
            "alias Cached = {};",
            float(self.needs_f16(model) && model.f16_cache)
        );
    }

    /// The files of `shaders/` in which the stage is written.
    fn parts(&self, config: &ModelConfig) -> Vec<&'static str> {
        let mut parts = Vec::new();
        if let Some(matrix) = self.matrix {
            parts.extend(weight_parts(matrix.format));
        }
        if !matches!(self.stage, Stage::AddToSlot | Stage::CopySlots) {
            parts.push(include_str!("../../../shaders/row.wgsl"));
            // The sampling stage has its own view of the batch, to write to it.
            if self.stage != Stage::Sample {
                parts.push(include_str!("../../../shaders/batch.wgsl"));
            }
        }
        match self.stage {
            Stage::Qkv
            | Stage::AttentionWeight
            | Stage::Attention
            | Stage::AddToSlot
            | Stage::CopySlots => {
                parts.push(include_str!("../../../shaders/cache.wgsl"));
            }
            Stage::Penalise => parts.push(include_str!("../../../shaders/lanes.wgsl")),
            Stage::Sample => parts.extend([
                include_str!("../../../shaders/lanes.wgsl"),
                include_str!("../../../shaders/wide.wgsl"),
            ]),
            _ => {}
        }
        if matches!(self.stage, Stage::AttentionWeight | Stage::Attention) || self.splits > 1 {
            parts.push(include_str!("../../../shaders/splits.wgsl"));
        }
        match self.product {
            Some(ProductVariant { kernel, tile }) => {
                parts.push(match self.stage {
                    Stage::Project if self.splits > 1 => {
                        include_str!("../../../shaders/inputs/merged.wgsl")
                    }
                    Stage::Project => include_str!("../../../shaders/inputs/plain.wgsl"),
                    _ => include_str!("../../../shaders/inputs/normed.wgsl"),
                });
                parts.extend(product_parts(kernel, tile));
            }
            None if self.stage == Stage::Attention => {
                parts.push(tile_part(heads_together(config)));
            }
            None => {}
        }
        parts.push(match self.stage {
            Stage::Embed => include_str!("../../../shaders/embed.wgsl"),
            Stage::Qkv => include_str!("../../../shaders/qkv.wgsl"),
            Stage::AttentionWeight => include_str!("../../../shaders/attention_weight.wgsl"),
            Stage::Attention => include_str!("../../../shaders/attention.wgsl"),
            Stage::Project => include_str!("../../../shaders/project.wgsl"),
            Stage::GateUp => include_str!("../../../shaders/gate_up.wgsl"),
            Stage::Head => include_str!("../../../shaders/head.wgsl"),
            Stage::AddToResidual => include_str!("../../../shaders/add_to_residual.wgsl"),
            Stage::AddToSlot => include_str!("../../../shaders/add_to_slot.wgsl"),
            Stage::CopySlots => include_str!("../../../shaders/copy_slots.wgsl"),
            Stage::Penalise => include_str!("../../../shaders/penalise.wgsl"),
            Stage::Sample => include_str!("../../../shaders/sample.wgsl"),
        });
        parts
    }
}

fn weight_parts(format: WeightFormat) -> Vec<&'static str> {
    const NIBBLES: &str = include_str!("../../../shaders/weights/nibbles.wgsl");
    let mut parts = vec![include_str!("../../../shaders/weights/block.wgsl")];
    match format {
        WeightFormat::Q8_0 => parts.push(include_str!("../../../shaders/weights/q8_0.wgsl")),
        WeightFormat::Q4_0 => {
            parts.extend([NIBBLES, include_str!("../../../shaders/weights/q4_0.wgsl")]);
        }
        WeightFormat::Q4_1 => {
            parts.extend([NIBBLES, include_str!("../../../shaders/weights/q4_1.wgsl")]);
        }
        WeightFormat::F16 => parts.push(include_str!("../../../shaders/weights/f16.wgsl")),
        WeightFormat::F32 => parts.push(include_str!("../../../shaders/weights/f32.wgsl")),
    }
    parts
}

fn product_parts(kernel: ProductKernel, tile: usize) -> Vec<&'static str> {
    let ProductKernel::Vector { reduction, .. } = kernel else {
        return vec![include_str!("../../../shaders/products/tiled.wgsl")];
    };
    let mut parts = vec![
        tile_part(tile),
        include_str!("../../../shaders/products/vector.wgsl"),
    ];
    match reduction {
        Reduction::Row => parts.push(include_str!("../../../shaders/products/row.wgsl")),
        Reduction::Workgroup => {
            parts.push(include_str!("../../../shaders/products/workgroup.wgsl"));
        }
        Reduction::Subgroup => {
            parts.push(include_str!("../../../shaders/products/subgroup.wgsl"));
            parts.push(match tile {
                8 => include_str!("../../../shaders/tiles/shuffle_8.wgsl"),
                _ => include_str!("../../../shaders/tiles/shuffle.wgsl"),
            });
        }
    }
    parts
}

fn tile_part(tile: usize) -> &'static str {
    match tile {
        1 => include_str!("../../../shaders/tiles/tile_1.wgsl"),
        2 => include_str!("../../../shaders/tiles/tile_2.wgsl"),
        3 => include_str!("../../../shaders/tiles/tile_3.wgsl"),
        4 => include_str!("../../../shaders/tiles/tile_4.wgsl"),
        _ => include_str!("../../../shaders/tiles/tile_8.wgsl"),
    }
}

/// Threads of a workgroup of attention: one for every four elements of a head, or more.
fn attention_threads(config: &ModelConfig) -> usize {
    (config.head_dim / 4).next_power_of_two().max(64)
}

/// Query heads that one workgroup of attention takes: up to four that share a KV head, and that
/// divide the heads which do.
fn heads_together(config: &ModelConfig) -> usize {
    if attention_threads(config) > 64 {
        // Four heads of that size exceed the workgroup memory of many adapters.
        return 1;
    }
    let sharing = config.n_heads / config.n_kv_heads;
    let divisor = (1..=4).rev().find(|n| sharing.is_multiple_of(*n));
    divisor.unwrap_or(1)
}
