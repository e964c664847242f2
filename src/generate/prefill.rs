//! The prompt's way into the cache of all lanes.

use super::Event;
use crate::Result;
use crate::engine::{Engine, PrefillProgress};
use crate::observer::Observer;
use async_trait::async_trait;
use std::ops::ControlFlow;

/// Brings all but the last token of each lane's sequence into the cache and gives the number of
/// tokens that had to be computed.
pub(super) async fn prefill(
    engine: &mut Engine,
    sequences: &[&[u32]],
    observer: &mut dyn Observer<Event>,
) -> Result<usize> {
    let cached: Vec<&[u32]> = sequences
        .iter()
        .map(|s| &s[..s.len().saturating_sub(1)])
        .collect();
    let Some((&first, others)) = cached.split_first() else {
        return Ok(0);
    };
    let shared = others
        .iter()
        .map(|other| first.iter().zip(*other).take_while(|(a, b)| a == b).count())
        .min()
        .unwrap_or(first.len());
    let kept = engine.keep_prefix(0, &first[..shared])?;
    let rests: Vec<(usize, &[u32])> = cached
        .iter()
        .map(|tokens| &tokens[shared..])
        .enumerate()
        .collect();

    let total = shared - kept + rests.iter().map(|(_, rest)| rest.len()).sum::<usize>();
    let mut observer = PrefillEvents {
        observer,
        before: 0,
        total,
    };
    engine
        .prefill(&[(0, &first[kept..shared])], &mut observer)
        .await?;
    // Always copied, even where a lane holds these tokens already: equal lanes must be equal to
    // the last bit.
    for lane in 1..cached.len() {
        engine.copy_lane(0, lane)?;
    }
    observer.before = shared - kept;
    engine.prefill(&rests, &mut observer).await?;
    Ok(total)
}

/// Turns the progress of one prefill into that of all.
struct PrefillEvents<'a> {
    observer: &'a mut dyn Observer<Event>,
    before: usize,
    total: usize,
}

#[async_trait(?Send)]
impl Observer<PrefillProgress> for PrefillEvents<'_> {
    async fn observe(&mut self, progress: PrefillProgress) -> ControlFlow<()> {
        let done = self.before + progress.done;
        self.observer
            .observe(Event::Prefill {
                done,
                total: self.total,
            })
            .await
    }
}
