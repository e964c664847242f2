//! The product of a packed matrix with rows of activations.
//!
//! One or two rows, a decode step, are multiplied with the weights as they are unpacked in
//! registers. For more rows a panel is unpacked once, to where the first cache holds it, and
//! multiplied with four rows at a time, which are as many sums as there are registers for.

use super::activations::{ActivationBlock, Activations};
use super::block::{OfRows, PANEL, PackedBlock, Unpacked};
use std::array;
use wide::{f32x4, i32x4};

/// Multiplies every row of `x` by the matrix: `[rows, outputs]`.
pub(super) fn multiply<B: PackedBlock>(blocks: &[B], x: &Activations, outputs: usize) -> Vec<f32> {
    let mut out = Output {
        values: vec![0.0; x.rows() * outputs],
        outputs,
    };
    match x.rows() {
        0 => {}
        1 => direct::<B, 1>(blocks, x, &mut out),
        2 => direct::<B, 2>(blocks, x, &mut out),
        _ => tiled(blocks, x, &mut out),
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
    fn store<const N: usize>(&mut self, panel: usize, row: usize, sums: [OfRows<f32x4>; N]) {
        let start = panel * PANEL;
        let len = PANEL.min(self.outputs - start);
        for (row, sums) in (row..).zip(sums) {
            let sums: [f32; PANEL] = bytemuck::cast(sums);
            self.values[row * self.outputs + start..][..len].copy_from_slice(&sums[..len]);
        }
    }
}

fn direct<B: PackedBlock, const N: usize>(blocks: &[B], x: &Activations, out: &mut Output) {
    let x: [&[ActivationBlock]; N] = array::from_fn(|row| x.row(row));
    for (number, panel) in blocks.chunks_exact(x[0].len()).enumerate() {
        let mut sums = [[f32x4::ZERO; 2]; N];
        for (i, block) in panel.iter().enumerate() {
            let x = x.map(|x| &x[i]);
            let products = block.dot(x);
            let [scales, minima] = block.scales_and_minima();
            add::<N>(
                &mut sums,
                products,
                scales,
                B::HAS_MINIMA.then_some(minima),
                x,
            );
        }
        out.store(number, 0, sums);
    }
}

fn tiled<B: PackedBlock>(blocks: &[B], x: &Activations, out: &mut Output) {
    let rows = x.rows();
    let per_row = x.row(0).len();
    let mut unpacked = Vec::with_capacity(per_row);
    for (number, panel) in blocks.chunks_exact(per_row).enumerate() {
        unpacked.clear();
        unpacked.extend(panel.iter().map(B::unpack));
        let whole = rows - rows % 4;
        for row in (0..whole).step_by(4) {
            out.store(number, row, tile::<B, 4>(&unpacked, x, row));
        }
        match rows - whole {
            1 => out.store(number, whole, tile::<B, 1>(&unpacked, x, whole)),
            2 => out.store(number, whole, tile::<B, 2>(&unpacked, x, whole)),
            3 => out.store(number, whole, tile::<B, 3>(&unpacked, x, whole)),
            _ => {}
        }
    }
}

#[inline(always)]
fn tile<B: PackedBlock, const N: usize>(
    panel: &[Unpacked],
    x: &Activations,
    row: usize,
) -> [OfRows<f32x4>; N] {
    let x: [&[ActivationBlock]; N] = array::from_fn(|i| &x.row(row + i)[..panel.len()]);
    let mut sums = [[f32x4::ZERO; 2]; N];
    for (i, block) in panel.iter().enumerate() {
        let x = x.map(|x| &x[i]);
        let minima = B::HAS_MINIMA.then_some(block.minima);
        add::<N>(&mut sums, block.dot(x), block.scales, minima, x);
    }
    sums
}

/// Adds what one block gives. The order of these operations is what makes results independent of
/// the batch.
#[inline(always)]
fn add<const N: usize>(
    sums: &mut [OfRows<f32x4>; N],
    products: [OfRows<i32x4>; N],
    scales: OfRows<f32x4>,
    minima: Option<OfRows<f32x4>>,
    x: [&ActivationBlock; N],
) {
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
