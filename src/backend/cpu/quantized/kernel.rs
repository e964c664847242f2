//! The product of a packed matrix with rows of activations.
//!
//! Up to four rows, a decode step, are multiplied with the weights as they are unpacked in
//! registers. For more rows a panel is unpacked once, to where the first cache holds it, and
//! multiplied with four rows at a time, which are as many sums as there are registers for.

use super::activations::{ActivationBlock, Activations};
use super::block::{Factor, OfRows, PANEL, PackedBlock, Unpacked};
use std::array;
use wide::f32x4;

/// Rows that are multiplied at once.
const TILE: usize = 4;

/// Multiplies every row of `x` by the matrix: `[rows, outputs]`.
pub(super) fn multiply<B: PackedBlock>(blocks: &[B], x: &Activations, outputs: usize) -> Vec<f32> {
    let rows = x.rows();
    let mut out = Output {
        values: vec![0.0; rows * outputs],
        outputs,
    };
    match rows {
        0 => {}
        1 => packed::<B, 1>(blocks, x, &mut out),
        2 => packed::<B, 2>(blocks, x, &mut out),
        3 => packed::<B, 3>(blocks, x, &mut out),
        4 => packed::<B, 4>(blocks, x, &mut out),
        _ => unpacked(blocks, x, &mut out),
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
    fn store<const N: usize>(&mut self, panel: usize, row: usize, sums: [OfRows<f32x4>; N]) {
        let start = panel * PANEL;
        let len = PANEL.min(self.outputs - start);
        for (row, sums) in (row..).zip(sums) {
            let sums: [f32; PANEL] = bytemuck::cast(sums);
            let out = &mut self.values[row * self.outputs + start..][..len];
            match out.first_chunk_mut() {
                Some(out) => *out = sums,
                None => out.copy_from_slice(&sums[..len]),
            }
        }
    }
}

// These three are functions of their own, or the compiler's registers run out.

/// Multiplies all of `N` rows.
#[inline(never)]
fn packed<B: PackedBlock, const N: usize>(blocks: &[B], x: &Activations, out: &mut Output) {
    for (number, panel) in blocks.chunks_exact(x.blocks_per_row()).enumerate() {
        out.store(number, 0, multiply_panel::<B, N>(panel, x, 0));
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
fn tile<const N: usize>(panel: &[Unpacked], x: &Activations, row: usize) -> [OfRows<f32x4>; N] {
    multiply_panel(panel, x, row)
}

/// Multiplies `N` rows by one panel. The order of the operations on floats is what makes results
/// independent of the batch.
#[inline(always)]
fn multiply_panel<F: Factor, const N: usize>(
    panel: &[F],
    x: &Activations,
    row: usize,
) -> [OfRows<f32x4>; N] {
    let x: [&[ActivationBlock]; N] = array::from_fn(|i| &x.row(row + i)[..panel.len()]);
    let mut sums = [[f32x4::ZERO; 2]; N];
    for (i, block) in panel.iter().enumerate() {
        let x = x.map(|x| &x[i]);
        let products = block.dot(x);
        let scales = block.scales();
        let minima = block.minima();
        for ((sums, products), x) in sums.iter_mut().zip(products).zip(x) {
            for half in 0..2 {
                let product = f32x4::from_i32x4(products[half]);
                sums[half] += product * (scales[half] * f32x4::splat(x.scale));
                if let Some(minima) = minima {
                    sums[half] += minima[half] * f32x4::splat(x.sum);
                }
            }
        }
    }
    sums
}
