//! The prompt's way into the cache of all lanes.

use super::Event;
use crate::Result;
use crate::engine::{Engine, PrefillProgress};
use crate::observer::Observer;
use async_trait::async_trait;
use std::ops::ControlFlow;

/// Brings all but the last token of each sequence into the cache, in lanes from `first_lane` on, and
/// gives the number of tokens that had to be computed.
///
/// What the sequences have in common is computed once and copied, even to where it is already, and so is
/// a sequence that comes twice: equal lanes must be equal to the last bit. Only a lane that still holds
/// more of a sequence of its own keeps that.
pub(super) async fn prefill(
    engine: &mut Engine,
    first_lane: usize,
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
    let lanes = || (first_lane..).zip(&cached);
    let mut total = 0;
    let mut copies = Vec::new();
    let mut rests = Vec::new();
    for (lane, tokens) in lanes() {
        if let Some((twin, _)) = lanes().find(|(_, other)| *other == tokens)
            && twin < lane
        {
            copies.push((twin, lane));
            continue;
        }
        let kept = engine.keep_prefix(lane, tokens)?;
        if lane > first_lane && kept <= shared {
            engine.truncate(lane, 0)?;
        }
        let start = kept.max(shared);
        rests.push((lane, &tokens[start..]));
        total += tokens.len() - start;
    }
    let shared_rest = first.get(engine.tokens(first_lane).len()..shared);
    let shared_rest = shared_rest.unwrap_or_default();
    total += shared_rest.len();

    let mut observer = PrefillEvents {
        observer,
        before: 0,
        total,
    };
    engine
        .prefill(&[(first_lane, shared_rest)], &mut observer)
        .await?;
    for &(lane, _) in &rests {
        if engine.tokens(lane).is_empty() {
            engine.copy_lane(first_lane, lane)?;
            engine.truncate(lane, shared)?;
        }
    }
    observer.before = shared_rest.len();
    engine.prefill(&rests, &mut observer).await?;
    for (from, to) in copies {
        engine.copy_lane(from, to)?;
    }
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
