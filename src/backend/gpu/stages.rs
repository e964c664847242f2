//! The stages: what each is called and what it binds.

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
    CopyLane,
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
    pub const ALL: [Stage; 8] = [
        Self::Embed,
        Self::Qkv,
        Self::Attention,
        Self::Project,
        Self::GateUp,
        Self::Head,
        Self::AddToSlot,
        Self::CopyLane,
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
            Self::CopyLane => "copy_lane",
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
            Self::Attention => &[Uniform, Read, Read, Read, Write],
            Self::Project => &[Uniform, Read, Read, Read, Write],
            Self::GateUp | Self::Head => &[Uniform, Read, Read, Read, Read, Write],
            Self::AddToSlot => &[Uniform, Read, Read, Write, Write],
            Self::CopyLane => &[Uniform, Write, Write],
        }
    }
}
