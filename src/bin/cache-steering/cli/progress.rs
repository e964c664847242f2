//! Progress bars on standard error, drawn only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::borrow::Cow;

/// A bar that counts bytes.
pub fn bytes(what: impl Into<Cow<'static, str>>) -> ProgressBar {
    bar(what, "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}")
}

/// A bar that counts steps.
pub fn steps(what: impl Into<Cow<'static, str>>) -> ProgressBar {
    bar(what, "{msg} {bar:30} {pos}/{len} {eta}")
}

fn bar(what: impl Into<Cow<'static, str>>, template: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what)
}
