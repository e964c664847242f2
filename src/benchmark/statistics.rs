//! From samples to figures.

use super::report::Timing;

/// The middle one of some numbers, or the mean of the middle two; `None` for none.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The figure of samples of which the first warmed up: it counts only where it is alone.
pub fn timing(samples: &[f64]) -> Option<Timing> {
    let counted = match samples {
        [_, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    Some(Timing {
        median: median(counted)?,
        least: counted.iter().copied().fold(f64::INFINITY, f64::min),
        samples: counted.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 5.0, 2.0]), Some(3.5));
    }

    #[test]
    fn the_first_sample_counts_only_alone() {
        assert_eq!(timing(&[]), None);
        let alone = timing(&[8.0]).expect("a figure");
        assert_eq!((alone.median, alone.least, alone.samples), (8.0, 8.0, 1));
        let more = timing(&[80.0, 3.0, 1.0, 2.0]).expect("a figure");
        assert_eq!((more.median, more.least, more.samples), (2.0, 1.0, 3));
    }
}
