//! How a lane's next token is chosen.
//!
//! Sampling is defined so that every device gives the same token for the same logits and seed:
//! random numbers come from a 32-bit hash of seed and step, and probabilities are integers, whose
//! sums do not depend on the order of adding. The CPU's `sample` stage says how; the GPU's is its
//! twin.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a lane's next token is chosen. The default takes the most likely one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token and leaves nothing to chance.
    pub temperature: f32,
    /// Draws from so many of the most likely tokens; 0 for all of them.
    pub top_k: usize,
    /// Draws from the most likely tokens that together reach this probability; 1 for all of them.
    pub top_p: f32,
    /// Draws from tokens that are at least this many times as likely as the most likely one
    /// (Nguyen et al. 2024, arXiv 2407.01082); 0 for all of them.
    pub min_p: f32,
    /// Makes tokens of the prompt and the answer less likely: positive logits are divided by it,
    /// negative ones multiplied (Keskar et al. 2019, arXiv 1909.05858); 1 for no change.
    pub repetition_penalty: f32,
    /// The same seed gives the same answer. Lanes with the same seed draw the same numbers.
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Refuses parameters that make no sense.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`].
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::InvalidRequest(what));
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return refuse(format!(
                "the temperature must be 0 or more, not {}",
                self.temperature
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse(format!(
                "top-p must be above 0 and at most 1, not {}",
                self.top_p
            ));
        }
        if !(self.min_p >= 0.0 && self.min_p <= 1.0) {
            return refuse(format!("min-p must be from 0 to 1, not {}", self.min_p));
        }
        if !self.repetition_penalty.is_finite() || self.repetition_penalty <= 0.0 {
            return refuse(format!(
                "the repetition penalty must be above 0, not {}; 1 changes nothing",
                self.repetition_penalty
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_parameters_that_make_no_sense() {
        let plain = Sampling::default();
        let refused = [
            Sampling {
                temperature: -1.0,
                ..plain
            },
            Sampling {
                temperature: f32::NAN,
                ..plain
            },
            Sampling {
                top_p: 0.0,
                ..plain
            },
            Sampling {
                top_p: 1.5,
                ..plain
            },
            Sampling {
                min_p: -0.1,
                ..plain
            },
            Sampling {
                repetition_penalty: 0.0,
                ..plain
            },
        ];
        for sampling in refused {
            assert!(matches!(sampling.check(), Err(Error::InvalidRequest(_))));
        }
        assert!(plain.check().is_ok());
    }
}
