//! Model files: the real one and synthetic ones, with their tokenizers and chat templates.

use crate::cpu::rows;
use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::{Backend, BackendBuilder, CacheSize};
use cache_steering::model::load::{FileSource, MemorySource, read_header};
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{LoadProgress, Message, Model, ModelConfig, load, synthetic};
use cache_steering::{Error, Result};
use pollster::block_on;
use serde::Deserialize;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock};

const REAL_MODEL: &str = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
const REAL_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

pub fn cpu(
    precision: CpuPrecision,
    capacity: usize,
) -> impl FnOnce(&ModelConfig) -> Result<Box<dyn BackendBuilder>> {
    move |config| {
        let size = CacheSize { lanes: 2, capacity };
        Ok(Box::new(CpuBuilder::new(config, size, precision)?))
    }
}

pub fn load_real(precision: CpuPrecision) -> (Model, Box<dyn Backend>) {
    let mut source = FileSource::open(REAL_MODEL)
        .expect("the real model is missing; `cargo xtask test` fetches it");
    let loaded = block_on(load(&mut source, cpu(precision, 256), &mut go_on));
    loaded.expect("the real model loads")
}

/// The real model without its weights, which are loaded once.
fn real_model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| load_real(CpuPrecision::Quantized).0)
}

pub fn go_on(_: LoadProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub fn load_bytes(bytes: Vec<u8>, chunk: usize) -> Result<(Model, Box<dyn Backend>)> {
    let mut source = MemorySource::with_chunks(bytes, chunk);
    block_on(load(&mut source, cpu(CpuPrecision::F32, 64), &mut go_on))
}

pub fn tiny() -> Vec<u8> {
    synthetic::gguf(&synthetic::tiny(), WeightFormat::Q8_0, 1).expect("a synthetic model")
}

#[test]
fn the_real_model_is_what_it_says() {
    let model = real_model();
    assert_eq!(model.file.bytes, 98_362_432);
    assert_eq!(model.file.sha256, REAL_SHA256);
    let config = &model.config;
    assert_eq!(
        (config.n_layers, config.width, config.ffn_width),
        (30, 576, 1536)
    );
    assert_eq!(
        (config.n_heads, config.n_kv_heads, config.head_dim),
        (9, 3, 64)
    );
    assert_eq!((config.vocab_size, config.context_length), (49152, 8192));
    assert_eq!((config.rope_base, config.norm_eps), (100_000.0, 1e-5));
    let tokenizer = &model.tokenizer;
    assert_eq!(tokenizer.vocab_size(), 49152);
    assert_eq!(tokenizer.token(2).as_deref(), Some("<|im_end|>"));
    assert_eq!(tokenizer.token(504).as_deref(), Some("The"));
    assert_eq!(tokenizer.token(49152), None);
    assert!(tokenizer.end_tokens().contains(&2) && !tokenizer.end_tokens().contains(&1));
}

#[test]
fn the_tokenizer_gives_the_golden_ids() {
    #[derive(Deserialize)]
    struct Case {
        text: String,
        ids: Vec<u32>,
    }
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../golden/tokenizer.json")).expect("golden data");
    assert!(cases.len() >= 60);
    let tokenizer = &real_model().tokenizer;
    for case in cases {
        assert_eq!(
            tokenizer.encode(&case.text).unwrap(),
            case.ids,
            "{:?}",
            case.text
        );
    }
}

#[test]
fn decoding_gives_the_text_back() {
    let tokenizer = &real_model().tokenizer;
    for text in ["Step 1: 2 + 2 = 4.\n", "日本語 ½ 😀👩‍👩‍👧", "  a\tb  "] {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids), text);
    }
    let ids = tokenizer.encode("<|im_start|>user<|im_end|>").unwrap();
    assert_eq!(tokenizer.decode(&ids), "user");
}

#[test]
fn a_stream_never_gives_half_a_character() {
    let tokenizer = &real_model().tokenizer;
    let text = "aé 👩‍👩‍👧 日本語 ok\u{fffd}";
    let mut stream = tokenizer.stream();
    let mut pieces = Vec::new();
    for id in tokenizer.encode(text).unwrap() {
        pieces.push(stream.push(id));
    }
    // Several tokens make one character, so some of them give nothing.
    assert!(pieces.iter().any(String::is_empty));
    // No U+FFFD but the text's own.
    assert_eq!(pieces.concat(), text);
    assert_eq!(stream.finish(), "");

    // The first half of "é", and then the end.
    let half = tokenizer.encode("é").unwrap()[..1].to_vec();
    let mut stream = tokenizer.stream();
    let first = stream.push(half[0]);
    assert_eq!(first + &stream.finish(), tokenizer.decode(&half));
}

#[derive(Deserialize)]
pub struct Golden {
    pub prompts: Vec<GoldenPrompt>,
}

#[derive(Deserialize)]
pub struct GoldenPrompt {
    pub messages: Vec<Message>,
    pub prompt_text: String,
    pub input_ids: Vec<u32>,
    pub baseline: Baseline,
}

#[derive(Deserialize)]
pub struct Baseline {
    pub first_top10: Vec<(u32, f32)>,
}

pub fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/golden.json")).expect("golden data")
}

#[test]
fn the_chat_template_gives_the_golden_prompts() {
    let model = real_model();
    for prompt in golden().prompts {
        let text = model.chat.render(&prompt.messages, true).unwrap();
        assert_eq!(text, prompt.prompt_text);
        assert_eq!(model.tokenizer.encode(&text).unwrap(), prompt.input_ids);
    }
}

#[test]
fn every_format_and_chunk_size_loads() {
    for format in [
        WeightFormat::Q8_0,
        WeightFormat::Q4_0,
        WeightFormat::Q4_1,
        WeightFormat::F16,
        WeightFormat::F32,
    ] {
        let bytes = synthetic::gguf(&synthetic::tiny(), format, 1).unwrap();
        assert_eq!(
            bytes,
            synthetic::gguf(&synthetic::tiny(), format, 1).unwrap()
        );
        let run = |chunk, precision| {
            let mut source = MemorySource::with_chunks(bytes.clone(), chunk);
            let loaded = block_on(load(&mut source, cpu(precision, 64), &mut go_on));
            let (model, mut backend) = loaded.unwrap();
            assert_eq!(model.config, synthetic::tiny());
            assert_eq!(model.file.bytes, bytes.len() as u64);
            block_on(backend.logits(&rows(&[1, 100, 319], 0))).unwrap()
        };
        let whole = run(usize::MAX, CpuPrecision::F32);
        assert_eq!(run(997, CpuPrecision::F32), whole);
        assert!(whole.iter().all(|logit| logit.is_finite()));
        // Blocks keep their values; weights that were floats are rounded to 8 bits.
        let bound = match format {
            WeightFormat::F16 | WeightFormat::F32 => 0.3,
            _ => 2e-3,
        };
        let quantized = run(4096, CpuPrecision::Quantized);
        for (a, b) in whole.iter().zip(quantized) {
            assert!((a - b).abs() < bound, "{format:?}: {a} {b}");
        }
    }
}

#[test]
fn a_synthetic_model_has_a_working_tokenizer_and_template() {
    let (model, _) = load_bytes(tiny(), 1 << 20).unwrap();
    let messages = [Message {
        role: "user".into(),
        content: "Grüße, 42 cats!".into(),
    }];
    let text = model.chat.render(&messages, true).unwrap();
    let ids = model.tokenizer.encode(&text).unwrap();
    assert_eq!(ids[0], 1);
    assert_eq!(
        ids.iter()
            .filter(|id| model.tokenizer.end_tokens().contains(id))
            .count(),
        1
    );
    let decoded = model.tokenizer.decode(&ids);
    assert_eq!(decoded, "user\nGrüße, 42 cats!\nassistant\n");
}

#[test]
fn the_header_is_read_without_the_weights() {
    let mut bytes = tiny();
    let whole = bytes.len() as u64;
    let header = block_on(read_header(&mut MemorySource::with_chunks(
        bytes.clone(),
        512,
    )))
    .unwrap();
    assert_eq!(header.version, 2);
    assert_eq!(
        header.metadata.text("general.architecture").unwrap(),
        Some("llama")
    );
    assert_eq!(header.tensors.len(), 2 + 3 * 9);
    let last = header.tensors.last().unwrap();
    assert!(last.end() <= whole && last.end() + 32 > whole);
    assert_eq!(header.tensors[0].name, "token_embd.weight");
    assert_eq!(header.tensors[0].shape, [320, 96]);
    assert_eq!(header.tensors[0].type_name(), "q8_0");
    assert_eq!(header.tensors[0].bytes, 320 * 3 * 34);

    bytes.truncate(header.tensors[0].offset as usize);
    block_on(read_header(&mut MemorySource::with_chunks(bytes, 512))).unwrap();
}

#[test]
fn the_observer_sees_every_byte_and_can_stop() {
    let bytes = tiny();
    let size = bytes.len() as u64;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let mut observer = move |progress: LoadProgress| {
        log.lock().unwrap().push(progress.done);
        assert_eq!(progress.total, Some(size));
        ControlFlow::Continue(())
    };
    let mut source = MemorySource::with_chunks(bytes.clone(), 4096);
    block_on(load(&mut source, cpu(CpuPrecision::F32, 8), &mut observer))
        .map(drop)
        .unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len() as u64, size.div_ceil(4096));
    assert_eq!(seen.last(), Some(&size));

    let mut stop_half_way = |progress: LoadProgress| match progress.done > size / 2 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let mut source = MemorySource::with_chunks(bytes, 4096);
    let stopped = block_on(load(
        &mut source,
        cpu(CpuPrecision::F32, 8),
        &mut stop_half_way,
    ));
    assert!(matches!(stopped.map(drop), Err(Error::Cancelled)));
}
