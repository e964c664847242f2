//! 32 columns of eight rows of a matrix, in the order in which the kernel reads them.
//!
//! A vector of sixteen 16-bit lanes holds two columns, row after row, so that the dot product with a
//! pair of activations in every lane leaves one sum a row. In memory a lane holds more than one
//! weight: two bytes, or four nibbles.

use super::activations::ActivationBlock;
use crate::model::weights::BLOCK;
use bytemuck::cast;
use std::array;
use wide::{f32x8, i16x16, i32x4, i32x8, u16x16};

/// Rows of a block.
pub(super) const PANEL: usize = 8;

/// Pairs of columns in a block.
const PAIRS: usize = BLOCK / 2;

pub(super) type Q8_0 = Block<Bytes, Zero>;
pub(super) type Q4_0 = Block<Nibbles, MinusEight>;
pub(super) type Q4_1 = Block<Nibbles, Halves>;

/// GGML's blocks of eight rows: `w = scale * quant + minimum`.
#[derive(Clone, Copy)]
pub(super) struct Block<Q, M> {
    scales: Halves,
    minima: M,
    quants: Q,
}

/// A block as 16-bit integers.
#[derive(Clone, Copy)]
pub(super) struct Unpacked {
    scales: f32x8,
    minima: Option<f32x8>,
    quants: [i16x16; PAIRS],
}

/// What can be multiplied with activations.
pub(super) trait Factor: Copy {
    fn scales(&self) -> f32x8;

    /// `None` where all are 0.
    fn minima(&self) -> Option<f32x8>;

    /// The sums of the products of the integers.
    fn dot<const N: usize>(&self, x: [&ActivationBlock; N]) -> [i32x8; N];
}

/// What a matrix is stored as.
pub(super) trait PackedBlock: Factor {
    /// Packs the bytes of a block of eight rows.
    fn pack(rows: [&[u8]; PANEL]) -> Self;

    fn unpack(&self) -> Unpacked;
}

impl<Q: Quants, M: Minima> Factor for Block<Q, M> {
    #[inline(always)]
    fn scales(&self) -> f32x8 {
        self.scales.widen()
    }

    #[inline(always)]
    fn minima(&self) -> Option<f32x8> {
        self.minima.values(self.scales)
    }

    #[inline(always)]
    fn dot<const N: usize>(&self, x: [&ActivationBlock; N]) -> [i32x8; N] {
        self.quants.dot(x)
    }
}

impl<Q: Quants, M: Minima> PackedBlock for Block<Q, M> {
    fn pack(rows: [&[u8]; PANEL]) -> Self {
        Self {
            scales: Halves::pack(rows),
            minima: M::pack(rows.map(|row| &row[size_of::<u16>()..])),
            quants: Q::pack(rows.map(|row| &row[row.len() - Q::BYTES..])),
        }
    }

    #[inline(always)]
    fn unpack(&self) -> Unpacked {
        Unpacked {
            scales: self.scales(),
            minima: self.minima(),
            quants: self.quants.unpack(),
        }
    }
}

impl Factor for Unpacked {
    #[inline(always)]
    fn scales(&self) -> f32x8 {
        self.scales
    }

    #[inline(always)]
    fn minima(&self) -> Option<f32x8> {
        self.minima
    }

    #[inline(always)]
    fn dot<const N: usize>(&self, x: [&ActivationBlock; N]) -> [i32x8; N] {
        let mut sums = [i32x8::ZERO; N];
        for pair in 0..PAIRS {
            add_products(&mut sums, self.quants[pair], x, pair);
        }
        sums
    }
}

impl Unpacked {
    /// The weights of one row.
    pub fn row(&self, number: usize, out: &mut [f32]) {
        let scale = self.scales.as_array()[number];
        let minimum = self.minima.map_or(0.0, |m| m.as_array()[number]);
        for (quants, out) in self.quants.iter().zip(out.chunks_exact_mut(2)) {
            for (quant, out) in quants.as_array()[2 * number..].iter().zip(out) {
                *out = scale * f32::from(*quant) + minimum;
            }
        }
    }
}

/// The integers of a block.
pub(super) trait Quants: Copy {
    /// Bytes of one row.
    const BYTES: usize;
    fn pack(rows: [&[u8]; PANEL]) -> Self;
    fn dot<const N: usize>(&self, x: [&ActivationBlock; N]) -> [i32x8; N];
    fn unpack(&self) -> [i16x16; PAIRS];
}

/// Signed bytes. A lane holds a column of one pair, and above it the same one of the next pair.
#[derive(Clone, Copy)]
pub(super) struct Bytes([i16x16; PAIRS / 2]);

impl Bytes {
    /// The two pairs of one vector.
    #[inline(always)]
    fn pairs(lanes: i16x16) -> [i16x16; 2] {
        [(lanes << 8) >> 8, lanes >> 8]
    }
}

impl Quants for Bytes {
    const BYTES: usize = BLOCK;

    fn pack(rows: [&[u8]; PANEL]) -> Self {
        Self(lanes(|row, parity, vector| {
            let column = 4 * vector + parity;
            i16::from_le_bytes([rows[row][column], rows[row][column + 2]])
        }))
    }

    #[inline(always)]
    fn dot<const N: usize>(&self, x: [&ActivationBlock; N]) -> [i32x8; N] {
        let mut sums = [i32x8::ZERO; N];
        for vector in 0..PAIRS / 2 {
            for (pair, quants) in Self::pairs(self.0[vector]).into_iter().enumerate() {
                add_products(&mut sums, quants, x, 2 * vector + pair);
            }
        }
        sums
    }

    #[inline(always)]
    fn unpack(&self) -> [i16x16; PAIRS] {
        array::from_fn(|pair| Self::pairs(self.0[pair / 2])[pair % 2])
    }
}

/// Integers from 0 to 15. A lane holds a column of four successive pairs, the first in the lowest
/// bits.
#[derive(Clone, Copy)]
pub(super) struct Nibbles([i16x16; PAIRS / 4]);

impl Nibbles {
    /// The four pairs of one vector.
    #[inline(always)]
    fn pairs(lanes: i16x16) -> [i16x16; 4] {
        let low = i16x16::splat(0xf);
        let top: u16x16 = cast::<_, u16x16>(lanes) >> 12;
        [
            lanes & low,
            (lanes >> 4) & low,
            (lanes >> 8) & low,
            cast(top),
        ]
    }
}

impl Quants for Nibbles {
    const BYTES: usize = BLOCK / 2;

    fn pack(rows: [&[u8]; PANEL]) -> Self {
        // GGML keeps column i beside column i + 16.
        let nibble = |row: usize, column: usize| match column.checked_sub(Self::BYTES) {
            None => rows[row][column] & 0xf,
            Some(column) => rows[row][column] >> 4,
        };
        Self(lanes(|row, parity, vector| {
            let nibble = |pair: usize| nibble(row, 8 * vector + 2 * pair + parity);
            i16::from_le_bytes([nibble(0) | nibble(1) << 4, nibble(2) | nibble(3) << 4])
        }))
    }

    #[inline(always)]
    fn dot<const N: usize>(&self, x: [&ActivationBlock; N]) -> [i32x8; N] {
        let mut sums = [i32x8::ZERO; N];
        for vector in 0..PAIRS / 4 {
            for (pair, quants) in Self::pairs(self.0[vector]).into_iter().enumerate() {
                add_products(&mut sums, quants, x, 4 * vector + pair);
            }
        }
        sums
    }

    #[inline(always)]
    fn unpack(&self) -> [i16x16; PAIRS] {
        array::from_fn(|pair| Self::pairs(self.0[pair / 4])[pair % 4])
    }
}

/// What is added to `scale * quant`.
pub(super) trait Minima: Copy {
    /// From what follows the scale in the bytes of each row.
    fn pack(rows: [&[u8]; PANEL]) -> Self;
    fn values(&self, scales: Halves) -> Option<f32x8>;
}

/// Nothing is added.
#[derive(Clone, Copy)]
pub(super) struct Zero;

impl Minima for Zero {
    fn pack(_: [&[u8]; PANEL]) -> Self {
        Self
    }

    #[inline(always)]
    fn values(&self, _: Halves) -> Option<f32x8> {
        None
    }
}

/// `scale * (quant - 8)`.
#[derive(Clone, Copy)]
pub(super) struct MinusEight;

impl Minima for MinusEight {
    fn pack(_: [&[u8]; PANEL]) -> Self {
        Self
    }

    #[inline(always)]
    fn values(&self, scales: Halves) -> Option<f32x8> {
        Some(scales.widen() * f32x8::splat(-8.0))
    }
}

/// A finite half-precision number for each row: of row `i` in the lower half of 32 bits, of row
/// `4 + i` in the upper.
#[derive(Clone, Copy)]
pub(super) struct Halves(i32x4);

impl Halves {
    /// A half's exponent and fraction, moved to their place in a float, make a float that is this
    /// much too small, because the exponents' biases are 15 and 127.
    const TOO_SMALL: f32 = 1.0 / (1u128 << (127 - 15)) as f32;

    /// From the first two bytes of each row.
    fn pack(rows: [&[u8]; PANEL]) -> Self {
        let [first, second]: [[i16; 4]; 2] =
            cast(rows.map(|row| i16::from_le_bytes([row[0], row[1]])));
        Self(array::from_fn::<i32, 4, _>(|i| cast([first[i], second[i]])).into())
    }

    #[inline(always)]
    fn widen(self) -> f32x8 {
        // The arithmetic shift brings the sign to the top and copies of it to three bits below.
        let in_place = i32x4::splat(0x8fff_e000_u32 as i32);
        let floats = [self.0 << 16, self.0].map(|halves| (halves >> 3) & in_place);
        cast::<_, f32x8>(floats) * f32x8::splat(1.0 / Self::TOO_SMALL)
    }
}

impl Minima for Halves {
    fn pack(rows: [&[u8]; PANEL]) -> Self {
        Self::pack(rows)
    }

    #[inline(always)]
    fn values(&self, _: Halves) -> Option<f32x8> {
        Some(self.widen())
    }
}

/// The vectors of a block's quants; `lane` gives what is in the lane of a row, for the even or the
/// odd columns (parity 0 or 1), in a vector.
fn lanes<const N: usize>(lane: impl Fn(usize, usize, usize) -> i16) -> [i16x16; N] {
    array::from_fn(|vector| {
        let lanes: [i16; 2 * PANEL] = array::from_fn(|i| lane(i / 2, i % 2, vector));
        lanes.into()
    })
}

/// Adds the products of two columns with a pair of activations, for each of N rows of them.
#[inline(always)]
fn add_products<const N: usize>(
    sums: &mut [i32x8; N],
    quants: i16x16,
    x: [&ActivationBlock; N],
    pair: usize,
) {
    for (sums, x) in sums.iter_mut().zip(x) {
        *sums += quants.dot(cast(i32x8::splat(cast(x.pairs[pair]))));
    }
}
