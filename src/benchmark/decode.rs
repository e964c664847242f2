//! The one place that drives decode steps.

use super::task::made_up;
use crate::Result;
use crate::engine::Engine;
use crate::generate::{Sampler, Sampling};
use web_time::Instant;

/// Seconds of `steps` decode steps of the first `lanes` lanes, greedily, each lane with `context`
/// tokens before them. The lanes hold the context alone afterwards.
pub async fn steps(engine: &mut Engine, context: usize, lanes: usize, steps: usize) -> Result<f64> {
    let vocab_size = engine.model().config.vocab_size;
    let tokens = made_up(context, vocab_size);
    let mut samplers = Vec::with_capacity(lanes);
    for lane in 0..lanes {
        engine.pretend(lane, &tokens)?;
        samplers.push(Sampler::new(Sampling::default(), &tokens, vocab_size)?);
    }
    let mut inputs: Vec<(usize, u32)> = (0..lanes).map(|lane| (lane, 1)).collect();
    let start = Instant::now();
    for _ in 0..steps {
        let logits = engine.decode(&inputs).await?;
        for ((input, sampler), logits) in inputs.iter_mut().zip(&mut samplers).zip(&logits) {
            input.1 = sampler.sample(logits)?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    for lane in 0..lanes {
        engine.truncate(lane, context)?;
    }
    Ok(seconds)
}
