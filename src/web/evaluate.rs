//! Measuring in the browser what vectors do to answers.

use super::engine::{LANES, WebEngine, read, write};
use super::error::WebResult;
use super::progress::JsObserver;
use super::types::{EvaluateRequest, EvaluateResult, Preparing};
use super::workshop::INTERVAL;
use crate::Engine;
use crate::eval::{self, Condition, EvalProgress, Kinds, Marker, Report, question};
use crate::observer::Observer;
use crate::steering::{Activation, ExtractProgress, Extractor};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use wasm_bindgen::prelude::*;
use web_time::Duration;

#[wasm_bindgen]
impl WebEngine {
    /// Has questions answered under several conditions, and counts. The callback gets each answer;
    /// given back in `answers`, they are not made again. Where activations are asked for, their
    /// prompts come first.
    ///
    /// # Errors
    /// `Busy`, `NoModel`, `UnknownVector`, `Questions`, `Pairs`, `BadArgument`, `Cancelled` after `stop`, or
    /// what generating gives.
    #[wasm_bindgen(unchecked_return_type = "EvaluateResult")]
    pub async fn evaluate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "EvaluateRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "(progress: EvaluateProgress) => void")]
        on_progress: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let request: EvaluateRequest = read(request)?;
        let questions = question::parse(&request.questions)?;
        let (mut conditions, markers) = self.conditions(&request)?;
        let kinds = match request.together {
            true => Kinds::Together,
            false => Kinds::Apart,
        };
        let measure = async |engine: &mut Engine| {
            engine.set_lanes(LANES)?;
            let callback = on_progress.as_ref();
            self.add_activations(engine, &request, &mut conditions, callback)
                .await?;
            let mut observer = AnswersOnly(self.observer(callback, Duration::ZERO));
            let answers = eval::run(
                engine,
                &questions,
                &conditions,
                request.samples.unwrap_or(1),
                request.max_tokens,
                request.answers.clone(),
                &mut observer,
            );
            let answers = answers.await?;
            let report = Report::new(&questions, &conditions, &markers, &answers, kinds);
            Ok((answers, report))
        };
        let (answers, report) = self.with_engine(measure).await?;
        write(&EvaluateResult {
            answers,
            table: report.table(),
            rows: report.rows,
        })
    }
}

impl WebEngine {
    fn conditions(
        &self,
        request: &EvaluateRequest,
    ) -> WebResult<(Vec<Condition>, BTreeMap<String, Marker>)> {
        let mut markers = BTreeMap::new();
        let mut conditions = Vec::new();
        for asked in &request.conditions {
            let steering = self.steering(&asked.steering)?;
            let steered = asked.steering.first().map(|s| &s.vector);
            let id = steered
                .or(asked.activation.as_ref().map(|a| &a.vector))
                .cloned();
            let vector = match &id {
                Some(id) => Some(self.vector(id)?),
                None => None,
            };
            let metadata = vector.as_ref().map(|vector| &vector.metadata);
            if let (Some(id), Some(pattern)) = (&id, metadata.and_then(|m| m.marker.as_ref())) {
                markers.insert(id.clone(), Marker::new(pattern)?);
            }
            let penalty = metadata.and_then(|m| m.repetition_penalty);
            // Activations are added at every token, and need no slot of a certain kind.
            let usual = metadata.filter(|_| asked.activation.is_none());
            let usual = usual.map(|m| m.offset.clone());
            conditions.push(Condition {
                name: asked.name.clone(),
                style: id,
                appended: asked.appended.clone(),
                offset: asked.offset.clone().or(usual).unwrap_or_default(),
                steering,
                activation: None,
                sampling: request.sampling.of_lane(asked.repetition_penalty, penalty),
            });
        }
        Ok((conditions, markers))
    }

    /// Makes the activations that are asked for.
    async fn add_activations(
        &self,
        engine: &mut Engine,
        request: &EvaluateRequest,
        conditions: &mut [Condition],
        callback: Option<&js_sys::Function>,
    ) -> WebResult<()> {
        let usual = Activation::usual_layer(engine.model().config.n_layers);
        let mut extractor = Extractor::new(engine);
        for (asked, condition) in request.conditions.iter().zip(conditions) {
            let Some(asked) = &asked.activation else {
                continue;
            };
            let vector = self.vector(&asked.vector)?;
            let chat = &extractor.model().chat;
            let pairs = vector.metadata.contrastive_pairs(&request.items, chat)?;
            let layer = asked.layer.unwrap_or(usual);
            let mut observer = Told(self.observer(callback, INTERVAL));
            let directions = extractor
                .directions(&pairs, &[layer], &mut observer)
                .await?;
            if let [direction] = &directions[..] {
                let activation = Activation::new(layer, direction, asked.strength);
                condition.activation = Some(activation);
            }
        }
        Ok(())
    }
}

/// Tells of answers alone; at every token, lets a stop be heard.
struct AnswersOnly<'a>(JsObserver<'a>);

#[async_trait(?Send)]
impl Observer<EvalProgress> for AnswersOnly<'_> {
    async fn observe(&mut self, progress: EvalProgress) -> ControlFlow<()> {
        match progress.answer {
            Some(_) => self.0.observe(progress).await,
            None => self.0.listen().await,
        }
    }
}

/// Tells of the prompts of activations.
struct Told<'a>(JsObserver<'a>);

#[async_trait(?Send)]
impl Observer<ExtractProgress> for Told<'_> {
    async fn observe(&mut self, preparing: ExtractProgress) -> ControlFlow<()> {
        self.0.observe(Preparing { preparing }).await
    }
}
