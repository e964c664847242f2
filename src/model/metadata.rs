//! Typed access to the metadata of a GGUF header.

use crate::{Error, Result};
use std::collections::BTreeMap;

pub use candle_core::quantized::gguf_file::Value;

/// Keys and values of a GGUF header, with typed access.
#[derive(Debug, Clone, Default)]
pub struct Metadata(pub BTreeMap<String, Value>);

impl Metadata {
    /// A text, if the key is there.
    ///
    /// # Errors
    /// [`Error::Metadata`] where the value is not a text; likewise for the methods below.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "is not a text", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A whole number that is not negative, if the key is there.
    ///
    /// # Errors
    /// [`Error::Metadata`].
    pub fn integer(&self, key: &str) -> Result<Option<u64>> {
        self.get(key, "is not a whole number", integer)
    }

    /// A real number, if the key is there.
    ///
    /// # Errors
    /// [`Error::Metadata`].
    pub fn real(&self, key: &str) -> Result<Option<f32>> {
        self.get(key, "is not a number", |value| match value {
            Value::F32(number) => Some(*number),
            Value::F64(number) => Some(*number as f32),
            other => integer(other).map(|number| number as f32),
        })
    }

    /// Whether something is so, if the key is there.
    ///
    /// # Errors
    /// [`Error::Metadata`].
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "is neither true nor false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A list of texts, if the key is there.
    ///
    /// # Errors
    /// [`Error::Metadata`].
    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>> {
        self.get(key, "is not a list of texts", |value| match value {
            Value::Array(list) => list
                .iter()
                .map(|item| match item {
                    Value::String(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A list of whole numbers, if the key is there.
    ///
    /// # Errors
    /// [`Error::Metadata`].
    pub fn integers(&self, key: &str) -> Result<Option<Vec<u64>>> {
        self.get(key, "is not a list of whole numbers", |value| match value {
            Value::Array(list) => list.iter().map(integer).collect(),
            _ => None,
        })
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        problem: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        convert(value)
            .map(Some)
            .ok_or_else(|| unusable(key, problem))
    }
}

/// An [`Error::Metadata`]; `problem` is the end of a sentence that begins with the key.
pub(crate) fn unusable(key: &str, problem: impl Into<String>) -> Error {
    Error::Metadata {
        key: key.to_owned(),
        problem: problem.into(),
    }
}

fn integer(value: &Value) -> Option<u64> {
    match *value {
        Value::U8(n) => Some(n.into()),
        Value::U16(n) => Some(n.into()),
        Value::U32(n) => Some(n.into()),
        Value::U64(n) => Some(n),
        Value::I8(n) => n.try_into().ok(),
        Value::I16(n) => n.try_into().ok(),
        Value::I32(n) => n.try_into().ok(),
        Value::I64(n) => n.try_into().ok(),
        _ => None,
    }
}
