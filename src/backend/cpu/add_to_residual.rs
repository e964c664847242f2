//! Activation steering: a vector is added to the residual stream of some rows after one layer.

use crate::steering::Activation;

/// Adds to `x`, `[rows, width]`, what the rows' activations say for `layer`. No activations at all
/// stand for none in any row.
pub(super) fn add_to_residual(layer: usize, activations: &[Option<Activation>], x: &mut [f32]) {
    if activations.is_empty() {
        return;
    }
    let width = x.len() / activations.len();
    for (x, activation) in x.chunks_mut(width).zip(activations) {
        if let Some(activation) = activation.as_ref().filter(|a| a.layer == layer) {
            for (x, delta) in x.iter_mut().zip(activation.delta.iter()) {
                *x += delta;
            }
        }
    }
}
