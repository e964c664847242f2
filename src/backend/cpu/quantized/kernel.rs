//! The product of a packed matrix with rows of activations.
//!
//! Four rows at a time, which are as many sums as there are registers for, are multiplied with the
//! weights as they are unpacked in registers. For many rows, a prefill, a panel is unpacked once,
//! to where the first cache holds it.

use super::activations::{ActivationBlock, Activations};
use super::block::{Factor, PANEL, PackedBlock, Unpacked};
use std::array;
use wide::f32x8;

/// Rows that are multiplied at once.
const TILE: usize = 4;

/// Rows from which a panel is worth unpacking before it is multiplied. WebAssembly, where vectors
/// have half the width, spends more on unpacking the same weights for another tile.
const MANY_ROWS: usize = if cfg!(target_arch = "wasm32") { 5 } else { 16 };

/// Multiplies every row of `x` by the matrix: `[rows, outputs]`.
pub(super) fn multiply<B: PackedBlock>(blocks: &[B], x: &Activations, outputs: usize) -> Vec<f32> {
    let rows = x.rows();
    let mut out = Output {
        values: vec![0.0; rows * outputs],
        outputs,
    };
    if rows >= MANY_ROWS {
        unpacked(blocks, x, &mut out);
        return out.values;
    }
    for row in (0..rows).step_by(TILE) {
        match rows - row {
            1 => packed::<B, 1>(blocks, x, row, &mut out),
            2 => packed::<B, 2>(blocks, x, row, &mut out),
            3 => packed::<B, 3>(blocks, x, row, &mut out),
            _ => packed::<B, TILE>(blocks, x, row, &mut out),
        }
    }
    out.values
}

/// `[rows, outputs]`
struct Output {
    values: Vec<f32>,
    outputs: usize,
}

impl Output {
    /// Stores the results of one panel for the rows from `row` on.
    #[inline(always)]
    fn store<const N: usize>(&mut self, panel: usize, row: usize, sums: [f32x8; N]) {
        let start = panel * PANEL;
        let len = PANEL.min(self.outputs - start);
        for (row, sums) in (row..).zip(sums) {
            let sums = sums.to_array();
            let out = &mut self.values[row * self.outputs + start..][..len];
            match out.first_chunk_mut() {
                Some(out) => *out = sums,
                None => out.copy_from_slice(&sums[..len]),
            }
        }
    }
}

// These three are functions of their own, or the compiler's registers run out.

/// Multiplies `N` rows.
#[inline(never)]
fn packed<B: PackedBlock, const N: usize>(
    blocks: &[B],
    x: &Activations,
    row: usize,
    out: &mut Output,
) {
    for (number, panel) in blocks.chunks_exact(x.blocks_per_row()).enumerate() {
        out.store(number, row, multiply_panel::<B, N>(panel, x, row));
    }
}

/// Multiplies any number of rows.
#[inline(never)]
fn unpacked<B: PackedBlock>(blocks: &[B], x: &Activations, out: &mut Output) {
    let mut unpacked = Vec::with_capacity(x.blocks_per_row());
    let rest = x.rows() % TILE;
    let last = x.rows() - rest;
    for (number, panel) in blocks.chunks_exact(x.blocks_per_row()).enumerate() {
        unpacked.clear();
        unpacked.extend(panel.iter().map(B::unpack));
        for row in (0..last).step_by(TILE) {
            out.store(number, row, tile::<TILE>(&unpacked, x, row));
        }
        match rest {
            1 => out.store(number, last, tile::<1>(&unpacked, x, last)),
            2 => out.store(number, last, tile::<2>(&unpacked, x, last)),
            3 => out.store(number, last, tile::<3>(&unpacked, x, last)),
            _ => {}
        }
    }
}

#[inline(never)]
fn tile<const N: usize>(panel: &[Unpacked], x: &Activations, row: usize) -> [f32x8; N] {
    multiply_panel(panel, x, row)
}

/// Multiplies `N` rows by one panel. The order of the operations on floats is what makes results
/// independent of the batch.
#[inline(always)]
fn multiply_panel<F: Factor, const N: usize>(
    panel: &[F],
    x: &Activations,
    row: usize,
) -> [f32x8; N] {
    let x: [&[ActivationBlock]; N] = array::from_fn(|i| &x.row(row + i)[..panel.len()]);
    let mut sums = [f32x8::ZERO; N];
    for (i, block) in panel.iter().enumerate() {
        let x = x.map(|x| &x[i]);
        let products = block.dot(x);
        let scales = block.scales();
        let minima = block.minima();
        for ((sums, products), x) in sums.iter_mut().zip(products).zip(x) {
            *sums += f32x8::from_i32x8(products) * (scales * f32x8::splat(x.scale));
            if let Some(minima) = minima {
                *sums += minima * f32x8::splat(x.sum);
            }
        }
    }
    sums
}
