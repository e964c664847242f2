//! Reading and writing small files, with errors that name them.

use cache_steering::{Error, Result};
use serde::de::DeserializeOwned;
use std::path::Path;

pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| io_error(path, source))
}

pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| io_error(path, source))
}

/// Reads a JSON file; `what` says what it should hold.
pub fn read_json<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    serde_json::from_str(&read_text(path)?).map_err(|e| {
        Error::InvalidRequest(format!("{}: {e}. It should hold {what}", path.display()))
    })
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|source| io_error(path, source))
}

/// Finds out before long work whether its result can be written. The file stays as it is.
pub fn check_writable(path: &Path) -> Result<()> {
    let existed = path.exists();
    let open = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    open.map_err(|source| io_error(path, source))?;
    if !existed {
        std::fs::remove_file(path).map_err(|source| io_error(path, source))?;
    }
    Ok(())
}

pub fn io_error(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        source,
    }
}
