//! The steering vector and its file.
//!
//! A file is safetensors with the f32 tensors `keys` and `values`, both
//! `[n_layers, n_kv_heads, head_dim]`; keys are after RoPE, in rotate-half order. What it is for
//! stands in the file's [`metadata`](super::metadata), and may be missing: a bare pair of tensors is
//! a vector, used with the defaults of [`VectorMetadata`].

use super::VectorMetadata;
use crate::model::ModelConfig;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;

/// What is added, times a [`Strength`](super::Strength), to the cache at one position.
#[derive(Debug, Clone, PartialEq)]
pub struct SteeringVector {
    /// `S_k`, `dims` row after row.
    pub keys: Vec<f32>,
    /// `S_v`, `dims` row after row.
    pub values: Vec<f32>,
    /// Layers, KV heads, head size.
    pub dims: [usize; 3],
    /// What it is for and where it comes from.
    pub metadata: VectorMetadata,
}

impl SteeringVector {
    /// Reads a vector from the bytes of its file.
    ///
    /// # Errors
    /// [`Error::VectorFile`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
        let (keys, dims) = read_tensor(&file, "keys")?;
        let (values, value_dims) = read_tensor(&file, "values")?;
        if dims != value_dims {
            return Err(bad(format!(
                "keys are {dims:?}, but values are {value_dims:?}"
            )));
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| bad(e.to_string()))?;
        let entries: BTreeMap<String, String> = header
            .metadata()
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let metadata = VectorMetadata::from_entries(&entries)?;
        Ok(Self {
            keys,
            values,
            dims,
            metadata,
        })
    }

    /// The bytes of the vector's file. The same vector gives the same bytes.
    ///
    /// # Errors
    /// [`Error::VectorFile`] where the tensors' lengths are not those of `dims`.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let tensor =
            |data| TensorView::new(Dtype::F32, self.dims.to_vec(), bytemuck::cast_slice(data));
        let keys = tensor(&self.keys).map_err(|e| bad(e.to_string()))?;
        let values = tensor(&self.values).map_err(|e| bad(e.to_string()))?;
        let entries = self.metadata.to_entries(self.dims);
        let bytes = safetensors::serialize(
            [("keys", keys), ("values", values)],
            Some(entries.into_iter().collect()),
        )
        .map_err(|e| bad(e.to_string()))?;
        sort_header(bytes).ok_or_else(|| bad("its header cannot be written".into()))
    }

    /// Values of one layer in each of the two tensors.
    pub fn layer_len(&self) -> usize {
        self.dims[1] * self.dims[2]
    }

    /// Refuses a model of other sizes.
    ///
    /// # Errors
    /// [`Error::VectorMismatch`].
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        let model = [config.n_layers, config.n_kv_heads, config.head_dim];
        let words = |[layers, heads, size]: [usize; 3]| {
            format!("{layers} layers, {heads} KV heads and head size {size}")
        };
        if self.dims != model {
            return Err(Error::VectorMismatch {
                vector: words(self.dims),
                model: words(model),
            });
        }
        if self.keys.len() != config.slot_len() || self.values.len() != config.slot_len() {
            return Err(bad(
                "its tensors are shorter or longer than their shape".into()
            ));
        }
        Ok(())
    }
}

pub(super) fn bad(reason: String) -> Error {
    Error::VectorFile { reason }
}

fn read_tensor(file: &SafeTensors<'_>, name: &str) -> Result<(Vec<f32>, [usize; 3])> {
    let tensor = file
        .tensor(name)
        .map_err(|_| bad(format!("it lacks the tensor {name:?}")))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(bad(format!("{name} are stored as {}", tensor.dtype())));
    }
    let dims: [usize; 3] = tensor
        .shape()
        .try_into()
        .map_err(|_| bad(format!("{name} have the shape {:?}", tensor.shape())))?;
    let values: Vec<f32> = tensor
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(bad(format!("{name} hold the value {value}")));
    }
    Ok((values, dims))
}

/// The library writes metadata in the random order of a hash map; sorted, the same vector gives
/// the same file. Sorting moves entries only, so the header keeps its length.
fn sort_header(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let len = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let header = bytes.get_mut(8..8 + len)?;
    let sorted: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let sorted = serde_json::to_vec(&sorted).ok()?;
    header.get_mut(..sorted.len())?.copy_from_slice(&sorted);
    header[sorted.len()..].fill(b' ');
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::contrast::Selection;
    use crate::steering::extract::{Average, Contrast, TokenPosition};
    use crate::steering::{ExtractOptions, KeyFrame, Strength, StrengthUnit};

    fn vector() -> SteeringVector {
        SteeringVector {
            keys: (0..12).map(|i| i as f32).collect(),
            values: (0..12).map(|i| -0.5 * i as f32).collect(),
            dims: [3, 1, 4],
            metadata: VectorMetadata {
                offset: " ".into(),
                recommended: Strength {
                    values: 4.5,
                    keys: 0.25,
                    first_layer: 2,
                    last_layer: Some(7),
                    unit: StrengthUnit::Slot,
                },
                repetition_penalty: Some(1.1),
                label: Some("think aloud".into()),
                marker: Some("^Let's".into()),
                style: Some("think-aloud".into()),
                pairs: Some(10),
                selection: Some(Selection::Similar),
                seed: Some(u64::MAX),
                extraction: ExtractOptions {
                    token: TokenPosition::Index(-3),
                    contrast: Contrast::Positive,
                    average: Average::Clusters(2),
                    heads: Some(12),
                    key_frame: KeyFrame::Zero,
                },
                ..VectorMetadata::default()
            },
        }
    }

    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])], entries: &[(&str, &str)]) -> Vec<u8> {
        let tensors = tensors
            .iter()
            .map(|&(name, dtype, shape, data)| {
                (name, TensorView::new(dtype, shape.to_vec(), data).unwrap())
            })
            .collect::<Vec<_>>();
        let entries = entries
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        safetensors::serialize(tensors, Some(entries)).unwrap()
    }

    fn error(bytes: &[u8]) -> String {
        match SteeringVector::from_bytes(bytes) {
            Err(error @ Error::VectorFile { .. }) => error.to_string(),
            other => panic!("expected a refusal, not {other:?}"),
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let bytes = vector().to_bytes().unwrap();
        assert_eq!(SteeringVector::from_bytes(&bytes).unwrap(), vector());
        assert_eq!(
            vector().to_bytes().unwrap(),
            bytes,
            "the same bytes each time"
        );
    }

    #[test]
    fn a_file_without_metadata_gets_the_defaults() {
        let data = [0u8; 16];
        let tensors = [
            ("keys", Dtype::F32, &[1, 2, 2][..], &data[..]),
            ("values", Dtype::F32, &[1, 2, 2], &data),
        ];
        let vector = SteeringVector::from_bytes(&file(&tensors, &[])).unwrap();
        assert_eq!(vector.metadata, VectorMetadata::default());
        assert_eq!(vector.metadata.offset, "\n");
        assert_eq!(vector.metadata.recommended.first_layer, 1);
    }

    #[test]
    fn refuses_what_is_not_a_vector() {
        let (zeros, nan) = ([0u8; 8], [f32::NAN.to_le_bytes(), [0; 4]].concat());
        let shape = &[1, 1, 2][..];
        let good = ("values", Dtype::F32, shape, &zeros[..]);
        assert!(error(b"<!doctype html><html></html>").contains("header"));
        assert!(error(&file(&[good], &[])).contains("lacks the tensor \"keys\""));
        assert!(
            error(&file(
                &[good, ("keys", Dtype::F16, shape, &zeros[..4])],
                &[]
            ))
            .contains("F16")
        );
        assert!(error(&file(&[good, ("keys", Dtype::F32, &[2], &zeros)], &[])).contains("[2]"));
        assert!(
            error(&file(
                &[good, ("keys", Dtype::F32, &[1, 2, 1], &zeros)],
                &[]
            ))
            .contains("[1, 2, 1]")
        );
        assert!(error(&file(&[good, ("keys", Dtype::F32, shape, &nan)], &[])).contains("NaN"));
        let keys = ("keys", Dtype::F32, shape, &zeros[..]);
        assert!(error(&file(&[good, keys], &[("format_version", "2")])).contains("format_version"));
        assert!(error(&file(&[good, keys], &[("operation", "replace")])).contains("replace"));
        assert!(error(&file(&[good, keys], &[("site", "logits")])).contains("logits"));
        assert!(error(&file(&[good, keys], &[("unit", "mile")])).contains("mile"));
        assert!(error(&file(&[good, keys], &[("first_layer", "-1")])).contains("first_layer"));
        assert!(error(&file(&[good, keys], &[("recommended_values", "inf")])).contains("finite"));
    }
}
