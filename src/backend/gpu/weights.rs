//! Weights on the GPU: quantised blocks, repacked without loss.
//!
//! A GGUF matrix lies row after row, each row a run of blocks with their scales in between. The
//! kernels give each thread a row of its own, so neighbouring threads would read far apart. The
//! repacked matrix lies block-major instead: 16-byte pieces of all rows side by side, scales in a
//! buffer of their own (see `shaders/weights/block.wgsl`).

use super::device::GpuDevice;
use super::variants::MatrixShape;
use crate::Result;
use crate::model::weights::{BLOCK, WeightFormat, WeightMatrix};

/// A weight matrix in GPU memory.
pub(super) struct GpuMatrix {
    pub format: WeightFormat,
    pub rows: usize,
    pub cols: usize,
    pub quants: wgpu::Buffer,
    /// A few unread bytes for the formats that have no scales.
    pub scales: wgpu::Buffer,
}

impl GpuMatrix {
    /// Repacks and uploads a matrix.
    pub fn upload(device: &GpuDevice, label: &str, matrix: &WeightMatrix) -> Result<Self> {
        let packed = repack(matrix);
        Ok(Self {
            format: matrix.format,
            rows: matrix.rows,
            cols: matrix.cols,
            quants: device.storage_with(label, &packed.quants)?,
            scales: device.storage_with(label, bytemuck::cast_slice(&packed.scales))?,
        })
    }

    pub fn shape(&self) -> MatrixShape {
        MatrixShape {
            format: self.format,
            rows: self.rows,
            cols: self.cols,
        }
    }
}

struct Packed {
    quants: Vec<u8>,
    scales: Vec<u32>,
}

/// Bytes of one piece: what a thread loads at once.
const PIECE: usize = 16;

/// Splits each block into its scale and its pieces, and lays both out block-major.
fn repack(matrix: &WeightMatrix) -> Packed {
    let WeightMatrix { format, rows, .. } = *matrix;
    let blocks = matrix.cols / BLOCK;
    let block_bytes = format.block_bytes();
    let scale_bytes = match format {
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => 2,
        WeightFormat::Q4_1 => 4,
        WeightFormat::F16 | WeightFormat::F32 => 0,
    };
    let pieces = (block_bytes - scale_bytes) / PIECE;
    let mut quants = vec![0; rows * blocks * pieces * PIECE];
    let mut scales = match scale_bytes {
        4 => vec![0; rows * blocks],
        2 => vec![0; rows * blocks.div_ceil(2)],
        _ => vec![0; 1],
    };
    for (row, row_bytes) in matrix.data.chunks_exact(blocks * block_bytes).enumerate() {
        for (k, block) in row_bytes.chunks_exact(block_bytes).enumerate() {
            let (scale, values) = block.split_at(scale_bytes);
            match *scale {
                [d0, d1] => {
                    let half = u32::from(u16::from_le_bytes([d0, d1]));
                    scales[k / 2 * rows + row] |= half << (16 * (k % 2));
                }
                [d0, d1, m0, m1] => {
                    scales[k * rows + row] = u32::from_le_bytes([d0, d1, m0, m1]);
                }
                _ => {}
            }
            for (p, piece) in values.chunks_exact(PIECE).enumerate() {
                let at = ((k * pieces + p) * rows + row) * PIECE;
                quants[at..at + PIECE].copy_from_slice(piece);
            }
        }
    }
    Packed { quants, scales }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three Q8_0 blocks, every byte different.
    #[test]
    fn repacks_block_major() {
        let data: Vec<u8> = (0..2 * 3 * 34).map(|i| i as u8).collect();
        let packed = repack(&WeightMatrix {
            format: WeightFormat::Q8_0,
            rows: 2,
            cols: 96,
            data: data.clone(),
        });
        let block = |row: usize, k: usize| &data[(row * 3 + k) * 34..][..34];
        for row in 0..2 {
            for k in 0..3 {
                for p in 0..2 {
                    let at = ((k * 2 + p) * 2 + row) * 16;
                    assert_eq!(
                        packed.quants[at..at + 16],
                        block(row, k)[2 + p * 16..][..16]
                    );
                }
                let half = (packed.scales[k / 2 * 2 + row] >> (16 * (k % 2))) as u16;
                assert_eq!(half.to_le_bytes(), block(row, k)[..2]);
            }
        }
    }

    #[test]
    fn q4_1_keeps_scale_and_minimum_together() {
        let data: Vec<u8> = (0..2 * 20).collect();
        let packed = repack(&WeightMatrix {
            format: WeightFormat::Q4_1,
            rows: 2,
            cols: 32,
            data,
        });
        assert_eq!(packed.scales[1].to_le_bytes(), [20, 21, 22, 23]);
        assert_eq!(packed.quants[16..20], [24, 25, 26, 27]);
    }
}
