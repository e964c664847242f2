//! Bytes over HTTP, as they come: `fetch` and its body's stream, in windows and workers alike.

use super::error::words;
use crate::model::load::ByteSource;
use crate::{Error, Result};
use async_trait::async_trait;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortSignal, ReadableStreamDefaultReader, ReadableStreamReadResult, RequestInit, Response,
};

#[wasm_bindgen]
extern "C" {
    /// The global function, which windows and workers both have.
    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(url: &str, init: &RequestInit) -> js_sys::Promise;
}

/// The body of a response, in the pieces in which it arrives.
pub struct FetchSource {
    url: String,
    reader: ReadableStreamDefaultReader,
    signal: AbortSignal,
    size: Option<u64>,
}

impl FetchSource {
    /// Requests `url`, relative to the page or worker, and returns when the response's header is
    /// there. Aborting `signal` ends the request, and every later read, with [`Error::Cancelled`].
    ///
    /// # Errors
    /// [`Error::Fetch`] for a network error, a status other than 2xx or a response without a body;
    /// [`Error::Cancelled`].
    pub async fn open(url: &str, signal: AbortSignal) -> Result<Self> {
        let init = RequestInit::new();
        init.set_signal(Some(&signal));
        let response = JsFuture::from(global_fetch(url, &init))
            .await
            .map_err(|thrown| failure(url, &signal, &thrown))?;
        let fetch_error = |reason: String| Error::Fetch {
            url: url.into(),
            reason,
        };
        let response: Response = response
            .dyn_into()
            .map_err(|_| fetch_error("the browser gave no response".into()))?;
        if !response.ok() {
            return Err(fetch_error(status(&response)));
        }
        let body = response
            .body()
            .ok_or_else(|| fetch_error("the response is empty".into()))?;
        let reader = body
            .get_reader()
            .dyn_into()
            .map_err(|_| fetch_error("the browser cannot stream the response".into()))?;
        let size = length(&response);
        Ok(Self {
            url: url.into(),
            reader,
            signal,
            size,
        })
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// As [`FetchSource::open`].
    pub async fn read_all(mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend(piece);
        }
        Ok(bytes)
    }
}

#[async_trait(?Send)]
impl ByteSource for FetchSource {
    fn size(&self) -> Option<u64> {
        self.size
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let result: ReadableStreamReadResult = JsFuture::from(self.reader.read())
            .await
            .map_err(|thrown| failure(&self.url, &self.signal, &thrown))?
            .unchecked_into();
        if result.get_done().unwrap_or(false) {
            return Ok(None);
        }
        match result.get_value().dyn_into::<js_sys::Uint8Array>() {
            Ok(piece) => Ok(Some(piece.to_vec())),
            Err(_) => Err(Error::Fetch {
                url: self.url.clone(),
                reason: "the response is not made of bytes".into(),
            }),
        }
    }
}

impl Drop for FetchSource {
    /// A reader that is given up early lets the browser end the transfer.
    fn drop(&mut self) {
        let cancelled = self.reader.cancel();
        // Rejects where the stream failed before, which was reported then.
        wasm_bindgen_futures::spawn_local(async move {
            let _ = JsFuture::from(cancelled).await;
        });
    }
}

/// What a rejected promise of `fetch` or of the body's stream means.
fn failure(url: &str, signal: &AbortSignal, thrown: &JsValue) -> Error {
    if signal.aborted() {
        return Error::Cancelled;
    }
    Error::Fetch {
        url: url.into(),
        reason: format!("the connection failed ({})", words(thrown)),
    }
}

fn status(response: &Response) -> String {
    let code = response.status();
    let meaning = match code {
        404 | 410 => "there is no such file",
        401 | 403 => "it may not be read",
        429 => "it was asked for too often",
        500.. => "the server has a problem",
        _ => "it refused",
    };
    format!("the server answered {code}, {meaning}")
}

/// The body's size, unless it was compressed on its way: then the header counts other bytes.
fn length(response: &Response) -> Option<u64> {
    let header = |name: &str| response.headers().get(name).ok().flatten();
    if header("content-encoding").is_some() {
        return None;
    }
    header("content-length")?.parse().ok()
}
