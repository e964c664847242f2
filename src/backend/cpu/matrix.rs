//! One weight matrix, and the one place that multiplies.
//!
//! A few rows of activations, as in a decode step, are multiplied as dot products with candle's
//! SIMD kernels: each weight is read from memory once for all of them. The result of a row is the
//! same to the last bit whatever rows are beside it. Many rows, as in a prefill, are worth the
//! reordering that candle's general matrix product does first.

use super::CpuPrecision;
use crate::Result;
use crate::model::weights::{BLOCK, WeightFormat, WeightMatrix};
use candle_core::quantized::k_quants::{BlockQ8_0, GgmlType};
use candle_core::quantized::{QStorage, QTensor};
use candle_core::{Device, Storage, Tensor};
use std::borrow::Cow;
use std::ops::Range;

/// Rows from which a general matrix product is faster than dot products.
const MANY_ROWS: usize = 16;

/// Rows of a matrix that are converted at once: few, because the floats between the formats take
/// memory.
const ROWS_AT_ONCE: usize = 64;

/// A matrix `[outputs, inputs]`.
pub(super) struct Matrix {
    values: Values,
    outputs: usize,
    inputs: usize,
}

enum Values {
    F32(Tensor),
    /// Other formats are brought to Q8_0, for which candle has the fastest kernels. They lose less
    /// by it than by the rounding of activations.
    Int8(Vec<BlockQ8_0>),
}

impl Matrix {
    pub fn new(matrix: WeightMatrix, precision: CpuPrecision) -> Result<Self> {
        let values = match precision {
            CpuPrecision::F32 => Values::F32(unpack(&matrix, 0..matrix.rows)?),
            CpuPrecision::Int8 if matrix.format == WeightFormat::Q8_0 => {
                Values::Int8(blocks(&matrix.data))
            }
            CpuPrecision::Int8 => {
                let mut blocks = Vec::with_capacity(matrix.rows * matrix.cols / BLOCK);
                for start in (0..matrix.rows).step_by(ROWS_AT_ONCE) {
                    let end = matrix.rows.min(start + ROWS_AT_ONCE);
                    let floats = unpack(&matrix, start..end)?;
                    blocks.extend(with_slice(&floats, |floats| Ok(quantize(floats)))?);
                }
                Values::Int8(blocks)
            }
        };
        Ok(Self {
            values,
            outputs: matrix.rows,
            inputs: matrix.cols,
        })
    }

    /// Multiplies each row of `x`, `[rows, inputs]`, by the matrix: `[rows, outputs]`.
    pub fn multiply(&self, x: &[f32]) -> Result<Vec<f32>> {
        let rows = x.len() / self.inputs;
        if rows >= MANY_ROWS {
            let x = Tensor::from_slice(x, (rows, self.inputs), &Device::Cpu)?;
            let product = x.matmul(&self.floats()?.t()?)?;
            return Ok(product.flatten_all()?.to_vec1()?);
        }
        match &self.values {
            Values::F32(weights) => with_slice(weights, |weights| {
                Ok(dot_products(weights, x, rows, self.inputs))
            }),
            Values::Int8(weights) => Ok(dot_products(weights, &quantize(x), rows, self.inputs)),
        }
    }

    /// One row of the matrix as floats.
    pub fn row(&self, number: usize, out: &mut [f32]) -> Result<()> {
        let range = number * self.inputs..(number + 1) * self.inputs;
        match &self.values {
            Values::F32(weights) => with_slice(weights, |weights| {
                out.copy_from_slice(&weights[range]);
                Ok(())
            }),
            Values::Int8(weights) => {
                BlockQ8_0::to_float(&weights[range.start / BLOCK..range.end / BLOCK], out);
                Ok(())
            }
        }
    }

    /// Columns.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    fn floats(&self) -> Result<Tensor> {
        match &self.values {
            Values::F32(weights) => Ok(weights.clone()),
            Values::Int8(weights) => {
                let mut floats = vec![0.0; self.outputs * self.inputs];
                BlockQ8_0::to_float(weights, &mut floats);
                Ok(Tensor::from_vec(
                    floats,
                    (self.outputs, self.inputs),
                    &Device::Cpu,
                )?)
            }
        }
    }
}

/// The dot product of every row of `x` with every row of `weights`, both in blocks of `T`:
/// `[rows, outputs]`.
fn dot_products<T: GgmlType<VecDotType = T>>(
    weights: &[T],
    x: &[T],
    rows: usize,
    inputs: usize,
) -> Vec<f32> {
    let blocks = inputs / T::BLCK_SIZE;
    let outputs = weights.len() / blocks;
    let mut out = vec![0.0; rows * outputs];
    for (output, weights) in weights.chunks_exact(blocks).enumerate() {
        for (row, x) in x.chunks_exact(blocks).enumerate() {
            out[row * outputs + output] = T::vec_dot(inputs, weights, x);
        }
    }
    out
}

/// Some rows of a matrix of any format as floats.
fn unpack(matrix: &WeightMatrix, rows: Range<usize>) -> Result<Tensor> {
    let dtype = matrix.format.dtype();
    let row_bytes = matrix.cols / BLOCK * matrix.format.block_bytes();
    let shape = (rows.len(), matrix.cols);
    let data = &matrix.data[rows.start * row_bytes..rows.end * row_bytes];
    let storage = QStorage::from_data(Cow::Borrowed(data), &Device::Cpu, dtype)?;
    Ok(QTensor::new(storage, shape)?.dequantize(&Device::Cpu)?)
}

/// The blocks of a Q8_0 matrix as they are.
fn blocks(data: &[u8]) -> Vec<BlockQ8_0> {
    let mut blocks = vec![BlockQ8_0::zeros(); data.len() / size_of::<BlockQ8_0>()];
    let bytes = size_of_val(blocks.as_slice());
    // SAFETY: candle's block has GGML's layout (`repr(C)`, an f16 and 32 signed bytes), for which
    // every pattern of bytes is valid; source and target are of this size and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), blocks.as_mut_ptr().cast(), bytes) };
    blocks
}

fn quantize(values: &[f32]) -> Vec<BlockQ8_0> {
    let mut blocks = vec![BlockQ8_0::zeros(); values.len() / BLOCK];
    BlockQ8_0::from_float(values, &mut blocks);
    blocks
}

/// Looks at the values of a tensor without copying them.
fn with_slice<R>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, _) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(values) => look(values.as_slice()?),
        _ => Err(candle_core::Error::Msg("a tensor is not in main memory".into()).into()),
    }
}
