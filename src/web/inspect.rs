//! What steering did to the last answers.

use super::engine::{WebEngine, write};
use super::error::WebResult;
use super::workshop::INTERVAL;
use crate::Engine;
use wasm_bindgen::prelude::*;

/// The lanes of a comparison: [`WebEngine::generate`] answers in the order of its request.
const PLAIN: usize = 0;
const STEERED: usize = 1;

#[wasm_bindgen]
impl WebEngine {
    /// Compares the answers of the last `generate`, of which the first was plain and the second, whose tokens
    /// are given, steered: what was added to the cache, what else could have come at each token of the steered
    /// answer, and how much attention went to what was added.
    ///
    /// # Errors
    /// `Busy`, `NoModel`, `InvalidRequest` where there are no such answers, `Cancelled` after `stop`,
    /// or what running gives.
    #[wasm_bindgen(unchecked_return_type = "Inspection")]
    pub async fn inspect(
        &self,
        answer: Vec<u32>,
        #[wasm_bindgen(
            unchecked_optional_param_type = "(progress: { done: number; total: number }) => void"
        )]
        on_progress: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let look = async |engine: &mut Engine| {
            let mut observer = self.observer(on_progress.as_ref(), INTERVAL);
            Ok(engine
                .inspect(PLAIN, STEERED, &answer, &mut observer)
                .await?)
        };
        write(&self.with_engine(look).await?)
    }
}
