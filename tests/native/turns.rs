//! Conversations of several turns, in which each lane has what it said before, and answers that are made
//! anew beside one that stays.

use crate::tiny_engine::{BACKENDS, prompt, steering, tiny, warm};
use cache_steering::Engine;
use cache_steering::generate::{Event, LaneRequest, Outcome, Request, generate};
use cache_steering::model::synthetic;
use cache_steering::steering::Steering;
use pollster::block_on;
use std::ops::ControlFlow;

const OFFSET: u32 = 21;

fn plain() -> LaneRequest {
    LaneRequest {
        sampling: warm(1),
        ..LaneRequest::default()
    }
}

fn steered(strength: f32) -> LaneRequest {
    LaneRequest {
        offset: vec![OFFSET],
        steering: steering(strength),
        ..plain()
    }
}

fn request(lanes: Vec<LaneRequest>) -> Request {
    Request {
        prompt: prompt(30),
        lanes,
        max_tokens: 12,
        ..Request::default()
    }
}

fn answer(engine: &mut Engine, request: &Request) -> Outcome {
    let observer = &mut |_| ControlFlow::Continue(());
    block_on(generate(engine, request, observer)).expect("answers")
}

fn tokens(outcome: &Outcome) -> Vec<&[u32]> {
    outcome.lanes.iter().map(|lane| &lane.tokens[..]).collect()
}

/// How many tokens two sequences begin with together.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[test]
fn a_turn_prefills_what_is_new_in_each_lane() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 2, 200);
        let lanes = || vec![plain(), steered(4.0)];
        let first = answer(&mut engine, &request(lanes()));
        assert_eq!(first.timings.prefill_tokens, 30, "all but the last token");
        let mut histories = [prompt(30), prompt(30)];
        let mut answers: Vec<Vec<u32>> = tokens(&first).iter().map(|t| t.to_vec()).collect();
        for turn in [2, 3] {
            // What no steering has touched of the steered lane's history.
            let held = histories[1].len();
            let said = 10 + turn;
            for (history, said_before) in histories.iter_mut().zip(&answers) {
                history.extend(said_before);
                history.extend(prompt(said));
            }
            let mut asked = request(lanes());
            for (lane, history) in asked.lanes.iter_mut().zip(&histories) {
                lane.prompt = Some(history.clone());
            }
            let outcome = answer(&mut engine, &asked);
            let fresh = answer(&mut tiny(backend, 2, 200), &asked);
            assert_eq!(tokens(&outcome), tokens(&fresh), "{backend:?}, turn {turn}");

            let [plain, steered] = &histories;
            let shared = common(plain, steered);
            // The plain lane holds its answer but for the last token, which was sampled and not fed. The
            // steered one holds it as steering made it. The last token of a sequence is fed later.
            let new = 1 + said as usize - 1 + steered.len() - held.max(shared);
            assert_eq!(
                outcome.timings.prefill_tokens, new,
                "{backend:?}, turn {turn}"
            );
            let all = plain.len() - 1 + steered.len() - shared;
            assert_eq!(fresh.timings.prefill_tokens, all, "turn {turn}");
            answers = tokens(&outcome).iter().map(|t| t.to_vec()).collect();
        }
        assert_ne!(answers[0], answers[1], "{backend:?}");
    }
}

/// Two lanes with one history, beside a third with another, are computed once.
#[test]
fn equal_lanes_beside_another_are_equal_to_the_last_bit() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 3, 200);
        let own = |count| LaneRequest {
            prompt: Some([prompt(30), prompt(count)].concat()),
            ..plain()
        };
        // An earlier request leaves the last lane with a beginning that other batches have computed.
        let mut before = request(vec![own(7), own(40), own(50)]);
        before.lanes.truncate(2);
        answer(&mut engine, &before);
        let asked = request(vec![own(50), own(40), own(50)]);
        let outcome = answer(&mut engine, &asked);
        assert_eq!(outcome.lanes[0].tokens, outcome.lanes[2].tokens);
        // 50 of the first lane, and nothing of the second, which holds its sequence.
        assert_eq!(outcome.timings.prefill_tokens, 49, "{backend:?}");
        let steps = [0, 1, 2].map(|lane| (lane, 5));
        let next = block_on(engine.logits(&steps)).expect("logits");
        assert!(next[0] == next[2], "{backend:?}");
        assert!(next[0] != next[1], "{backend:?}");
    }
}

#[test]
fn an_answer_is_made_anew_beside_one_that_stays() {
    for backend in BACKENDS {
        let mut engine = tiny(backend, 2, 200);
        let go_on = &mut |_| ControlFlow::Continue(());
        answer(&mut engine, &request(vec![plain(), steered(2.0)]));
        let stays = engine.tokens(0).to_vec();
        let mut last = Vec::new();
        for strength in [6.0, -3.0] {
            let both = answer(
                &mut tiny(backend, 2, 200),
                &request(vec![plain(), steered(strength)]),
            );
            let again = Request {
                first_lane: 1,
                ..request(vec![steered(strength)])
            };
            let mut events = Vec::new();
            let mut observer = |event| {
                events.push(event);
                ControlFlow::Continue(())
            };
            let outcome = block_on(generate(&mut engine, &again, &mut observer)).expect("one");
            assert_eq!(tokens(&outcome), tokens(&both)[1..], "{backend:?}");
            last.clone_from(&outcome.lanes[0].tokens);
            assert_eq!(outcome.lanes[0].write, both.lanes[1].write);
            assert_eq!(outcome.timings.prefill_tokens, 0, "{backend:?}");
            assert_eq!(engine.tokens(0), stays, "{backend:?}");
            let numbered = events.iter().all(|event| match event {
                Event::Token { lane, .. } | Event::Finished { lane, .. } => *lane == 0,
                Event::Prefill { .. } => false,
            });
            assert!(numbered && events.len() == outcome.lanes[0].tokens.len() + 1);
        }
        let found = block_on(engine.inspect(0, 1, &last, go_on)).expect("an inspection");
        assert_eq!(found.position, 29);

        let beyond = Request {
            first_lane: 2,
            ..request(vec![plain()])
        };
        let refused = block_on(generate(&mut engine, &beyond, &mut |_| {
            ControlFlow::Continue(())
        }));
        let refused = refused.expect_err("no such lane").to_string();
        assert!(refused.contains("needs 3 lanes"), "{refused}");
    }
}

#[test]
fn what_the_write_did_is_told_by_layer() {
    let config = synthetic::tiny();
    let length = |values: &[f32]| {
        let squares = values.iter().map(|&v| f64::from(v) * f64::from(v));
        squares.sum::<f64>().sqrt()
    };
    for backend in BACKENDS {
        let mut engine = tiny(backend, 3, 200);
        let outcome = answer(
            &mut engine,
            &request(vec![plain(), steered(2.0), steered(0.0)]),
        );
        let [None, Some(write), None] = [0, 1, 2].map(|lane| outcome.lanes[lane].write.as_ref())
        else {
            panic!("{backend:?}: one lane alone was steered");
        };
        assert_eq!(write.position, 29, "the last one before the offset");
        // The plain lane holds what was there; keys are turned, which changes no length.
        let slot = block_on(engine.read_slot(0, 29)).expect("a slot");
        let Steering { vector, .. } = &steering(2.0)[0];
        let parts = [
            (&write.values, &vector.values, &slot.values, 2.0),
            (&write.keys, &vector.keys, &slot.keys, 0.5),
        ];
        for (told, added, before, strength) in parts {
            assert_eq!(told.len(), config.n_layers);
            for (layer, &told) in told.iter().enumerate() {
                let of_layer = layer * config.kv_width()..(layer + 1) * config.kv_width();
                let expected = match layer {
                    0 => 0.0,
                    _ => strength * length(&added[of_layer.clone()]) / length(&before[of_layer]),
                };
                let error = (f64::from(told) - expected).abs();
                assert!(error <= 1e-4 * expected, "{backend:?}: {told} {expected}");
            }
        }
    }
}
