//! Text to token ids and back: byte-level BPE, rebuilt from the vocabulary of a GGUF file.
//!
//! - Tokens that are matched as a whole, such as `<|im_start|>`, are found first;
//! - `compose`, in some models: the text between them is brought to a canonical form;
//! - `pieces`: it is cut into pieces;
//! - `alphabet`: a piece's bytes are written in printable characters, which BPE joins;
//! - `stream`: and back, one token at a time.
//!
//! BPE is that of Hugging Face tokenizers. Its pipeline around BPE is not used: with it comes an engine for
//! regular expressions, with tables of all of Unicode, and everything that other tokenizers need, which was
//! 30 % of what visitors downloaded.

mod alphabet;
mod compose;
mod pieces;
mod stream;

pub(super) use alphabet::characters;
pub use pieces::PreTokenizer;
pub use stream::TextStream;

use super::metadata::{Metadata, unusable};
use crate::{Error, Result};
use alphabet::Alphabet;
use compose::compose;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};

/// `tokenizer.ggml.token_type` of tokens that stand for themselves in a text, such as
/// `<|im_start|>`.
const CONTROL: u64 = 3;
/// The same for tokens that were added to a vocabulary as text, such as `<think>`.
const USER_DEFINED: u64 = 4;

/// What ends an answer in the families that the engine knows, whatever else a file names: some name
/// the end of a document alone, where a chat model writes the end of its turn.
const END: [&str; 5] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
];

/// What a tokenizer is made of.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// The text of each token, its bytes written in GPT-2's printable alphabet.
    pub tokens: Vec<String>,
    /// Pairs of tokens that BPE joins, the first pair first: `left right`.
    pub merges: Vec<String>,
    /// Ids of the tokens that are matched as a whole and left out of decoded text.
    pub special: Vec<u32>,
    /// Ids of the tokens that are matched as a whole and are text.
    pub added: Vec<u32>,
    /// Id of the token that every text begins with, if there is one.
    pub begin: Option<u32>,
    /// Ids of the tokens that end an answer.
    pub end: Vec<u32>,
    /// How a text is cut into pieces first.
    pub pre_tokenizer: PreTokenizer,
}

/// Text to token ids and back.
#[derive(Debug, Clone)]
pub struct Tokenizer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    bpe: BPE,
    alphabet: Alphabet,
    pre_tokenizer: PreTokenizer,
    /// Text and id of the tokens that are matched as a whole, the longest first.
    whole: Vec<(String, u32)>,
    /// The characters that they begin with.
    begins: Vec<char>,
    /// Those that have no text.
    special: HashSet<u32>,
    begin: Option<u32>,
    end: Vec<u32>,
    size: usize,
}

impl Tokenizer {
    /// Builds the tokenizer that a GGUF header describes.
    ///
    /// # Errors
    /// [`Error::Metadata`] for a kind of tokenizer that is not byte-level BPE or cuts text in a way
    /// that is not known, [`Error::Tokenizer`] for a vocabulary that is not consistent.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        const MODEL: &str = "tokenizer.ggml.model";
        const PRE: &str = "tokenizer.ggml.pre";
        let kind = metadata.text(MODEL)?;
        if kind != Some("gpt2") {
            let kind = kind.unwrap_or("missing");
            return Err(unusable(
                MODEL,
                format!("is {kind}, but only \"gpt2\" (byte-level BPE) is supported"),
            ));
        }
        let pre = metadata.text(PRE)?;
        let pre_tokenizer = PreTokenizer::from_name(pre).ok_or_else(|| {
            let pre = pre.unwrap_or_default();
            unusable(
                PRE,
                format!("is {pre:?}, a way to cut text that is not known"),
            )
        })?;
        let list = |key: &str| {
            let texts = metadata.texts(key)?;
            texts.ok_or_else(|| unusable(key, "is missing"))
        };
        let types = metadata
            .integers("tokenizer.ggml.token_type")?
            .unwrap_or_default();
        let of_kind = |wanted: u64| {
            let ids = types.iter().zip(0..).filter(|&(&kind, _)| kind == wanted);
            ids.map(|(_, id)| id).collect()
        };
        let id = |name: &str| -> Result<Option<u32>> {
            let id = metadata.integer(&format!("tokenizer.ggml.{name}_token_id"))?;
            Ok(id.and_then(|id| u32::try_from(id).ok()))
        };
        let adds_begin = metadata.flag("tokenizer.ggml.add_bos_token")?;
        let adds_begin = adds_begin.unwrap_or(pre_tokenizer.adds_begin());
        let tokens = list("tokenizer.ggml.tokens")?;
        let mut end = Vec::new();
        for name in ["eos", "eot", "eom"] {
            end.extend(id(name)?);
        }
        let known = tokens.iter().zip(0..);
        end.extend(
            known
                .filter(|(token, _)| END.contains(&token.as_str()))
                .map(|(_, id)| id),
        );
        end.sort_unstable();
        end.dedup();
        Self::from_vocabulary(Vocabulary {
            tokens,
            merges: list("tokenizer.ggml.merges")?,
            special: of_kind(CONTROL),
            added: of_kind(USER_DEFINED),
            begin: id("bos")?.filter(|_| adds_begin),
            end,
            pre_tokenizer,
        })
    }

    /// Builds a tokenizer from its parts.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] for a merge that is not a pair or whose tokens are not in the
    /// vocabulary, and for tokens that are special, added or at the beginning and not in it.
    pub fn from_vocabulary(vocabulary: Vocabulary) -> Result<Self> {
        let size = vocabulary.tokens.len();
        let merges = split_merges(&vocabulary.tokens, &vocabulary.merges)?;
        let token = |id: u32| {
            let token = vocabulary.tokens.get(id as usize);
            token.ok_or_else(|| bad(format!("it has no token {id}")))
        };
        let mut whole = [&vocabulary.special[..], &vocabulary.added]
            .concat()
            .into_iter()
            .map(|id| Ok((token(id)?.clone(), id)))
            .collect::<Result<Vec<_>>>()?;
        whole.retain(|(token, _)| !token.is_empty());
        whole.sort_by_key(|(token, _)| Reverse(token.len()));
        let mut begins: Vec<char> = whole.iter().flat_map(|(t, _)| t.chars().next()).collect();
        begins.sort_unstable();
        begins.dedup();
        vocabulary.begin.map(token).transpose()?;
        let bpe = BPE::builder()
            .vocab_and_merges(
                vocabulary.tokens.into_iter().zip(0..).collect::<Vocab>(),
                merges,
            )
            .ignore_merges(vocabulary.pre_tokenizer == PreTokenizer::Llama3)
            .build()
            .map_err(bad)?;
        Ok(Self(Arc::new(Parts {
            bpe,
            alphabet: Alphabet::new(),
            pre_tokenizer: vocabulary.pre_tokenizer,
            whole,
            begins,
            special: vocabulary.special.into_iter().collect(),
            begin: vocabulary.begin,
            end: vocabulary.end,
            size,
        })))
    }

    /// The ids of a text. Special tokens in it are recognised; none are added.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((start, token, id)) = self.find_whole(rest) {
            self.encode_between(&rest[..start], &mut ids)?;
            ids.push(id);
            rest = &rest[start + token.len()..];
        }
        self.encode_between(rest, &mut ids)?;
        Ok(ids)
    }

    /// Where the first token that is matched as a whole begins, and which it is: of several at one place,
    /// the longest.
    fn find_whole(&self, text: &str) -> Option<(usize, &str, u32)> {
        text.match_indices(&self.0.begins[..])
            .find_map(|(start, _)| {
                let whole = &self.0.whole;
                let found = whole.iter().find(|(t, _)| text[start..].starts_with(t));
                found.map(|(token, id)| (start, &token[..], *id))
            })
    }

    /// Adds the ids of a text in which no token is matched as a whole.
    fn encode_between(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let text = match self.0.pre_tokenizer {
            PreTokenizer::Qwen2 => compose(text)?,
            _ => text.into(),
        };
        for piece in self.0.pre_tokenizer.pieces(&text) {
            let piece = self.0.alphabet.write(piece);
            let tokens = self.0.bpe.tokenize(&piece).map_err(bad)?;
            ids.extend(tokens.into_iter().map(|token| token.id));
        }
        Ok(())
    }

    /// The ids of a whole text, a prompt or a document: as [`Tokenizer::encode`], behind the token
    /// that texts of this model begin with, if there is one. It is not there twice where the text
    /// begins with it already, as chat templates write it.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn encode_whole(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text)?;
        if let Some(begin) = self.0.begin.filter(|begin| ids.first() != Some(begin)) {
            ids.insert(0, begin);
        }
        Ok(ids)
    }

    /// The text of ids, without special tokens. Bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.bytes(id)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The bytes of a token; none of a special one.
    fn bytes(&self, id: u32) -> Vec<u8> {
        let token = self.token(id).filter(|_| !self.0.special.contains(&id));
        token.map_or_else(Vec::new, |token| self.0.alphabet.read(&token))
    }

    /// Starts the decoding of a stream of tokens.
    pub fn stream(&self) -> TextStream {
        TextStream::new(self.clone())
    }

    /// A token as the vocabulary writes it, its bytes in GPT-2's printable alphabet (a space is
    /// `Ġ`), or `None` for an id outside the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.0.bpe.id_to_token(id)
    }

    /// Ids of the tokens that end an answer.
    pub fn end_tokens(&self) -> &[u32] {
        &self.0.end
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.0.size
    }
}

/// Splits each merge into its two tokens. The library trusts that they and what they make are in
/// the vocabulary.
fn split_merges(tokens: &[String], merges: &[String]) -> Result<Vec<(String, String)>> {
    let known: HashSet<&str> = tokens.iter().map(String::as_str).collect();
    let mut joined = String::new();
    merges
        .iter()
        .map(|merge| {
            let (left, right) = merge
                .split_once(' ')
                .ok_or_else(|| bad(format!("the merge {merge:?} is not a pair")))?;
            joined.clear();
            joined.extend([left, right]);
            match [left, right, &joined]
                .into_iter()
                .find(|part| !known.contains(part))
            {
                Some(part) => Err(bad(format!(
                    "the merge {merge:?} needs the token {part:?}, which it lacks"
                ))),
                None => Ok((left.to_owned(), right.to_owned())),
            }
        })
        .collect()
}

fn bad(reason: impl std::fmt::Display) -> Error {
    Error::Tokenizer {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_whole_tokens_the_first_is_matched_and_of_these_the_longest() {
        let mut tokens: Vec<String> = characters().map(String::from).into();
        tokens.extend(["<a>", "<a>b", "b<", ""].map(String::from));
        let tokenizer = Tokenizer::from_vocabulary(Vocabulary {
            tokens,
            merges: Vec::new(),
            special: vec![256, 257, 259],
            added: vec![258],
            begin: None,
            end: Vec::new(),
            pre_tokenizer: PreTokenizer::SmolLm,
        })
        .unwrap();
        let [x, a, end] = [b'x', b'a', b'>'].map(u32::from);
        let ids = tokenizer.encode("<a>b<a>xb<a>").unwrap();
        assert_eq!(ids, [257, 256, x, 258, a, end]);
        assert_eq!(tokenizer.decode(&ids), "xb<a>");
    }
}
