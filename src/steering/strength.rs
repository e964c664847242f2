//! How strongly, and in which layers, a vector is added.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The coefficients of one write to the cache.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Strength {
    /// `c_v`: factor of the vector's values.
    pub values: f32,
    /// `c_k`: factor of the vector's keys.
    pub keys: f32,
    /// First layer, counted from 0, that is written to; the layers below stay as they are.
    pub first_layer: usize,
    /// Last layer that is written to; all from the first one on where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_layer: Option<usize>,
    /// What the factors multiply.
    #[serde(default)]
    pub unit: StrengthUnit,
}

/// What the factors of a [`Strength`] multiply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StrengthUnit {
    /// The vector as it is: the coefficient of the paper.
    #[default]
    Vector,
    /// In each layer, the vector at the length that the steered slot has there: 1 adds as much as
    /// there is. It means the same for vectors and models of any size.
    Slot,
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
            last_layer: None,
            unit: StrengthUnit::Vector,
        }
    }
}

impl Strength {
    /// The same with another factor of the values; that of the keys keeps its share of it.
    pub fn with_values(self, values: f32) -> Self {
        let share = if self.values == 0.0 {
            0.0
        } else {
            self.keys / self.values
        };
        Self {
            values,
            keys: share * values,
            ..self
        }
    }

    /// Whether both coefficients are 0: then nothing is written at all, and the run is
    /// bit-identical to one without steering.
    pub fn is_zero(&self) -> bool {
        self.values == 0.0 && self.keys == 0.0
    }

    /// Whether a layer is written to.
    pub fn includes(&self, layer: usize) -> bool {
        layer >= self.first_layer && self.last_layer.is_none_or(|last| layer <= last)
    }

    /// Refuses coefficients that are not numbers, and layers that the model does not have.
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
        let top = n_layers.saturating_sub(1);
        if self.first_layer >= n_layers {
            return Err(Error::InvalidRequest(format!(
                "steering cannot start at layer {}: the model has the layers 0 to {top}",
                self.first_layer,
            )));
        }
        match self.last_layer {
            Some(last) if last < self.first_layer || last >= n_layers => {
                Err(Error::InvalidRequest(format!(
                    "steering cannot go from layer {} to layer {last}: the model has the layers 0 to {top}",
                    self.first_layer,
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_share_of_the_values() {
        let recommended = Strength {
            values: 4.0,
            keys: 2.0,
            ..Strength::default()
        };
        assert_eq!(recommended.with_values(-3.0).keys, -1.5);
        assert!(recommended.with_values(0.0).is_zero());
        let no_values = recommended.with_values(0.0).with_values(5.0);
        assert_eq!((no_values.values, no_values.keys), (5.0, 0.0));
    }
}
