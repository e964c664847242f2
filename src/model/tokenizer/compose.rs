//! Canonical composition, Unicode's NFC: the same accented letter is the same characters. Every browser
//! can do it, and a library's tables would be 48 KB of what visitors download.

use crate::Result;
use std::borrow::Cow;

#[cfg(target_arch = "wasm32")]
pub(super) fn compose(text: &str) -> Result<Cow<'_, str>> {
    let composed = js_sys::JsString::from(text).normalize("NFC");
    Ok(String::from(composed).into())
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn compose(text: &str) -> Result<Cow<'_, str>> {
    use tokenizers::normalizers::NFC;
    use tokenizers::{NormalizedString, Normalizer};
    let mut composed = NormalizedString::from(text);
    NFC.normalize(&mut composed).map_err(super::bad)?;
    Ok(composed.get().to_owned().into())
}
