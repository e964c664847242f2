//! Weights on the GPU: quantised blocks, repacked without loss.
//!
//! A GGUF matrix lies row after row, each row a run of blocks with their scales in between. The
//! kernels give each thread a row of its own, so neighbouring threads would read far apart. The
//! repacked matrix lies block-major instead: 16-byte pieces of all rows side by side, scales in a
//! buffer of their own (see `shaders/weights/block.wgsl`).

use super::buffer::GpuBuffer;
use super::device::GpuDevice;
use super::variants::MatrixShape;
use crate::Result;
use crate::model::weights::{BLOCK, WeightFormat, WeightMatrix};
use std::ops::Range;

/// A weight matrix in GPU memory, or some of the rows of one that is too large to be bound in one
/// piece.
pub(super) struct GpuMatrix {
    pub shape: MatrixShape,
    pub quants: GpuBuffer,
    /// A few unread bytes for the formats that have no scales.
    pub scales: GpuBuffer,
}

/// Bytes of a piece: what a thread loads at once.
const PIECE: usize = 16;

/// Bytes that are repacked at once: a second copy of a whole embedding would be 50 MB.
const SPAN_BYTES: usize = 1 << 20;

impl GpuMatrix {
    /// Uploads a matrix whole.
    pub fn upload(device: &GpuDevice, label: &str, matrix: &WeightMatrix) -> Result<Self> {
        Self::upload_part(device, label, &Part::new(matrix, 0..matrix.rows))
    }

    /// Uploads a matrix in as few parts of its rows as the device can bind: mostly one.
    pub fn upload_parts(
        device: &GpuDevice,
        label: &str,
        matrix: &WeightMatrix,
    ) -> Result<Vec<Self>> {
        let row_bytes = (matrix.cols / BLOCK * value_bytes(matrix.format)).max(1);
        // Even, because the head takes rows in pairs. A row beyond the limit is refused below.
        let most = (device.largest_buffer() / row_bytes as u64).min(matrix.rows as u64 + 1);
        let most = (most as usize).max(2) & !1;
        let parts = matrix.rows.div_ceil(most).max(1);
        let rows = matrix.rows.div_ceil(parts).next_multiple_of(2);
        (0..matrix.rows)
            .step_by(rows.max(1))
            .map(|first| {
                let part = Part::new(matrix, first..matrix.rows.min(first + rows));
                Self::upload_part(device, label, &part)
            })
            .collect()
    }

    /// Repacks and uploads some blocks of all rows at a time.
    fn upload_part(device: &GpuDevice, label: &str, part: &Part) -> Result<Self> {
        let MatrixShape {
            format, rows, cols, ..
        } = part.shape;
        let blocks = cols / BLOCK;
        let scale_bytes = scale_bytes(format);
        let value_bytes = value_bytes(format);
        let scale_words = rows * (blocks * scale_bytes).div_ceil(4);
        let quants = device.storage(label, (rows * blocks * value_bytes) as u64)?;
        let scales = device.storage(label, 4 * scale_words.max(1) as u64)?;
        // Even, because two blocks may share a word of scales.
        let span = (SPAN_BYTES / (rows * format.block_bytes()).max(1)).max(2) & !1;
        for start in (0..blocks).step_by(span) {
            let packed = repack(part, start..blocks.min(start + span));
            let queue = &device.queue;
            let at = start * value_bytes * rows;
            queue.write_buffer(&quants, at as u64, &packed.quants);
            let at = start * scale_bytes * rows;
            queue.write_buffer(&scales, at as u64, bytemuck::cast_slice(&packed.scales));
        }
        // Until a submit, what was written is held a second time.
        device.queue.submit([]);
        Ok(Self {
            shape: part.shape,
            quants,
            scales,
        })
    }
}

/// Rows of a matrix, in the bytes of its format.
struct Part<'a> {
    shape: MatrixShape,
    data: &'a [u8],
}

impl<'a> Part<'a> {
    fn new(matrix: &'a WeightMatrix, rows: Range<usize>) -> Self {
        let row_bytes = matrix.cols / BLOCK * matrix.format.block_bytes();
        Self {
            shape: MatrixShape {
                format: matrix.format,
                first: rows.start,
                rows: rows.len(),
                cols: matrix.cols,
            },
            data: &matrix.data[rows.start * row_bytes..rows.end * row_bytes],
        }
    }
}

struct Packed {
    quants: Vec<u8>,
    scales: Vec<u32>,
}

/// Bytes of a block before its values.
fn scale_bytes(format: WeightFormat) -> usize {
    match format {
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => 2,
        WeightFormat::Q4_1 => 4,
        WeightFormat::F16 | WeightFormat::F32 => 0,
    }
}

/// Bytes of a block's values.
fn value_bytes(format: WeightFormat) -> usize {
    format.block_bytes() - scale_bytes(format)
}

/// Splits these blocks of each row into their scales and their pieces, and lays both out
/// block-major. The first block's number is even.
fn repack(part: &Part, span: Range<usize>) -> Packed {
    let MatrixShape {
        format, rows, cols, ..
    } = part.shape;
    let block_bytes = format.block_bytes();
    let row_bytes = cols / BLOCK * block_bytes;
    let scale_bytes = scale_bytes(format);
    let pieces = (block_bytes - scale_bytes) / PIECE;
    let mut quants = vec![0; rows * span.len() * pieces * PIECE];
    let mut scales = vec![0; rows * (span.len() * scale_bytes).div_ceil(4)];
    let bytes = span.start * block_bytes..span.end * block_bytes;
    for (row, row_bytes) in part.data.chunks_exact(row_bytes).enumerate() {
        for (k, block) in row_bytes[bytes.clone()]
            .chunks_exact(block_bytes)
            .enumerate()
        {
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
    fn three_blocks() -> WeightMatrix {
        WeightMatrix {
            format: WeightFormat::Q8_0,
            rows: 2,
            cols: 96,
            data: (0..2 * 3 * 34).map(|i| i as u8).collect(),
        }
    }

    #[test]
    fn repacks_block_major() {
        let matrix = three_blocks();
        let packed = repack(&Part::new(&matrix, 0..2), 0..3);
        let block = |row: usize, k: usize| &matrix.data[(row * 3 + k) * 34..][..34];
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
    fn spans_of_blocks_follow_each_other() {
        let matrix = three_blocks();
        let part = Part::new(&matrix, 0..2);
        let whole = repack(&part, 0..3);
        let parts = [0..2, 2..3].map(|span| repack(&part, span));
        let [first, second] = parts;
        assert_eq!(whole.quants, [first.quants, second.quants].concat());
        assert_eq!(whole.scales, [first.scales, second.scales].concat());
    }

    #[test]
    fn q4_1_keeps_scale_and_minimum_together() {
        let data: Vec<u8> = (0..2 * 20).collect();
        let matrix = WeightMatrix {
            format: WeightFormat::Q4_1,
            rows: 2,
            cols: 32,
            data,
        };
        let packed = repack(&Part::new(&matrix, 0..2), 0..1);
        assert_eq!(packed.scales[1].to_le_bytes(), [20, 21, 22, 23]);
        assert_eq!(packed.quants[16..20], [24, 25, 26, 27]);
    }
}
