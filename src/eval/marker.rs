//! What shows that an answer has a style.

use crate::{Error, Result};
use regex_lite::Regex;

/// A regular expression that is looked for in answers, as the crate `regex-lite` takes it: `\w`, `\d`, `\s`,
/// `\b` and the case of letters are those of ASCII, and there are no classes of Unicode.
#[derive(Debug, Clone)]
pub struct Marker(Regex);

impl Marker {
    /// Takes the pattern of a vector's metadata, or one of the user's.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a pattern that is no regular expression.
    pub fn new(pattern: &str) -> Result<Self> {
        Regex::new(pattern).map(Self).map_err(|e| {
            // The lines before point at the place with a picture.
            let e = e.to_string();
            let reason = e.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            Error::InvalidRequest(format!(
                "the marker {pattern:?} is not a regular expression: {reason}"
            ))
        })
    }

    /// Whether an answer has the style.
    pub fn is_in(&self, answer: &str) -> bool {
        self.0.is_match(answer)
    }
}
