//! The one place that drives decode steps.

use super::task::made_up;
use crate::Result;
use crate::engine::{DecodeRequest, Engine};
use crate::generate::Sampling;
use web_time::Instant;

/// Seconds of `steps` decode steps of the first `lanes` lanes, greedily, each lane with `context`
/// tokens before them. The lanes hold the context alone afterwards.
pub async fn steps(engine: &mut Engine, context: usize, lanes: usize, steps: usize) -> Result<f64> {
    let tokens = made_up(context, engine.model().config.vocab_size);
    for lane in 0..lanes {
        engine.pretend(lane, &tokens)?;
    }
    let start = Instant::now();
    let mut left = steps;
    while left > 0 {
        let requests: Vec<DecodeRequest> = (0..lanes)
            .map(|lane| DecodeRequest {
                lane,
                input: 1,
                sampling: Sampling::default(),
                limit: left,
                activation: None,
            })
            .collect();
        engine.start_decode(&requests)?;
        // A lane that ends before its limit would make the others' steps cheaper. What it says is
        // of no interest, so all begin again.
        while left > 0 && engine.next_step().await?.len() == lanes {
            left -= 1;
        }
        for lane in 0..lanes {
            engine.truncate(lane, context)?;
        }
    }
    Ok(start.elapsed().as_secs_f64())
}
