//! One tensor from the bytes of the file to a [`WeightMatrix`].

use super::header::TensorInfo;
use super::weights::{LayerWeight, WeightFormat, WeightMatrix, WeightName};
use super::{ModelConfig, blocks};
use crate::Result;
use candle_core::quantized::GgmlDType;

/// What becomes of a GGML type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conversion {
    /// The bytes stay as they are.
    Keep(WeightFormat),
    /// The values are unpacked and stored in this format.
    Convert(WeightFormat),
}

/// How the tensor is brought into one of the engine's formats, if it can be.
fn conversion(name: WeightName, dtype: GgmlDType) -> Option<Conversion> {
    use GgmlDType as Type;
    Some(match dtype {
        Type::F32 => Conversion::Keep(WeightFormat::F32),
        // Formats of activations; candle cannot unpack them.
        Type::Q8_1 | Type::Q8K => return None,
        _ if name.is_vector() => Conversion::Convert(WeightFormat::F32),
        Type::F16 => Conversion::Keep(WeightFormat::F16),
        Type::Q8_0 => Conversion::Keep(WeightFormat::Q8_0),
        Type::Q4_0 => Conversion::Keep(WeightFormat::Q4_0),
        Type::Q4_1 => Conversion::Keep(WeightFormat::Q4_1),
        Type::BF16 => Conversion::Convert(WeightFormat::F16),
        // Blocks of 2 to 6 bits: 8 bits hold them to a fraction of their own step, in half the memory
        // of halves.
        _ => Conversion::Convert(WeightFormat::Q8_0),
    })
}

/// Whether [`matrix`] can read a tensor of this type.
pub(super) fn supported(name: WeightName, dtype: GgmlDType) -> bool {
    conversion(name, dtype).is_some()
}

/// Makes a matrix of a tensor whose shape and type were checked.
///
/// # Errors
/// [`Error::Cpu`](crate::Error::Cpu) where the values cannot be unpacked.
pub(super) fn matrix(
    name: WeightName,
    info: &TensorInfo,
    data: Vec<u8>,
    config: &ModelConfig,
) -> Result<WeightMatrix> {
    let (rows, cols) = name.shape(config);
    let (format, mut data) = match conversion(name, info.dtype) {
        Some(Conversion::Keep(format)) => (format, data),
        Some(Conversion::Convert(format)) => {
            let values = blocks::unpack(info.dtype, &data, rows * cols)?;
            (format, blocks::pack(format, &values)?)
        }
        None => {
            return Err(crate::Error::TensorType {
                name: info.name.clone(),
                found: info.type_name(),
            });
        }
    };
    use LayerWeight::{Key, KeyBias, Query, QueryBias};
    let turned = match name {
        _ if !config.architecture.interleaves_rows() => None,
        WeightName::Layer(_, Query | Key) => Some(rows),
        // Each value belongs to a row of the projection.
        WeightName::Layer(_, QueryBias | KeyBias) => Some(cols),
        _ => None,
    };
    if let Some(rows) = turned {
        data = rotate_half_rows(&data, rows, config.head_dim);
    }
    Ok(WeightMatrix {
        format,
        rows,
        cols,
        data,
    })
}

/// Reorders the rows of a query or key projection, or of its bias, from the order of llama GGUF files to that of
/// the original checkpoint.
///
/// RoPE turns pairs of elements of a head. The checkpoint pairs element `i` with
/// `i + head_dim / 2`; a llama GGUF file stores the rows so that the two of a pair are neighbours.
fn rotate_half_rows(data: &[u8], rows: usize, head_dim: usize) -> Vec<u8> {
    let row_bytes = data.len() / rows;
    let half = head_dim / 2;
    let mut out = Vec::with_capacity(data.len());
    for row in 0..rows {
        let (head, element) = (row / head_dim, row % head_dim);
        let (pair, member) = (element % half, element / half);
        let source = head * head_dim + 2 * pair + member;
        out.extend_from_slice(&data[source * row_bytes..(source + 1) * row_bytes]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::QTensor;
    use candle_core::{Device, Tensor};

    #[test]
    fn pairs_of_neighbours_become_halves_of_the_head() {
        // Two heads of size 8, one byte a row; the file holds the pairs (0, 4), (1, 5), ...
        let file = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
        let expected: Vec<u8> = (0..16).collect();
        assert_eq!(rotate_half_rows(&file, 16, 8), expected);
    }

    #[test]
    fn other_types_are_converted_to_what_holds_them() {
        let gate = WeightName::Layer(0, LayerWeight::Gate);
        let to = |format| Some(Conversion::Convert(format));
        assert_eq!(conversion(gate, GgmlDType::Q4K), to(WeightFormat::Q8_0));
        assert_eq!(conversion(gate, GgmlDType::Q5_1), to(WeightFormat::Q8_0));
        assert_eq!(conversion(gate, GgmlDType::BF16), to(WeightFormat::F16));
        assert_eq!(
            conversion(WeightName::OutputNorm, GgmlDType::F16),
            to(WeightFormat::F32)
        );
        assert_eq!(conversion(gate, GgmlDType::Q8K), None);
    }

    #[test]
    fn converted_values_are_those_that_candle_packed() {
        let config = ModelConfig {
            width: 256,
            ffn_width: 32,
            ..crate::model::synthetic::tiny()
        };
        let values: Vec<f32> = (0..32 * 256).map(|i| (i as f32 * 0.37).sin()).collect();
        for (dtype, expected) in [
            (GgmlDType::BF16, WeightFormat::F16),
            (GgmlDType::Q5_0, WeightFormat::Q8_0),
            (GgmlDType::Q5_1, WeightFormat::Q8_0),
            (GgmlDType::Q2K, WeightFormat::Q8_0),
            (GgmlDType::Q3K, WeightFormat::Q8_0),
            (GgmlDType::Q4K, WeightFormat::Q8_0),
            (GgmlDType::Q5K, WeightFormat::Q8_0),
            (GgmlDType::Q6K, WeightFormat::Q8_0),
        ] {
            let tensor = Tensor::from_slice(&values, (32, 256), &Device::Cpu).unwrap();
            let packed = QTensor::quantize(&tensor, dtype).unwrap();
            let exact = packed.dequantize(&Device::Cpu).unwrap();
            let exact: Vec<f32> = exact.flatten_all().unwrap().to_vec1().unwrap();
            let data = packed.data().unwrap().into_owned();
            assert_eq!(blocks::unpack(dtype, &data, values.len()).unwrap(), exact);
            let info = TensorInfo {
                name: "blk.0.ffn_gate.weight".into(),
                dtype,
                shape: vec![32, 256],
                offset: 0,
                bytes: data.len() as u64,
            };
            let gate = WeightName::Layer(0, LayerWeight::Gate);
            let matrix = matrix(gate, &info, data, &config).unwrap();
            assert_eq!(matrix.format, expected);
            for (exact, converted) in exact.iter().zip(matrix.dequantize().unwrap()) {
                // Half a step of 127 from the largest value, of 1 or a bit more.
                assert!(
                    (exact - converted).abs() < 0.0045,
                    "{dtype:?}: {exact} {converted}"
                );
            }
        }
    }
}
