//! GPT-2's printable alphabet: a character for every byte, in which vocabularies of byte-level BPE are
//! written (Radford et al. 2019, `bytes_to_unicode` of its code). Bytes that Latin-1 prints are
//! themselves; the others take the characters from U+0100 on, in their order.

use std::array;
use std::collections::HashMap;

/// The character of each byte, and back.
#[derive(Debug)]
pub(super) struct Alphabet {
    characters: [char; 256],
    bytes: HashMap<char, u8>,
}

impl Alphabet {
    pub fn new() -> Self {
        let characters = characters();
        Self {
            characters,
            bytes: characters.into_iter().zip(0..=u8::MAX).collect(),
        }
    }

    /// The bytes of a text, written as characters.
    pub fn write(&self, text: &str) -> String {
        text.bytes()
            .map(|byte| self.characters[usize::from(byte)])
            .collect()
    }

    /// The bytes that a token stands for: those of its characters, or where one is not of the alphabet,
    /// as in tokens that were added to a vocabulary as text, those of its text.
    pub fn read(&self, token: &str) -> Vec<u8> {
        let bytes = token.chars().map(|c| self.bytes.get(&c).copied());
        bytes
            .collect::<Option<_>>()
            .unwrap_or_else(|| token.as_bytes().to_vec())
    }
}

/// The characters of all bytes, in the bytes' order.
pub(crate) fn characters() -> [char; 256] {
    let mut others = '\u{100}'..;
    array::from_fn(|byte| match char::from(byte as u8) {
        c @ ('!'..='~' | '¡'..='¬' | '®'..='ÿ') => c,
        // There is one for each of the 68 others.
        c => others.next().unwrap_or(c),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    #[test]
    fn the_alphabet_is_the_librarys() {
        let library = ByteLevel::alphabet();
        assert!(library.len() == 256 && characters().iter().all(|c| library.contains(c)));
        let alphabet = Alphabet::new();
        assert_eq!(alphabet.write("a b\n\u{a0}é"), "aĠbĊÂłÃ©");
    }

    #[test]
    fn what_is_written_can_be_read() {
        let alphabet = Alphabet::new();
        let text = "Größe \n\0\u{7f}日本 😀";
        assert_eq!(alphabet.read(&alphabet.write(text)), text.as_bytes());
        assert_eq!(alphabet.read("<a b>"), b"<a b>");
    }
}
