//! Making vectors in the browser: extraction and calibration.

use super::engine::{LANES, WebEngine, read, write};
use super::error::WebResult;
use super::types::{ExtractRequest, VectorInfo};
use crate::Engine;
use crate::eval::{self, CalibrateOptions, Calibration, question};
use crate::steering::Extractor;
use wasm_bindgen::prelude::*;
use web_time::Duration;

/// Progress is told no more often than this.
pub(super) const INTERVAL: Duration = Duration::from_millis(50);

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
            engine.set_lanes(LANES)?;
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
            engine.set_lanes(LANES)?;
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

    /// The file of a vector: to be saved, shared, or added again.
    ///
    /// # Errors
    /// `UnknownVector`.
    #[wasm_bindgen(js_name = vectorFile)]
    pub fn vector_file(&self, id: String) -> WebResult<Vec<u8>> {
        Ok(self.vector(&id)?.to_bytes()?)
    }
}
