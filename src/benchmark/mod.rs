//! How fast a device runs a model, and what bounds it.
//!
//! In comes a [`Subject`] (a model that can be loaded more than once) and a [`Plan`] (what to
//! measure, in how much time), out goes a [`Report`]. Speed does not depend on the values of
//! weights, so a [`SyntheticModel`] of the same shape is as good as a real one and needs no file.
//!
//! # How it is measured
//! * Figures are medians. A round takes one sample of each; rounds follow one another until the
//!   time is up, so that what else the machine does meanwhile hits all figures alike. The first
//!   round compiles kernels and fills caches; it counts only where there was time for no other.
//! * *Prefill* is the time until all keys and values of a prompt are in the cache, without the head.
//! * *Decode* is the time of a step that gives every lane its next token, chosen greedily. The
//!   context before it is pretended: attention over it costs the same whatever it holds.
//! * *Steering* is the one write of the method, from the vector in main memory to the cache,
//!   averaged over several writes with one wait; *restart* is a whole request with a new strength,
//!   up to its first token.
//! * *Copy bandwidth* is that of a plain copy of a large buffer, bytes read and written. A decode
//!   step must read every weight once; the *share* is weights over the time of a step, over this
//!   bandwidth. It is a yardstick and not quite a bound: a step only reads, and caches hold some.
//! * *Stage times* come from timestamps around each dispatch ([`GpuDevice::start_stage_times`]).
//!
//! [`GpuDevice::start_stage_times`]: crate::backend::gpu::GpuDevice::start_stage_times

mod bandwidth;
mod decode;
mod group;
mod report;
mod statistics;
mod subject;
mod table;
mod task;

pub use report::{
    About, Bandwidth, DecodeFigure, DeviceReport, ModelReport, PrefillFigure, Report,
    SteeringFigure, Timing,
};
pub use subject::{Subject, SyntheticModel};
pub use table::table;

use crate::observer::Observer;
use crate::{Error, Result};
use group::Group;
use serde::Serialize;
use web_time::{Duration, Instant};

/// What to measure, and how long that may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Lengths of prompts, in tokens.
    pub prefill: Vec<usize>,
    /// Tokens in each lane before the decode steps; several lanes are timed at the first.
    pub contexts: Vec<usize>,
    /// Numbers of lanes; the first should be 1, which the ratios refer to.
    pub lanes: Vec<usize>,
    /// Time for all of it, loading included. What would take longer is left out, but for the first
    /// decode figure.
    pub budget: Duration,
    /// Most rounds; fewer where the time is up before.
    pub rounds: usize,
    /// Bytes that are copied at once to measure the bandwidth.
    pub copy_bytes: u64,
}

impl Plan {
    /// Everything, for the command line.
    pub fn full(budget: Duration) -> Self {
        Self {
            prefill: vec![32, 512],
            contexts: vec![128, 2048],
            lanes: vec![1, 2, 4, 8],
            budget,
            rounds: 7,
            copy_bytes: 256 << 20,
        }
    }

    /// What a visitor's patience allows.
    pub fn quick(budget: Duration) -> Self {
        Self {
            prefill: vec![32],
            contexts: vec![128],
            lanes: vec![1, 2],
            budget,
            rounds: 5,
            copy_bytes: 32 << 20,
        }
    }

    fn check(&self) -> Result<()> {
        let sizes = [&self.prefill, &self.contexts, &self.lanes];
        if sizes.iter().any(|list| list.contains(&0)) || self.contexts.is_empty() {
            return Err(Error::InvalidRequest(
                "a benchmark needs a context, and no size in it may be 0".into(),
            ));
        }
        Ok(())
    }
}

/// How far a benchmark is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// From 0 to 1, of the time that it may take.
    pub part: f64,
    /// What is being measured, in a few words.
    pub doing: String,
}

/// Measures.
///
/// # Errors
/// [`Error::Cancelled`] where the observer breaks, [`Error::InvalidRequest`] for a plan that makes
/// no sense, or what loading and running give.
pub async fn run(
    subject: &mut dyn Subject,
    plan: &Plan,
    about: About,
    observer: &mut dyn Observer<Progress>,
) -> Result<Report> {
    plan.check()?;
    let clock = Clock {
        start: Instant::now(),
        budget: plan.budget,
    };
    let mut report = Report::new(about);
    let groups = Group::of(plan);
    let count = groups.len();
    for (index, group) in groups.into_iter().enumerate() {
        // Each group may use an equal part of the time that is left.
        let now = clock.elapsed();
        let until = now + plan.budget.saturating_sub(now) / (count - index) as u32;
        group
            .measure(subject, plan, (clock, until), &mut report, observer)
            .await?;
    }
    report.seconds = clock.elapsed().as_secs_f64();
    Ok(report)
}

/// The time since the start, beside the time that there is.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    budget: Duration,
}

impl Clock {
    fn elapsed(self) -> Duration {
        self.start.elapsed()
    }

    fn progress(self, doing: impl Into<String>) -> Progress {
        let part = self.elapsed().as_secs_f64() / self.budget.as_secs_f64().max(1e-9);
        Progress {
            part: part.min(1.0),
            doing: doing.into(),
        }
    }
}
