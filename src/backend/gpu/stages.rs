//! The stages: what each is called and what it binds.

use crate::backend::{CacheSize, MOST_LANES};

/// The smallest size of the largest batch of a pass: so many lanes can decode together.
pub(super) const LEAST_MAX_ROWS: usize = 64;

/// Parts of the vocabulary whose best token is found separately, by a thread each.
pub(super) const SHARES: usize = 2048;

/// Tokens that may end an answer.
pub(super) const MAX_END_TOKENS: usize = 16;

/// Lanes that decode together, however a cache of this size is cut later.
pub(super) fn decode_rows(cache: CacheSize) -> usize {
    cache.lanes.clamp(MOST_LANES, LEAST_MAX_ROWS)
}

/// A stage of the forward pass, or an operation on the cache. Named as its file in `shaders/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Embed,
    Qkv,
    AttentionWeight,
    Attention,
    Project,
    GateUp,
    Head,
    AddToResidual,
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

use Binding::{Read, Uniform, Write};

impl Stage {
    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub const ALL: [Stage; 12] = [
        Self::Embed,
        Self::Qkv,
        Self::AttentionWeight,
        Self::Attention,
        Self::Project,
        Self::GateUp,
        Self::Head,
        Self::AddToResidual,
        Self::AddToSlot,
        Self::CopySlots,
        Self::Penalise,
        Self::Sample,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Qkv => "qkv",
            Self::AttentionWeight => "attention_weight",
            Self::Attention => "attention",
            Self::Project => "project",
            Self::GateUp => "gate_up",
            Self::Head => "head",
            Self::AddToResidual => "add_to_residual",
            Self::AddToSlot => "add_to_slot",
            Self::CopySlots => "copy_slots",
            Self::Penalise => "penalise",
            Self::Sample => "sample",
        }
    }

    /// Whether the stage is a matrix product, of a tile of batch rows.
    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub fn multiplies(self) -> bool {
        matches!(self, Self::Qkv | Self::Project | Self::GateUp | Self::Head)
    }

    pub fn bindings(self) -> &'static [Binding] {
        match self {
            Self::Embed => &[Uniform, Read, Read, Write],
            Self::Qkv => &[Uniform, Read, Read, Read, Read, Read, Write, Write, Write],
            Self::AttentionWeight => &[Uniform, Uniform, Read, Read, Write],
            Self::Attention => &[Uniform, Read, Read, Read, Write],
            Self::Project => &[Uniform, Read, Read, Read, Write],
            Self::GateUp | Self::Head => &[Uniform, Read, Read, Read, Read, Write],
            Self::AddToResidual => &[Uniform, Read, Write],
            Self::AddToSlot => &[Uniform, Read, Read, Write, Write],
            Self::CopySlots => &[Uniform, Write, Write],
            Self::Penalise => &[Uniform, Read, Read, Write, Write],
            Self::Sample => &[Write, Write, Write, Read, Read, Read, Write],
        }
    }
}
