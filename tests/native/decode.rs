//! Decoding: tokens that the device samples by itself, several steps ahead of who reads them.

use crate::tiny_engine::{
    BACKENDS, check_that_lanes_are_as_alone, decode, prefill, prompt, steering, tiny, warm,
};
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::Sampler;
use cache_steering::engine::DecodeRequest;
use cache_steering::generate::{
    Event, LaneRequest, Outcome, Request, Sampling, StopReason, generate,
};
use cache_steering::model::synthetic;
use cache_steering::steering::Activation;
use cache_steering::{Engine, Error};
use pollster::block_on;
use std::ops::ControlFlow;

const LANES: usize = 5;

fn engine(backend: BackendChoice) -> Engine {
    tiny(backend, LANES, 150)
}

/// A lane's tokens with logits that are read back at each step, sampled by the CPU.
fn decode_by_hand(engine: &mut Engine, request: &DecodeRequest) -> Vec<u32> {
    let seen = [engine.tokens(request.lane), &[request.input]].concat();
    let mut sampler =
        Sampler::new(request.sampling, &seen, synthetic::tiny().vocab_size).expect("sense");
    let mut tokens = vec![request.input];
    let end = engine.model().tokenizer.end_tokens().to_vec();
    while tokens.len() <= request.limit {
        let logits = block_on(engine.logits(&[(request.lane, tokens[tokens.len() - 1])]));
        let token = sampler
            .sample(&logits.expect("logits")[0])
            .expect("numbers");
        tokens.push(token);
        if end.contains(&token) {
            break;
        }
    }
    tokens.split_off(1)
}

#[test]
fn the_device_samples_what_the_cpu_would_from_its_logits() {
    for backend in BACKENDS {
        let mut engine = engine(backend);
        let narrow = Sampling {
            top_p: 0.95,
            ..warm(2)
        };
        for sampling in [Sampling::default(), warm(1), narrow] {
            let request = DecodeRequest {
                lane: 1,
                input: 17,
                sampling,
                limit: 60,
                activation: None,
            };
            prefill(&mut engine, 1, &prompt(9));
            let expected = decode_by_hand(&mut engine, &request);
            prefill(&mut engine, 1, &prompt(9));
            let tokens = decode(&mut engine, &[request]);
            assert_eq!(tokens[&1], expected, "{backend:?} {sampling:?}");
            // The last token was sampled and not fed.
            let cached = [&prompt(9)[..], &[17], &expected[..expected.len() - 1]].concat();
            assert_eq!(engine.tokens(1), cached);
        }
    }
}

#[test]
fn a_lane_in_a_batch_gives_the_tokens_it_gives_alone() {
    for backend in BACKENDS {
        let limits = [(3, 50), (0, 1), (4, 90), (1, 7), (2, 33)];
        check_that_lanes_are_as_alone(&mut engine(backend), &limits);
    }
}

#[test]
fn a_full_cache_ends_a_lane() {
    for backend in BACKENDS {
        let mut engine = engine(backend);
        let capacity = engine.cache_size().capacity;
        prefill(&mut engine, 0, &prompt(capacity as u32 - 3));
        let request = [DecodeRequest {
            lane: 0,
            input: 9,
            sampling: warm(5),
            limit: 100,
            activation: None,
        }];
        assert_eq!(decode(&mut engine, &request)[&0].len(), 3);
        assert_eq!(engine.tokens(0).len(), capacity);
        assert!(matches!(
            engine.start_decode(&request),
            Err(Error::ContextFull { .. })
        ));
    }
}

#[test]
fn other_work_ends_a_decoding() {
    let mut engine = engine(BackendChoice::Gpu);
    prefill(&mut engine, 0, &prompt(9));
    let request = [DecodeRequest {
        lane: 0,
        input: 9,
        sampling: warm(5),
        limit: 100,
        activation: None,
    }];
    engine.start_decode(&request).expect("a start");
    let first = block_on(engine.next_step()).expect("a step");
    assert_eq!(first.len(), 1);
    engine.truncate(0, 9).expect("a lane");
    assert_eq!(block_on(engine.next_step()).expect("no step"), []);
    // What ran ahead in the cache does not matter to what comes next.
    let again = decode(&mut engine, &request);
    assert_eq!(again[&0][0], first[0].token);
    prefill(&mut engine, 0, &prompt(9));
    assert_eq!(decode(&mut engine, &request), again);
}

/// Activation steering: each lane has its own vector at its own layer, or none, and the GPU does
/// what the CPU does.
#[test]
fn activations_steer_their_own_lanes_on_every_backend() {
    let config = synthetic::tiny();
    let at = |layer: usize, strength: f32| {
        let direction: Vec<f32> = (0..config.width).map(|i| (i as f32).sin()).collect();
        Some(Activation::new(layer, &direction, strength))
    };
    let request = |lane, activation| DecodeRequest {
        lane,
        input: 17,
        sampling: Sampling::default(),
        limit: 12,
        activation,
    };
    let all = |activations: [Option<Activation>; 4], engine: &mut Engine| {
        let requests: Vec<DecodeRequest> = (0..4)
            .zip(activations)
            .map(|(lane, activation)| {
                prefill(engine, lane, &prompt(9));
                request(lane, activation)
            })
            .collect();
        decode(engine, &requests)
    };
    let last = config.n_layers - 1;
    let mut on_each = Vec::new();
    for backend in BACKENDS {
        let mut engine = engine(backend);
        let plain = all([None, None, None, None], &mut engine);
        let steered = all(
            [None, at(0, 2.0), at(last, 2.0), at(last, 0.0)],
            &mut engine,
        );
        assert_eq!(steered[&0], plain[&0], "{backend:?}: a lane beside them");
        assert_eq!(steered[&3], plain[&3], "{backend:?}: at 0");
        assert_ne!(steered[&1], plain[&1], "{backend:?}: at the first layer");
        assert_ne!(steered[&2], plain[&2], "{backend:?}: at the last layer");
        assert_ne!(steered[&1], steered[&2], "{backend:?}: layers");
        assert_eq!(all([None, None, None, None], &mut engine), plain);

        prefill(&mut engine, 0, &prompt(9));
        let residual = block_on(engine.residual(0, 17, last)).expect("a residual stream");
        assert_eq!(engine.tokens(0), prompt(9));
        let wrong = [
            at(last + 1, 1.0),
            Some(Activation::new(0, &[1.0], 1.0)),
            at(0, f32::NAN),
        ];
        for activation in wrong {
            let refused = engine.start_decode(&[request(0, activation)]);
            assert!(matches!(refused, Err(Error::InvalidRequest(_))));
        }
        on_each.push((steered, residual));
    }
    let [(tokens, residual), (other_tokens, other_residual)] = &on_each[..] else {
        panic!("two backends");
    };
    assert_eq!(tokens, other_tokens);
    let largest = residual.iter().fold(0f32, |a, x| a.max(x.abs()));
    for (a, b) in residual.iter().zip(other_residual) {
        assert!((a - b).abs() < 1e-3 * largest, "{a} {b}");
    }
}

fn answer(engine: &mut Engine, strengths: &[f32]) -> Outcome {
    let lane = |&strength: &f32| LaneRequest {
        offset: vec![21],
        steering: match strength {
            0.0 => Vec::new(),
            strength => steering(strength),
        },
        sampling: warm(8),
        ..LaneRequest::default()
    };
    let request = Request {
        prompt: prompt(30),
        lanes: strengths.iter().map(lane).collect(),
        max_tokens: 12,
        stop_repeating: false,
        ..Request::default()
    };
    let observer = &mut |_| ControlFlow::Continue(());
    block_on(generate(engine, &request, observer)).expect("an answer")
}

/// Moving the strength slider: the prompt is not computed again, and the answers are those of a
/// fresh engine.
#[test]
fn a_changed_strength_needs_no_prefill() {
    for backend in BACKENDS {
        for lanes in [1, 2] {
            let mut warm = engine(backend);
            for (attempt, strength) in [3.0, -2.0, 0.0, 6.0].into_iter().enumerate() {
                let strengths = &[0.0, strength][2 - lanes..];
                let outcome = answer(&mut warm, strengths);
                let fresh = answer(&mut engine(backend), strengths);
                assert_eq!(
                    outcome.lanes.iter().map(|l| &l.tokens).collect::<Vec<_>>(),
                    fresh.lanes.iter().map(|l| &l.tokens).collect::<Vec<_>>(),
                    "{backend:?}, {lanes} lanes, strength {strength}"
                );
                let computed = if attempt == 0 { 30 } else { 0 };
                assert_eq!(outcome.timings.prefill_tokens, computed, "{backend:?}");
            }
        }
    }
}

/// An observer that stops gets no token more, and the engine is ready for other work.
#[test]
fn a_stop_takes_effect_at_once() {
    for backend in BACKENDS {
        let mut engine = engine(backend);
        let request = Request {
            prompt: prompt(30),
            lanes: vec![LaneRequest::default(); 2],
            max_tokens: 100,
            stop_repeating: false,
            ..Request::default()
        };
        let mut told = 0;
        let mut observer = |event: Event| {
            told += usize::from(matches!(event, Event::Token { .. }));
            match told {
                6 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let outcome = block_on(generate(&mut engine, &request, &mut observer)).expect("an answer");
        assert!(outcome.lanes.iter().all(|lane| lane.tokens.len() == 3));
        assert!(
            outcome
                .lanes
                .iter()
                .all(|lane| lane.stop_reason == StopReason::Cancelled)
        );
        answer(&mut engine, &[0.0, 2.0]);
    }
}
