//! How much of a model's weights one token needs: what its speed depends on.

use super::weights::{WeightMatrix, WeightName};
use std::collections::BTreeMap;

/// Bytes of a model's weights, in the formats that the backend was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeightSize {
    /// Bytes of each format, by its name.
    formats: BTreeMap<&'static str, u64>,
    embedding: u64,
    others: u64,
    has_output: bool,
}

impl WeightSize {
    /// Counts one tensor.
    pub fn add(&mut self, name: WeightName, matrix: &WeightMatrix) {
        let bytes = matrix.data.len() as u64;
        if name == WeightName::Embedding {
            self.embedding += bytes;
        } else {
            self.others += bytes;
        }
        self.has_output |= name == WeightName::Output;
        if !name.is_vector() {
            *self.formats.entry(matrix.format.name()).or_default() += bytes;
        }
    }

    /// Bytes that a decode step reads, for all of its lanes together: every matrix and norm once.
    /// The embedding counts where the head is tied to it; else a step reads one row of it, which is
    /// left out.
    pub fn bytes_per_step(&self) -> u64 {
        if self.has_output {
            self.others
        } else {
            self.others + self.embedding
        }
    }

    /// The format of most bytes, such as `q8_0`; empty where there are no matrices.
    pub fn format(&self) -> &'static str {
        let largest = self.formats.iter().max_by_key(|(_, bytes)| **bytes);
        largest.map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::WeightFormat;

    fn matrix(format: WeightFormat, rows: usize) -> WeightMatrix {
        WeightMatrix {
            format,
            rows,
            cols: 32,
            data: vec![0; rows * format.block_bytes()],
        }
    }

    #[test]
    fn a_tied_embedding_is_read_and_a_separate_one_is_not() {
        let mut size = WeightSize::default();
        size.add(WeightName::Embedding, &matrix(WeightFormat::Q8_0, 3));
        size.add(WeightName::OutputNorm, &matrix(WeightFormat::F32, 1));
        assert_eq!(size.bytes_per_step(), 3 * 34 + 128);
        size.add(WeightName::Output, &matrix(WeightFormat::Q4_0, 9));
        assert_eq!(size.bytes_per_step(), 128 + 9 * 18);
        assert_eq!(size.format(), "q4_0");
    }
}
