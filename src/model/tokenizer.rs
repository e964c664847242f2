//! Text to token ids and back: byte-level BPE, rebuilt from the vocabulary of a GGUF file.

use super::metadata::{Metadata, unusable};
use crate::{Error, Result};
use std::collections::HashSet;
use std::sync::Arc;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{NFC, NormalizerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, SplitDelimiterBehavior, TokenizerImpl, step_decode_stream};

type Library = TokenizerImpl<
    ModelWrapper,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

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

/// The rule of Qwen2's published `tokenizer.json`: contractions, words with one character before
/// them, single digits, punctuation with its line breaks, line breaks, white space.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// That of Llama 3, likewise: up to three digits together, the rest as Qwen2 does.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How a text is cut into pieces before BPE joins bytes within each piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreTokenizer {
    /// GPT-2's rule: words with their leading space, numbers, punctuation, white space.
    Gpt2,
    /// SmolLM's: every digit is a piece, the rest as GPT-2 does.
    SmolLm,
    /// Qwen2's, after canonical composition of the text (Unicode's NFC).
    Qwen2,
    /// Llama 3's. A piece that is a token is that token, whatever the merges say.
    Llama3,
}

impl PreTokenizer {
    /// The rule that `tokenizer.ggml.pre` names. SmolLM's where the file does not say, because the
    /// key is younger than some conversions of SmolLM.
    fn from_name(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("smollm") => Some(Self::SmolLm),
            Some("default" | "gpt-2") => Some(Self::Gpt2),
            Some("qwen2") => Some(Self::Qwen2),
            Some("llama-bpe") => Some(Self::Llama3),
            Some(_) => None,
        }
    }

    /// Whether texts begin with a token of their own where a file does not say.
    fn adds_begin(self) -> bool {
        self == Self::Llama3
    }

    /// The same for the library; bytes become printable characters last.
    fn build(self, bytes: ByteLevel) -> Result<PreTokenizerWrapper> {
        let rule = match self {
            Self::Gpt2 => return Ok(bytes.into()),
            Self::SmolLm => {
                return Ok(Sequence::new(vec![Digits::new(true).into(), bytes.into()]).into());
            }
            Self::Qwen2 => QWEN2,
            Self::Llama3 => LLAMA_3,
        };
        let pattern = SplitPattern::Regex(rule.into());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(bad)?;
        Ok(Sequence::new(vec![split.into(), bytes.use_regex(false).into()]).into())
    }
}

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
pub struct Tokenizer {
    library: Arc<Library>,
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
        let whole = |ids: &[u32], special: bool| {
            let of = |&id: &u32| {
                let added = AddedToken::from(token(id)?.clone(), special);
                Ok(added.normalized(false))
            };
            ids.iter().map(of).collect::<Result<Vec<AddedToken>>>()
        };
        let special = whole(&vocabulary.special, true)?;
        let added = whole(&vocabulary.added, false)?;
        vocabulary.begin.map(token).transpose()?;
        let ids = vocabulary.tokens.into_iter().zip(0..).collect::<Vec<_>>();
        let bpe = BPE::builder()
            .vocab_and_merges(
                ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(),
                merges,
            )
            .ignore_merges(vocabulary.pre_tokenizer == PreTokenizer::Llama3)
            .build()
            .map_err(bad)?;
        let bytes = ByteLevel::new(false, true, true);
        let mut library = Library::new(bpe.into());
        library
            .with_normalizer((vocabulary.pre_tokenizer == PreTokenizer::Qwen2).then_some(NFC))
            .map_err(bad)?
            .with_pre_tokenizer(Some(vocabulary.pre_tokenizer.build(bytes)?))
            .with_decoder(Some(bytes));
        library.add_special_tokens(special).map_err(bad)?;
        library.add_tokens(added).map_err(bad)?;
        Ok(Self {
            library: Arc::new(library),
            begin: vocabulary.begin,
            end: vocabulary.end,
            size,
        })
    }

    /// The ids of a text. Special tokens in it are recognised; none are added.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.library.encode_fast(text, false).map_err(bad)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The ids of a whole text, a prompt or a document: as [`Tokenizer::encode`], behind the token
    /// that texts of this model begin with, if there is one. It is not there twice where the text
    /// begins with it already, as chat templates write it.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn encode_whole(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encode(text)?;
        if let Some(begin) = self.begin.filter(|begin| ids.first() != Some(begin)) {
            ids.insert(0, begin);
        }
        Ok(ids)
    }

    /// The text of ids, without special tokens. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.library.decode(ids, true).map_err(bad)
    }

    /// Starts the decoding of a stream of tokens.
    pub fn stream(&self) -> TextStream {
        TextStream {
            library: self.library.clone(),
            ids: Vec::new(),
            prefix: String::new(),
            prefix_len: 0,
        }
    }

    /// A token as the vocabulary writes it, its bytes in GPT-2's printable alphabet (a space is
    /// `Ġ`), or `None` for an id outside the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.library.id_to_token(id)
    }

    /// Ids of the tokens that end an answer.
    pub fn end_tokens(&self) -> &[u32] {
        &self.end
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.size
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

/// Decodes tokens one at a time and holds bytes back until they are whole characters.
#[derive(Debug, Clone)]
pub struct TextStream {
    library: Arc<Library>,
    /// The tokens of the last text that was given out, and all after them.
    ids: Vec<u32>,
    /// Text of the first `prefix_len` of them.
    prefix: String,
    prefix_len: usize,
}

impl TextStream {
    /// Takes a token and gives the text that it completes, which may be empty. A special token
    /// has no text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn push(&mut self, id: u32) -> Result<String> {
        let text = step_decode_stream(
            &self.library,
            vec![id],
            true,
            &mut self.ids,
            &mut self.prefix,
            &mut self.prefix_len,
        );
        Ok(text.map_err(bad)?.unwrap_or_default())
    }

    /// Gives what was held back at the end of the tokens: an incomplete character becomes U+FFFD.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn finish(&mut self) -> Result<String> {
        let text = self.library.decode(&self.ids, true).map_err(bad)?;
        let rest = text
            .strip_prefix(&self.prefix)
            .unwrap_or_default()
            .to_owned();
        self.ids.clear();
        self.prefix.clear();
        self.prefix_len = 0;
        Ok(rest)
    }
}
