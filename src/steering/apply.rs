//! From a vector and a strength to what is added to one position of the cache.

use super::{SteeringVector, Strength};
use crate::backend::Slot;

/// What is added to the slot: `c_k * S_k` and `c_v * S_v` from the first steered layer on, 0 below
/// it; `None` where both coefficients are 0, because then nothing may be written (even adding 0
/// would turn a cached -0 into 0).
pub fn delta(vector: &SteeringVector, strength: Strength) -> Option<Slot> {
    if strength.is_zero() {
        return None;
    }
    let below = strength.first_layer * vector.layer_len();
    let scale = |tensor: &[f32], coefficient: f32| {
        tensor
            .iter()
            .enumerate()
            .map(|(i, s)| if i < below { 0.0 } else { coefficient * s })
            .collect()
    };
    Some(Slot {
        keys: scale(&vector.keys, strength.keys),
        values: scale(&vector.values, strength.values),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::VectorMetadata;

    fn vector() -> SteeringVector {
        SteeringVector {
            keys: vec![1.0, 2.0, 3.0, 4.0],
            values: vec![5.0, 6.0, 7.0, 8.0],
            dims: [2, 1, 2],
            metadata: VectorMetadata::default(),
        }
    }

    #[test]
    fn scales_each_tensor_from_the_first_layer_on() {
        let strength = Strength {
            values: 2.0,
            keys: -1.0,
            first_layer: 1,
        };
        let delta = delta(&vector(), strength).expect("a write");
        assert_eq!(delta.keys, [0.0, 0.0, -3.0, -4.0]);
        assert_eq!(delta.values, [0.0, 0.0, 14.0, 16.0]);
    }

    #[test]
    fn writes_nothing_at_zero_strength() {
        let strength = Strength {
            values: 0.0,
            keys: -0.0,
            first_layer: 0,
        };
        assert_eq!(delta(&vector(), strength), None);
    }
}
