//! Extraction and the write with all their options, on both backends and a synthetic model; the
//! evaluation and the calibration on the real one.

use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::EngineOptions;
use cache_steering::eval::{
    self, Answer, CalibrateOptions, Condition, EvalProgress, Question, calibrate, question,
};
use cache_steering::generate::{LaneRequest, Request, Sampling, StopReason, generate};
use cache_steering::model::load::{FileSource, MemorySource};
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{Architecture, ModelConfig, synthetic};
use cache_steering::steering::contrast::{self, ContrastItem, PairOptions};
use cache_steering::steering::extract::{Average, Contrast, TokenPosition};
use cache_steering::steering::{
    ContrastivePair, ExtractOptions, ExtractProgress, Extractor, KeyFrame, Steering,
    SteeringVector, Strength, StrengthUnit, VectorMetadata,
};
use cache_steering::{Engine, Error};
use pollster::block_on;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

const BACKENDS: [BackendChoice; 2] = [BackendChoice::Cpu, BackendChoice::Gpu];

fn options(backend: BackendChoice, lanes: usize, capacity: usize) -> EngineOptions {
    EngineOptions {
        backend,
        cpu_precision: CpuPrecision::F32,
        lanes,
        capacity: Some(capacity),
        kernels: None,
    }
}

fn tiny(backend: BackendChoice) -> Engine {
    tiny_of(backend, Architecture::Llama)
}

fn tiny_of(backend: BackendChoice, architecture: Architecture) -> Engine {
    let config = ModelConfig {
        architecture,
        ..synthetic::tiny()
    };
    let gguf = synthetic::gguf(&config, WeightFormat::Q8_0, 5).expect("a model");
    let mut source = MemorySource::new(gguf);
    let loading = &mut |_| ControlFlow::Continue(());
    block_on(Engine::load(
        &mut source,
        &options(backend, 4, 200),
        loading,
    ))
    .expect("it loads")
}

fn real() -> Engine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    let mut source = FileSource::open(path).expect("the model, which `cargo xtask test` fetches");
    let options = EngineOptions {
        cpu_precision: CpuPrecision::Quantized,
        ..options(BackendChoice::Cpu, 2, 256)
    };
    let loading = &mut |_| ControlFlow::Continue(());
    block_on(Engine::load(&mut source, &options, loading)).expect("it loads")
}

fn stepwise() -> Arc<SteeringVector> {
    let bytes = include_bytes!("../golden/steer_stepwise.safetensors");
    let mut vector = SteeringVector::from_bytes(bytes).expect("a golden vector");
    vector.metadata.marker = Some("(?i)^step 1".into());
    Arc::new(vector)
}

fn pairs() -> Vec<ContrastivePair> {
    let item = |i: usize| ContrastItem {
        question: format!("What is {i} and {i}?"),
        choices: Vec::new(),
        answer: (2 * i).to_string(),
        reasoning: BTreeMap::from([("slow".into(), format!("Count on from {i}."))]),
    };
    let items: Vec<ContrastItem> = (1..6).map(item).collect();
    let options = PairOptions {
        pairs: 4,
        shots: 1,
        ..PairOptions::default()
    };
    let chat = synthetic::model(&synthetic::tiny()).expect("a model").chat;
    contrast::pairs(&items, "slow", &options, &chat).expect("pairs")
}

fn extract(engine: &mut Engine, options: &ExtractOptions) -> SteeringVector {
    let making = &mut |_: ExtractProgress| ControlFlow::Continue(());
    let metadata = VectorMetadata::default();
    let mut extractor = Extractor::new(engine);
    block_on(extractor.extract(&pairs(), options, metadata, making)).expect("a vector")
}

/// The largest difference, in parts of the largest number.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    let largest = a.iter().fold(0f32, |max, x| max.max(x.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    assert_eq!(a.len(), b.len());
    differences.fold(0.0, f32::max) / largest
}

#[test]
fn both_backends_make_the_same_vectors() {
    let all = [
        ExtractOptions::default(),
        ExtractOptions {
            token: TokenPosition::Penultimate,
            contrast: Contrast::Positive,
            average: Average::Clusters(2),
            heads: Some(2),
            key_frame: KeyFrame::Zero,
        },
        ExtractOptions {
            token: TokenPosition::Index(-3),
            key_frame: KeyFrame::Zero,
            ..ExtractOptions::default()
        },
    ];
    let mut engines = BACKENDS.map(tiny);
    let mut made = Vec::new();
    for options in &all {
        let [cpu, gpu] = engines.each_mut().map(|engine| extract(engine, options));
        for (a, b) in [(&cpu.keys, &gpu.keys), (&cpu.values, &gpu.values)] {
            let off = difference(a, b);
            assert!(off < 1e-3, "{options:?}: off by {off}");
        }
        assert_eq!(cpu.metadata.extraction, *options);
        let file = SteeringVector::from_bytes(&cpu.to_bytes().expect("a file")).expect("a vector");
        assert_eq!(file, cpu, "written and read again");
        made.push(cpu);
    }
    assert!(difference(&made[0].values, &made[1].values) > 0.1);
    let heads = made[1].values.chunks(made[1].dims[2]);
    assert_eq!(
        heads.filter(|head| head.iter().any(|x| *x != 0.0)).count(),
        2
    );
}

/// A vector of another architecture: made, written, and applied on both backends.
#[test]
fn a_qwen2_model_is_steered() {
    let options = ExtractOptions {
        key_frame: KeyFrame::Zero,
        ..ExtractOptions::default()
    };
    let mut outcomes = Vec::new();
    for backend in BACKENDS {
        let mut engine = tiny_of(backend, Architecture::Qwen2);
        let vector = extract(&mut engine, &options);
        assert_eq!(vector.metadata.model.architecture.as_deref(), Some("qwen2"));
        let prompt: Vec<u32> = (60..80).collect();
        let mut logits = |strength: Strength| {
            let steering = Steering {
                vector: Arc::new(vector.clone()),
                strength,
            };
            engine.truncate(0, 0).expect("a lane");
            let quiet = &mut |_| ControlFlow::Continue(());
            block_on(engine.prefill(&[(0, &prompt)], quiet)).expect("a prefill");
            let written = block_on(engine.steer(0, prompt.len() - 1, &[steering]));
            assert_eq!(written.expect("a write"), strength.values != 0.0);
            block_on(engine.logits(&[(0, 17)]))
                .expect("logits")
                .remove(0)
        };
        let [plain, steered] = [0.0, 2.0].map(|values| {
            logits(Strength {
                values,
                keys: values / 2.0,
                ..Strength::default()
            })
        });
        assert!(difference(&plain, &steered) > 1e-3);
        outcomes.push((vector.values, steered));
    }
    let [cpu, gpu] = &outcomes[..] else {
        panic!("two backends");
    };
    assert!(difference(&cpu.0, &gpu.0) < 1e-3);
    assert!(difference(&cpu.1, &gpu.1) < 1e-3);
}

/// Keys of position 0 are the cached ones, turned back: turned to where they were, they are the same.
#[test]
fn keys_can_be_turned_back_to_where_they_were() {
    let one = &pairs()[..1];
    let mut engine = tiny(BackendChoice::Cpu);
    let mut slot = |key_frame| {
        let options = ExtractOptions {
            contrast: Contrast::Positive,
            key_frame,
            ..ExtractOptions::default()
        };
        let making = &mut |_: ExtractProgress| ControlFlow::Continue(());
        let mut extractor = Extractor::new(&mut engine);
        let metadata = VectorMetadata::default();
        block_on(extractor.extract(one, &options, metadata, making)).expect("a vector")
    };
    let (cached, zero) = (slot(KeyFrame::Cached), slot(KeyFrame::Zero));
    assert!(difference(&cached.keys, &zero.keys) > 0.1);

    let ids = engine
        .model()
        .tokenizer
        .encode(&one[0].positive)
        .expect("ids");
    let before = block_on(engine.read_slot(0, ids.len() - 1)).expect("the last slot");
    let steering = Steering {
        vector: Arc::new(zero),
        strength: Strength {
            values: 0.0,
            keys: 1.0,
            first_layer: 0,
            ..Strength::default()
        },
    };
    assert!(block_on(engine.steer(0, ids.len() - 1, &[steering])).expect("a write"));
    let after = block_on(engine.read_slot(0, ids.len() - 1)).expect("the slot");
    let twice: Vec<f32> = before.keys.iter().map(|x| 2.0 * x).collect();
    assert!(difference(&twice, &after.keys) < 1e-5);
    assert_eq!(before.values, after.values);
}

fn tokens(engine: &mut Engine, steering: Vec<Vec<Steering>>) -> Vec<Vec<u32>> {
    let lane = |steering| LaneRequest {
        offset: vec![17],
        steering,
        ..LaneRequest::default()
    };
    let request = Request {
        prompt: (20..50).collect(),
        lanes: steering.into_iter().map(lane).collect(),
        max_tokens: 12,
        stop_repeating: false,
        ..Request::default()
    };
    let outcome = block_on(generate(engine, &request, &mut |_| {
        ControlFlow::Continue(())
    }));
    let lanes = outcome.expect("answers").lanes;
    lanes.into_iter().map(|lane| lane.tokens).collect()
}

#[test]
fn strengths_add_up_and_units_agree_on_every_backend() {
    for backend in BACKENDS {
        let mut engine = tiny(backend);
        let vector = Arc::new(extract(&mut engine, &ExtractOptions::default()));
        let at = |values: f32, unit| Steering {
            vector: vector.clone(),
            strength: Strength {
                values,
                keys: values / 2.0,
                unit,
                ..Strength::default()
            },
        };
        let raw = |values| at(values, StrengthUnit::Vector);
        let found = tokens(
            &mut engine,
            vec![
                vec![],
                vec![raw(8.0)],
                vec![raw(4.0), raw(4.0)],
                vec![raw(8.0), raw(-8.0)],
            ],
        );
        assert_eq!(found[1], found[2], "{backend:?}: two halves");
        assert_eq!(found[0], found[3], "{backend:?}: there and back");

        // One length of the slot, measured: the slot moves by as much as it is long.
        let prompt: Vec<u32> = (20..50).collect();
        for lane in 0..2 {
            let kept = engine.keep_prefix(lane, &prompt).expect("a lane");
            let rest = [(lane, &prompt[kept..])];
            block_on(engine.prefill(&rest, &mut |_| ControlFlow::Continue(()))).expect("a prefill");
        }
        let before = block_on(engine.read_slot(1, 29)).expect("a slot");
        let one = [at(1.0, StrengthUnit::Slot)];
        assert!(block_on(engine.steer(1, 29, &one)).expect("a write"));
        let after = block_on(engine.read_slot(1, 29)).expect("a slot");
        let layer_len = vector.layer_len();
        let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
        for layer in 0..vector.dims[0] {
            let range = layer * layer_len..(layer + 1) * layer_len;
            let (a, b) = (&before.values[range.clone()], &after.values[range]);
            let moved: Vec<f32> = a.iter().zip(b).map(|(a, b)| b - a).collect();
            let expected = if layer == 0 { 0.0 } else { norm(a) };
            assert!(
                (norm(&moved) - expected).abs() < 1e-3 * norm(a),
                "{backend:?}"
            );
        }
    }
}

fn questions() -> Vec<Question> {
    question::parse(
        r#####"{"id": "hours", "question": "A baker makes 12 rolls an hour. How many in 5 hours?", "answer": "#### 60"}
           {"id": "ice", "question": "Why does ice float on water?"}"#####,
    )
    .expect("questions")
}

fn conditions() -> Vec<Condition> {
    let sampling = Sampling {
        repetition_penalty: 1.1,
        ..Sampling::default()
    };
    let plain = Condition::plain(sampling);
    let steered = Condition {
        name: "stepwise at 6".into(),
        style: Some("stepwise".into()),
        offset: "\n".into(),
        steering: vec![Steering {
            vector: stepwise(),
            strength: Strength::default(),
        }],
        ..plain.clone()
    };
    vec![plain, steered]
}

#[test]
fn an_evaluation_goes_on_where_it_was_stopped() {
    let mut engine = real();
    let mut run = |kept: Vec<Answer>, stop_after: usize| {
        let mut heard = Vec::new();
        let mut observer = |progress: EvalProgress| {
            heard.extend(progress.answer);
            match heard.len() < stop_after {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let (questions, conditions) = (questions(), conditions());
        let answers = eval::run(
            &mut engine,
            &questions,
            &conditions,
            1,
            24,
            kept,
            &mut observer,
        );
        (block_on(answers), heard)
    };
    let (whole, heard) = run(Vec::new(), usize::MAX);
    let whole = whole.expect("all answers");
    assert_eq!(whole, heard);
    let said = |question: &str, condition: &str| {
        let found = |a: &&Answer| a.question == question && a.condition == condition;
        &whole.iter().find(found).expect("an answer").text
    };
    for question in ["hours", "ice"] {
        assert!(said(question, "stepwise at 6").starts_with("Step 1"));
        assert!(!said(question, "plain").starts_with("Step 1"));
    }

    let (stopped, kept) = run(Vec::new(), 3);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(kept.len(), 3);
    let (rest, heard) = run(kept, usize::MAX);
    assert_eq!(heard.len(), 1, "what was kept is not made again");
    let texts = |answers: &[Answer]| -> Vec<String> {
        answers.iter().map(|answer| answer.text.clone()).collect()
    };
    assert_eq!(texts(&rest.expect("all answers")), texts(&whole));
}

#[test]
fn a_calibration_ends_and_always_finds_the_same() {
    let mut engine = real();
    let options = CalibrateOptions {
        values: vec![0.25, 0.5, 6.0, 60.0],
        max_tokens: 24,
        ..CalibrateOptions::default()
    };
    let mut find = |options: &CalibrateOptions| {
        let trying = &mut |_| ControlFlow::Continue(());
        let (vector, questions) = (stepwise(), questions());
        let found = calibrate(&mut engine, &vector, &questions, options, trying);
        block_on(found).expect("a calibration")
    };
    let found = find(&options);
    assert_eq!(found.strength.expect("a strength").values, 6.0);
    assert_eq!(
        found.trials.len(),
        4,
        "as many at a time as there are lanes"
    );
    assert_eq!(find(&options), found);

    let none = find(&CalibrateOptions {
        values: vec![0.25, 60.0],
        ..options
    });
    assert_eq!(none.strength, None);
    assert!(none.trials[1].broken > 0, "{none:?}");
}

#[test]
fn a_vector_without_a_marker_cannot_be_calibrated() {
    let mut engine = tiny(BackendChoice::Cpu);
    let vector = Arc::new(extract(&mut engine, &ExtractOptions::default()));
    let options = CalibrateOptions::default();
    let trying = &mut |_| ControlFlow::Continue(());
    let refusal = block_on(calibrate(
        &mut engine,
        &vector,
        &questions(),
        &options,
        trying,
    ));
    assert!(
        refusal
            .expect_err("a refusal")
            .to_string()
            .contains("marker")
    );
}

/// A lane that repeats itself ends, the other goes on, and the guard can be switched off.
#[test]
fn an_answer_that_repeats_itself_is_stopped() {
    let mut engine = tiny(BackendChoice::Cpu);
    let mut answer = |stop_repeating| {
        let request = Request {
            prompt: (20..50).collect(),
            lanes: vec![LaneRequest::default(); 2],
            max_tokens: 150,
            stop_repeating,
            ..Request::default()
        };
        let generating = &mut |_| ControlFlow::Continue(());
        block_on(generate(&mut engine, &request, generating)).expect("answers")
    };
    let whole = answer(false);
    assert!(
        whole
            .lanes
            .iter()
            .all(|lane| lane.stop_reason == StopReason::MaxTokens)
    );
    let stopped = answer(true);
    for (lane, whole) in stopped.lanes.iter().zip(&whole.lanes) {
        assert_eq!(
            lane.stop_reason,
            StopReason::Repeating,
            "a random model is soon in a loop"
        );
        assert_eq!(lane.tokens[..], whole.tokens[..lane.tokens.len()]);
    }
}
