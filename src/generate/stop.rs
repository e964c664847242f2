//! When a lane stops.

use serde::{Deserialize, Serialize};

/// Why a lane's answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model wrote its end token.
    EndOfText,
    /// As many tokens as were asked for.
    MaxTokens,
    /// The lane's cache is full.
    ContextFull,
    /// It repeats itself, and the request said to stop there.
    Repeating,
    /// The observer asked for a stop.
    Cancelled,
}
