//! A model from JavaScript: files as async iterables of bytes, wherever they come from.

use super::error::{WebError, WebResult};
use crate::model::load::{ByteSource, FileDigest};
use crate::{Error, Result};
use async_trait::async_trait;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

#[wasm_bindgen]
extern "C" {
    /// The TypeScript interface `ModelFile`.
    #[derive(Clone)]
    type ModelFile;
    #[wasm_bindgen(method, getter, catch)]
    fn chunks(this: &ModelFile) -> std::result::Result<JsValue, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn bytes(this: &ModelFile) -> Option<f64>;
    #[wasm_bindgen(method, getter)]
    fn sha256(this: &ModelFile) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn verified(this: &ModelFile) -> Option<bool>;
}

#[wasm_bindgen(inline_js = "
    export const iterate = (chunks) => (chunks[Symbol.asyncIterator] ?? chunks[Symbol.iterator]).call(chunks);
    export function aborted(signal) {
        const promise = new Promise((_, reject) => {
            if (signal.aborted) reject(signal.reason);
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
        // Nobody may be waiting when it happens.
        promise.catch(() => {});
        return promise;
    }
    export const next = (iterator, aborted) => Promise.race([iterator.next(), aborted]);
    export const end = (iterator) => Promise.resolve(iterator.return?.()).catch(() => {});
")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn iterate(chunks: &JsValue) -> std::result::Result<JsValue, JsValue>;
    /// Rejects when the signal is aborted.
    fn aborted(signal: &AbortSignal) -> js_sys::Promise;
    #[wasm_bindgen(catch)]
    fn next(
        iterator: &JsValue,
        aborted: &js_sys::Promise,
    ) -> std::result::Result<js_sys::Promise, JsValue>;
    /// Tells an iterator that nobody will ask it again; never rejects.
    fn end(iterator: &JsValue) -> js_sys::Promise;
}

/// What JavaScript threw while it gave chunks, to be thrown on as it is.
pub(super) type Thrown = Rc<RefCell<Option<JsValue>>>;

/// The files of one model, read in their order.
pub(super) struct FilesSource {
    files: Vec<ModelFile>,
    /// Which of them is read.
    present: usize,
    iterator: JsValue,
    signal: AbortSignal,
    aborted: js_sys::Promise,
    thrown: Thrown,
}

impl FilesSource {
    /// Begins with the first of `files`, an array. Aborting `signal` ends every later read with
    /// [`Error::Cancelled`].
    pub fn open(files: &JsValue, signal: AbortSignal, thrown: Thrown) -> WebResult<Self> {
        let files: Vec<ModelFile> = js_sys::Array::from(files)
            .iter()
            .map(JsCast::unchecked_into)
            .collect();
        let Some(first) = files.first() else {
            return Err(WebError::BadArgument {
                reason: "there are no files in it".into(),
            });
        };
        let iterator = chunks_of(first).map_err(|_| WebError::BadArgument {
            reason: "a file's chunks cannot be iterated".into(),
        })?;
        let aborted = aborted(&signal);
        Ok(Self {
            files,
            present: 0,
            iterator,
            signal,
            aborted,
            thrown,
        })
    }

    fn failure(&self, thrown: JsValue) -> Error {
        if self.signal.aborted() {
            return Error::Cancelled;
        }
        self.thrown.replace(Some(thrown));
        Error::Fetch {
            url: "the model".into(),
            reason: "its bytes could not be had".into(),
        }
    }

    fn file(&self) -> &ModelFile {
        &self.files[self.present]
    }
}

fn chunks_of(file: &ModelFile) -> std::result::Result<JsValue, JsValue> {
    iterate(&file.chunks()?)
}

/// A size in bytes as JavaScript counts, unless it makes no sense.
fn size(bytes: Option<f64>) -> Option<u64> {
    bytes.filter(|n| *n >= 0.0).map(|n| n as u64)
}

#[async_trait(?Send)]
impl ByteSource for FilesSource {
    fn size(&self) -> Option<u64> {
        size(self.file().bytes())
    }

    fn total(&self) -> Option<u64> {
        self.files.iter().map(|file| size(file.bytes())).sum()
    }

    fn digest(&self) -> FileDigest {
        match self.file().sha256().map(|text| text.to_ascii_lowercase()) {
            None => FileDigest::Unknown,
            Some(known) if self.file().verified() == Some(true) => FileDigest::Verified(known),
            Some(expected) => FileDigest::Expected(expected),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let result = match next(&self.iterator, &self.aborted) {
            Ok(promise) => JsFuture::from(promise).await,
            Err(thrown) => Err(thrown),
        };
        let result: js_sys::IteratorNext = result
            .map_err(|thrown| self.failure(thrown))?
            .unchecked_into();
        if result.done() {
            return Ok(None);
        }
        match result.value().dyn_into::<js_sys::Uint8Array>() {
            Ok(chunk) => Ok(Some(chunk.to_vec())),
            Err(_) => Err(Error::InvalidRequest(
                "the chunks of a model file must be Uint8Arrays".into(),
            )),
        }
    }

    async fn next_file(&mut self) -> Result<bool> {
        if self.present + 1 == self.files.len() {
            return Ok(false);
        }
        self.present += 1;
        self.iterator = chunks_of(self.file()).map_err(|thrown| self.failure(thrown))?;
        Ok(true)
    }
}

impl Drop for FilesSource {
    /// Whoever gives the chunks can close what it has open.
    fn drop(&mut self) {
        let ended = end(&self.iterator);
        wasm_bindgen_futures::spawn_local(async move {
            let _ = JsFuture::from(ended).await;
        });
    }
}
