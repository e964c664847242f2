//! How strongly, and from which layer on, a vector is added.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The coefficients of one write to the cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Strength {
    /// `c_v`: factor of the vector's values.
    pub values: f32,
    /// `c_k`: factor of the vector's keys.
    pub keys: f32,
    /// First layer, counted from 0, that is written to; the layers below stay as they are.
    pub first_layer: usize,
}

impl Default for Strength {
    /// What a vector is used with when its file recommends nothing. The reference implementation
    /// leaves the keys and the first layer alone; 6 is the middle of the range in which vectors
    /// change the style of SmolLM2's answers without breaking them.
    fn default() -> Self {
        Self {
            values: 6.0,
            keys: 0.0,
            first_layer: 1,
        }
    }
}

impl Strength {
    /// Whether both coefficients are 0: then nothing is written at all, and the run is
    /// bit-identical to one without steering.
    pub fn is_zero(&self) -> bool {
        self.values == 0.0 && self.keys == 0.0
    }

    /// Refuses coefficients that are not numbers, and a first layer that the model does not have.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`].
    pub fn check(&self, n_layers: usize) -> Result<()> {
        if !self.values.is_finite() || !self.keys.is_finite() {
            return Err(Error::InvalidRequest(format!(
                "the steering coefficients must be finite numbers, not {} for values and {} for keys",
                self.values, self.keys
            )));
        }
        if self.first_layer >= n_layers {
            return Err(Error::InvalidRequest(format!(
                "steering cannot start at layer {}: the model has the layers 0 to {}",
                self.first_layer,
                n_layers.saturating_sub(1)
            )));
        }
        Ok(())
    }
}
