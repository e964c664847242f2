//! Activations as 16-bit integers.

use crate::model::weights::BLOCK;

/// Largest of the integers; its negative is the smallest.
const LARGEST: f32 = 32767.0;

/// Rows of 16-bit integers.
pub(super) struct Activations {
    blocks: Vec<ActivationBlock>,
    blocks_per_row: usize,
}

/// 32 activations of one row: `scale` times the integers.
#[derive(Clone, Copy)]
pub(super) struct ActivationBlock {
    pub scale: f32,
    /// The sum of the activations that the integers stand for.
    pub sum: f32,
    /// In pairs, which is how the kernel reads them.
    pub pairs: [[i16; 2]; BLOCK / 2],
}

impl Activations {
    /// Rounds the rows of `x`, `[rows, inputs]`.
    pub fn new(x: &[f32], inputs: usize) -> Self {
        let (blocks, _) = x.as_chunks();
        Self {
            blocks: blocks.iter().map(ActivationBlock::new).collect(),
            blocks_per_row: inputs / BLOCK,
        }
    }

    pub fn rows(&self) -> usize {
        self.blocks.len() / self.blocks_per_row
    }

    pub fn blocks_per_row(&self) -> usize {
        self.blocks_per_row
    }

    pub fn row(&self, number: usize) -> &[ActivationBlock] {
        &self.blocks[number * self.blocks_per_row..][..self.blocks_per_row]
    }
}

impl ActivationBlock {
    /// Adding this to a float, and taking it away from the bits, rounds it to an integer.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;

    /// A block with an infinite number or a NaN gets a scale that is neither, so that the products
    /// are no numbers either.
    fn new(values: &[f32; BLOCK]) -> Self {
        // Positive floats are ordered as their bits are, with infinity and NaN at the end.
        let largest = values.iter().map(|x| x.abs().to_bits() as i32);
        let scale = f32::from_bits(largest.fold(0, i32::max) as u32) / LARGEST;
        if scale < f32::MIN_POSITIVE {
            return Self {
                scale: 0.0,
                sum: 0.0,
                pairs: [[0; 2]; BLOCK / 2],
            };
        }
        let inverse = 1.0 / scale;
        let mut integers = [0; BLOCK];
        for (integer, x) in integers.iter_mut().zip(values) {
            let rounded = x * inverse + Self::ROUND;
            *integer = (rounded.to_bits() as i32).wrapping_sub(Self::ROUND.to_bits() as i32) as i16;
        }
        let sum: i32 = integers.iter().map(|&integer| i32::from(integer)).sum();
        Self {
            scale,
            sum: sum as f32 * scale,
            pairs: bytemuck::cast(integers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dequantized(values: [f32; BLOCK]) -> [f32; BLOCK] {
        let block = ActivationBlock::new(&values);
        let integers: [i16; BLOCK] = bytemuck::cast(block.pairs);
        let restored = integers.map(|integer| block.scale * f32::from(integer));
        let sum: f64 = restored.iter().map(|&x| f64::from(x)).sum();
        assert!((f64::from(block.sum) - sum).abs() <= 1e-5 * f64::from(block.scale * LARGEST));
        restored
    }

    #[test]
    fn values_are_kept_to_half_a_step() {
        for scale in [1e-30, 1e-3, 1.0, 3e4, 1e38] {
            let values: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 - 14.7) / 17.0 * scale);
            let largest = values.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            for (restored, value) in dequantized(values).into_iter().zip(values) {
                assert!((restored - value).abs() <= 0.51 * largest / LARGEST);
            }
        }
    }

    #[test]
    fn zeros_and_numbers_next_to_zero_are_zeros() {
        assert_eq!(dequantized([0.0; BLOCK]), [0.0; BLOCK]);
        assert_eq!(dequantized([-1e-40; BLOCK]), [0.0; BLOCK]);
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let mut values = [1.0; BLOCK];
            values[7] = wrong;
            assert!(!ActivationBlock::new(&values).scale.is_finite());
        }
    }
}
