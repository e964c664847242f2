//! One tensor from the bytes of the file to a [`WeightMatrix`].

use super::ModelConfig;
use super::header::TensorInfo;
use super::weights::{LayerWeight, WeightFormat, WeightMatrix, WeightName};
use crate::Result;
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::f16;
use std::borrow::Cow;

/// What becomes of a GGML type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conversion {
    /// The bytes stay as they are.
    Keep(WeightFormat),
    /// The values are unpacked and stored in this format.
    Unpack(WeightFormat),
}

/// How the tensor is brought into one of the engine's formats, if it can be.
fn conversion(name: WeightName, dtype: GgmlDType) -> Option<Conversion> {
    use GgmlDType as Type;
    Some(match dtype {
        Type::F32 => Conversion::Keep(WeightFormat::F32),
        // Formats of activations; candle cannot unpack them.
        Type::Q8_1 | Type::Q8K => return None,
        _ if name.is_norm() => Conversion::Unpack(WeightFormat::F32),
        Type::F16 => Conversion::Keep(WeightFormat::F16),
        Type::Q8_0 => Conversion::Keep(WeightFormat::Q8_0),
        Type::Q4_0 => Conversion::Keep(WeightFormat::Q4_0),
        Type::Q4_1 => Conversion::Keep(WeightFormat::Q4_1),
        _ => Conversion::Unpack(WeightFormat::F16),
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
        Some(Conversion::Unpack(format)) => {
            let values = unpack(info.dtype, data, rows, cols)?;
            let bytes = match format {
                WeightFormat::F32 => bytemuck::cast_slice(&values).to_vec(),
                _ => values
                    .iter()
                    .flat_map(|&value| f16::from_f32(value).to_le_bytes())
                    .collect(),
            };
            (format, bytes)
        }
        None => {
            return Err(crate::Error::TensorType {
                name: info.name.clone(),
                found: info.type_name(),
            });
        }
    };
    if let WeightName::Layer(_, LayerWeight::Query | LayerWeight::Key) = name {
        data = rotate_half_rows(&data, rows, config.head_dim);
    }
    Ok(WeightMatrix {
        format,
        rows,
        cols,
        data,
    })
}

/// The values of a tensor of any type that candle knows.
fn unpack(dtype: GgmlDType, data: Vec<u8>, rows: usize, cols: usize) -> Result<Vec<f32>> {
    let storage = QStorage::from_data(Cow::Owned(data), &Device::Cpu, dtype)?;
    let tensor = QTensor::new(storage, (rows, cols))?.dequantize(&Device::Cpu)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

/// Reorders the rows of a query or key projection from the order of llama GGUF files to that of
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

    #[test]
    fn pairs_of_neighbours_become_halves_of_the_head() {
        // Two heads of size 8, one byte a row; the file holds the pairs (0, 4), (1, 5), ...
        let file = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
        let expected: Vec<u8> = (0..16).collect();
        assert_eq!(rotate_half_rows(&file, 16, 8), expected);
    }

    #[test]
    fn other_types_are_unpacked_to_halves_and_norms_to_floats() {
        let gate = WeightName::Layer(0, LayerWeight::Gate);
        let f16 = Some(Conversion::Unpack(WeightFormat::F16));
        assert_eq!(conversion(gate, GgmlDType::Q4K), f16);
        assert_eq!(conversion(gate, GgmlDType::BF16), f16);
        assert_eq!(
            conversion(WeightName::OutputNorm, GgmlDType::F16),
            Some(Conversion::Unpack(WeightFormat::F32))
        );
        assert_eq!(conversion(gate, GgmlDType::Q8K), None);
    }

    #[test]
    fn unpacked_values_are_those_that_candle_packed() {
        let config = ModelConfig {
            width: 256,
            ffn_width: 32,
            ..crate::model::synthetic::tiny()
        };
        let values: Vec<f32> = (0..32 * 256).map(|i| (i as f32 * 0.37).sin()).collect();
        let floats = candle_core::Tensor::from_slice(&values, (32, 256), &Device::Cpu).unwrap();
        for dtype in [
            GgmlDType::BF16,
            GgmlDType::Q5_0,
            GgmlDType::Q5_1,
            GgmlDType::Q4K,
            GgmlDType::Q5K,
            GgmlDType::Q6K,
        ] {
            let packed = QTensor::quantize(&floats, dtype).unwrap();
            let data = packed.data().unwrap().into_owned();
            let info = TensorInfo {
                name: "blk.0.ffn_gate.weight".into(),
                dtype,
                shape: vec![32, 256],
                offset: 0,
                bytes: data.len() as u64,
            };
            let gate = WeightName::Layer(0, LayerWeight::Gate);
            let matrix = matrix(gate, &info, data, &config).unwrap();
            assert_eq!(matrix.format, WeightFormat::F16);
            let unpacked: Vec<f16> = bytemuck::pod_collect_to_vec(&matrix.data);
            for (value, unpacked) in values.iter().zip(unpacked) {
                assert!(
                    (value - unpacked.to_f32()).abs() < 0.1,
                    "{dtype:?}: {value} {unpacked}"
                );
            }
        }
    }
}
