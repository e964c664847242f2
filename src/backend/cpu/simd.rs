//! Four floats at a time: what several stages need.

use bytemuck::cast;
use std::f32::consts::LOG2_E;
use wide::{f32x4, i32x4};

/// The numbers in fours; their count is a multiple of 4.
pub(super) fn fours(x: &[f32]) -> &[[f32; 4]] {
    x.as_chunks().0
}

/// As [`fours`], to write.
pub(super) fn fours_mut(x: &mut [f32]) -> &mut [[f32; 4]] {
    x.as_chunks_mut().0
}

/// The exponential function to within 2 units in the last place, for finite numbers; those beyond
/// -87 and 88 are taken for these. The standard library's takes a call a number.
#[inline(always)]
pub(super) fn exp(x: f32x4) -> f32x4 {
    // e^x = 2^n e^rest; what is near ln 2, with few bits, times n is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = (std::f64::consts::LN_2 - LN_2_HIGH as f64) as f32;
    // Adding this rounds to an integer, which the lowest bits then hold.
    const ROUND: f32 = 1.5 * (1 << 23) as f32;
    // Taylor's: the rest is at most 0.35, and its eighth power divided by 8! below 2^-24.
    const COEFFICIENTS: [f32; 6] = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
        1.0,
    ];
    let x = x.fast_max(f32x4::splat(-87.0)).fast_min(f32x4::splat(88.0));
    let shifted = x * f32x4::splat(LOG2_E) + f32x4::splat(ROUND);
    let n = shifted - f32x4::splat(ROUND);
    let rest = x - n * f32x4::splat(LN_2_HIGH) - n * f32x4::splat(LN_2_LOW);
    let mut sum = f32x4::splat(1.0 / 5040.0);
    for coefficient in COEFFICIENTS {
        sum = sum * rest + f32x4::splat(coefficient);
    }
    let sum = sum * rest + f32x4::ONE;
    let power: i32x4 = (cast::<_, i32x4>(shifted) << 23) + i32x4::splat(1.0_f32.to_bits() as i32);
    sum * cast::<_, f32x4>(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_right_to_the_last_bits() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let expected = f64::from(x).exp();
            for found in exp(f32x4::splat(x)).to_array() {
                let error = (f64::from(found) - expected).abs() / expected;
                assert!(error < 2.0 * f64::from(f32::EPSILON), "e^{x} = {found}");
            }
        }
        assert_eq!(exp(f32x4::ZERO).to_array(), [1.0; 4]);
    }

    #[test]
    fn what_is_too_large_or_small_is_clamped() {
        let [most, least, ..] = exp(f32x4::new([1e30, -1e30, 0.0, 0.0])).to_array();
        assert!(most.is_finite() && most > 1e38);
        assert!(least > 0.0 && least < 1e-37);
    }
}
