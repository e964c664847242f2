//! The header of a GGUF file: its metadata, and where each tensor lies.
//!
//! candle parses it; what is added here is the parse of an incomplete header (the file is a stream)
//! and errors that say which part is wrong.

use super::Metadata;
use crate::{Error, Result};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{self, Content, VersionedMagic};
use std::io::{Read, Seek, SeekFrom};

/// A header larger than this is refused. SmolLM2's takes 1.8 MB, nearly all of it vocabulary; the
/// largest vocabularies take about 15 MB.
pub const MAX_HEADER_BYTES: usize = 64 << 20;

/// Metadata and tensor list of a GGUF file.
#[derive(Debug)]
pub struct Header {
    /// GGUF version, 2 or 3.
    pub version: u32,
    /// Keys and values.
    pub metadata: Metadata,
    /// The tensors in the order of their data.
    pub tensors: Vec<TensorInfo>,
}

/// One entry of the tensor list.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// GGUF name.
    pub name: String,
    /// Storage type.
    pub dtype: GgmlDType,
    /// Sizes, slowest first: rows, then columns.
    pub shape: Vec<usize>,
    /// Where its data begins, in bytes from the start of the file.
    pub offset: u64,
    /// Size of its data.
    pub bytes: u64,
}

impl TensorInfo {
    /// The first byte after its data.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes
    }

    /// The name of the storage type as GGML writes it, in lower case: `q4_1`, `q6_k`.
    pub fn type_name(&self) -> String {
        let name = format!("{:?}", self.dtype).to_lowercase();
        match name.strip_suffix('k') {
            Some(bits) => format!("{bits}_k"),
            None => name,
        }
    }
}

/// What became of an attempt to parse a header from the first bytes of a file.
#[derive(Debug)]
pub enum Parsed {
    /// The header is complete.
    Complete(Header),
    /// More bytes are needed: at least this many from the start of the file.
    Needs(u64),
}

impl Header {
    /// Parses the header from the first `bytes` of a file.
    ///
    /// # Errors
    /// [`Error::NotGguf`], [`Error::BadHeader`] or [`Error::TensorType`].
    pub fn parse(bytes: &[u8]) -> Result<Parsed> {
        if !b"GGUF".starts_with(&bytes[..bytes.len().min(4)]) {
            let found = bytes[..bytes.len().min(16)].to_vec();
            return Err(Error::NotGguf {
                found: String::from_utf8_lossy(&found).into_owned(),
            });
        }
        if let Some(version) = bytes.get(4..8)
            && !matches!(version, [2 | 3, 0, 0, 0])
        {
            return Err(bad(format!("its version bytes are {version:?}")));
        }
        // candle divides by it.
        if has_zero_alignment(bytes) {
            return Err(bad("general.alignment is zero".into()));
        }
        let mut reader = PrefixReader::new(bytes);
        match Content::read(&mut reader) {
            Ok(content) => Self::from_content(content).map(Parsed::Complete),
            Err(_) if reader.needed > MAX_HEADER_BYTES as u64 => Err(bad(format!(
                "it is larger than {} MB",
                MAX_HEADER_BYTES >> 20
            ))),
            Err(_) if reader.needed > bytes.len() as u64 => Ok(Parsed::Needs(reader.needed)),
            Err(error) => Err(reader.explain(&error)),
        }
    }

    fn from_content(content: Content) -> Result<Self> {
        let version = match content.magic {
            VersionedMagic::GgufV1 => 1,
            VersionedMagic::GgufV2 => 2,
            VersionedMagic::GgufV3 => 3,
        };
        let mut tensors = Vec::with_capacity(content.tensor_infos.len());
        for (name, info) in content.tensor_infos {
            let place = place(&info, content.tensor_data_offset);
            let (offset, bytes) = place.ok_or_else(|| {
                let shape = info.shape.dims();
                bad(format!(
                    "the tensor {name:?} has the impossible shape {shape:?} at offset {}",
                    info.offset
                ))
            })?;
            tensors.push(TensorInfo {
                name,
                dtype: info.ggml_dtype,
                shape: info.shape.into_dims(),
                offset,
                bytes,
            });
        }
        tensors.sort_by_key(|tensor| tensor.offset);
        for pair in tensors.windows(2) {
            if pair[0].end() > pair[1].offset {
                return Err(bad(format!(
                    "the tensors {:?} and {:?} overlap",
                    pair[0].name, pair[1].name
                )));
            }
        }
        Ok(Self {
            version,
            metadata: Metadata(content.metadata.into_iter().collect()),
            tensors,
        })
    }
}

/// Offset and size in bytes, unless they overflow or rows are not whole blocks.
fn place(info: &gguf_file::TensorInfo, data_offset: u64) -> Option<(u64, u64)> {
    let dims = info.shape.dims();
    let block = info.ggml_dtype.block_size();
    if dims.is_empty() || dims.contains(&0) || !dims[dims.len() - 1].is_multiple_of(block) {
        return None;
    }
    let values = dims
        .iter()
        .try_fold(1u64, |product, &dim| product.checked_mul(dim as u64))?;
    let bytes = (values / block as u64).checked_mul(info.ggml_dtype.type_size() as u64)?;
    let offset = data_offset.checked_add(info.offset)?;
    offset.checked_add(bytes)?;
    Some((offset, bytes))
}

/// The name of a GGML type that candle does not know, by its number in ggml.h.
fn unknown_type(number: &str) -> String {
    let name = match number {
        "16" => "iq2_xxs",
        "17" => "iq2_xs",
        "18" => "iq3_xxs",
        "19" => "iq1_s",
        "20" => "iq4_nl",
        "21" => "iq3_s",
        "22" => "iq2_s",
        "23" => "iq4_xs",
        "29" => "iq1_m",
        "34" => "tq1_0",
        "35" => "tq2_0",
        "39" => "mxfp4",
        _ => return format!("GGML type {number}"),
    };
    name.into()
}

fn bad(reason: String) -> Error {
    Error::BadHeader { reason }
}

/// Whether the metadata says that tensors are aligned to multiples of 0 bytes.
fn has_zero_alignment(bytes: &[u8]) -> bool {
    const KEY: &[u8] = b"\x11\0\0\0\0\0\0\0general.alignment";
    const U8: u8 = 0;
    const I32: u8 = 5;
    bytes
        .windows(KEY.len() + 8)
        .filter(|window| window.starts_with(KEY))
        .any(|window| {
            let (kind, value) = window[KEY.len()..].split_at(4);
            let width = [1, 1, 2, 2, 4, 4];
            (U8..=I32).contains(&kind[0])
                && value[..width[kind[0] as usize]].iter().all(|&b| b == 0)
        })
}

/// Reads the beginning of a file as if the rest were there, and notes how much of it was wanted.
struct PrefixReader<'a> {
    bytes: &'a [u8],
    position: u64,
    /// One past the last byte that was wanted so far.
    needed: u64,
    /// The byte ranges of the last four reads, oldest first.
    recent: [(u64, u64); 4],
}

impl<'a> PrefixReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            needed: 0,
            recent: [(0, 0); 4],
        }
    }

    /// candle does not say which tensor has a type that it does not know, but an entry of the
    /// list is read as name, rank, sizes, type: the name is the fourth read from the end.
    fn explain(&self, error: &candle_core::Error) -> Error {
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default();
        match reason.strip_prefix("unknown dtype for tensor ") {
            Some(number) => {
                let (start, end) = self.recent[0];
                let name = &self.bytes[start as usize..end as usize];
                Error::TensorType {
                    name: String::from_utf8_lossy(name).into_owned(),
                    found: unknown_type(number),
                }
            }
            None => bad(reason.trim_start_matches("gguf: ").to_owned()),
        }
    }
}

impl Read for PrefixReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = self.position;
        let wanted = start.saturating_add(buffer.len() as u64);
        self.needed = self.needed.max(wanted);
        let rest = &self.bytes[(start as usize).min(self.bytes.len())..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        self.recent.rotate_left(1);
        self.recent[3] = (start, self.position);
        Ok(count)
    }
}

impl Seek for PrefixReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            // The parser asks for the file's size to refuse lengths that cannot be true; every
            // length in a header that is not too large is less than this.
            SeekFrom::End(_) => MAX_HEADER_BYTES as u64,
            SeekFrom::Current(by) => self.position.saturating_add_signed(by),
        };
        Ok(self.position)
    }
}
