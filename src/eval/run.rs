//! The loop over questions and conditions.

use super::condition::digest;
use super::{Condition, Question};
use crate::engine::Engine;
use crate::generate::{Event, LaneRequest, Request, StopReason, generate};
use crate::observer::Observer;
use crate::{Error, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
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
    /// Milliseconds of decoding a token, where nothing else decoded beside it.
    pub ms_per_token: Option<f64>,
    /// A digest of everything that the answer depends on: the model, the question, the condition with
    /// its vectors, and the longest answer.
    #[serde(default)]
    pub made_from: String,
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
/// has. `kept` are answers from before, which are not made again where they were made from the same;
/// others are dropped. Gives all answers.
///
/// # Errors
/// [`Error::InvalidRequest`] where there is nothing to do, [`Error::Questions`] or
/// [`Error::InvalidRequest`] where two questions or conditions have one name, [`Error::Cancelled`] where the observer breaks; otherwise as [`generate`].
pub async fn run(
    engine: &mut Engine,
    questions: &[Question],
    conditions: &[Condition],
    samples: usize,
    max_tokens: usize,
    kept: Vec<Answer>,
    observer: &mut dyn Observer<EvalProgress>,
) -> Result<Vec<Answer>> {
    check(questions, conditions, samples)?;
    let total = questions.len() * conditions.len() * samples;
    let model = engine.model().file.sha256.clone();
    let digests: Vec<String> = conditions.iter().map(Condition::digest).collect();
    let made_from = |question: &Question, condition: usize| {
        let parts = (&model, &question.text, &digests[condition], max_tokens);
        digest(format!("{parts:?}").as_bytes())
    };
    let mut answers = kept;
    answers.retain(|answer| {
        let question = questions.iter().find(|q| q.id == answer.question);
        let condition = conditions.iter().position(|c| c.name == answer.condition);
        let (Some(question), Some(condition)) = (question, condition) else {
            return false;
        };
        answer.sample < samples && answer.made_from == made_from(question, condition)
    });
    let width = engine.cache_size().lanes.max(1);
    for question in questions {
        let mut jobs: Vec<Job> = Vec::new();
        for (index, condition) in conditions.iter().enumerate() {
            let made_from = made_from(question, index);
            let all = (0..samples).map(|sample| Job {
                condition,
                sample,
                made_from: made_from.clone(),
            });
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
                lanes,
                max_tokens,
                stop_repeating: true,
                ..Request::default()
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
                    ms_per_token: (jobs.len() == 1)
                        .then(|| lane.decode_ms / lane.tokens.len().max(1) as f64),
                    made_from: job.made_from.clone(),
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

/// Refuses what could not be told apart, and nothing to do.
fn check(questions: &[Question], conditions: &[Condition], samples: usize) -> Result<()> {
    if questions.is_empty() || conditions.is_empty() || samples == 0 {
        return Err(Error::InvalidRequest(
            "an evaluation needs at least one question, one condition and one answer to each"
                .into(),
        ));
    }
    let mut names = HashSet::new();
    if let Some(twice) = conditions.iter().find(|c| !names.insert(&c.name)) {
        return Err(Error::InvalidRequest(format!(
            "two conditions are called {:?}: give vectors other file names, or leave one out",
            twice.name
        )));
    }
    let mut ids = HashSet::new();
    match questions.iter().find(|q| !ids.insert(&q.id)) {
        Some(twice) => Err(Error::Questions {
            reason: format!("two of them have the id {:?}: give each its own", twice.id),
        }),
        None => Ok(()),
    }
}

/// One answer to make.
struct Job<'a> {
    condition: &'a Condition,
    sample: usize,
    made_from: String,
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
