//! Making and judging vectors in the browser: extraction, calibration, evaluation.

use super::engine::{WebEngine, read, write};
use super::error::WebResult;
use super::progress::JsObserver;
use super::types::{EvaluateRequest, EvaluateResult, ExtractRequest, SamplingOptions, VectorInfo};
use crate::Engine;
use crate::eval::{
    self, CalibrateOptions, Calibration, Condition, EvalProgress, Marker, Report, question,
};
use crate::generate::Sampling;
use crate::observer::Observer;
use crate::steering::Extractor;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use wasm_bindgen::prelude::*;
use web_time::Duration;

/// Progress is told no more often than this.
const INTERVAL: Duration = Duration::from_millis(50);

#[wasm_bindgen]
impl WebEngine {
    /// Makes a steering vector with the loaded model, from pairs of prompts or from items in a style,
    /// and keeps it under the style's id. `vectorFile` gives its file.
    ///
    /// # Errors
    /// `Busy`, `NoModel`, `BadArgument`, `Pairs`, `Cancelled` after `stop`, or what running gives.
    #[wasm_bindgen(unchecked_return_type = "VectorInfo")]
    pub async fn extract(
        &self,
        #[wasm_bindgen(unchecked_param_type = "ExtractRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "(progress: ExtractProgress) => void")]
        on_progress: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let request: ExtractRequest = read(request)?;
        let style = &request.style;
        let make = async |engine: &mut Engine| {
            let pairs = match request.pairs.is_empty() {
                true => style.pairs(&request.items, &engine.model().chat)?,
                false => request.pairs,
            };
            let mut observer = self.observer(on_progress.as_ref(), INTERVAL);
            let metadata = style.metadata(&request.set);
            let mut extractor = Extractor::new(engine);
            let vector = extractor.extract(&pairs, &style.extraction, metadata, &mut observer);
            Ok(vector.await?)
        };
        let vector = self.with_engine(make).await?;
        let info = VectorInfo::of(&style.id, &vector);
        self.keep_vector(style.id.clone(), vector);
        write(&info)
    }

    /// Finds the lowest strength at which a vector shows its style and leaves the text whole, and
    /// makes it the one that the vector recommends. `questions` are JSON lines in the form of GSM8K
    /// or ARC; eight or so are enough.
    ///
    /// # Errors
    /// `Busy`, `NoModel`, `UnknownVector`, `Questions`, `InvalidRequest` for a vector without a
    /// marker, `Cancelled` after `stop`, or what running gives.
    #[wasm_bindgen(unchecked_return_type = "Calibration")]
    pub async fn calibrate(
        &self,
        id: String,
        questions: String,
        #[wasm_bindgen(unchecked_optional_param_type = "(progress: CalibrateProgress) => void")]
        on_progress: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let questions = question::parse(&questions)?;
        let vector = self.vector(&id)?;
        let find = async |engine: &mut Engine| {
            let mut observer = self.observer(on_progress.as_ref(), INTERVAL);
            let options = CalibrateOptions::default();
            Ok(eval::calibrate(engine, &vector, &questions, &options, &mut observer).await?)
        };
        let found: Calibration = self.with_engine(find).await?;
        if let Some(strength) = found.strength {
            let mut vector = vector.as_ref().clone();
            vector.metadata.recommended = strength;
            self.keep_vector(id, vector);
        }
        write(&found)
    }

    /// Has questions answered under several conditions, and counts. The callback gets each answer;
    /// given back in `answers`, they are not made again.
    ///
    /// # Errors
    /// `Busy`, `NoModel`, `UnknownVector`, `Questions`, `BadArgument`, `Cancelled` after `stop`, or
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
        let (conditions, markers) = self.conditions(&request)?;
        let measure = async |engine: &mut Engine| {
            let mut observer = AnswersOnly(self.observer(on_progress.as_ref(), Duration::ZERO));
            let answers = eval::run(
                engine,
                &questions,
                &conditions,
                request.samples.unwrap_or(1),
                request.max_tokens,
                request.answers,
                &mut observer,
            );
            Ok(answers.await?)
        };
        let answers = self.with_engine(measure).await?;
        let report = Report::new(&questions, &conditions, &markers, &answers);
        let table = report.table();
        write(&EvaluateResult {
            answers,
            rows: report.rows,
            table,
        })
    }

    /// The file of a vector: to be saved, shared, or added again.
    ///
    /// # Errors
    /// `UnknownVector`.
    #[wasm_bindgen(js_name = vectorFile)]
    pub fn vector_file(&self, id: String) -> WebResult<Vec<u8>> {
        Ok(self.vector(&id)?.to_bytes()?)
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
            let steering = self.steering(&asked.lane)?;
            let id = asked.lane.steering.first().map(|s| s.vector.clone());
            let vector = match &id {
                Some(id) => Some(self.vector(id)?),
                None => None,
            };
            let metadata = vector.as_ref().map(|vector| &vector.metadata);
            if let (Some(id), Some(pattern)) = (&id, metadata.and_then(|m| m.marker.as_ref())) {
                markers.insert(id.clone(), Marker::new(pattern)?);
            }
            let sampling = SamplingOptions {
                repetition_penalty: request
                    .sampling
                    .repetition_penalty
                    .or(metadata.and_then(|m| m.repetition_penalty)),
                ..request.sampling.clone()
            };
            let offset = asked.lane.offset.clone();
            conditions.push(Condition {
                name: asked.name.clone(),
                style: id,
                appended: asked.appended.clone(),
                offset: offset
                    .or(metadata.map(|m| m.offset.clone()))
                    .unwrap_or_default(),
                steering,
                activation: None,
                sampling: Sampling::from(&sampling),
            });
        }
        Ok((conditions, markers))
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
