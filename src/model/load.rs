//! From a stream of bytes to a model on a backend.
//!
//! The header comes first; everything that can be wrong with it is found before a weight is
//! fetched. Then each tensor is cut out of the stream as soon as it is complete and handed to the
//! backend, so that no copy of the whole file is ever held.

use super::header::{Header, MAX_HEADER_BYTES, Parsed};
use super::metadata::unusable;
use super::stream::Reader;
use super::weights::{WeightMatrix, WeightName};
use super::{ChatTemplate, Model, ModelConfig, Tokenizer, WeightSize, convert};
use crate::backend::{Backend, BackendBuilder};
use crate::observer::Observer;
use crate::{Error, Result};
use serde::Serialize;

pub use super::stream::*;

/// How much of a model file has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LoadProgress {
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, where they are known.
    pub total: Option<u64>,
}

/// Bytes with which the header is first tried. A file too short for a header of a real model is
/// tried at its end.
const FIRST_TRY: usize = 256 << 10;

/// Reads a model from `source` into the backend that `build` makes for its sizes.
///
/// # Errors
/// The header's errors are [`Error::NotGguf`], [`Error::BadHeader`],
/// [`Error::UnsupportedArchitecture`], [`Error::Metadata`], [`Error::Tokenizer`],
/// [`Error::MissingTensor`], [`Error::UnknownTensor`], [`Error::TensorShape`] and
/// [`Error::TensorType`]; then [`Error::Truncated`], [`Error::OutOfMemory`],
/// [`Error::Cancelled`] where the observer breaks off, and those of the source and the backend.
pub async fn load(
    source: &mut dyn ByteSource,
    build: impl FnOnce(&ModelConfig) -> Result<Box<dyn BackendBuilder>>,
    observer: &mut dyn Observer<LoadProgress>,
) -> Result<(Model, Box<dyn Backend>)> {
    let mut reader = Reader::new(source, Some(observer));
    let header = header(&mut reader).await?;
    let mut config = ModelConfig::from_metadata(&header.metadata)?;
    let names = check_tensors(&header, &config)?;
    check_size(&header, reader.size())?;
    let tokenizer = Tokenizer::from_metadata(&header.metadata)?;
    let chat = ChatTemplate::from_metadata(&header.metadata)?;
    let mut builder = build(&config)?;
    let mut weights = WeightSize::default();
    for (info, name) in header.tensors.iter().zip(names) {
        let what = format!("the tensor {:?}", info.name);
        let len = usize::try_from(info.bytes).map_err(|_| Error::OutOfMemory {
            what: what.clone(),
            need: info.bytes,
        })?;
        let data = reader.take(&what, info.offset, len).await?;
        let matrix = convert::matrix(name, info, data, &config)?;
        if name == WeightName::RopeFactors {
            config.rope_factors = rope_factors(&matrix)?;
        }
        weights.add(name, &matrix);
        builder.add(name, matrix)?;
    }
    let file = reader.finish().await?;
    let model = Model {
        config,
        tokenizer,
        chat,
        file,
        weights,
    };
    Ok((model, builder.finish().await?))
}

/// Reads the header of a GGUF file and no more of it than that takes. The model may be of any
/// architecture.
///
/// # Errors
/// [`Error::NotGguf`], [`Error::BadHeader`], [`Error::TensorType`], [`Error::Truncated`], and
/// those of the source.
pub async fn read_header(source: &mut dyn ByteSource) -> Result<Header> {
    header(&mut Reader::new(source, None)).await
}

async fn header(reader: &mut Reader<'_>) -> Result<Header> {
    // A web page that was saved as a model is found out by its first bytes.
    if let Parsed::Complete(header) = Header::parse(prefix(reader.peek(16).await?, 16))? {
        return Ok(header);
    }
    // Each try has at least twice the bytes of the one before, so all tries together cost no more
    // than two complete ones.
    let mut size = FIRST_TRY;
    loop {
        let bytes = reader.peek(size).await?;
        let have = bytes.len();
        match Header::parse(bytes)? {
            Parsed::Complete(header) => return Ok(header),
            Parsed::Needs(need) if have < size => {
                return Err(Error::Truncated {
                    what: "the header".into(),
                    need,
                    have: reader.received(),
                });
            }
            Parsed::Needs(need) => size = (2 * have).max(need as usize).min(MAX_HEADER_BYTES),
        }
    }
}

fn prefix(bytes: &[u8], len: usize) -> &[u8] {
    &bytes[..bytes.len().min(len)]
}

/// The weight that each tensor of the file is, in the order of the file. The file must have all
/// that the architecture needs and nothing else: a tensor that is not known, such as the norm of each
/// head, would change what the model computes.
fn check_tensors(header: &Header, config: &ModelConfig) -> Result<Vec<WeightName>> {
    let names: Vec<Option<WeightName>> = header
        .tensors
        .iter()
        .map(|info| WeightName::from_gguf_name(&info.name))
        .collect();
    let present: std::collections::HashSet<WeightName> = names.iter().copied().flatten().collect();
    if let Some(missing) = WeightName::required(config).find(|name| !present.contains(name)) {
        return Err(Error::MissingTensor {
            name: missing.gguf_name(),
        });
    }
    let mut known = Vec::with_capacity(names.len());
    for (info, name) in header.tensors.iter().zip(names) {
        let name = name
            .filter(|name| !matches!(name, WeightName::Layer(n, _) if *n >= config.n_layers))
            .ok_or_else(|| Error::UnknownTensor {
                name: info.name.clone(),
            })?;
        let (rows, cols) = name.shape(config);
        if info.shape != [rows, cols] && !(rows == 1 && info.shape == [cols]) {
            return Err(Error::TensorShape {
                name: info.name.clone(),
                expected: if rows == 1 {
                    vec![cols]
                } else {
                    vec![rows, cols]
                },
                found: info.shape.clone(),
            });
        }
        if !convert::supported(name, info.dtype) {
            return Err(Error::TensorType {
                name: info.name.clone(),
                found: info.type_name(),
            });
        }
        known.push(name);
    }
    Ok(known)
}

fn rope_factors(matrix: &WeightMatrix) -> Result<Vec<f32>> {
    let factors = matrix.dequantize()?;
    match factors
        .iter()
        .find(|factor| !(factor.is_finite() && **factor > 0.0))
    {
        Some(wrong) => Err(unusable(
            &WeightName::RopeFactors.gguf_name(),
            format!("has a factor of {wrong}, but they must be greater than 0"),
        )),
        None => Ok(factors),
    }
}

/// Finds a file that is cut short before its tensors are fetched, where its size is known.
fn check_size(header: &Header, size: Option<u64>) -> Result<()> {
    let Some(have) = size else { return Ok(()) };
    match header.tensors.iter().find(|info| info.end() > have) {
        Some(info) => Err(Error::Truncated {
            what: format!("the tensor {:?}", info.name),
            need: info.end(),
            have,
        }),
        None => Ok(()),
    }
}
