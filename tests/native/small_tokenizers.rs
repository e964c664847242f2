//! Tokenizers and chat templates of the families that cut text in their own way, against Hugging
//! Face's on small vocabularies: see `tests/golden/README.md`.

use cache_steering::Error;
use cache_steering::model::metadata::Value;
use cache_steering::model::{ChatTemplate, Message, Metadata, Tokenizer};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    tokens: Vec<String>,
    merges: Vec<String>,
    special: Vec<usize>,
    added: Vec<usize>,
    begin: u32,
    chat_template: String,
    cases: Vec<Case>,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    /// With the beginning, where there is one; twice where the text has it already.
    whole: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct Prompt {
    messages: Vec<Message>,
    text: String,
    ids: Vec<u32>,
}

/// By the name of their rule in a GGUF file.
fn golden() -> BTreeMap<String, Golden> {
    serde_json::from_str(include_str!("../golden/small_tokenizers.json")).expect("golden data")
}

fn metadata(pre: &str, golden: &Golden) -> Metadata {
    let kind = |id: usize| match id {
        _ if golden.special.contains(&id) => 3,
        _ if golden.added.contains(&id) => 4,
        _ => 1,
    };
    let kinds = (0..golden.tokens.len()).map(|id| Value::I32(kind(id)));
    let texts = |texts: &[String]| {
        let texts = texts.iter().map(|text| Value::String(text.clone()));
        Value::Array(texts.collect())
    };
    let entries = [
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String(pre.into())),
        ("tokenizer.ggml.tokens", texts(&golden.tokens)),
        ("tokenizer.ggml.merges", texts(&golden.merges)),
        ("tokenizer.ggml.token_type", Value::Array(kinds.collect())),
        ("tokenizer.ggml.bos_token_id", Value::U32(golden.begin)),
        (
            "tokenizer.chat_template",
            Value::String(golden.chat_template.clone()),
        ),
    ];
    Metadata(entries.map(|(key, value)| (key.into(), value)).into())
}

#[test]
fn texts_are_cut_as_the_models_were_trained() {
    let all = golden();
    assert_eq!(all.len(), 2);
    for (pre, golden) in &all {
        let tokenizer = Tokenizer::from_metadata(&metadata(pre, golden)).expect("a tokenizer");
        for case in &golden.cases {
            let text = &case.text;
            let ids = tokenizer.encode(text).expect("ids");
            assert_eq!(ids, case.ids, "{pre}: {text:?}");
            let whole = tokenizer.encode_whole(text).expect("ids");
            let once = match case.whole.strip_prefix(&[golden.begin, golden.begin]) {
                Some(_) => &case.whole[1..],
                None => &case.whole[..],
            };
            assert_eq!(whole, once, "{pre}: {text:?}");
            assert_eq!(tokenizer.decode(&ids), case.decoded);
        }
    }
}

/// With the beginning once, which one template writes and the other model does without.
#[test]
fn prompts_are_those_of_the_chat_template() {
    for (pre, golden) in golden() {
        let mut metadata = metadata(&pre, &golden);
        // Nothing is added that the template has written.
        for adds in [None, Some(pre == "llama-bpe")] {
            let flag = adds.map(|adds| ("tokenizer.ggml.add_bos_token".into(), Value::Bool(adds)));
            metadata.0.extend(flag);
            let tokenizer = Tokenizer::from_metadata(&metadata).expect("a tokenizer");
            let chat = ChatTemplate::from_metadata(&metadata).expect("a template");
            for prompt in &golden.prompts {
                let text = chat.render(&prompt.messages, true).expect("a prompt");
                assert_eq!(text, prompt.text, "{pre}");
                assert_eq!(tokenizer.encode_whole(&text).expect("ids"), prompt.ids);
            }
        }
    }
}

#[test]
fn a_file_says_whether_texts_have_a_beginning() {
    for (pre, golden) in golden() {
        let mut metadata = metadata(&pre, &golden);
        let mut ids = |adds: bool| {
            let key = "tokenizer.ggml.add_bos_token".to_owned();
            metadata.0.insert(key, Value::Bool(adds));
            let tokenizer = Tokenizer::from_metadata(&metadata).expect("a tokenizer");
            tokenizer.encode_whole("Hello").expect("ids")
        };
        assert_eq!(ids(true), [&[golden.begin], &ids(false)[..]].concat());
        let key = "tokenizer.ggml.bos_token_id".to_owned();
        metadata.0.insert(key, Value::U32(9999));
        let key = "tokenizer.ggml.add_bos_token".to_owned();
        metadata.0.insert(key, Value::Bool(true));
        let error = Tokenizer::from_metadata(&metadata).map(drop);
        assert!(matches!(error, Err(Error::Tokenizer { .. })), "{error:?}");
    }
}

/// Those that a file names, and those that end an answer in every file.
#[test]
fn every_end_of_an_answer_is_known() {
    let (pre, mut golden) = golden().pop_first().expect("golden data");
    golden
        .tokens
        .extend(["<|eot_id|>".into(), "<|end_of_text|>".into()]);
    let count = golden.tokens.len() as u32;
    golden
        .special
        .extend([count as usize - 2, count as usize - 1]);
    let mut metadata = metadata(&pre, &golden);
    for (name, id) in [("eos", count - 1), ("eot", 7), ("eom", 5)] {
        let key = format!("tokenizer.ggml.{name}_token_id");
        metadata.0.insert(key, Value::U32(id));
    }
    let tokenizer = Tokenizer::from_metadata(&metadata).expect("a tokenizer");
    assert_eq!(tokenizer.end_tokens(), [5, 7, count - 2, count - 1]);
}
