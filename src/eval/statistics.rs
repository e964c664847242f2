//! Rates and means with their uncertainty.

use serde::Serialize;

/// Of a normal distribution, 95 % are within so many standard deviations.
const Z: f64 = 1.959_964;

/// How many of a number of answers have a property.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// Those that have it.
    pub count: usize,
    /// All.
    pub of: usize,
    /// The 95 % interval of the share (Wilson 1927).
    pub interval: [f64; 2],
}

impl Rate {
    /// Counts; `None` where there is nothing to count.
    pub fn new(has: impl IntoIterator<Item = bool>) -> Option<Self> {
        let (mut count, mut of) = (0, 0);
        for has in has {
            count += usize::from(has);
            of += 1;
        }
        if of == 0 {
            return None;
        }
        let (n, share) = (of as f64, count as f64 / of as f64);
        let centre = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Some(Self {
            count,
            of,
            interval: [
                ((centre - spread) / scale).max(0.0),
                ((centre + spread) / scale).min(1.0),
            ],
        })
    }

    /// From 0 to 1.
    pub fn share(&self) -> f64 {
        self.count as f64 / self.of as f64
    }
}

/// A mean of what answers have, a length or a time, which is never negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The 95 % interval of the mean, by the normal distribution, as far as it is not below 0.
    pub interval: [f64; 2],
}

impl Mean {
    /// `None` where there is nothing to take the mean of.
    pub fn new(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let error = if values.len() > 1 {
            (squares / (n - 1.0) / n).sqrt()
        } else {
            0.0
        };
        Some(Self {
            mean,
            interval: [(mean - Z * error).max(0.0), mean + Z * error],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe 1998 (Statistics in Medicine 17, 857), table I: 81 of 263 and 0 of 20.
        for (count, of, expected) in [(81, 263, [0.2553, 0.3662]), (0, 20, [0.0, 0.1611])] {
            let rate = Rate::new((0..of).map(|i| i < count)).unwrap();
            for (found, expected) in rate.interval.iter().zip(expected) {
                assert!((found - expected).abs() < 5e-5, "{rate:?}");
            }
        }
        assert_eq!(Rate::new([]), None);
    }

    #[test]
    fn the_mean_has_its_standard_error() {
        let mean = Mean::new(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(mean.mean, 2.5);
        assert!((mean.interval[1] - 2.5 - Z * 0.645_497).abs() < 1e-6);
        let skewed = Mean::new(&[0.0, 0.0, 0.0, 9.0]).unwrap();
        assert_eq!((skewed.mean, skewed.interval[0]), (2.25, 0.0));
        assert_eq!(Mean::new(&[7.0]).unwrap().interval, [7.0, 7.0]);
        assert_eq!(Mean::new(&[]), None);
    }
}
