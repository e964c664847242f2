//! How a text is cut into pieces, within which BPE joins bytes.
//!
//! The rules are published as regular expressions, which are few, need all of Unicode's classes, and in
//! a general engine would be a quarter of what visitors download. Here they are written out, each
//! alternative in its place; tests compare them with the expressions.

use std::iter;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// How a text is cut into pieces before BPE joins bytes within each piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreTokenizer {
    /// GPT-2's rule: words with their leading space, numbers, punctuation, white space.
    Gpt2,
    /// SmolLM's: every digit is a piece, the rest as GPT-2 does.
    SmolLm,
    /// Qwen2's, after canonical composition of the text (Unicode's NFC): words with one character before
    /// them, single digits, punctuation with its line breaks, line breaks, white space.
    Qwen2,
    /// Llama 3's: up to three digits together, the rest as Qwen2 does. A piece that is a token is that
    /// token, whatever the merges say.
    Llama3,
}

/// What follows an apostrophe in a contraction.
const CONTRACTIONS: [&str; 7] = ["s", "t", "re", "ve", "m", "ll", "d"];

impl PreTokenizer {
    /// The rule that `tokenizer.ggml.pre` names. SmolLM's where the file does not say, because the
    /// key is younger than some conversions of SmolLM.
    pub(super) fn from_name(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("smollm") => Some(Self::SmolLm),
            Some("default" | "gpt-2") => Some(Self::Gpt2),
            Some("qwen2") => Some(Self::Qwen2),
            Some("llama-bpe") => Some(Self::Llama3),
            Some(_) => None,
        }
    }

    /// Whether texts begin with a token of their own where a file does not say.
    pub(super) fn adds_begin(self) -> bool {
        self == Self::Llama3
    }

    /// The pieces of a text, which together are the text.
    pub(super) fn pieces(self, text: &str) -> impl Iterator<Item = &str> {
        // SmolLM's digits are cut out first: for the rule, the text ends before one.
        let is_cut = move |c: char| self == Self::SmolLm && c.is_numeric();
        text.split_inclusive(is_cut)
            .flat_map(move |part| {
                let (part, digit) = part.split_at(part.trim_end_matches(is_cut).len());
                [part, digit]
            })
            .flat_map(move |mut rest| {
                iter::from_fn(move || {
                    let (piece, after) = rest.split_at(self.first(rest));
                    rest = after;
                    Some(piece).filter(|piece| !piece.is_empty())
                })
            })
    }

    /// Bytes of the first piece.
    fn first(self, text: &str) -> usize {
        match self {
            Self::Gpt2 | Self::SmolLm => gpt2(text),
            Self::Qwen2 => llama_3(text, 1),
            Self::Llama3 => llama_3(text, 3),
        }
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, as in GPT-2's code
/// (Radford et al. 2019).
fn gpt2(text: &str) -> usize {
    if let Some(tail) = text.strip_prefix('\'')
        && let Some(tail) = CONTRACTIONS.iter().find(|&&c| tail.starts_with(c))
    {
        return 1 + tail.len();
    }
    let space = usize::from(text.starts_with(' '));
    [is_letter, char::is_numeric, is_other]
        .into_iter()
        .map(|kind| run(&text[space..], kind))
        .find(|&len| len > 0)
        .map_or_else(|| white_space(text), |len| space + len)
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
/// with `digits` for 3, as in the published `tokenizer.json` of Llama 3, and with 1 of Qwen2.
fn llama_3(text: &str, digits: usize) -> usize {
    if let Some(tail) = text.strip_prefix('\'')
        && let Some(len) = CONTRACTIONS.iter().find_map(|c| any_case(tail, c))
    {
        return 1 + len;
    }
    let before = match text.chars().next() {
        Some(c) if !matches!(c, '\r' | '\n') && !is_letter(c) && !c.is_numeric() => c.len_utf8(),
        _ => 0,
    };
    let letters = run(&text[before..], is_letter);
    if letters > 0 {
        return before + letters;
    }
    let numbers = text.chars().take(digits).take_while(|c| c.is_numeric());
    let numbers: usize = numbers.map(char::len_utf8).sum();
    if numbers > 0 {
        return numbers;
    }
    let space = usize::from(text.starts_with(' '));
    let others = run(&text[space..], is_other);
    if others > 0 {
        let end = space + others;
        return end + run(&text[end..], |c| matches!(c, '\r' | '\n'));
    }
    let white = &text[..run(text, char::is_whitespace)];
    match white.rfind(['\r', '\n']) {
        Some(last) => last + 1,
        None => white_space(text),
    }
}

/// `\s+(?!\S)|\s+`: white space but for its last character, which goes with the word behind it; all of
/// it where there is no word, or where it is one character.
fn white_space(text: &str) -> usize {
    let len = run(text, char::is_whitespace);
    match text[..len].char_indices().next_back() {
        Some((last, _)) if last > 0 && len < text.len() => last,
        _ => len,
    }
}

/// Bytes of the characters of a kind that a text begins with.
fn run(text: &str, kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !kind(c)).unwrap_or(text.len())
}

/// Bytes that a text begins with if they are these letters in upper or lower case. Unicode has one more
/// letter s, the long one.
fn any_case(text: &str, letters: &str) -> Option<usize> {
    let mut chars = text.chars();
    letters.chars().try_fold(0, |len, letter| {
        let c = chars.next()?;
        let same = c.eq_ignore_ascii_case(&letter) || (c == 'ſ' && letter == 's');
        same.then_some(len + c.len_utf8())
    })
}

/// `\p{L}`
fn is_letter(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphabetic(),
        false => c.general_category_group() == GeneralCategoryGroup::Letter,
    }
}

/// `[^\s\p{L}\p{N}]`
fn is_other(c: char) -> bool {
    !c.is_whitespace() && !is_letter(c) && !c.is_numeric()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::model::synthetic::Random;
    use regex::Regex;
    use tokenizers::pre_tokenizers::PreTokenizerWrapper;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::pre_tokenizers::digits::Digits;
    use tokenizers::pre_tokenizers::sequence::Sequence;
    use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
    use tokenizers::{
        OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, Result,
        SplitDelimiterBehavior,
    };

    fn llama_3_rule(digits: &str) -> String {
        format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        )
    }

    /// The library's, with regular expressions.
    fn library(rule: PreTokenizer) -> Result<PreTokenizerWrapper> {
        let gpt2 = ByteLevel::new(false, true, true);
        let split = |rule: String| -> Result<PreTokenizerWrapper> {
            let behaviour = SplitDelimiterBehavior::Isolated;
            Ok(Split::new(SplitPattern::Regex(rule), behaviour, false)?.into())
        };
        Ok(match rule {
            PreTokenizer::Gpt2 => gpt2.into(),
            PreTokenizer::SmolLm => {
                Sequence::new(vec![Digits::new(true).into(), gpt2.into()]).into()
            }
            PreTokenizer::Qwen2 => split(llama_3_rule(""))?,
            PreTokenizer::Llama3 => split(llama_3_rule("{1,3}"))?,
        })
    }

    fn expected<'a>(library: &PreTokenizerWrapper, text: &'a str) -> Vec<&'a str> {
        let mut pieces = PreTokenizedString::from(text);
        library.pre_tokenize(&mut pieces).unwrap();
        let pieces = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let places = pieces.into_iter().map(|(_, place, _)| place);
        places.map(|(start, end)| &text[start..end]).collect()
    }

    /// What the rules tell apart, and their neighbours.
    const PARTS: [&str; 44] = [
        " ",
        " ",
        "  ",
        "   ",
        "\t",
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\u{a0}",
        "\u{2028}",
        "\u{3000}",
        "\u{b}",
        "a",
        "b",
        "Word",
        "é",
        "e\u{301}",
        "日本",
        "привет",
        "ª",
        "ǅ",
        "ʰ",
        "'",
        "'",
        "s",
        "S",
        "ſ",
        "re",
        "LL",
        "Ve",
        "d",
        "1",
        "23",
        "4567",
        "½",
        "Ⅷ",
        "٣",
        "!",
        "?!",
        "_",
        "-",
        "😀",
        "\u{0}",
    ];

    #[test]
    fn pieces_are_those_of_the_published_rules() {
        for rule in [
            PreTokenizer::Gpt2,
            PreTokenizer::SmolLm,
            PreTokenizer::Qwen2,
            PreTokenizer::Llama3,
        ] {
            let library = library(rule).unwrap();
            let mut random = Random(7);
            for _ in 0..20_000 {
                let count = random.bits() % 12;
                let part = |_| PARTS[random.bits() as usize % PARTS.len()];
                let text: String = (0..count).map(part).collect();
                let found: Vec<&str> = rule.pieces(&text).collect();
                assert_eq!(found, expected(&library, &text), "{rule:?}: {text:?}");
            }
        }
    }

    /// For all characters that were assigned when the library's tables were made.
    #[test]
    fn characters_are_of_the_kinds_of_the_rules() {
        let assigned: String = ('\0'..=char::MAX).collect();
        let assigned = Regex::new(r"\p{Cn}").unwrap().replace_all(&assigned, "");
        assert!(assigned.chars().count() > 150_000);
        for (class, is) in [
            (r"\p{L}", is_letter as fn(char) -> bool),
            (r"\p{N}", char::is_numeric),
            (r"\s", char::is_whitespace),
            (r"[^\s\p{L}\p{N}]", is_other),
        ] {
            let expected: String = Regex::new(class)
                .unwrap()
                .find_iter(&assigned)
                .map(|found| found.as_str())
                .collect();
            let found: String = assigned.chars().filter(|&c| is(c)).collect();
            assert!(found == expected, "{class}");
        }
    }
}
