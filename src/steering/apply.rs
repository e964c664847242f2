//! From vectors and strengths to what is added to one position of the cache.

use super::{KeyFrame, SteeringVector, Strength, StrengthUnit};
use crate::backend::{Slot, rope};
use crate::model::ModelConfig;
use std::sync::Arc;

/// A vector and how strongly it is added.
#[derive(Debug, Clone)]
pub struct Steering {
    /// The vector.
    pub vector: Arc<SteeringVector>,
    /// Its coefficients.
    pub strength: Strength,
}

/// Whether what is in the slot has to be known.
pub(crate) fn needs_slot(steerings: &[Steering]) -> bool {
    steerings
        .iter()
        .any(|s| s.strength.unit == StrengthUnit::Slot && !s.strength.is_zero())
}

/// What is added to the slot: the sum over the vectors of `c_k * S_k` and `c_v * S_v`, in the layers
/// of each [`Strength`]; `None` where all coefficients are 0, because then nothing may be written
/// (even adding 0 would turn a cached -0 into 0). `slot` is what the cache holds there; without it,
/// [`StrengthUnit::Slot`] adds nothing.
pub(crate) fn delta(
    config: &ModelConfig,
    steerings: &[Steering],
    position: usize,
    slot: Option<&Slot>,
) -> Option<Slot> {
    let mut sum: Option<Slot> = None;
    for Steering { vector, strength } in steerings {
        if strength.is_zero() {
            continue;
        }
        let sum = sum.get_or_insert_with(|| Slot {
            keys: vec![0.0; vector.keys.len()],
            values: vec![0.0; vector.values.len()],
        });
        let parts = Parts {
            strength,
            layer_len: vector.layer_len(),
        };
        parts.add(
            strength.values,
            &vector.values,
            slot.map(|slot| &slot.values[..]),
            &mut sum.values,
        );
        if strength.keys != 0.0 {
            let mut keys = vector.keys.clone();
            if vector.metadata.extraction.key_frame == KeyFrame::Zero {
                rope::rotate(config, &mut keys, position as f64);
            }
            parts.add(
                strength.keys,
                &keys,
                slot.map(|slot| &slot.keys[..]),
                &mut sum.keys,
            );
        }
    }
    sum
}

/// One vector's part in the sum.
struct Parts<'a> {
    strength: &'a Strength,
    layer_len: usize,
}

impl Parts<'_> {
    fn add(&self, coefficient: f32, vector: &[f32], slot: Option<&[f32]>, sum: &mut [f32]) {
        let layers = vector
            .chunks(self.layer_len)
            .zip(sum.chunks_mut(self.layer_len));
        for (layer, (vector, sum)) in layers.enumerate() {
            if !self.strength.includes(layer) {
                continue;
            }
            let factor = match self.strength.unit {
                StrengthUnit::Vector => coefficient,
                StrengthUnit::Slot => {
                    let start = layer * self.layer_len;
                    let here = slot.map_or(0.0, |slot| norm(&slot[start..][..vector.len()]));
                    let own = norm(vector);
                    if own == 0.0 {
                        continue;
                    } else {
                        coefficient * here / own
                    }
                }
            };
            for (sum, x) in sum.iter_mut().zip(vector) {
                *sum += factor * x;
            }
        }
    }
}

fn norm(x: &[f32]) -> f32 {
    x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::synthetic;
    use crate::steering::{ExtractOptions, VectorMetadata};

    fn config() -> ModelConfig {
        ModelConfig {
            n_layers: 2,
            n_kv_heads: 1,
            head_dim: 2,
            ..synthetic::smollm2_135m()
        }
    }

    fn vector() -> Arc<SteeringVector> {
        Arc::new(SteeringVector {
            keys: vec![1.0, 2.0, 3.0, 4.0],
            values: vec![5.0, 6.0, 7.0, 8.0],
            dims: [2, 1, 2],
            metadata: VectorMetadata::default(),
        })
    }

    fn steering(values: f32, keys: f32) -> Steering {
        Steering {
            vector: vector(),
            strength: Strength {
                values,
                keys,
                first_layer: 1,
                ..Strength::default()
            },
        }
    }

    fn added(steerings: &[Steering]) -> Option<Slot> {
        delta(&config(), steerings, 9, None)
    }

    #[test]
    fn scales_each_tensor_from_the_first_layer_on() {
        let delta = added(&[steering(2.0, -1.0)]).expect("a write");
        assert_eq!(delta.keys, [0.0, 0.0, -3.0, -4.0]);
        assert_eq!(delta.values, [0.0, 0.0, 14.0, 16.0]);
    }

    #[test]
    fn stops_at_the_last_layer() {
        let mut first = steering(2.0, 0.0);
        first.strength.first_layer = 0;
        first.strength.last_layer = Some(0);
        assert_eq!(added(&[first]).unwrap().values, [10.0, 12.0, 0.0, 0.0]);
    }

    #[test]
    fn writes_nothing_at_zero_strength() {
        assert_eq!(added(&[]), None);
        assert_eq!(added(&[steering(0.0, -0.0), steering(0.0, 0.0)]), None);
    }

    #[test]
    fn two_vectors_at_half_strength_are_one_at_full() {
        assert_eq!(
            added(&[steering(2.35, 0.15), steering(2.35, 0.15)]),
            added(&[steering(4.7, 0.3)])
        );
    }

    #[test]
    fn one_length_of_the_slot_is_added_in_its_own_unit() {
        let mut relative = steering(1.0, 0.5);
        relative.strength.first_layer = 0;
        relative.strength.unit = StrengthUnit::Slot;
        assert!(needs_slot(&[relative.clone()]));
        let slot = Slot {
            keys: vec![0.0, 2.0, 3.0, 4.0],
            values: vec![3.0, 4.0, 0.0, 0.0],
        };
        let delta = delta(&config(), &[relative], 0, Some(&slot)).unwrap();
        assert!((norm(&delta.values[..2]) - 5.0).abs() < 1e-5);
        assert_eq!(delta.values[2..], [0.0, 0.0]);
        assert!((norm(&delta.keys[..2]) - 1.0).abs() < 1e-6);
        assert!((norm(&delta.keys[2..]) - 2.5).abs() < 1e-6);
        assert!((delta.values[0] / delta.values[1] - 5.0 / 6.0).abs() < 1e-6);
    }

    #[test]
    fn keys_of_position_zero_are_turned_to_the_slot() {
        let mut turned = vector().as_ref().clone();
        turned.metadata.extraction = ExtractOptions {
            key_frame: KeyFrame::Zero,
            ..ExtractOptions::default()
        };
        let steering = Steering {
            vector: Arc::new(turned),
            ..steering(0.0, 1.0)
        };
        let delta = delta(&config(), &[steering], 2, None).unwrap();
        let (sin, cos) = 2f32.sin_cos();
        let expected = [3.0 * cos - 4.0 * sin, 4.0 * cos + 3.0 * sin];
        for (found, expected) in delta.keys[2..].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5);
        }
    }
}
