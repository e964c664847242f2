//! Measurements that share a loaded model, in rounds.

use super::report::Report;
use super::subject::Subject;
use super::task::{ROOM, Task};
use super::{Clock, Plan, Progress, bandwidth, decode};
use crate::backend::CacheSize;
use crate::engine::Engine;
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use std::ops::ControlFlow;
use web_time::{Duration, Instant};

/// Decode steps that the stage times are averaged over.
const PROFILED_STEPS: usize = 4;

/// Tasks, and the KV cache that they need.
pub struct Group {
    cache: CacheSize,
    tasks: Vec<Task>,
    /// Whether it measures the device itself as well.
    first: bool,
}

impl Group {
    /// The plan in two groups: several lanes with little context, then one lane with much. One
    /// cache for both would be larger than many adapters bind.
    pub fn of(plan: &Plan) -> Vec<Self> {
        let context = plan.contexts[0];
        let capacity = context + ROOM;
        let short = |&tokens: &usize| tokens <= capacity;
        let mut tasks: Vec<Task> = plan
            .lanes
            .iter()
            .map(|&lanes| Task::Decode { context, lanes })
            .collect();
        tasks.push(Task::Steering { context });
        tasks.push(Task::Restart { context });
        let prefill = |tokens: &usize| Task::Prefill { tokens: *tokens };
        tasks.extend(plan.prefill.iter().filter(|n| short(n)).map(prefill));
        let mut groups = vec![Self {
            cache: CacheSize {
                lanes: plan.lanes.iter().copied().max().unwrap_or(1),
                capacity,
            },
            tasks,
            first: true,
        }];
        let mut tasks: Vec<Task> = plan.contexts[1..]
            .iter()
            .map(|&context| Task::Decode { context, lanes: 1 })
            .collect();
        tasks.extend(plan.prefill.iter().filter(|n| !short(n)).map(prefill));
        let longest = plan.prefill.iter().chain(&plan.contexts[1..]).max();
        if let (false, Some(longest)) = (tasks.is_empty(), longest) {
            groups.push(Self {
                cache: CacheSize {
                    lanes: 1,
                    capacity: longest + ROOM,
                },
                tasks,
                first: false,
            });
        }
        groups
    }

    /// Loads the model and takes samples, until `until` at the latest.
    pub async fn measure(
        self,
        subject: &mut dyn Subject,
        plan: &Plan,
        (clock, until): (Clock, Duration),
        report: &mut Report,
        observer: &mut dyn Observer<Progress>,
    ) -> Result<()> {
        let mut told = Told::new(clock, "loading the weights", observer);
        let mut engine = subject.engine(self.cache, &mut told).await?;
        let longest = engine
            .model()
            .config
            .context_length
            .min(self.cache.capacity);
        let cache = CacheSize {
            capacity: engine.cache_size().capacity.min(longest.max(1)),
            ..engine.cache_size()
        };
        if self.first {
            report.describe(&engine);
            told.say("the copy bandwidth").await?;
            report.copy = Some(bandwidth::measure(&engine, plan.copy_bytes).await?);
        }
        let mut samples = vec![Vec::new(); self.tasks.len()];
        told.say("compiling the kernels").await?;
        let context = plan.contexts[0];
        decode::steps(&mut engine, context, 1, 1).await?;
        // Seconds of a decode step of one lane, which the first estimates come from, and of the
        // last sample of each task.
        let mut step = decode::steps(&mut engine, context, 1, 1).await?;
        let mut costs = vec![None; self.tasks.len()];
        for round in 0..=plan.rounds {
            let mut sampled = false;
            for (index, &task) in self.tasks.iter().enumerate() {
                let cost = costs[index].unwrap_or_else(|| task.estimate(step));
                let must = self.first && round == 0 && index == 0;
                let late = (clock.elapsed().as_secs_f64() + cost) > until.as_secs_f64();
                if !task.fits(cache) || (late && !must) {
                    continue;
                }
                told.say(&task.to_string()).await?;
                let start = Instant::now();
                let earlier = samples[index].last().copied();
                let ms = task.sample(&mut engine, earlier, round, &mut told).await?;
                samples[index].push(ms);
                costs[index] = Some(start.elapsed().as_secs_f64());
                if let Task::Decode { lanes: 1, .. } = task {
                    step = ms / 1000.0;
                }
                sampled = true;
            }
            if !sampled {
                break;
            }
        }
        for (&task, samples) in self.tasks.iter().zip(&samples) {
            report.add(task, samples);
        }
        if self.first {
            told.say("the stages").await?;
            let seconds = step * PROFILED_STEPS as f64;
            let late = clock.elapsed().as_secs_f64() + seconds > until.as_secs_f64();
            let steps = if late { 1 } else { PROFILED_STEPS };
            look_inside(&mut engine, context, steps, report).await?;
        }
        Ok(())
    }
}

/// Counts and times the dispatches of a decode step.
async fn look_inside(
    engine: &mut Engine,
    context: usize,
    steps: usize,
    report: &mut Report,
) -> Result<()> {
    let Some(before) = engine.gpu().map(|device| device.dispatches()) else {
        return Ok(());
    };
    let timed = engine
        .gpu()
        .is_some_and(|device| device.start_stage_times());
    decode::steps(engine, context, 1, steps).await?;
    let Some(device) = engine.gpu() else {
        return Ok(());
    };
    report.dispatches_per_step = Some((device.dispatches() - before) as f64 / steps as f64);
    if timed {
        report.stages = device.stage_times().await?;
        for stage in &mut report.stages {
            stage.us /= steps as f64;
            stage.dispatches /= steps as u32;
        }
    }
    Ok(())
}

/// Tells what is being done, whenever the work under way has something to tell.
struct Told<'a> {
    clock: Clock,
    doing: String,
    observer: &'a mut dyn Observer<Progress>,
}

impl<'a> Told<'a> {
    fn new(clock: Clock, doing: &str, observer: &'a mut dyn Observer<Progress>) -> Self {
        Self {
            clock,
            doing: doing.into(),
            observer,
        }
    }

    async fn say(&mut self, doing: &str) -> Result<()> {
        self.doing = doing.into();
        match self.observe(()).await {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }
}

#[async_trait(?Send)]
impl Observer<()> for Told<'_> {
    async fn observe(&mut self, (): ()) -> ControlFlow<()> {
        let progress = self.clock.progress(self.doing.clone());
        self.observer.observe(progress).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_fits_the_cache_of_its_group() {
        let budget = Duration::from_secs(1);
        for plan in [Plan::full(budget), Plan::quick(budget)] {
            let groups = Group::of(&plan);
            for group in &groups {
                assert!(group.tasks.iter().all(|task| task.fits(group.cache)));
            }
            let tasks: usize = groups.iter().map(|group| group.tasks.len()).sum();
            let (p, c, l) = (plan.prefill.len(), plan.contexts.len(), plan.lanes.len());
            assert_eq!(tasks, p + (c - 1) + l + 2);
        }
    }
}
