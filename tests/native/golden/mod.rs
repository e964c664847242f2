//! The engine against numbers that an independent implementation computed for the real model
//! (PyTorch, float32, the same GGUF dequantised): see `tests/golden/README.md`.

mod lanes;

use cache_steering::Engine;
use cache_steering::backend::Slot;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::backend::gpu::{GpuDevice, KernelChoices, ProductKernel, Reduction};
use cache_steering::engine::EngineOptions;
use cache_steering::generate::{LaneRequest, Request, StopReason, generate, prompt_ids};
use cache_steering::model::Message;
use cache_steering::model::load::FileSource;
use cache_steering::steering::{
    ContrastivePair, ExtractOptions, Extractor, Steering, SteeringVector, Strength, VectorMetadata,
};
use pollster::block_on;
use safetensors::SafeTensors;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

const CPU: EngineOptions = options(BackendChoice::Cpu, CpuPrecision::F32);
const CPU_QUANTIZED: EngineOptions = options(BackendChoice::Cpu, CpuPrecision::Quantized);
const GPU: EngineOptions = options(BackendChoice::Gpu, CpuPrecision::F32);

const fn options(backend: BackendChoice, cpu_precision: CpuPrecision) -> EngineOptions {
    EngineOptions {
        backend,
        cpu_precision,
        lanes: 1,
        capacity: None,
        kernels: None,
    }
}

#[derive(Deserialize)]
struct Golden {
    protocol: Protocol,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Protocol {
    offset_token_id: u32,
}

#[derive(Deserialize)]
struct Prompt {
    messages: Vec<Message>,
    input_ids: Vec<u32>,
    baseline: Answer,
    /// By name: `cot@4` is the vector `cot` with the values' coefficient 4.
    steered: BTreeMap<String, Answer>,
}

#[derive(Deserialize)]
struct Answer {
    tokens: Vec<u32>,
    text: String,
    ended: bool,
    /// Tokens that were chosen by a margin of less than 0.05: with another order of additions the
    /// other one may come.
    ties: Vec<usize>,
    first_top10: Vec<(usize, f32)>,
}

#[derive(Deserialize)]
struct Perplexity {
    ids: Vec<u32>,
    ppl: f64,
    nll_first16: Vec<f64>,
}

#[derive(Deserialize)]
struct Extraction {
    pairs: Vec<ExtractionPair>,
}

#[derive(Deserialize)]
struct ExtractionPair {
    #[serde(flatten)]
    texts: ContrastivePair,
    positive_ids: Vec<u32>,
    negative_ids: Vec<u32>,
}

fn golden_file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn golden<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&golden_file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn vector(name: &str) -> Arc<SteeringVector> {
    let bytes = golden_file(&format!("steer_{name}.safetensors"));
    Arc::new(SteeringVector::from_bytes(&bytes).expect("a golden vector"))
}

fn engine(options: EngineOptions, lanes: usize, capacity: usize) -> Engine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    let mut source = FileSource::open(path).unwrap_or_else(|e| {
        panic!("{e}: these tests run the real model, and `cargo xtask test` fetches it")
    });
    let options = EngineOptions {
        lanes,
        capacity: Some(capacity),
        ..options
    };
    block_on(Engine::load(&mut source, &options, &mut |_| {
        ControlFlow::Continue(())
    }))
    .expect("the model loads")
}

/// What one golden answer is called, its lane, and what it should be.
fn runs(prompt: &Prompt, offset: u32) -> Vec<(&str, LaneRequest, &Answer)> {
    let plain = ("baseline", LaneRequest::default(), &prompt.baseline);
    let steered = prompt.steered.iter().map(|(name, answer)| {
        let (vector_name, coefficient) = name.split_once('@').expect("vector@coefficient");
        let strength = Strength {
            values: coefficient.parse().expect("a number"),
            ..Strength::default()
        };
        let steering = match vector_name {
            "offset_only" => Vec::new(),
            name => vec![Steering {
                vector: vector(name),
                strength,
            }],
        };
        let lane = LaneRequest {
            offset: vec![offset],
            steering,
            ..LaneRequest::default()
        };
        (name.as_str(), lane, answer)
    });
    [plain].into_iter().chain(steered).collect()
}

/// Answers one prompt with these runs as lanes of one request, and compares.
fn check_answers(
    engine: &mut Engine,
    prompt: &Prompt,
    runs: &[(&str, LaneRequest, &Answer)],
    max_tokens: usize,
) {
    let question = &prompt.messages[0].content;
    let request = Request {
        prompt: prompt.input_ids.clone(),
        lanes: runs.iter().map(|(_, lane, _)| lane.clone()).collect(),
        max_tokens,
        stop_repeating: false,
        ..Request::default()
    };
    let outcome = block_on(generate(engine, &request, &mut |_| {
        ControlFlow::Continue(())
    }))
    .expect("an answer");
    for ((name, _, golden), lane) in runs.iter().zip(&outcome.lanes) {
        let context = format!("{question:?}, {name}, {:?}", lane.text);
        let first_tie = golden.ties.first().copied().unwrap_or(usize::MAX);
        let compared = golden.tokens.len().min(max_tokens).min(first_tie);
        let found = &lane.tokens[..compared.min(lane.tokens.len())];
        assert_eq!(found, &golden.tokens[..compared], "{context}");
        if compared == golden.tokens.len() {
            let text = golden.text.trim_end_matches("<|im_end|>");
            assert_eq!(lane.text, text, "{context}");
            let reason = if golden.ended {
                StopReason::EndOfText
            } else {
                StopReason::MaxTokens
            };
            assert_eq!(lane.stop_reason, reason, "{context}");
        }
    }

    // Back to the first decode step: the steered position stays in the cache.
    let mut steps = Vec::new();
    for (index, (_, lane, _)) in runs.iter().enumerate() {
        let sequence = [&prompt.input_ids[..], &lane.offset].concat();
        engine.truncate(index, sequence.len() - 1).expect("a lane");
        steps.push((index, sequence[sequence.len() - 1]));
    }
    let logits = block_on(engine.logits(&steps)).expect("logits");
    for ((name, _, golden), logits) in runs.iter().zip(&logits) {
        for &(token, expected) in &golden.first_top10 {
            let found = logits[token];
            assert!(
                (found - expected).abs() < 5e-3,
                "{question:?}, {name}: the first logit of token {token} is {found}, not {expected}"
            );
        }
    }
}

/// All prompts, with all 48 tokens of an answer.
fn prompts(options: EngineOptions) {
    let golden: Golden = golden("golden.json");
    let offset = golden.protocol.offset_token_id;
    let mut engine = engine(options, 6, 256);
    for prompt in &golden.prompts {
        let ids = prompt_ids(engine.model(), &prompt.messages).expect("a prompt");
        assert_eq!(ids, prompt.input_ids);
        let runs = runs(prompt, offset);
        assert_eq!(runs.len(), 6);
        check_answers(&mut engine, prompt, &runs, 48);
    }
    // One lane at a time runs other kernels than a batch, and from an empty cache.
    let prompt = &golden.prompts[0];
    for run in runs(prompt, offset) {
        engine.truncate(0, 0).expect("a lane");
        check_answers(&mut engine, prompt, &[run], 8);
    }
}

fn perplexity(options: EngineOptions, tolerance: f64) -> f64 {
    let golden: Perplexity = golden("perplexity.json");
    let mut engine = engine(options, 1, golden.ids.len());
    let score =
        block_on(engine.score(&golden.ids, &mut |_| ControlFlow::Continue(()))).expect("a score");
    assert_eq!(score.tokens, golden.ids.len());
    assert_eq!(score.token_nll.len(), golden.ids.len() - 1);
    let error = score.perplexity / golden.ppl - 1.0;
    assert!(
        error.abs() < tolerance,
        "perplexity {} is off by {error} from {}",
        score.perplexity,
        golden.ppl
    );
    let first = golden.nll_first16.iter().zip(&score.token_nll);
    first
        .map(|(expected, found)| (expected - found).abs())
        .fold(0.0, f64::max)
}

fn extraction(options: EngineOptions) {
    let golden: Extraction = golden("extraction_check.json");
    let bytes = golden_file("extraction_check.safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("golden tensors");
    let compare = |name: &str, found: &[f32]| {
        let data = file.tensor(name).expect("a golden tensor");
        let expected: Vec<f32> = bytemuck::pod_collect_to_vec(data.data());
        assert_eq!(expected.len(), found.len());
        let largest = expected.iter().map(|x| x.abs()).fold(0.0, f32::max);
        let worst = expected
            .iter()
            .zip(found)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst < 1e-3 * largest,
            "{name}: off by {worst}, of at most {largest}"
        );
    };

    let mut engine = engine(options, 1, 256);
    for (ids, side) in [
        (&golden.pairs[0].positive_ids, "pos"),
        (&golden.pairs[0].negative_ids, "neg"),
    ] {
        let kept = engine.keep_prefix(0, ids).expect("a lane");
        let rest = [(0, &ids[kept..])];
        block_on(engine.prefill(&rest, &mut |_| ControlFlow::Continue(()))).expect("a prefill");
        let Slot { keys, values } =
            block_on(engine.read_slot(0, ids.len() - 1)).expect("the last slot");
        compare(&format!("pair0_{side}_keys"), &keys);
        compare(&format!("pair0_{side}_values"), &values);
    }

    for pair in &golden.pairs {
        let tokenizer = &engine.model().tokenizer;
        assert_eq!(
            tokenizer.encode(&pair.texts.positive).expect("ids"),
            pair.positive_ids
        );
        assert_eq!(
            tokenizer.encode(&pair.texts.negative).expect("ids"),
            pair.negative_ids
        );
    }
    let pairs: Vec<ContrastivePair> = golden.pairs.into_iter().map(|pair| pair.texts).collect();
    let vector = block_on(Extractor::new(&mut engine).extract(
        &pairs,
        &ExtractOptions::default(),
        VectorMetadata::default(),
        &mut |_| ControlFlow::Continue(()),
    ))
    .expect("a vector");
    compare("keys", &vector.keys);
    compare("values", &vector.values);
    assert_eq!(vector.metadata.pairs, Some(4));
    assert_eq!(
        vector.metadata.model.sha256.as_deref(),
        Some(engine.model().file.sha256.as_str())
    );
}

/// The tests of one way to compute.
macro_rules! golden_tests {
    ($module:ident, $options:expr) => {
        mod $module {
            #[test]
            fn prompts() {
                super::prompts($options);
            }

            #[test]
            fn perplexity() {
                let worst = super::perplexity($options, 1e-3);
                assert!(
                    worst < 2e-3,
                    "one of the first tokens' log-likelihoods is off by {worst}"
                );
            }

            #[test]
            fn extraction() {
                super::extraction($options);
            }

            #[test]
            fn zero_strength_changes_no_bit() {
                super::lanes::zero_strength($options);
            }

            #[test]
            fn a_cached_prompt_is_not_computed_again() {
                super::lanes::reuse($options);
            }

            #[test]
            fn a_cache_cut_into_eight_gives_the_same_answers() {
                super::lanes::eight($options);
            }

            #[test]
            fn a_turn_goes_on_from_what_each_lane_holds() {
                super::lanes::turns($options);
            }

            #[test]
            fn a_stop_keeps_what_was_there() {
                super::lanes::stop($options);
            }
        }
    };
}

golden_tests!(cpu, super::CPU);
golden_tests!(cpu_quantized, super::CPU_QUANTIZED);
golden_tests!(gpu, super::GPU);

#[test]
fn requests_that_make_no_sense_are_refused() {
    lanes::refusals(CPU);
}

/// What a cache, weights and inputs in f16 cost, where the adapter has it: on the beginning of the
/// text, because lavapipe computes f16 one value at a time.
#[test]
fn gpu_f16_perplexity() {
    let half = ProductKernel::Vector {
        reduction: Reduction::Row,
        pairs: 64,
        slices: 1,
        half: true,
    };
    let mut kernels = KernelChoices::fixed(half);
    kernels.f16_cache = true;
    let device = block_on(GpuDevice::request()).expect("an adapter");
    if let Err(reason) = kernels.check(&device) {
        // lavapipe has f16, whatever runs beside it.
        assert!(!device.info().name.contains("llvmpipe"), "{reason}");
        return;
    }
    let half = EngineOptions {
        kernels: Some(kernels),
        ..GPU
    };
    let ids = &golden::<Perplexity>("perplexity.json").ids[..48];
    let [exact, rounded] = [CPU, half].map(|options| {
        let mut engine = engine(options, 1, ids.len());
        block_on(engine.score(ids, &mut |_| ControlFlow::Continue(()))).expect("a score")
    });
    let error = rounded.perplexity / exact.perplexity - 1.0;
    assert!(error.abs() < 0.01, "perplexity in f16 is off by {error}");
    assert_ne!(rounded.perplexity, exact.perplexity, "f16 rounds");
}
