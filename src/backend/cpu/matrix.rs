//! One weight matrix, and the one place that multiplies.

use super::CpuPrecision;
use super::quantized::QuantizedMatrix;
use crate::Result;
use crate::model::weights::WeightMatrix;
use candle_core::quantized::k_quants::GgmlType;

/// Rows from which a general matrix product of floats is faster than dot products.
#[cfg(not(target_arch = "wasm32"))]
const MANY_ROWS: usize = 16;

/// A matrix `[outputs, inputs]`.
pub(super) struct Matrix {
    values: Values,
    inputs: usize,
}

enum Values {
    F32(Vec<f32>),
    Quantized(QuantizedMatrix),
}

impl Matrix {
    pub fn new(matrix: WeightMatrix, precision: CpuPrecision) -> Result<Self> {
        let inputs = matrix.cols;
        let values = match precision {
            CpuPrecision::F32 => Values::F32(matrix.dequantize()?),
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
    pub fn row(&self, number: usize, out: &mut [f32]) {
        match &self.values {
            Values::F32(weights) => {
                out.copy_from_slice(&weights[number * self.inputs..][..self.inputs]);
            }
            Values::Quantized(weights) => weights.row(number, out),
        }
    }

    /// Columns.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// A few rows, as in a decode step, are multiplied as dot products: each weight is read from
    /// memory once for all of them, and the result of a row is the same to the last bit whatever
    /// rows are beside it. Many rows, as in a prefill, are worth the copy and the reordering that
    /// candle's general matrix product does first; in WebAssembly, where floats are for tests, they
    /// are not worth its code.
    fn multiply_floats(&self, weights: &[f32], x: &[f32]) -> Result<Vec<f32>> {
        let rows = x.len() / self.inputs;
        let outputs = weights.len() / self.inputs;
        #[cfg(not(target_arch = "wasm32"))]
        if rows >= MANY_ROWS {
            use candle_core::{Device, Tensor};
            let x = Tensor::from_slice(x, (rows, self.inputs), &Device::Cpu)?;
            let weights = Tensor::from_slice(weights, (outputs, self.inputs), &Device::Cpu)?;
            return Ok(x.matmul(&weights.t()?)?.flatten_all()?.to_vec1()?);
        }
        let mut out = vec![0.0; rows * outputs];
        for (output, weights) in weights.chunks_exact(self.inputs).enumerate() {
            for (row, x) in x.chunks_exact(self.inputs).enumerate() {
                out[row * outputs + output] = f32::vec_dot(self.inputs, weights, x);
            }
        }
        Ok(out)
    }
}
