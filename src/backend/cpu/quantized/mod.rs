//! Matrices whose weights stay in 4 or 8 bits, multiplied in integers.
//!
//! Activations become 16-bit integers, in blocks of 32 with a scale of their own, so that what is
//! lost is below a ten-thousandth of the largest of them: next to nothing, where 8 bits, as most
//! engines take them, cost 0.75 % of perplexity on SmolLM2-135M. One instruction (`pmaddwd`, in
//! WebAssembly `i32x4.dot_i16x8_s`) then makes eight products and half of the additions, twice as
//! many as one for floats. The products of a block cannot overflow 32 bits:
//! 128 x 32767 x 32 < 2^28.
//!
//! Sums of integers are exact in any order, and blocks are added up in one order everywhere, so a
//! row's result is the same to the last bit whatever rows are beside it: in a decode step, in a
//! batch of lanes, in a prefill.
//!
//! Vectors are of 256 bits: one instruction where the processor has AVX2 and the build may use it (as
//! `.cargo/config.toml` says), two of 128 bits in WebAssembly and elsewhere.
//!
//! - [`block`]: how eight rows of a matrix lie beside each other;
//! - [`activations`]: floats to integers;
//! - [`kernel`]: the product.
//!
//! # What it takes, and what was tried and not kept
//! Measured once, in November 2026, with a page made for it. Products in units of 10^9 per second, of
//! one thread in Chromium 156 on an EPYC (Zen 4), each the
//! best of 20 runs, of a matrix of 1536 x 576 that stays in the cache:
//!
//! | | 1 row | 2 rows | 4 rows | 60 rows |
//! |---|---|---|---|---|
//! | 4-bit weights | 20 | 27 | 28 | 31 |
//! | 8-bit weights | 20 | 31 | 31 | 32 |
//!
//! - Floats in a prefill (weights unpacked to f32, multiply and add): 22.
//! - Relaxed SIMD, which would need a second build of the module: `relaxed_madd` on floats 27, and
//!   `i32x4.relaxed_dot_i8x16_i7x16_add_s` with activations in 8 bits 22 for one row and 28 for 60:
//!   no faster, and less precise. (V8 makes one instruction of the latter only on processors with
//!   AVX-VNNI.)
//! - Nibbles multiplied where they are in their lane, with the sums shifted instead: 22 for one row
//!   and as much for two, which then need more sums than there are registers.
//! - Tiles of 4 rows by 8 weights are best: 2, 5, 6 and 8 rows give 28, 24, 29 and 26, and 3 by 16
//!   27; 2 by 16 gives 34, but would need another layout than decoding. Weights of a prefill
//!   unpacked anew for every tile: 25.
//! - The same loops on arrays, left to the compiler to vectorise: 2 to 5, natively and in
//!   WebAssembly. Loops unrolled by hand, and addresses folded into loads (`wasm-opt
//!   --optimize-added-constants`): no gain.

mod activations;
mod block;
mod kernel;
#[cfg(test)]
mod tests;

use crate::Result;
use crate::model::blocks;
use crate::model::weights::{BLOCK, WeightFormat, WeightMatrix};
use activations::Activations;
use block::{PANEL, PackedBlock, Q4_0, Q4_1, Q8_0};
use std::array;

/// Rows of a matrix that are brought to Q8_0 at once: few, because the floats between the formats
/// take memory.
const ROWS_AT_ONCE: usize = 64;

/// A matrix `[outputs, inputs]` in panels of eight rows.
pub(super) struct QuantizedMatrix {
    panels: Panels,
    outputs: usize,
    inputs: usize,
}

/// The blocks of the first eight rows, then those of the next; a last panel of fewer rows is filled
/// up with zeros.
enum Panels {
    Q8_0(Vec<Q8_0>),
    Q4_0(Vec<Q4_0>),
    Q4_1(Vec<Q4_1>),
}

impl QuantizedMatrix {
    /// Takes a matrix of any format. Blocks of 4 and 8 bits keep their values; floats become Q8_0.
    ///
    /// # Errors
    /// [`Error::Cpu`](crate::Error::Cpu) where floats cannot be converted.
    pub fn new(matrix: WeightMatrix) -> Result<Self> {
        let panels = match matrix.format {
            WeightFormat::Q8_0 => Panels::Q8_0(pack(&matrix)),
            WeightFormat::Q4_0 => Panels::Q4_0(pack(&matrix)),
            WeightFormat::Q4_1 => Panels::Q4_1(pack(&matrix)),
            WeightFormat::F16 | WeightFormat::F32 => Panels::Q8_0(pack(&to_q8_0(&matrix)?)),
        };
        Ok(Self {
            panels,
            outputs: matrix.rows,
            inputs: matrix.cols,
        })
    }

    /// Multiplies each row of `x`, `[rows, inputs]`, by the matrix: `[rows, outputs]`.
    pub fn multiply(&self, x: &[f32]) -> Vec<f32> {
        let x = Activations::new(x, self.inputs);
        match &self.panels {
            Panels::Q8_0(panels) => kernel::multiply(panels, &x, self.outputs),
            Panels::Q4_0(panels) => kernel::multiply(panels, &x, self.outputs),
            Panels::Q4_1(panels) => kernel::multiply(panels, &x, self.outputs),
        }
    }

    /// One row of the matrix as floats.
    pub fn row(&self, number: usize, out: &mut [f32]) {
        match &self.panels {
            Panels::Q8_0(panels) => unpack_row(panels, number, out),
            Panels::Q4_0(panels) => unpack_row(panels, number, out),
            Panels::Q4_1(panels) => unpack_row(panels, number, out),
        }
    }
}

fn pack<B: PackedBlock>(matrix: &WeightMatrix) -> Vec<B> {
    let block_bytes = matrix.format.block_bytes();
    let row_bytes = matrix.cols / BLOCK * block_bytes;
    let zeros = vec![0; block_bytes];
    let mut panels = Vec::with_capacity(matrix.rows.div_ceil(PANEL) * matrix.cols / BLOCK);
    for panel in matrix.data.chunks(PANEL * row_bytes) {
        for start in (0..row_bytes).step_by(block_bytes) {
            panels.push(B::pack(array::from_fn(|row| {
                let start = row * row_bytes + start;
                panel.get(start..start + block_bytes).unwrap_or(&zeros)
            })));
        }
    }
    panels
}

fn unpack_row<B: PackedBlock>(panels: &[B], number: usize, out: &mut [f32]) {
    let per_row = out.len() / BLOCK;
    let panel = &panels[number / PANEL * per_row..][..per_row];
    for (block, out) in panel.iter().zip(out.chunks_exact_mut(BLOCK)) {
        block.unpack().row(number % PANEL, out);
    }
}

fn to_q8_0(matrix: &WeightMatrix) -> Result<WeightMatrix> {
    let row_bytes = matrix.cols / BLOCK * matrix.format.block_bytes();
    let mut data = Vec::new();
    for rows in matrix.data.chunks(ROWS_AT_ONCE * row_bytes) {
        let count = rows.len() / row_bytes * matrix.cols;
        let floats = blocks::unpack(matrix.format.dtype(), rows, count)?;
        data.extend(blocks::pack(WeightFormat::Q8_0, &floats)?);
    }
    Ok(WeightMatrix {
        format: WeightFormat::Q8_0,
        data,
        ..*matrix
    })
}
