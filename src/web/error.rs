//! Errors as JavaScript gets them.

use crate::Error;
use wasm_bindgen::JsValue;

/// A result whose error becomes a JavaScript `Error`.
pub type WebResult<T> = std::result::Result<T, WebError>;

/// What can go wrong between JavaScript and the engine.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The engine's own errors.
    #[error(transparent)]
    Engine(#[from] Error),
    /// Loading or generating while the engine does one of them already.
    #[error("the engine is still at work on an earlier request; stop it, or wait until it is done")]
    Busy,
    /// Generating before a model is loaded.
    #[error("no model is loaded; load one first")]
    NoModel,
    /// A request names a vector that was not loaded.
    #[error("no steering vector is loaded under the name {id:?}; load it first")]
    UnknownVector {
        /// The name.
        id: String,
    },
    /// What JavaScript threw while it was asked for something; thrown on as it is.
    #[error("{}", words(.0))]
    Thrown(JsValue),
    /// An argument is not of the type that TypeScript says.
    #[error("the request cannot be read: {reason}")]
    BadArgument {
        /// What is wrong with it.
        reason: String,
    },
}

impl WebError {
    /// The name of the `Error`: the kind, such as `Fetch`, `DeviceLost` or `Busy`.
    pub fn name(&self) -> String {
        // A derived `Debug` begins with the variant's name, whatever variants there will be.
        let shown = match self {
            Self::Engine(error) => format!("{error:?}"),
            other => format!("{other:?}"),
        };
        shown
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .collect()
    }
}

impl From<WebError> for JsValue {
    fn from(error: WebError) -> Self {
        if let WebError::Thrown(thrown) = error {
            return thrown;
        }
        let js = js_sys::Error::new(&error.to_string());
        js.set_name(&error.name());
        js.into()
    }
}

/// The words in what JavaScript threw.
pub fn words(thrown: &JsValue) -> String {
    use wasm_bindgen::JsCast;
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => thrown.as_string().unwrap_or_else(|| format!("{thrown:?}")),
    }
}
