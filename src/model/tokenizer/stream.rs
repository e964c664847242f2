//! Tokens to text as they come.

use super::Tokenizer;
use std::{mem, str};

/// Decodes tokens one at a time and holds bytes back until they are whole characters.
#[derive(Debug, Clone)]
pub struct TextStream {
    tokenizer: Tokenizer,
    /// The beginning of a character.
    held: Vec<u8>,
}

impl TextStream {
    pub(super) fn new(tokenizer: Tokenizer) -> Self {
        Self {
            tokenizer,
            held: Vec::new(),
        }
    }

    /// Takes a token and gives the text that it completes, which may be empty. A special token
    /// has no text.
    pub fn push(&mut self, id: u32) -> String {
        self.held.extend(self.tokenizer.bytes(id));
        let rest = self
            .held
            .split_off(self.held.len() - unfinished(&self.held));
        text(mem::replace(&mut self.held, rest))
    }

    /// Gives what was held back at the end of the tokens: an incomplete character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        text(mem::take(&mut self.held))
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many bytes at the end are the beginning of a character.
fn unfinished(bytes: &[u8]) -> usize {
    let end = bytes.utf8_chunks().last().map_or(&[][..], |c| c.invalid());
    match str::from_utf8(end) {
        Err(error) if error.error_len().is_none() => end.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_character_is_unfinished() {
        let smile = "😀".as_bytes();
        for (bytes, expected) in [
            (&b"ab"[..], 0),
            (smile, 0),
            (&smile[..3], 3),
            (&smile[..1], 1),
            (&[b'a', 0xff], 0),
            (&[0xff, 0xf0, 0x9f], 2),
            (&[0xf0, 0x9f, b'a'], 0),
            (&[], 0),
        ] {
            assert_eq!(unfinished(bytes), expected, "{bytes:?}");
        }
    }
}
