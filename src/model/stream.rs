//! The bytes of a model file as they arrive: from a disk, from memory, from a download.

use super::load::LoadProgress;
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use sha2::{Digest, Sha256};

/// Where a model file comes from: a stream of chunks of any size.
#[async_trait(?Send)]
pub trait ByteSource {
    /// Size of the whole file in bytes, where it is known for certain. A tensor that would end
    /// behind it is reported before the rest is fetched.
    fn size(&self) -> Option<u64>;

    /// The next chunk, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Fetch`].
    async fn next(&mut self) -> Result<Option<Vec<u8>>>;
}

/// Bytes that the sources here give at once: enough that the cost of a chunk does not count, and
/// few enough for smooth progress.
const CHUNK: usize = 1 << 20;

/// A file on disk.
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

/// A [`ByteSource`] read from front to back, piece by piece, with its hash and its progress.
pub(super) struct Reader<'a> {
    source: &'a mut dyn ByteSource,
    observer: Option<&'a mut dyn Observer<LoadProgress>>,
    hash: Sha256,
    /// The chunk that is being read, and how much of it was taken.
    chunk: Vec<u8>,
    taken: usize,
    /// Bytes that arrived.
    received: u64,
}

impl<'a> Reader<'a> {
    pub fn new(
        source: &'a mut dyn ByteSource,
        observer: Option<&'a mut dyn Observer<LoadProgress>>,
    ) -> Self {
        Self {
            source,
            observer,
            hash: Sha256::new(),
            chunk: Vec::new(),
            taken: 0,
            received: 0,
        }
    }

    /// Size of the file, where it is known.
    pub fn size(&self) -> Option<u64> {
        self.source.size()
    }

    /// Bytes that arrived so far.
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
        self.hash.update(&chunk);
        self.received += chunk.len() as u64;
        if let Some(observer) = &mut self.observer {
            let progress = LoadProgress {
                done: self.received,
                total: self.source.size(),
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

    /// Reads to the end of the file and gives its size and hash.
    pub async fn finish(mut self) -> Result<super::ModelFile> {
        while self.receive().await?.is_some() {}
        let hash = self.hash.finalize();
        Ok(super::ModelFile {
            bytes: self.received,
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}
