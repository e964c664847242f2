//! Generation: from a prompt to the answers of several lanes, as a stream of events.
//!
//! In comes a [`Request`]: one prompt, and for each lane what follows it (an offset), how it is
//! steered and how its tokens are chosen; a lane may have a prompt of its own. [`generate`] then does
//! what the method says:
//!
//! 1. The tokens of a lane are its prompt and its offset. All but the last are prefilled. What the
//!    lanes have in common is computed once, in the first of them, and copied; what a lane still holds
//!    from an earlier request is not computed again. So another strength needs no prefill, and the next
//!    turn of a conversation that of what is new.
//! 2. In a steered lane, the vectors are added to the last cached position.
//! 3. The last token is the first decode input. All lanes that are not finished decode in one
//!    batch per step, so the weights are read once for all of them. The lanes sample their own
//!    tokens; a GPU is some steps ahead of what is read here.
//!
//! The observer gets [`Event`]s and can stop the work; the result is an [`Outcome`].

mod lanes;
mod prefill;
mod repetition;
pub mod sampling;
pub mod stop;

pub use repetition::RepetitionGuard;
pub use sampling::Sampling;
pub use stop::StopReason;

use crate::backend::{CacheSize, LaneToken};
use crate::engine::{DecodeRequest, Engine, SlotWrite};
use crate::model::{Message, Model};
use crate::observer::Observer;
use crate::steering::{Activation, Steering};
use crate::{Error, Result};
use lanes::LaneState;
use serde::Serialize;
use std::ops::ControlFlow;
use web_time::{Duration, Instant};

/// One prompt and what to do with it in each lane. The default asks for nothing, and is refused.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Token ids of the prompt in the model's chat format, with the generation prompt:
    /// [`prompt_ids`] makes them of messages.
    pub prompt: Vec<u32>,
    /// From [`Request::first_lane`] on; no more than the engine has.
    pub lanes: Vec<LaneRequest>,
    /// The engine's lane that is the request's first: events and the outcome count from 0 all the same.
    /// The lanes before it stay as they are.
    pub first_lane: usize,
    /// Tokens of an answer, the end token included; at least 1.
    pub max_tokens: usize,
    /// Whether an answer that repeats itself ends there: see [`RepetitionGuard`].
    pub stop_repeating: bool,
}

/// What to do with the prompt in one lane. The default is a plain, greedy answer.
#[derive(Debug, Clone, Default)]
pub struct LaneRequest {
    /// Token ids of a prompt of this lane's own, instead of the request's.
    pub prompt: Option<Vec<u32>>,
    /// Token ids that follow the prompt; may be empty.
    pub offset: Vec<u32>,
    /// What to add to the cache, if anything; all of it in one write.
    pub steering: Vec<Steering>,
    /// What to add to the residual stream at every step, from the last token of prompt and offset
    /// on: what cache steering is compared with.
    pub activation: Option<Activation>,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

/// What happens during generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A part of the prompt is in the cache.
    Prefill {
        /// Tokens that are done.
        done: usize,
        /// Tokens to do: what is shared counts once, what was cached before not at all.
        total: usize,
    },
    /// A lane has one more token.
    Token {
        /// The lane.
        lane: usize,
        /// The token.
        token: u32,
        /// What it adds to the text: nothing for a special token or a part of a character.
        text: String,
    },
    /// A lane has its answer.
    Finished {
        /// The lane.
        lane: usize,
        /// Why it ended.
        reason: StopReason,
    },
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// One for each lane of the request.
    pub lanes: Vec<LaneOutcome>,
    /// Where the time went.
    pub timings: Timings,
}

/// The answer of one lane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaneOutcome {
    /// The tokens, the end token included.
    pub tokens: Vec<u32>,
    /// Their text, without special tokens.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// From the first decode step to this lane's last token, in milliseconds.
    pub decode_ms: f64,
    /// What steering wrote; `None` in a lane that was not steered.
    pub write: Option<SlotWrite>,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Timings {
    /// Prompt to cache, all lanes together.
    pub prefill_ms: f64,
    /// Tokens that were computed for it: shared ones count once.
    pub prefill_tokens: usize,
    /// The write of the vectors; 0 without steering.
    pub steering_ms: f64,
    /// All decode steps.
    pub decode_ms: f64,
    /// Decode steps; each makes one token in every lane that is not finished.
    pub decode_steps: usize,
    /// From the request to the first token.
    pub first_token_ms: f64,
}

impl LaneOutcome {
    /// Tokens per second of decoding, or 0 for an empty answer.
    pub fn tokens_per_second(&self) -> f64 {
        if self.decode_ms > 0.0 {
            self.tokens.len() as f64 * 1000.0 / self.decode_ms
        } else {
            0.0
        }
    }
}

/// The ids of a conversation in the model's chat format, up to where the answer begins.
///
/// # Errors
/// [`Error::ChatTemplate`] or [`Error::Tokenizer`].
pub fn prompt_ids(model: &Model, messages: &[Message]) -> Result<Vec<u32>> {
    model
        .tokenizer
        .encode_whole(&model.chat.render(messages, true)?)
}

/// Answers a request. A stop by the observer is no error: what was generated up to there is the
/// outcome, with [`StopReason::Cancelled`].
///
/// # Errors
/// [`Error::InvalidRequest`], [`Error::ContextFull`] for a prompt that is longer than a lane,
/// [`Error::VectorMismatch`], [`Error::NotANumber`], or what the backend gives.
pub async fn generate(
    engine: &mut Engine,
    request: &Request,
    observer: &mut dyn Observer<Event>,
) -> Result<Outcome> {
    let mut lanes = request.lane_states(engine)?;
    let mut timings = Timings::default();
    let start = Instant::now();

    let sequences: Vec<&[u32]> = lanes.iter().map(|lane| &lane.sequence[..]).collect();
    let prefilled = prefill::prefill(engine, request.first_lane, &sequences, observer).await;
    timings.prefill_ms = ms(start.elapsed());
    match prefilled {
        Ok(tokens) => timings.prefill_tokens = tokens,
        Err(Error::Cancelled) => return Ok(cancelled(lanes, timings, observer).await),
        Err(error) => return Err(error),
    }

    timings.steering_ms = steer(engine, request, &lanes).await?;

    let stopped = decode(engine, request, &mut lanes, &mut timings, start, observer).await?;
    for (lane, state) in (request.first_lane..).zip(&mut lanes) {
        state.write = engine.slot_write(lane).await?;
    }
    match stopped {
        ControlFlow::Break(()) => Ok(cancelled(lanes, timings, observer).await),
        ControlFlow::Continue(()) => Ok(outcome(lanes, timings)),
    }
}

/// Decodes until all lanes have their answers, or the observer asks for a stop.
async fn decode(
    engine: &mut Engine,
    request: &Request,
    lanes: &mut [LaneState],
    timings: &mut Timings,
    start: Instant,
    observer: &mut dyn Observer<Event>,
) -> Result<ControlFlow<()>> {
    let decode_start = Instant::now();
    engine.start_decode(&request.decode_requests(lanes))?;
    loop {
        let tokens = engine.next_step().await?;
        if tokens.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        timings.decode_steps += 1;
        for LaneToken { lane, token } in tokens {
            let index = lane - request.first_lane;
            let room = engine.cache_size().capacity - engine.tokens(lane).len();
            let lane = &mut lanes[index];
            if lane.stop.is_some() {
                // It repeated itself; the device does not know and goes on with it.
                continue;
            }
            let text = lane.push(token, request.max_tokens, room);
            timings.decode_ms = ms(decode_start.elapsed());
            if timings.first_token_ms == 0.0 {
                timings.first_token_ms = ms(start.elapsed());
            }
            lane.decode_ms = timings.decode_ms;
            let finished = lane.stop.map(|reason| Event::Finished {
                lane: index,
                reason,
            });
            let events = [
                Some(Event::Token {
                    lane: index,
                    token,
                    text,
                }),
                finished,
            ];
            for event in events.into_iter().flatten() {
                if observer.observe(event).await.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        if lanes.iter().all(|lane| lane.stop.is_some()) {
            return Ok(ControlFlow::Continue(()));
        }
    }
}

impl Request {
    /// The prompt of one of its lanes: the lane's own, or that of all.
    pub fn prompt_of<'a>(&'a self, lane: &'a LaneRequest) -> &'a [u32] {
        lane.prompt.as_ref().unwrap_or(&self.prompt)
    }

    fn lane_states(&self, engine: &Engine) -> Result<Vec<LaneState>> {
        let refuse = |what: &str| Error::InvalidRequest(what.into());
        let CacheSize { lanes, capacity } = engine.cache_size();
        if self.lanes.is_empty() {
            return Err(refuse("a request needs at least one lane"));
        }
        let wanted = self.first_lane.saturating_add(self.lanes.len());
        if wanted > lanes {
            return Err(Error::InvalidRequest(format!(
                "the request needs {wanted} lanes, but the KV cache has {lanes}"
            )));
        }
        if self.max_tokens == 0 {
            return Err(refuse("ask for at least one token"));
        }
        self.lanes
            .iter()
            .map(|lane| {
                let sequence = [self.prompt_of(lane), &lane.offset].concat();
                if sequence.len() > capacity {
                    return Err(engine.context_full(sequence.len()));
                }
                match sequence.len() {
                    0 => return Err(refuse("the prompt is empty")),
                    1 if !lane.steering.is_empty() => {
                        return Err(refuse("a prompt of one token has no position to steer"));
                    }
                    _ => {}
                }
                lane.sampling.check()?;
                Ok(LaneState::new(
                    engine.model(),
                    sequence,
                    self.stop_repeating,
                ))
            })
            .collect()
    }

    /// What each lane decodes from: the last token of its sequence, which is not cached yet.
    fn decode_requests(&self, lanes: &[LaneState]) -> Vec<DecodeRequest> {
        lanes
            .iter()
            .enumerate()
            .filter_map(|(lane, state)| {
                Some(DecodeRequest {
                    lane: self.first_lane + lane,
                    input: *state.sequence.last()?,
                    sampling: self.lanes[lane].sampling,
                    limit: self.max_tokens,
                    activation: self.lanes[lane].activation.clone(),
                })
            })
            .collect()
    }
}

/// Writes the vectors and gives the milliseconds that it took.
async fn steer(engine: &mut Engine, request: &Request, lanes: &[LaneState]) -> Result<f64> {
    let start = Instant::now();
    let mut written = false;
    for (index, (lane, state)) in request.lanes.iter().zip(lanes).enumerate() {
        if !lane.steering.is_empty() {
            let last_cached = state.sequence.len() - 2;
            let index = request.first_lane + index;
            written |= engine.steer(index, last_cached, &lane.steering).await?;
        }
    }
    if !written {
        return Ok(0.0);
    }
    engine.finish().await?;
    Ok(ms(start.elapsed()))
}

/// Ends the lanes that are not finished and tells the observer, who cannot object any more.
async fn cancelled(
    mut lanes: Vec<LaneState>,
    timings: Timings,
    observer: &mut dyn Observer<Event>,
) -> Outcome {
    for (lane, state) in lanes.iter_mut().enumerate() {
        if state.stop.is_none() {
            state.stop = Some(StopReason::Cancelled);
            let _ = observer
                .observe(Event::Finished {
                    lane,
                    reason: StopReason::Cancelled,
                })
                .await;
        }
    }
    outcome(lanes, timings)
}

fn outcome(lanes: Vec<LaneState>, timings: Timings) -> Outcome {
    Outcome {
        lanes: lanes.into_iter().map(LaneState::into_outcome).collect(),
        timings,
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
