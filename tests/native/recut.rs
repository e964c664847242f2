//! A KV cache that is cut into other lanes than it was made with, in the same memory.

use crate::tiny_engine::{BACKENDS, check_that_lanes_are_as_alone, prompt, steering, tiny, warm};
use cache_steering::backend::BackendKind;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::generate::{LaneRequest, Outcome, Request, StopReason, generate};
use cache_steering::{Engine, Error};
use pollster::block_on;
use std::ops::ControlFlow;

/// Lanes of other prompts, offsets and seeds, every other one steered.
fn answer(engine: &mut Engine, lanes: usize) -> Outcome {
    let lane = |number: usize| LaneRequest {
        prompt: Some(prompt(20 + 7 * number as u32)),
        offset: vec![21 + number as u32],
        steering: match number % 2 {
            0 => Vec::new(),
            _ => steering(number as f32),
        },
        sampling: warm(number as u32),
        ..LaneRequest::default()
    };
    let request = Request {
        lanes: (0..lanes).map(lane).collect(),
        max_tokens: 12,
        ..Request::default()
    };
    let observer = &mut |_| ControlFlow::Continue(());
    block_on(generate(engine, &request, observer)).expect("answers")
}

/// What comes next in each lane, to the last bit.
fn next(engine: &mut Engine, lanes: usize) -> Vec<Vec<u32>> {
    let steps: Vec<(usize, u32)> = (0..lanes).map(|lane| (lane, 5)).collect();
    let logits = block_on(engine.logits(&steps)).expect("logits");
    let bits = |logits: &Vec<f32>| logits.iter().map(|l| l.to_bits()).collect();
    logits.iter().map(bits).collect()
}

fn tokens(outcome: &Outcome) -> Vec<&[u32]> {
    outcome.lanes.iter().map(|lane| &lane.tokens[..]).collect()
}

#[test]
fn a_cache_that_is_cut_anew_is_as_one_that_was_made_so() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 2, 400);
        answer(&mut engine, 2);
        // Once more as it was at first, after all.
        for lanes in [8, 1, 3, 2] {
            engine.set_lanes(lanes).expect("lanes");
            let size = engine.cache_size();
            assert_eq!(size.lanes, lanes);
            assert_eq!(size.capacity, (2 * 401 / lanes).min(401) - 1);
            assert!((0..lanes).all(|lane| engine.tokens(lane).is_empty()));
            let mut made_so = tiny(backend, lanes, size.capacity);
            let (cut, made) = (answer(&mut engine, lanes), answer(&mut made_so, lanes));
            assert_eq!(tokens(&cut), tokens(&made), "{backend:?}, {lanes} lanes");
            let writes = |outcome: &Outcome| {
                let writes = outcome.lanes.iter().map(|lane| lane.write.clone());
                writes.collect::<Vec<_>>()
            };
            assert_eq!(writes(&cut), writes(&made));
            assert!(
                next(&mut engine, lanes) == next(&mut made_so, lanes),
                "{backend:?}, {lanes} lanes"
            );
        }
    }
}

#[test]
fn each_of_eight_lanes_gives_the_tokens_it_gives_alone() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 2, 400);
        engine.set_lanes(8).expect("eight lanes");
        let limits = [9, 30, 1, 17, 44, 23, 5, 38];
        let limits: Vec<_> = limits.into_iter().enumerate().collect();
        check_that_lanes_are_as_alone(&mut engine, &limits);
    }
}

#[test]
fn a_short_lane_ends_with_its_context_and_says_what_helps() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 2, 400);
        engine.set_lanes(8).expect("eight lanes");
        let capacity = engine.cache_size().capacity;
        assert_eq!(capacity, 99);
        let request = |tokens: usize| Request {
            prompt: prompt(tokens as u32),
            lanes: vec![
                LaneRequest {
                    sampling: warm(3),
                    ..LaneRequest::default()
                };
                8
            ],
            max_tokens: 100,
            ..Request::default()
        };
        let observer = &mut |_| ControlFlow::Continue(());
        let outcome = block_on(generate(&mut engine, &request(capacity - 6), observer));
        for lane in outcome.expect("answers").lanes {
            let ended = (lane.tokens.len(), lane.stop_reason);
            assert_eq!(ended, (7, StopReason::ContextFull), "{backend:?}");
        }
        let refused = block_on(generate(&mut engine, &request(capacity + 1), observer));
        let refused = refused.expect_err("too long");
        assert!(matches!(refused, Error::ContextFull { lanes: 8, .. }));
        assert!(refused.to_string().contains("fewer answers at once"));
    }
}

#[test]
fn lanes_that_cannot_be_are_refused() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 2, 200);
        let before = answer(&mut engine, 2);
        let held = engine.tokens(1).to_vec();
        for (lanes, word) in [
            (0, "from 1 to 8"),
            (9, "from 1 to 8"),
            (8, "49 tokens each"),
        ] {
            let refused = engine.set_lanes(lanes).expect_err("a refusal");
            assert!(matches!(refused, Error::InvalidRequest(_)));
            assert!(refused.to_string().contains(word), "{refused}");
        }
        engine.set_lanes(2).expect("as it is");
        assert_eq!(engine.tokens(1), held, "nothing was forgotten");
        assert_eq!(tokens(&answer(&mut engine, 2)), tokens(&before));
    }
    let mut many = tiny(BackendChoice::Cpu, 12, 70);
    many.set_lanes(2).expect("two");
    assert_eq!(many.cache_size().capacity, 70, "no longer than at first");
    many.set_lanes(12).expect("as it was made");
    assert!(many.set_lanes(13).is_err());
}

#[test]
fn memory_is_what_was_allocated_and_stays() {
    let mut engine = tiny(BackendChoice::Gpu, 2, 300);
    let config = engine.model().config.clone();
    let loaded = engine.memory();
    assert_eq!(loaded.wasm, 0, "natively there is none");

    // 100 more positions in each of two lanes: keys and values in f32, and the angles of RoPE.
    let longer = tiny(BackendChoice::Gpu, 2, 400).memory().gpu;
    let slots = |capacity: u64| (2 * (capacity + 1)).next_multiple_of(32);
    let cache = (slots(400) - slots(300)) * 2 * 4 * config.slot_len() as u64;
    assert_eq!(
        longer - loaded.gpu,
        cache + 100 * 4 * config.head_dim as u64
    );
    // The weights lie there as they are in the file, whose header is not.
    let least = slots(300) * 2 * 4 * config.slot_len() as u64 + engine.model().file.bytes * 9 / 10;
    assert!(loaded.gpu > least, "{} {least}", loaded.gpu);

    let mut once = 0;
    for lanes in [2, 8, 2, 8, 2] {
        engine.set_lanes(lanes).expect("lanes");
        assert_eq!(engine.memory().gpu, loaded.gpu + once, "{lanes} lanes");
        answer(&mut engine, lanes);
        // Buffers to read tokens from are kept for the next answer.
        once = once.max(engine.memory().gpu - loaded.gpu);
        assert!(once < 10_000, "{once}");
    }
    let cpu = tiny(BackendChoice::Cpu, 2, 300);
    assert_eq!(cpu.backend_info().kind, BackendKind::Cpu);
    assert_eq!(cpu.memory().gpu, 0);
}
