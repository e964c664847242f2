//! The stages: which WGSL files each consists of, what it binds, and its variants.
//!
//! A kernel's source is plain text put together from the files of `shaders/`: first the constants
//! of the model and of this variant, then the shared parts, then the stage. There is one variant
//! for each weight format, matrix size and tile of batch rows that a model needs.

use crate::backend::CacheSize;
use crate::backend::cpu::SAMPLE_THREADS;
use crate::model::ModelConfig;
use crate::model::weights::WeightFormat;
use std::fmt::Write;

/// Largest batch of one pass: bounds the activation buffers and the work of one submit.
pub(super) const MAX_ROWS: usize = 64;

/// Parts of the vocabulary whose best token is found separately, by a thread each.
pub(super) const SHARES: usize = 2048;

/// Tokens that may end an answer.
pub(super) const MAX_END_TOKENS: usize = 16;

/// Lanes that decode together.
pub(super) fn decode_rows(cache: CacheSize) -> usize {
    cache.lanes.min(MAX_ROWS)
}

/// Sizes of the tile of batch rows that one thread computes.
const TILES: [usize; 3] = [1, 2, 4];

/// A stage of the forward pass, or an operation on the cache. Named as its file in `shaders/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Embed,
    Qkv,
    Attention,
    Project,
    GateUp,
    Head,
    AddToSlot,
    CopySlots,
    Penalise,
    Sample,
}

/// What a stage binds, in the order of its `@binding` numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    Uniform,
    Read,
    Write,
}

use Binding::{Read, Uniform, Write as ReadWrite};

impl Stage {
    #[cfg(all(test, not(target_arch = "wasm32")))]
    const ALL: [Stage; 10] = [
        Self::Embed,
        Self::Qkv,
        Self::Attention,
        Self::Project,
        Self::GateUp,
        Self::Head,
        Self::AddToSlot,
        Self::CopySlots,
        Self::Penalise,
        Self::Sample,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Qkv => "qkv",
            Self::Attention => "attention",
            Self::Project => "project",
            Self::GateUp => "gate_up",
            Self::Head => "head",
            Self::AddToSlot => "add_to_slot",
            Self::CopySlots => "copy_slots",
            Self::Penalise => "penalise",
            Self::Sample => "sample",
        }
    }

    /// Whether the stage is a matrix product, of a tile of batch rows.
    pub fn multiplies(self) -> bool {
        matches!(self, Self::Qkv | Self::Project | Self::GateUp | Self::Head)
    }

    /// How much of the grid's first dimension one workgroup takes.
    pub fn items_per_workgroup(self) -> u32 {
        match self {
            Self::Attention | Self::Sample => 1,
            _ => 64,
        }
    }

    pub fn bindings(self) -> &'static [Binding] {
        match self {
            Self::Embed => &[Uniform, Read, Read, ReadWrite],
            Self::Qkv => &[
                Uniform, Read, Read, Read, Read, Read, ReadWrite, ReadWrite, ReadWrite,
            ],
            Self::Attention => &[Uniform, Read, Read, Read, ReadWrite],
            Self::Project => &[Uniform, Read, Read, Read, ReadWrite],
            Self::GateUp | Self::Head => &[Uniform, Read, Read, Read, Read, ReadWrite],
            Self::AddToSlot => &[Uniform, Read, Read, ReadWrite, ReadWrite],
            Self::CopySlots => &[Uniform, ReadWrite, ReadWrite],
            Self::Penalise => &[Uniform, Read, Read, ReadWrite, ReadWrite],
            Self::Sample => &[ReadWrite, ReadWrite, ReadWrite, Read, Read, Read, ReadWrite],
        }
    }

    /// The parts of the source, without the weight format's.
    fn parts(self) -> &'static [&'static str] {
        const ROW: &str = include_str!("../../../shaders/row.wgsl");
        const BATCH: &str = include_str!("../../../shaders/batch.wgsl");
        const CACHE: &str = include_str!("../../../shaders/cache.wgsl");
        const LANES: &str = include_str!("../../../shaders/lanes.wgsl");
        const MATMUL: &str = include_str!("../../../shaders/matmul.wgsl");
        const NORMED: &str = include_str!("../../../shaders/normed_input.wgsl");
        match self {
            Self::Embed => &[ROW, BATCH, include_str!("../../../shaders/embed.wgsl")],
            Self::Qkv => &[
                ROW,
                BATCH,
                CACHE,
                NORMED,
                MATMUL,
                include_str!("../../../shaders/qkv.wgsl"),
            ],
            Self::Attention => &[
                ROW,
                BATCH,
                CACHE,
                include_str!("../../../shaders/attention.wgsl"),
            ],
            Self::Project => &[
                ROW,
                BATCH,
                MATMUL,
                include_str!("../../../shaders/project.wgsl"),
            ],
            Self::GateUp => &[
                ROW,
                BATCH,
                NORMED,
                MATMUL,
                include_str!("../../../shaders/gate_up.wgsl"),
            ],
            Self::Head => &[
                ROW,
                BATCH,
                NORMED,
                MATMUL,
                include_str!("../../../shaders/head.wgsl"),
            ],
            Self::AddToSlot => &[CACHE, include_str!("../../../shaders/add_to_slot.wgsl")],
            Self::CopySlots => &[CACHE, include_str!("../../../shaders/copy_slots.wgsl")],
            Self::Penalise => &[
                ROW,
                BATCH,
                LANES,
                include_str!("../../../shaders/penalise.wgsl"),
            ],
            Self::Sample => &[
                ROW,
                LANES,
                include_str!("../../../shaders/wide.wgsl"),
                include_str!("../../../shaders/sample.wgsl"),
            ],
        }
    }
}

fn weight_parts(format: WeightFormat) -> [&'static str; 2] {
    [
        include_str!("../../../shaders/weights/block.wgsl"),
        match format {
            WeightFormat::Q8_0 => include_str!("../../../shaders/weights/q8_0.wgsl"),
            WeightFormat::Q4_0 => include_str!("../../../shaders/weights/q4_0.wgsl"),
            WeightFormat::Q4_1 => include_str!("../../../shaders/weights/q4_1.wgsl"),
            WeightFormat::F16 => include_str!("../../../shaders/weights/f16.wgsl"),
            WeightFormat::F32 => include_str!("../../../shaders/weights/f32.wgsl"),
        },
    ]
}

fn tile_part(tile: usize) -> &'static str {
    match tile {
        1 => include_str!("../../../shaders/tiles/tile_1.wgsl"),
        2 => include_str!("../../../shaders/tiles/tile_2.wgsl"),
        _ => include_str!("../../../shaders/tiles/tile_4.wgsl"),
    }
}

/// The weight matrix that a variant multiplies with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MatrixShape {
    pub format: WeightFormat,
    pub rows: usize,
    pub cols: usize,
}

/// One kernel: a stage, with its matrix and tile where it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    pub stage: Stage,
    pub matrix: Option<MatrixShape>,
    pub tile: usize,
}

impl Variant {
    /// A stage without weights.
    pub fn plain(stage: Stage) -> Self {
        Self {
            stage,
            matrix: None,
            tile: 1,
        }
    }

    /// A stage that multiplies `rows` batch rows with a matrix, in the smallest tile that takes
    /// them all, or the largest.
    pub fn product(stage: Stage, matrix: MatrixShape, rows: usize) -> Self {
        let largest = TILES[TILES.len() - 1];
        Self {
            stage,
            matrix: Some(matrix),
            tile: TILES.into_iter().find(|t| *t >= rows).unwrap_or(largest),
        }
    }

    /// The WGSL source.
    pub fn source(&self, config: &ModelConfig, cache: CacheSize) -> String {
        let mut source = String::new();
        let mut constant = |name: &str, value: usize| {
            // Writing to a string cannot fail.
            let _ = writeln!(source, "const {name} = {value}u;");
        };
        constant("MAX_ROWS", MAX_ROWS);
        constant("N_LAYERS", config.n_layers);
        constant("N_HEADS", config.n_heads);
        constant("N_KV_HEADS", config.n_kv_heads);
        constant("HEAD_DIM", config.head_dim);
        constant("LANES", cache.lanes);
        constant("CAPACITY", cache.capacity);
        constant("VOCAB_SIZE", config.vocab_size);
        constant("DECODE_ROWS", decode_rows(cache));
        constant("SHARES", SHARES);
        constant("SAMPLE_THREADS", SAMPLE_THREADS as usize);
        constant("MAX_END_TOKENS", MAX_END_TOKENS);
        if let Some(matrix) = self.matrix {
            constant("WEIGHT_ROWS", matrix.rows);
            constant("WEIGHT_COLS", matrix.cols);
        }
        let scale = 1.0 / (config.head_dim as f32).sqrt();
        let _ = writeln!(source, "const NORM_EPS = f32({:e});", config.norm_eps);
        let _ = writeln!(source, "const ATTENTION_SCALE = f32({scale:e});");
        if let Some(matrix) = self.matrix {
            for part in weight_parts(matrix.format) {
                source.push_str(part);
            }
        }
        if self.stage.multiplies() {
            source.push_str(tile_part(self.tile));
        }
        for part in self.stage.parts() {
            source.push_str(part);
        }
        source
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use wgpu::naga;

    fn smollm2_135m() -> ModelConfig {
        ModelConfig {
            name: String::new(),
            architecture: "llama".into(),
            n_layers: 30,
            width: 576,
            ffn_width: 1536,
            n_heads: 9,
            n_kv_heads: 3,
            head_dim: 64,
            vocab_size: 49152,
            context_length: 8192,
            rope_base: 100_000.0,
            norm_eps: 1e-5,
        }
    }

    /// Every stage in every weight format and tile parses, validates, and binds what
    /// [`Stage::bindings`] says.
    #[test]
    fn every_variant_validates() {
        let formats = [
            WeightFormat::Q8_0,
            WeightFormat::Q4_0,
            WeightFormat::Q4_1,
            WeightFormat::F16,
            WeightFormat::F32,
        ];
        let cache = CacheSize {
            lanes: 2,
            capacity: 256,
        };
        for stage in Stage::ALL {
            let variants: Vec<Variant> = if stage.multiplies() || stage == Stage::Embed {
                formats
                    .into_iter()
                    .flat_map(|format| {
                        TILES.map(|rows| {
                            let (rows_of_matrix, cols) = (960, 576);
                            let matrix = MatrixShape {
                                format,
                                rows: rows_of_matrix,
                                cols,
                            };
                            Variant::product(stage, matrix, rows)
                        })
                    })
                    .collect()
            } else {
                vec![Variant::plain(stage)]
            };
            for variant in variants {
                let source = variant.source(&smollm2_135m(), cache);
                let module = naga::front::wgsl::parse_str(&source)
                    .unwrap_or_else(|e| panic!("{variant:?}: {}", e.emit_to_string(&source)));
                naga::valid::Validator::new(
                    naga::valid::ValidationFlags::all(),
                    // What `unpack2x16float` counts as; WebGPU has it without any feature.
                    naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32,
                )
                .validate(&module)
                .unwrap_or_else(|e| panic!("{variant:?}: {}", e.emit_to_string(&source)));
                assert_eq!(bound(&module), stage.bindings(), "{variant:?}");
            }
        }
    }

    fn bound(module: &naga::Module) -> Vec<Binding> {
        let mut bound: Vec<(u32, Binding)> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| {
                let kind = match variable.space {
                    naga::AddressSpace::Uniform => Uniform,
                    naga::AddressSpace::Storage { access }
                        if access.contains(naga::StorageAccess::STORE) =>
                    {
                        ReadWrite
                    }
                    naga::AddressSpace::Storage { .. } => Read,
                    _ => return None,
                };
                Some((variable.binding.as_ref()?.binding, kind))
            })
            .collect();
        bound.sort_by_key(|(number, _)| *number);
        bound.into_iter().map(|(_, kind)| kind).collect()
    }
}
