//! `embed`: the token's row of the embedding.

use super::matrix::Matrix;
use crate::Result;
use crate::backend::Row;

/// The beginning of the residual stream: `[rows, width]`.
pub(super) fn embed(embedding: &Matrix, rows: &[Row]) -> Result<Vec<f32>> {
    let mut x = vec![0.0; rows.len() * embedding.inputs()];
    for (row, x) in rows.iter().zip(x.chunks_exact_mut(embedding.inputs())) {
        embedding.row(row.token as usize, x);
    }
    Ok(x)
}
