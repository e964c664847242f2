//! `project`: a projection added to the residual stream: attention output, and FFN down.

use super::matrix::Matrix;
use crate::Result;

/// Multiplies the rows of `input` by the matrix and adds them to `x`, `[rows, width]`.
pub(super) fn project(matrix: &Matrix, input: &[f32], x: &mut [f32]) -> Result<()> {
    for (x, projected) in x.iter_mut().zip(matrix.multiply(input)?) {
        *x += projected;
    }
    Ok(())
}
