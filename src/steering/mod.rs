//! Steering: where a vector comes from, how it is stored, and how it is written to the cache.
//!
//! In come contrastive pairs of prompts ([`pairs`]), which a [`contrast`] set makes for any model and
//! style; an [`Extractor`] runs both prompts of each pair and averages the difference of what the
//! cache holds at their last token; the result is a [`SteeringVector`] ([`vector`] is its file). With
//! a [`Strength`] it is a [`Steering`], and one or several of these make the
//! [`Slot`](crate::backend::Slot) of differences ([`apply`]) that
//! [`Engine::steer`](crate::Engine::steer) adds to one position of one lane.
//!
//! The method is *KV Cache Steering for Inducing Reasoning in Small Language Models* (Belitsky et
//! al. 2025, arXiv 2507.08799).

mod activation;
pub mod apply;
mod cluster;
pub mod contrast;
pub mod extract;
pub mod metadata;
pub mod pairs;
pub mod strength;
pub mod style;
pub mod vector;

pub use activation::Activation;
pub use apply::Steering;
pub use contrast::ContrastItem;
pub use extract::{ExtractOptions, ExtractProgress, Extractor};
pub use metadata::{KeyFrame, VectorMetadata, VectorModel};
pub use pairs::ContrastivePair;
pub use strength::{Strength, StrengthUnit};
pub use style::Style;
pub use vector::SteeringVector;
