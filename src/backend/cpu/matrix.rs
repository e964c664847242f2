//! One weight matrix, and the one place that multiplies.

use super::CpuPrecision;
use super::quantized::QuantizedMatrix;
use crate::Result;
use crate::model::weights::WeightMatrix;
use candle_core::quantized::k_quants::GgmlType;
use candle_core::{Device, Storage, Tensor};

/// Rows from which a general matrix product of floats is faster than dot products.
const MANY_ROWS: usize = 16;

/// A matrix `[outputs, inputs]`.
pub(super) struct Matrix {
    values: Values,
    inputs: usize,
}

enum Values {
    F32(Tensor),
    Quantized(QuantizedMatrix),
}

impl Matrix {
    pub fn new(matrix: WeightMatrix, precision: CpuPrecision) -> Result<Self> {
        let inputs = matrix.cols;
        let values = match precision {
            CpuPrecision::F32 => Values::F32(matrix.to_qtensor()?.dequantize(&Device::Cpu)?),
            CpuPrecision::Quantized => Values::Quantized(QuantizedMatrix::new(matrix)?),
        };
        Ok(Self { values, inputs })
    }

    /// Multiplies each row of `x`, `[rows, inputs]`, by the matrix: `[rows, outputs]`.
    pub fn multiply(&self, x: &[f32]) -> Result<Vec<f32>> {
        match &self.values {
            Values::F32(weights) => self.multiply_floats(weights, x),
            Values::Quantized(weights) => Ok(weights.multiply(x)),
        }
    }

    /// One row of the matrix as floats.
    pub fn row(&self, number: usize, out: &mut [f32]) -> Result<()> {
        match &self.values {
            Values::F32(weights) => with_slice(weights, |weights| {
                out.copy_from_slice(&weights[number * self.inputs..][..self.inputs]);
                Ok(())
            }),
            Values::Quantized(weights) => {
                weights.row(number, out);
                Ok(())
            }
        }
    }

    /// Columns.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// A few rows, as in a decode step, are multiplied as dot products: each weight is read from
    /// memory once for all of them, and the result of a row is the same to the last bit whatever
    /// rows are beside it. Many rows, as in a prefill, are worth the reordering that candle's
    /// general matrix product does first.
    fn multiply_floats(&self, weights: &Tensor, x: &[f32]) -> Result<Vec<f32>> {
        let rows = x.len() / self.inputs;
        if rows >= MANY_ROWS {
            let x = Tensor::from_slice(x, (rows, self.inputs), &Device::Cpu)?;
            return Ok(x.matmul(&weights.t()?)?.flatten_all()?.to_vec1()?);
        }
        with_slice(weights, |weights| {
            let outputs = weights.len() / self.inputs;
            let mut out = vec![0.0; rows * outputs];
            for (output, weights) in weights.chunks_exact(self.inputs).enumerate() {
                for (row, x) in x.chunks_exact(self.inputs).enumerate() {
                    out[row * outputs + output] = f32::vec_dot(self.inputs, weights, x);
                }
            }
            Ok(out)
        })
    }
}

/// Looks at the values of a tensor without copying them.
fn with_slice<R>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, _) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(values) => look(values.as_slice()?),
        _ => Err(candle_core::Error::Msg("a tensor is not in main memory".into()).into()),
    }
}
