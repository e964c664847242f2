//! Finding the strength of a vector: the lowest that switches the style and leaves the text whole.
//!
//! Strengths are tried from the lowest up, as many at a time as the engine has lanes, each on the
//! same few questions, greedily and with short answers. A strength is good when nearly all answers
//! show the style, none goes round in circles, and the text is whole: the model itself, without
//! steering, finds it about as likely as ordinary text. The same engine and vector always give the
//! same strength.

use super::{Marker, Question};
use crate::engine::Engine;
use crate::generate::{Event, LaneRequest, Outcome, Request, Sampling, StopReason, generate};
use crate::model::Message;
use crate::observer::Observer;
use crate::steering::{Steering, SteeringVector, Strength};
use crate::{Error, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CalibrateOptions {
    /// Factors of the values, in any order.
    pub values: Vec<f32>,
    /// Longest answer, in tokens: enough to show the style, and to begin to repeat it.
    pub max_tokens: usize,
    /// The share of answers that has to show the style.
    pub marked: f64,
    /// The mean negative log-likelihood of an answer, in nats a token, above which it counts as
    /// broken.
    pub broken_nll: f64,
}

impl Default for CalibrateOptions {
    /// Ordinary answers of SmolLM2-135M are at 0.5 to 2 nats a token by its own judgement, and
    /// what it says at several times the recommended strength above 3.
    fn default() -> Self {
        Self {
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0],
            max_tokens: 64,
            marked: 0.9,
            broken_nll: 2.75,
        }
    }
}

/// What one strength did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// The factor of the values.
    pub values: f32,
    /// Answers that show the style.
    pub marked: usize,
    /// Answers that repeat themselves.
    pub loops: usize,
    /// Answers whose text is broken.
    pub broken: usize,
    /// All answers.
    pub answers: usize,
    /// The mean over the answers of their negative log-likelihood, without steering, in nats a token.
    pub nll: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// The strength; `None` where none that was tried is good.
    pub strength: Option<Strength>,
    /// All that was tried, in rising order.
    pub trials: Vec<Trial>,
}

/// How far a calibration is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrateProgress {
    /// Answers that are there.
    pub done: usize,
    /// Answers if every strength is tried.
    pub total: usize,
}

/// Finds the strength for a vector. The keys' share, layers and unit are those that it recommends,
/// and so is the repetition penalty.
///
/// # Errors
/// [`Error::InvalidRequest`] for a vector without a marker or nothing to try, [`Error::Cancelled`]
/// where the observer breaks, or as [`generate`].
pub async fn calibrate(
    engine: &mut Engine,
    vector: &Arc<SteeringVector>,
    questions: &[Question],
    options: &CalibrateOptions,
    observer: &mut dyn Observer<CalibrateProgress>,
) -> Result<Calibration> {
    let Some(pattern) = &vector.metadata.marker else {
        return Err(Error::InvalidRequest(
            "this vector does not say how its style is recognised: give it a marker, a regular expression that its answers match".into(),
        ));
    };
    if questions.is_empty() || options.values.is_empty() {
        return Err(Error::InvalidRequest(
            "a calibration needs at least one question and one strength".into(),
        ));
    }
    let run = Run {
        vector,
        marker: Marker::new(pattern)?,
        questions,
        options,
    };
    let mut calibration = Calibration {
        strength: None,
        trials: Vec::new(),
    };
    let mut rising = options.values.clone();
    rising.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let width = engine.cache_size().lanes.max(1);
    for values in rising.chunks(width) {
        let trials = run
            .trials(engine, values, calibration.trials.len(), observer)
            .await?;
        calibration.trials.extend(trials);
        let good = calibration.trials.iter().find(|trial| run.is_good(trial));
        if let Some(good) = good {
            calibration.strength = Some(run.strength(good.values));
            break;
        }
    }
    Ok(calibration)
}

struct Run<'a> {
    vector: &'a Arc<SteeringVector>,
    marker: Marker,
    questions: &'a [Question],
    options: &'a CalibrateOptions,
}

impl Run<'_> {
    fn strength(&self, values: f32) -> Strength {
        self.vector.metadata.recommended.with_values(values)
    }

    fn is_good(&self, trial: &Trial) -> bool {
        let enough = self.options.marked * trial.answers as f64;
        trial.marked as f64 >= enough && trial.loops == 0 && trial.broken == 0
    }

    /// Tries some strengths side by side.
    async fn trials(
        &self,
        engine: &mut Engine,
        values: &[f32],
        before: usize,
        observer: &mut dyn Observer<CalibrateProgress>,
    ) -> Result<Vec<Trial>> {
        let trial = |&values: &f32| Trial {
            values,
            marked: 0,
            loops: 0,
            broken: 0,
            answers: 0,
            nll: 0.0,
        };
        let mut trials: Vec<Trial> = values.iter().map(trial).collect();
        for (number, question) in self.questions.iter().enumerate() {
            let mut watch = Watch {
                observer,
                progress: CalibrateProgress {
                    done: before * self.questions.len() + number * values.len(),
                    total: self.options.values.len() * self.questions.len(),
                },
            };
            let message = Message {
                role: "user".into(),
                content: question.text.clone(),
            };
            let prompt = crate::generate::prompt_ids(engine.model(), &[message])?;
            let outcome = self.answers(engine, &prompt, values, &mut watch).await?;
            for (trial, lane) in trials.iter_mut().zip(outcome.lanes) {
                if lane.stop_reason == StopReason::Cancelled {
                    return Err(Error::Cancelled);
                }
                let nll = engine.score_answer(&prompt, &lane.tokens).await?;
                let weight = 1.0 / self.questions.len() as f64;
                trial.answers += 1;
                trial.marked += usize::from(self.marker.is_in(&lane.text));
                trial.loops += usize::from(lane.stop_reason == StopReason::Repeating);
                trial.broken += usize::from(nll > self.options.broken_nll);
                trial.nll += weight * nll;
            }
        }
        Ok(trials)
    }

    async fn answers(
        &self,
        engine: &mut Engine,
        prompt: &[u32],
        values: &[f32],
        watch: &mut Watch<'_>,
    ) -> Result<Outcome> {
        let metadata = &self.vector.metadata;
        let offset = engine.model().tokenizer.encode(&metadata.offset)?;
        let lane = |&values: &f32| LaneRequest {
            offset: offset.clone(),
            steering: vec![Steering {
                vector: self.vector.clone(),
                strength: self.strength(values),
            }],
            sampling: Sampling {
                repetition_penalty: metadata.repetition_penalty.unwrap_or(1.0),
                ..Sampling::default()
            },
            ..LaneRequest::default()
        };
        let request = Request {
            prompt: prompt.to_vec(),
            lanes: values.iter().map(lane).collect(),
            max_tokens: self.options.max_tokens,
            stop_repeating: true,
            ..Request::default()
        };
        generate(engine, &request, watch).await
    }
}

/// Asks the observer of the calibration at each token.
struct Watch<'a> {
    observer: &'a mut dyn Observer<CalibrateProgress>,
    progress: CalibrateProgress,
}

#[async_trait(?Send)]
impl Observer<Event> for Watch<'_> {
    async fn observe(&mut self, _: Event) -> ControlFlow<()> {
        self.observer.observe(self.progress).await
    }
}
