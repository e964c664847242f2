//! The loop over questions and conditions.

use super::{Condition, Question};
use crate::engine::Engine;
use crate::generate::{Event, LaneRequest, Request, StopReason, generate};
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's id.
    pub question: String,
    /// The condition's name.
    pub condition: String,
    /// Counted from 0, where a question is answered several times.
    pub sample: usize,
    /// What the model said.
    pub text: String,
    /// Tokens of it, the end token included.
    pub tokens: usize,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Of decoding, a token, while all conditions of a batch decode together.
    pub ms_per_token: f64,
}

/// How far an evaluation is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalProgress {
    /// Answers that are there, those from before included.
    pub done: usize,
    /// Answers in all.
    pub total: usize,
    /// The one that came last; `None` while the next ones are being made.
    pub answer: Option<Answer>,
}

/// Has each question answered `samples` times under each condition, in as many lanes as the engine
/// has. `kept` are answers from before, which are not made again. Gives all answers.
///
/// # Errors
/// [`Error::Cancelled`] where the observer breaks; otherwise as [`generate`].
pub async fn run(
    engine: &mut Engine,
    questions: &[Question],
    conditions: &[Condition],
    samples: usize,
    max_tokens: usize,
    kept: Vec<Answer>,
    observer: &mut dyn Observer<EvalProgress>,
) -> Result<Vec<Answer>> {
    let total = questions.len() * conditions.len() * samples;
    let mut answers = kept;
    answers.retain(|answer| {
        questions.iter().any(|q| q.id == answer.question)
            && conditions.iter().any(|c| c.name == answer.condition)
            && answer.sample < samples
    });
    let width = engine.cache_size().lanes.max(1);
    for question in questions {
        let mut jobs: Vec<Job> = Vec::new();
        for condition in conditions {
            let all = (0..samples).map(|sample| Job { condition, sample });
            let open = |job: &Job| !answers.iter().any(|a| job.is_answered_by(question, a));
            jobs.extend(all.filter(open));
        }
        for jobs in jobs.chunks(width) {
            let lanes: Vec<LaneRequest> = jobs
                .iter()
                .map(|job| {
                    let prompt = job.condition.prompt(engine.model(), question)?;
                    job.condition.lane(engine.model(), prompt, job.sample)
                })
                .collect::<Result<_>>()?;
            let request = Request {
                prompt: Vec::new(),
                lanes,
                max_tokens,
                stop_repeating: true,
            };
            let mut watch = Watch {
                observer,
                progress: EvalProgress {
                    done: answers.len(),
                    total,
                    answer: None,
                },
            };
            let outcome = generate(engine, &request, &mut watch).await?;
            for (job, lane) in jobs.iter().zip(outcome.lanes) {
                if lane.stop_reason == StopReason::Cancelled {
                    return Err(Error::Cancelled);
                }
                let answer = Answer {
                    question: question.id.clone(),
                    condition: job.condition.name.clone(),
                    sample: job.sample,
                    ms_per_token: lane.decode_ms / lane.tokens.len().max(1) as f64,
                    tokens: lane.tokens.len(),
                    text: lane.text,
                    stop_reason: lane.stop_reason,
                };
                answers.push(answer.clone());
                let progress = EvalProgress {
                    done: answers.len(),
                    total,
                    answer: Some(answer),
                };
                if observer.observe(progress).await.is_break() {
                    return Err(Error::Cancelled);
                }
            }
        }
    }
    Ok(answers)
}

/// One answer to make.
struct Job<'a> {
    condition: &'a Condition,
    sample: usize,
}

impl Job<'_> {
    fn is_answered_by(&self, question: &Question, answer: &Answer) -> bool {
        answer.question == question.id
            && answer.condition == self.condition.name
            && answer.sample == self.sample
    }
}

/// Asks the observer of the evaluation at each token.
struct Watch<'a> {
    observer: &'a mut dyn Observer<EvalProgress>,
    progress: EvalProgress,
}

#[async_trait(?Send)]
impl Observer<Event> for Watch<'_> {
    async fn observe(&mut self, _: Event) -> ControlFlow<()> {
        self.observer.observe(self.progress.clone()).await
    }
}
