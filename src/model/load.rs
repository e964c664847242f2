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
use std::collections::HashSet;

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
/// The header's errors are [`Error::NotGguf`], [`Error::BadHeader`], [`Error::Split`],
/// [`Error::UnsupportedArchitecture`], [`Error::Metadata`], [`Error::Tokenizer`],
/// [`Error::MissingTensor`], [`Error::UnknownTensor`], [`Error::TensorShape`] and
/// [`Error::TensorType`]; then [`Error::Truncated`], [`Error::Checksum`], [`Error::OutOfMemory`],
/// [`Error::Cancelled`] where the observer breaks off, and those of the source and the backend.
pub async fn load(
    source: &mut dyn ByteSource,
    build: impl FnOnce(&ModelConfig) -> Result<Box<dyn BackendBuilder>>,
    observer: &mut dyn Observer<LoadProgress>,
) -> Result<(Model, Box<dyn Backend>)> {
    let mut reader = Reader::new(source, Some(observer));
    let mut header = header(&mut reader).await?;
    let mut split = Split::of(&header)?;
    split.check(1)?;
    let mut config = ModelConfig::from_metadata(&header.metadata)?;
    let mut present: HashSet<WeightName> = known(&header).collect();
    if split.count == 1 {
        check_complete(&present, &config)?;
    }
    let mut names = check_tensors(&header, &config)?;
    check_size(&header, reader.size())?;
    let tokenizer = Tokenizer::from_metadata(&header.metadata)?;
    let chat = ChatTemplate::from_metadata(&header.metadata)?;
    let mut builder = build(&config)?;
    let mut weights = WeightSize::default();
    loop {
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
        if split.is_last() {
            break;
        }
        if !reader.next_file().await? {
            return Err(split.wrong(format!("number {} is missing", split.number + 1)));
        }
        header = self::header(&mut reader).await?;
        let next = Split::of(&header)?;
        next.check_follows(&split)?;
        split = next;
        present.extend(known(&header));
        names = check_tensors(&header, &config)?;
        check_size(&header, reader.size())?;
    }
    check_complete(&present, &config)?;
    if reader.next_file().await? {
        return Err(split.wrong("there are more files than these".into()));
    }
    let file = reader.identity();
    let model = Model {
        config,
        tokenizer,
        chat,
        file,
        weights,
    };
    Ok((model, builder.finish().await?))
}

/// Refuses a file that is not the first of its model.
///
/// # Errors
/// [`Error::Split`], or [`Error::Metadata`] where it does not say what it is.
pub fn check_first(header: &Header) -> Result<()> {
    Split::of(header)?.check(1)
}

/// Which of how many files of a split model one is, by the metadata that `gguf-split` of llama.cpp
/// writes; a whole model is the first of one.
struct Split {
    /// Counted from 1.
    number: u64,
    count: u64,
}

impl Split {
    fn of(header: &Header) -> Result<Self> {
        let metadata = &header.metadata;
        Ok(Self {
            number: metadata.integer("split.no")?.unwrap_or(0).saturating_add(1),
            count: metadata.integer("split.count")?.unwrap_or(1).max(1),
        })
    }

    fn is_last(&self) -> bool {
        self.number >= self.count
    }

    /// Refuses any file but this one of as many as `self` says.
    fn check(&self, number: u64) -> Result<()> {
        if self.number == number {
            return Ok(());
        }
        let found = self.number;
        Err(self.wrong(format!(
            "number {found} comes where number {number} ought to be"
        )))
    }

    fn check_follows(&self, before: &Split) -> Result<()> {
        if self.count != before.count {
            let found = self.count;
            return Err(before.wrong(format!("one file is of a model of {found}")));
        }
        self.check(before.number + 1)
    }

    fn wrong(&self, problem: String) -> Error {
        Error::Split {
            count: self.count,
            problem,
        }
    }
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

fn known(header: &Header) -> impl Iterator<Item = WeightName> {
    let names = header.tensors.iter().map(|info| &info.name);
    names.filter_map(|name| WeightName::from_gguf_name(name))
}

/// Refuses a model that lacks what its architecture needs.
fn check_complete(present: &HashSet<WeightName>, config: &ModelConfig) -> Result<()> {
    match WeightName::required(config).find(|name| !present.contains(name)) {
        Some(missing) => Err(Error::MissingTensor {
            name: missing.gguf_name(),
        }),
        None => Ok(()),
    }
}

/// The weight that each tensor of the file is, in the order of the file. A tensor that is not known
/// would change what the model computes.
fn check_tensors(header: &Header, config: &ModelConfig) -> Result<Vec<WeightName>> {
    let mut known = Vec::with_capacity(header.tensors.len());
    for info in &header.tensors {
        let name = WeightName::from_gguf_name(&info.name)
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
