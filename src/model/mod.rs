//! What a checkpoint is: its sizes, its tokenizer, its chat template, and the way its weights come
//! off the stream.
//!
//! In comes the byte stream of a GGUF file ([`load::ByteSource`]), out goes a [`Model`] and, tensor
//! by tensor, the weights for a [`BackendBuilder`](crate::backend::BackendBuilder).

pub(crate) mod blocks;
pub mod chat;
pub mod config;
mod convert;
pub mod header;
pub mod load;
pub mod metadata;
pub mod size;
mod stream;
pub mod synthetic;
pub mod tokenizer;
pub mod weights;

pub use chat::{ChatTemplate, Message};
pub use config::{Architecture, ModelConfig};
pub use header::Header;
pub use load::{LoadProgress, load};
pub use metadata::Metadata;
pub use size::WeightSize;
pub use tokenizer::{TextStream, Tokenizer};

use serde::Serialize;

/// A checkpoint without its weights, which went to the backend.
#[derive(Debug, Clone)]
pub struct Model {
    /// Sizes and constants.
    pub config: ModelConfig,
    /// Text to token ids and back.
    pub tokenizer: Tokenizer,
    /// Chat messages to the text of a prompt.
    pub chat: ChatTemplate,
    /// The file that it came from.
    pub file: ModelFile,
    /// What its weights weigh.
    pub weights: WeightSize,
}

/// What identifies the file that a model was loaded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFile {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// The same of each file, where the model is split over several.
    pub parts: Vec<String>,
}
