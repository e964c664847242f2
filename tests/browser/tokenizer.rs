//! What a tokenizer leaves to the browser: canonical composition.

use cache_steering::model::Tokenizer;
use cache_steering::model::tokenizer::{PreTokenizer, Vocabulary};
use serde::Deserialize;
use std::collections::BTreeMap;
use wasm_bindgen_test::wasm_bindgen_test;

/// See `tests/golden/README.md`.
#[derive(Deserialize)]
struct Golden {
    tokens: Vec<String>,
    merges: Vec<String>,
    special: Vec<u32>,
    added: Vec<u32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

#[wasm_bindgen_test]
fn texts_are_composed_as_the_model_was_trained() {
    let golden = include_str!("../golden/small_tokenizers.json");
    let mut golden: BTreeMap<String, Golden> = serde_json::from_str(golden).expect("golden data");
    let golden = golden.remove("qwen2").expect("a tokenizer that composes");
    let tokenizer = Tokenizer::from_vocabulary(Vocabulary {
        tokens: golden.tokens,
        merges: golden.merges,
        special: golden.special,
        added: golden.added,
        begin: None,
        end: Vec::new(),
        pre_tokenizer: PreTokenizer::Qwen2,
    })
    .expect("a tokenizer");
    let is_apart = |case: &Case| case.text.contains('\u{301}');
    assert!(golden.cases.iter().any(is_apart));
    for case in golden.cases {
        let ids = tokenizer.encode(&case.text).expect("ids");
        assert_eq!(ids, case.ids, "{:?}", case.text);
    }
}
