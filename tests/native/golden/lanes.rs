//! What the engine promises of its lanes, on the real model.

use super::{Golden, check_answers, engine, golden, runs, vector};
use cache_steering::engine::EngineOptions;
use cache_steering::generate::{Event, LaneRequest, Request, StopReason, generate, prompt_ids};
use cache_steering::model::Message;
use cache_steering::steering::{Steering, SteeringVector, Strength};
use cache_steering::{Engine, Error};
use pollster::block_on;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A vector at the default strength.
fn steering(vector: Arc<SteeringVector>) -> Steering {
    Steering {
        vector,
        strength: Strength::default(),
    }
}

/// The logits of `steps` greedy steps of each lane, which all hold all of `sequence` but its last
/// token.
fn greedy_logits(engine: &mut Engine, lanes: &[usize], last: u32, steps: usize) -> Vec<Vec<u32>> {
    let mut tokens = vec![last; lanes.len()];
    let mut bits = vec![Vec::new(); lanes.len()];
    for _ in 0..steps {
        let batch: Vec<(usize, u32)> = lanes.iter().copied().zip(tokens.iter().copied()).collect();
        let logits = block_on(engine.logits(&batch)).expect("logits");
        for (lane, logits) in logits.iter().enumerate() {
            let best = logits.iter().copied().fold(f32::MIN, f32::max);
            tokens[lane] = logits.iter().position(|&l| l == best).expect("the largest") as u32;
            bits[lane].extend(logits.iter().map(|l| l.to_bits()));
        }
    }
    bits
}

/// With both coefficients 0, the logits are those of the same prompt unsteered, to the last bit:
/// as two lanes of a batch, and each alone. (A coefficient that is not 0 must change them, or the
/// comparison would say nothing.)
pub fn zero_strength(options: EngineOptions) {
    let golden: Golden = golden("golden.json");
    let vector = vector("stepwise");
    let sequence = [
        &golden.prompts[1].input_ids[..],
        &[golden.protocol.offset_token_id],
    ]
    .concat();
    let (&last, cached) = sequence.split_last().expect("tokens");
    let zero = Strength {
        values: 0.0,
        keys: 0.0,
        first_layer: 0,
        ..Strength::default()
    };
    let mut engine = engine(options, 2, 128);
    let mut run = |strengths: [Option<Strength>; 2], lanes: &[usize]| {
        for &lane in lanes {
            engine.truncate(lane, 0).expect("a lane");
            block_on(engine.prefill(&[(lane, cached)], &mut |_| ControlFlow::Continue(())))
                .expect("a prefill");
            if let Some(strength) = strengths[lane] {
                let steering = Steering {
                    vector: vector.clone(),
                    strength,
                };
                let written = block_on(engine.steer(lane, cached.len() - 1, &[steering]));
                assert_eq!(written.expect("steering"), !strength.is_zero());
            }
        }
        greedy_logits(&mut engine, lanes, last, 4)
    };
    let together = run([None, Some(zero)], &[0, 1]);
    assert!(together[0] == together[1], "one batch");
    let plain = run([None, None], &[0]);
    let steered = run([None, Some(zero)], &[1]);
    assert!(plain == steered, "one lane at a time");
    let different = run([None, Some(Strength::default())], &[0, 1]);
    assert!(
        different[0] == together[0] && different[1] != together[1],
        "a real strength"
    );
}

/// A second request that begins like the first computes only the rest, and a steered position is
/// taken back to what it was.
pub fn reuse(options: EngineOptions) {
    let golden: Golden = golden("golden.json");
    let prompt = &golden.prompts[1];
    let all = runs(prompt, golden.protocol.offset_token_id);
    let lane = |name: &str| {
        all.iter()
            .find(|run| run.0 == name)
            .map(|run| run.1.clone())
            .expect("a run")
    };
    let mut engine = engine(options, 2, 256);
    let mut answer = |lanes: Vec<LaneRequest>| {
        let request = Request {
            prompt: prompt.input_ids.clone(),
            lanes,
            max_tokens: 8,
            stop_repeating: false,
            ..Request::default()
        };
        block_on(generate(&mut engine, &request, &mut |_| {
            ControlFlow::Continue(())
        }))
        .expect("an answer")
    };
    let n = prompt.input_ids.len();
    let first = answer(vec![lane("stepwise@6")]);
    assert_eq!(
        first.timings.prefill_tokens, n,
        "everything but the offset token"
    );
    let plain = answer(vec![lane("offset_only@0")]);
    assert_eq!(
        plain.timings.prefill_tokens, 0,
        "the position that was steered gets back what it was"
    );
    let again = answer(vec![lane("offset_only@0"), lane("stepwise@6")]);
    assert_eq!(again.timings.prefill_tokens, 0, "everything is there");
    assert_eq!(again.lanes[0].tokens, plain.lanes[0].tokens);
    assert_eq!(again.lanes[1].tokens, first.lanes[0].tokens);
    assert_ne!(plain.lanes[0].tokens, first.lanes[0].tokens);
}

/// Eight answers at once, in the memory of two lanes.
pub fn eight(options: EngineOptions) {
    let golden: Golden = golden("golden.json");
    let prompt = &golden.prompts[1];
    let mut runs = runs(prompt, golden.protocol.offset_token_id);
    runs.extend(runs[4..].to_vec());
    let mut engine = engine(options, 2, 512);
    engine.set_lanes(runs.len()).expect("eight lanes");
    assert_eq!(engine.cache_size().capacity, 2 * 513 / 8 - 1);
    check_answers(&mut engine, prompt, &runs, 16);
}

/// The second turn of a conversation in which the two lanes answered differently.
pub fn turns(options: EngineOptions) {
    let golden: Golden = golden("golden.json");
    let asked = &golden.prompts[1];
    let offset = vec![golden.protocol.offset_token_id];
    let lane = |prompt: &[u32], steerings: Vec<Steering>| LaneRequest {
        prompt: Some(prompt.to_vec()),
        offset: match steerings.is_empty() {
            true => Vec::new(),
            false => offset.clone(),
        },
        steering: steerings,
        ..LaneRequest::default()
    };
    let answer = |engine: &mut Engine, prompts: &[Vec<u32>]| {
        let steering = steering(vector("stepwise"));
        let request = Request {
            lanes: vec![
                lane(&prompts[0], Vec::new()),
                lane(&prompts[1], vec![steering]),
            ],
            max_tokens: 6,
            ..Request::default()
        };
        let go_on = &mut |_| ControlFlow::Continue(());
        block_on(generate(engine, &request, go_on)).expect("answers")
    };
    let mut warm = engine(options, 2, 256);
    let first = vec![asked.input_ids.clone(); 2];
    let told = answer(&mut warm, &first);
    assert_ne!(told.lanes[0].tokens, told.lanes[1].tokens);

    let second: Vec<Vec<u32>> = told
        .lanes
        .iter()
        .map(|lane| {
            let mut messages = asked.messages.clone();
            for (role, content) in [("assistant", &*lane.text), ("user", "Are you sure?")] {
                messages.push(Message {
                    role: role.into(),
                    content: content.into(),
                });
            }
            prompt_ids(warm.model(), &messages).expect("a prompt")
        })
        .collect();
    let common = |a: &[u32], b: &[u32]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let shared = common(&second[0], &second[1]);
    let held = [
        common(warm.tokens(0), &second[0]).max(shared),
        // From the steered position on, everything is as steering made it.
        common(&first[1], &second[1]).max(shared),
    ];
    assert!(held[0] > first[0].len(), "the plain answer is kept");
    let outcome = answer(&mut warm, &second);
    let new = second[0].len() - 1 - held[0] + second[1].len() - held[1];
    assert_eq!(outcome.timings.prefill_tokens, new);
    let fresh = answer(&mut engine(options, 2, 256), &second);
    for (lane, fresh) in outcome.lanes.iter().zip(&fresh.lanes) {
        assert_eq!(lane.tokens, fresh.tokens, "{:?}", lane.text);
    }
}

/// A stop ends every lane within one token and keeps what was there.
pub fn stop(options: EngineOptions) {
    let golden: Golden = golden("golden.json");
    let prompt = &golden.prompts[1];
    let lanes = runs(prompt, golden.protocol.offset_token_id);
    let lanes = lanes.into_iter().take(2).map(|run| run.1).collect();
    let request = Request {
        prompt: prompt.input_ids.clone(),
        lanes,
        max_tokens: 48,
        stop_repeating: false,
        ..Request::default()
    };
    let mut tokens = 0;
    let mut observer = |event| {
        tokens += usize::from(matches!(event, Event::Token { .. }));
        if tokens == 4 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut engine = engine(options, 2, 256);
    let outcome = block_on(generate(&mut engine, &request, &mut observer)).expect("an answer");
    let answers: Vec<_> = outcome
        .lanes
        .iter()
        .map(|l| (l.tokens.len(), l.stop_reason))
        .collect();
    assert_eq!(answers, [(2, StopReason::Cancelled); 2]);

    let mut at_once = |_| ControlFlow::Break(());
    engine.truncate(0, 0).expect("a lane");
    let outcome = block_on(generate(&mut engine, &request, &mut at_once)).expect("an answer");
    assert!(outcome.lanes.iter().all(|lane| lane.tokens.is_empty()));
}

/// Whatever a caller asks for, the engine checks it before the backend sees it.
pub fn refusals(options: EngineOptions) {
    let mut engine = engine(options, 1, 8);
    let mut go_on = |_| ControlFlow::Continue(());
    let refused = |result: Result<(), Error>, word: &str| {
        let error = result.expect_err("a refusal");
        assert!(
            matches!(error, Error::InvalidRequest(_) | Error::ContextFull { .. })
                && error.to_string().contains(word),
            "{error}"
        );
    };
    refused(
        block_on(engine.prefill(&[(1, &[0])], &mut go_on)),
        "no lane 1",
    );
    refused(
        block_on(engine.prefill(&[(0, &[0]), (0, &[1])], &mut go_on)),
        "twice",
    );
    refused(
        block_on(engine.prefill(&[(0, &[49152])], &mut go_on)),
        "no token 49152",
    );
    refused(
        block_on(engine.prefill(&[(0, &[1; 9])], &mut go_on)),
        "context of 8",
    );
    refused(
        block_on(engine.read_slot(0, 0)).map(drop),
        "nothing at position 0",
    );
    refused(
        block_on(engine.steer(0, 0, &[steering(vector("cot"))])).map(drop),
        "position 0",
    );
    refused(
        block_on(engine.score(&[1], &mut go_on)).map(drop),
        "two tokens",
    );
    let mut small = SteeringVector::clone(&vector("cot"));
    small.dims[0] = 32;
    let error = block_on(engine.steer(0, 0, &[steering(Arc::new(small))])).expect_err("a refusal");
    assert!(
        matches!(&error, Error::VectorMismatch { .. })
            && error.to_string().contains("32 layers")
            && error.to_string().contains("30 layers"),
        "{error}"
    );
    let mut request = Request {
        prompt: vec![1; 8],
        lanes: vec![LaneRequest::default()],
        max_tokens: 4,
        stop_repeating: false,
        ..Request::default()
    };
    let outcome = block_on(generate(&mut engine, &request, &mut |_| {
        ControlFlow::Continue(())
    }));
    let lane = &outcome.expect("one token fits").lanes[0];
    assert_eq!(
        (lane.tokens.len(), lane.stop_reason),
        (1, StopReason::ContextFull)
    );
    request.prompt.clear();
    let outcome = block_on(generate(&mut engine, &request, &mut |_| {
        ControlFlow::Continue(())
    }));
    refused(outcome.map(drop), "empty");
}
