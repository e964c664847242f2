//! The bytes of a model file as they arrive: from a disk, from memory, from a download.

use super::ModelFile;
use super::load::LoadProgress;
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use sha2::{Digest, Sha256};

/// Where a model comes from: a stream of chunks of any size, file after file where it is split.
#[async_trait(?Send)]
pub trait ByteSource {
    /// Size of the present file in bytes, where it is known for certain. A tensor that would end
    /// behind it is reported before the rest is fetched.
    fn size(&self) -> Option<u64>;

    /// Size of all files together, where it is known.
    fn total(&self) -> Option<u64> {
        self.size()
    }

    /// What is known of the present file's contents.
    fn digest(&self) -> FileDigest {
        FileDigest::Unknown
    }

    /// The next chunk of the present file, or `None` at its end.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Fetch`].
    async fn next(&mut self) -> Result<Option<Vec<u8>>>;

    /// Goes on to the next file of a model that is split over several; false where there is none.
    ///
    /// # Errors
    /// As [`ByteSource::next`].
    async fn next_file(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// What is known of a file's contents before it is read. Digests are SHA-256 in lower-case
/// hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileDigest {
    /// Nothing: the digest is computed.
    Unknown,
    /// The digest is computed, and any other is refused.
    Expected(String),
    /// It was verified before, and is not computed again.
    Verified(String),
}

/// Bytes that the sources here give at once: enough that the cost of a chunk does not count, and
/// few enough for smooth progress.
const CHUNK: usize = 1 << 20;

/// A file on disk, and those that follow it where it is the first of a split model:
/// `name-00001-of-00003.gguf`.
#[cfg(not(target_arch = "wasm32"))]
pub struct FileSource {
    path: std::path::PathBuf,
    file: std::fs::File,
    size: u64,
}

#[cfg(not(target_arch = "wasm32"))]
impl FileSource {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let opened = std::fs::File::open(&path).and_then(|file| {
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        match opened {
            Ok((file, size)) => Ok(Self { path, file, size }),
            Err(source) => Err(Error::Io {
                path: path.display().to_string(),
                source,
            }),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[async_trait(?Send)]
impl ByteSource for FileSource {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    async fn next_file(&mut self) -> Result<bool> {
        let Some(next) = next_in_split(&self.path) else {
            return Ok(false);
        };
        *self = Self::open(next)?;
        Ok(true)
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        use std::io::Read;
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&self.file).take(CHUNK as u64).read_to_end(&mut chunk);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(chunk)),
            Err(source) => Err(Error::Io {
                path: self.path.display().to_string(),
                source,
            }),
        }
    }
}

/// The path of the file that follows one of a split model, by the names that `gguf-split` of
/// llama.cpp gives them; `None` for the last one and for any other file.
#[cfg(not(target_arch = "wasm32"))]
fn next_in_split(path: &std::path::Path) -> Option<std::path::PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
    let (rest, count) = name.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let width = number.len();
    let (number, last): (u32, u32) = (number.parse().ok()?, count.parse().ok()?);
    (number < last)
        .then(|| path.with_file_name(format!("{stem}-{:0width$}-of-{count}.gguf", number + 1)))
}

/// A file in memory, such as a [synthetic](super::synthetic) one, in chunks of any size.
pub struct MemorySource {
    bytes: Vec<u8>,
    position: usize,
    chunk: usize,
}

impl MemorySource {
    /// A source of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self::with_chunks(bytes, CHUNK)
    }

    /// A source of these bytes that gives `chunk` of them at a time, at least 1.
    pub fn with_chunks(bytes: Vec<u8>, chunk: usize) -> Self {
        Self {
            bytes,
            position: 0,
            chunk: chunk.max(1),
        }
    }
}

#[async_trait(?Send)]
impl ByteSource for MemorySource {
    fn size(&self) -> Option<u64> {
        Some(self.bytes.len() as u64)
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let chunk = self.bytes[self.position..].chunks(self.chunk).next();
        self.position += chunk.map_or(0, <[u8]>::len);
        Ok(chunk.map(<[u8]>::to_vec))
    }
}

/// A [`ByteSource`] read from front to back, piece by piece, with its hashes and its progress.
pub(super) struct Reader<'a> {
    source: &'a mut dyn ByteSource,
    observer: Option<&'a mut dyn Observer<LoadProgress>>,
    hash: Hash,
    /// The chunk that is being read, and how much of it was taken.
    chunk: Vec<u8>,
    taken: usize,
    /// Bytes that arrived of the present file.
    received: u64,
    /// The files that were read to their end.
    files: Vec<ModelFile>,
}

impl<'a> Reader<'a> {
    pub fn new(
        source: &'a mut dyn ByteSource,
        observer: Option<&'a mut dyn Observer<LoadProgress>>,
    ) -> Self {
        let hash = Hash::of(source);
        Self {
            source,
            observer,
            hash,
            chunk: Vec::new(),
            taken: 0,
            received: 0,
            files: Vec::new(),
        }
    }

    /// Size of the present file, where it is known.
    pub fn size(&self) -> Option<u64> {
        self.source.size()
    }

    /// Bytes that arrived so far of the present file.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Offset of the next byte in the file.
    fn position(&self) -> u64 {
        self.received - (self.chunk.len() - self.taken) as u64
    }

    /// Waits for the next chunk; `None` at the end of the file.
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(chunk) = self.source.next().await? else {
            return Ok(None);
        };
        if let Hash::Computed(hash) = &mut self.hash {
            hash.update(&chunk);
        }
        self.received += chunk.len() as u64;
        if let Some(observer) = &mut self.observer {
            let earlier: u64 = self.files.iter().map(|file| file.bytes).sum();
            let progress = LoadProgress {
                done: earlier + self.received,
                total: self.source.total(),
            };
            if observer.observe(progress).await.is_break() {
                return Err(Error::Cancelled);
            }
        }
        Ok(Some(chunk))
    }

    /// Everything that was not taken yet, followed by chunks until there are `len` bytes or the
    /// file ends. The bytes stay to be taken.
    pub async fn peek(&mut self, len: usize) -> Result<&[u8]> {
        while self.chunk.len() - self.taken < len {
            let Some(chunk) = self.receive().await? else {
                break;
            };
            self.chunk.drain(..self.taken);
            self.taken = 0;
            self.chunk.extend_from_slice(&chunk);
        }
        Ok(&self.chunk[self.taken..])
    }

    /// Takes `len` bytes that begin at `offset`, which is not before what was already taken.
    /// `what` names them in errors.
    pub async fn take(&mut self, what: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut piece = Vec::new();
        piece
            .try_reserve_exact(len)
            .map_err(|_| Error::OutOfMemory {
                what: what.to_owned(),
                need: len as u64,
            })?;
        while piece.len() < len {
            let rest = &self.chunk[self.taken..];
            if rest.is_empty() {
                let Some(chunk) = self.receive().await? else {
                    return Err(Error::Truncated {
                        what: what.to_owned(),
                        need: offset + len as u64,
                        have: self.received,
                    });
                };
                self.chunk = chunk;
                self.taken = 0;
                continue;
            }
            let skip = offset.saturating_sub(self.position());
            let used = if skip > 0 {
                rest.len().min(usize::try_from(skip).unwrap_or(usize::MAX))
            } else {
                let used = rest.len().min(len - piece.len());
                piece.extend_from_slice(&rest[..used]);
                used
            };
            self.taken += used;
        }
        Ok(piece)
    }

    /// Reads to the end of the present file, checks its digest, and goes on to the next file of a
    /// split model; false where there is none.
    pub async fn next_file(&mut self) -> Result<bool> {
        while self.receive().await?.is_some() {}
        self.end_file()?;
        let more = self.source.next_file().await?;
        if more {
            self.hash = Hash::of(self.source);
            self.received = 0;
        }
        Ok(more)
    }

    fn end_file(&mut self) -> Result<()> {
        self.chunk.clear();
        self.taken = 0;
        let sha256 = match &mut self.hash {
            Hash::Computed(hash) => hexadecimal(hash.finalize_reset()),
            Hash::Verified(known) => std::mem::take(known),
        };
        match self.source.digest() {
            FileDigest::Expected(expected) if expected != sha256 => Err(Error::Checksum {
                expected,
                found: sha256,
            }),
            _ => {
                self.files.push(ModelFile {
                    bytes: self.received,
                    sha256,
                    parts: Vec::new(),
                });
                Ok(())
            }
        }
    }

    /// What identifies the model, once there is no further file: of a split one, the size of all files
    /// and the digest of their digests.
    pub fn identity(&self) -> ModelFile {
        if let [file] = &self.files[..] {
            return file.clone();
        }
        let mut hash = Sha256::new();
        for file in &self.files {
            hash.update(&file.sha256);
        }
        ModelFile {
            bytes: self.files.iter().map(|file| file.bytes).sum(),
            sha256: hexadecimal(hash.finalize()),
            parts: self.files.iter().map(|file| file.sha256.clone()).collect(),
        }
    }
}

/// The SHA-256 of the present file.
enum Hash {
    Computed(Sha256),
    Verified(String),
}

impl Hash {
    fn of(source: &dyn ByteSource) -> Self {
        match source.digest() {
            FileDigest::Verified(known) => Self::Verified(known),
            FileDigest::Expected(_) | FileDigest::Unknown => Self::Computed(Sha256::new()),
        }
    }
}

fn hexadecimal(digest: impl AsRef<[u8]>) -> String {
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::next_in_split;
    use std::path::Path;

    #[test]
    fn a_split_model_goes_on_until_its_last_file() {
        let next = |path: &str| next_in_split(Path::new(path)).map(|p| p.display().to_string());
        assert_eq!(
            next("a/b-00009-of-00010.gguf").as_deref(),
            Some("a/b-00010-of-00010.gguf")
        );
        assert_eq!(next("a/b-00010-of-00010.gguf"), None);
        assert_eq!(next("a/one-of-many.gguf"), None);
        assert_eq!(next("a/b.gguf"), None);
    }
}
