//! The measurements, one sample at a time.

use super::decode;
use crate::backend::CacheSize;
use crate::engine::{Engine, PrefillProgress};
use crate::generate::{Event, LaneRequest, Request, generate};
use crate::model::ModelConfig;
use crate::observer::Observer;
use crate::steering::{Steering, SteeringVector, Strength, VectorMetadata};
use crate::{Error, Result};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use web_time::Instant;

/// Positions that a lane needs beyond its context.
pub const ROOM: usize = 144;

/// A decode sample is of as many steps as fit this time, from 1 to [`MOST_STEPS`].
const SAMPLE_SECONDS: f64 = 0.25;
const MOST_STEPS: usize = 128;

/// Writes in one sample; one wait at their end. So many, because browsers' clocks tick every 100 us, and a
/// write to main memory takes two.
const WRITES: usize = 256;

/// One thing to measure. Samples are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Reading a prompt.
    Prefill { tokens: usize },
    /// One decode step.
    Decode { context: usize, lanes: usize },
    /// One write to the cache.
    Steering { context: usize },
    /// From a new strength to the first token.
    Restart { context: usize },
}

impl Task {
    /// Whether a cache is large enough.
    pub fn fits(self, cache: CacheSize) -> bool {
        let (lanes, positions) = match self {
            Self::Prefill { tokens } => (1, tokens),
            Self::Decode { context, lanes } => (lanes, context + MOST_STEPS),
            Self::Steering { context } => (1, context),
            Self::Restart { context } => (1, context + 2),
        };
        lanes <= cache.lanes && positions <= cache.capacity
    }

    /// Seconds that a first sample may take, where a decode step of one lane takes `step`; a batch
    /// is at least twice as fast as its rows one by one.
    pub fn estimate(self, step: f64) -> f64 {
        match self {
            Self::Prefill { tokens } => tokens as f64 * step / 2.0,
            Self::Decode { lanes, .. } => lanes as f64 * step,
            Self::Steering { .. } => step,
            // Two requests of two lanes, each a token to read and one to write.
            Self::Restart { .. } => 8.0 * step,
        }
    }

    /// Takes one sample. `step` is the milliseconds of an earlier one of the same task, which says
    /// how much of it fits a sample.
    pub async fn sample(
        self,
        engine: &mut Engine,
        step: Option<f64>,
        observer: &mut dyn Observer<()>,
    ) -> Result<f64> {
        match self {
            Self::Prefill { tokens } => prefill(engine, tokens, observer).await,
            Self::Decode { context, lanes } => {
                let fitting = step.map_or(1.0, |ms| SAMPLE_SECONDS * 1000.0 / ms.max(1e-3));
                let steps = (fitting as usize).clamp(1, MOST_STEPS);
                let seconds = decode::steps(engine, context, lanes, steps).await?;
                Ok(seconds * 1000.0 / steps as f64)
            }
            Self::Steering { context } => steering(engine, context).await,
            Self::Restart { context } => restart(engine, context, observer).await,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Prefill { tokens } => write!(f, "prefill of {tokens} tokens"),
            Self::Decode { context, lanes: 1 } => write!(f, "decode at {context} tokens"),
            Self::Decode { context, lanes } => {
                write!(f, "decode of {lanes} lanes at {context} tokens")
            }
            Self::Steering { .. } => write!(f, "the steering write"),
            Self::Restart { .. } => write!(f, "the first token after a new strength"),
        }
    }
}

/// Tokens that are all in the vocabulary and none of them special.
pub fn made_up(count: usize, vocab_size: usize) -> Vec<u32> {
    let ordinary = vocab_size.saturating_sub(8).max(1);
    (0..count)
        .map(|i| (vocab_size - ordinary + i * 7919 % ordinary) as u32)
        .collect()
}

async fn prefill(
    engine: &mut Engine,
    tokens: usize,
    observer: &mut dyn Observer<()>,
) -> Result<f64> {
    let prompt = made_up(tokens, engine.model().config.vocab_size);
    engine.truncate(0, 0)?;
    let mut inner = Forward(observer);
    let start = Instant::now();
    engine.prefill(&[(0, &prompt)], &mut inner).await?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

async fn steering(engine: &mut Engine, context: usize) -> Result<f64> {
    let vector = Arc::new(vector(&engine.model().config));
    // There and back, so that the cache does not grow.
    let steering = [1.0, -1.0].map(|factor| {
        [Steering {
            vector: vector.clone(),
            strength: strength(factor),
        }]
    });
    engine.pretend(0, &made_up(context, engine.model().config.vocab_size))?;
    engine.finish().await?;
    let start = Instant::now();
    for n in 0..WRITES {
        engine.steer(0, context - 1, &steering[n % 2]).await?;
    }
    engine.finish().await?;
    Ok(start.elapsed().as_secs_f64() * 1000.0 / WRITES as f64)
}

/// The second of two requests that differ in the strength alone.
async fn restart(
    engine: &mut Engine,
    context: usize,
    observer: &mut dyn Observer<()>,
) -> Result<f64> {
    let config = &engine.model().config;
    let prompt = made_up(context, config.vocab_size);
    let offset = vec![config.vocab_size as u32 - 1];
    let vector = Arc::new(vector(config));
    let lanes = engine.cache_size().lanes.min(2);
    for lane in 0..lanes {
        engine.pretend(lane, &prompt)?;
    }
    let mut ms = 0.0;
    for factor in [1.0, 1.5] {
        let plain = LaneRequest {
            offset: offset.clone(),
            ..LaneRequest::default()
        };
        let steered = LaneRequest {
            steering: vec![Steering {
                vector: vector.clone(),
                strength: strength(factor),
            }],
            ..plain.clone()
        };
        let both = [plain, steered];
        let request = Request {
            prompt: prompt.clone(),
            lanes: both[2 - lanes..].to_vec(),
            max_tokens: 1,
            stop_repeating: false,
            ..Request::default()
        };
        let mut inner = Forward(observer);
        let outcome = generate(engine, &request, &mut inner).await?;
        if outcome.lanes.iter().any(|lane| lane.tokens.is_empty()) {
            return Err(Error::Cancelled);
        }
        ms = outcome.timings.first_token_ms;
    }
    Ok(ms)
}

fn strength(factor: f32) -> Strength {
    Strength {
        values: factor,
        keys: 0.0,
        ..Strength::default()
    }
}

/// A vector that fits the model and moves little.
fn vector(config: &ModelConfig) -> SteeringVector {
    let wave: Vec<f32> = (0..config.slot_len())
        .map(|i| 1e-3 * (i as f32).sin())
        .collect();
    SteeringVector {
        keys: wave.clone(),
        values: wave,
        dims: [config.n_layers, config.n_kv_heads, config.head_dim],
        metadata: VectorMetadata::default(),
    }
}

/// Hears of prefilled batches and generated tokens, and passes on that there was something.
struct Forward<'a>(&'a mut dyn Observer<()>);

#[async_trait::async_trait(?Send)]
impl Observer<PrefillProgress> for Forward<'_> {
    async fn observe(&mut self, _: PrefillProgress) -> ControlFlow<()> {
        self.0.observe(()).await
    }
}

#[async_trait::async_trait(?Send)]
impl Observer<Event> for Forward<'_> {
    async fn observe(&mut self, _: Event) -> ControlFlow<()> {
        self.0.observe(()).await
    }
}
