//! The engine as a JavaScript class.

use super::benchmark::{BenchmarkRequest, BenchmarkResult};
use super::error::{WebError, WebResult};
use super::fetch::FetchSource;
use super::files::{FilesSource, Thrown};
use super::progress::{EventLoop, JsObserver};
use super::types::{
    EngineInfo, GenerateRequest, GenerateResult, LaneOptions, LoadRequest, PromptEvent,
    SamplingOptions, SteeringOptions, VectorInfo,
};
use crate::backend::MOST_LANES;
use crate::benchmark;
use crate::engine::EngineOptions;
use crate::generate::{LaneRequest, Request, generate, prompt_ids};
use crate::model::Model;
use crate::model::load::ByteSource;
use crate::steering::{Steering, SteeringVector};
use crate::{Engine, Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, AbortSignal};
use web_time::Duration;

/// Progress of a download is told no more often than this.
const LOAD_INTERVAL: Duration = Duration::from_millis(50);

/// Lanes that the KV cache is made with, for a plain and a steered answer, and that all work has but a
/// request for more answers.
pub(super) const LANES: usize = 2;

/// A model in this page or worker, with its steering vectors.
///
/// One call of `load` or `generate` runs at a time; a second one is refused with a `Busy` error.
/// `stop` ends it, from wherever it is called.
#[wasm_bindgen]
pub struct WebEngine {
    engine: RefCell<Holder>,
    vectors: RefCell<HashMap<String, Arc<SteeringVector>>>,
    info: RefCell<Option<EngineInfo>>,
    /// Set by `stop`; a new piece of work gets a new one.
    stop: RefCell<Rc<Cell<bool>>>,
    download: RefCell<Option<AbortController>>,
    event_loop: EventLoop,
}

/// Where the engine is. A call takes it out for as long as it works, so no borrow is held across
/// an `await`.
enum Holder {
    Empty,
    Busy,
    Ready(Box<Engine>),
}

#[wasm_bindgen]
impl WebEngine {
    /// An engine without a model.
    ///
    /// # Errors
    /// Where the browser has no `MessageChannel`.
    #[wasm_bindgen(constructor)]
    pub fn new() -> std::result::Result<WebEngine, JsValue> {
        Ok(Self {
            engine: RefCell::new(Holder::Empty),
            vectors: RefCell::default(),
            info: RefCell::default(),
            stop: RefCell::default(),
            download: RefCell::default(),
            event_loop: EventLoop::new()?,
        })
    }

    /// Loads a model, in place of one that was loaded before: from an address, or from files whose
    /// bytes JavaScript gives.
    ///
    /// # Errors
    /// `Busy`, `BadArgument`, `Cancelled` after `stop`, what loading gives, or whatever the chunks of
    /// a file throw.
    #[wasm_bindgen(unchecked_return_type = "EngineInfo")]
    pub async fn load(
        &self,
        #[wasm_bindgen(unchecked_param_type = "LoadRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "(progress: LoadProgress) => void")]
        on_progress: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let files = js_sys::Reflect::get(&request, &"files".into()).unwrap_or_default();
        let request: LoadRequest = read(request)?;
        // The old model goes first: two may not fit.
        drop(self.take()?);
        self.info.replace(None);
        let loaded = self
            .load_engine(&request, &files, on_progress.as_ref())
            .await;
        self.download.replace(None);
        let (holder, result) = match loaded {
            Ok(engine) => {
                let info = EngineInfo::of(&engine);
                self.info.replace(Some(info.clone()));
                (Holder::Ready(Box::new(engine)), Ok(info))
            }
            Err(error) => (Holder::Empty, Err(error)),
        };
        self.engine.replace(holder);
        write(&result?)
    }

    /// Downloads a steering vector and keeps it under the name `id`.
    ///
    /// # Errors
    /// `Fetch`, `VectorFile`, or `VectorMismatch` where it does not fit the loaded model.
    #[wasm_bindgen(js_name = loadVector, unchecked_return_type = "VectorInfo")]
    pub async fn load_vector(&self, id: String, url: String) -> WebResult<JsValue> {
        let controller = abort_controller()?;
        let source = FetchSource::open(&url, controller.signal()).await?;
        self.add_vector(id, &source.read_all().await?)
    }

    /// Keeps a steering vector, from the bytes of its file, under the name `id`.
    ///
    /// # Errors
    /// `VectorFile`, or `VectorMismatch` where it does not fit the loaded model.
    #[wasm_bindgen(js_name = addVector, unchecked_return_type = "VectorInfo")]
    pub fn add_vector(&self, id: String, bytes: &[u8]) -> WebResult<JsValue> {
        let vector = SteeringVector::from_bytes(bytes)?;
        if let Holder::Ready(engine) = &*self.engine.borrow() {
            vector.check(&engine.model().config)?;
        }
        let info = VectorInfo::of(&id, &vector);
        self.keep_vector(id, vector);
        write(&info)
    }

    /// Answers a prompt in each of the lanes that the request asks for, all at once. After `stop`
    /// the result is what was generated up to there.
    ///
    /// # Errors
    /// `Busy`, `NoModel`, `UnknownVector`, `BadArgument`, or what generating gives.
    #[wasm_bindgen(unchecked_return_type = "GenerateResult")]
    pub async fn generate(
        &self,
        #[wasm_bindgen(unchecked_param_type = "GenerateRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "(event: GenerateEvent) => void")]
        on_event: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let request: GenerateRequest = read(request)?;
        let answer = async |engine: &mut Engine| {
            let mut observer = self.observer(on_event.as_ref(), Duration::ZERO);
            self.answer(engine, &request, &mut observer).await
        };
        write(&self.with_engine(answer).await?)
    }

    /// Measures how fast this device runs a model of its own: the loaded one stays as it is.
    ///
    /// # Errors
    /// `Busy`, `BadArgument`, `Cancelled` after `stop`, or what loading and running give.
    #[wasm_bindgen(unchecked_return_type = "BenchmarkResult")]
    pub async fn benchmark(
        &self,
        #[wasm_bindgen(unchecked_param_type = "BenchmarkRequest")] request: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "(progress: BenchmarkProgress) => void")]
        on_progress: Option<js_sys::Function>,
    ) -> WebResult<JsValue> {
        let request: BenchmarkRequest = read(request)?;
        let loaded = self.take()?;
        let measured = self.measure(request, on_progress.as_ref()).await;
        self.download.replace(None);
        self.engine
            .replace(loaded.map_or(Holder::Empty, Holder::Ready));
        write(&measured?)
    }

    /// Ends the work that runs now, if any: a download at once, a generation within one token.
    pub fn stop(&self) {
        self.stop.borrow().set(true);
        if let Some(controller) = &*self.download.borrow() {
            controller.abort();
        }
    }

    /// The loaded model and what it runs on, or `undefined`.
    ///
    /// # Errors
    /// None that a caller could cause.
    #[wasm_bindgen(unchecked_return_type = "EngineInfo | undefined")]
    pub fn info(&self) -> WebResult<JsValue> {
        self.info
            .borrow()
            .as_ref()
            .map_or(Ok(JsValue::UNDEFINED), write)
    }
}

impl WebEngine {
    /// Takes the engine out, if there is one, and marks it as busy.
    fn take(&self) -> WebResult<Option<Box<Engine>>> {
        let mut holder = self.engine.borrow_mut();
        let engine = match std::mem::replace(&mut *holder, Holder::Busy) {
            Holder::Busy => return Err(WebError::Busy),
            Holder::Empty => None,
            Holder::Ready(engine) => Some(engine),
        };
        self.stop.replace(Rc::default());
        Ok(engine)
    }

    /// Works with the loaded model; nothing else can meanwhile.
    pub(super) async fn with_engine<T>(
        &self,
        work: impl AsyncFnOnce(&mut Engine) -> WebResult<T>,
    ) -> WebResult<T> {
        let Some(mut engine) = self.take()? else {
            self.engine.replace(Holder::Empty);
            return Err(WebError::NoModel);
        };
        let result = work(&mut engine).await;
        self.engine.replace(Holder::Ready(engine));
        result
    }

    pub(super) fn keep_vector(&self, id: String, vector: SteeringVector) {
        self.vectors.borrow_mut().insert(id, Arc::new(vector));
    }

    pub(super) fn vector(&self, id: &str) -> WebResult<Arc<SteeringVector>> {
        let vectors = self.vectors.borrow();
        let vector = vectors.get(id).cloned();
        vector.ok_or_else(|| WebError::UnknownVector { id: id.into() })
    }

    pub(super) fn observer<'a>(
        &'a self,
        callback: Option<&'a js_sys::Function>,
        interval: Duration,
    ) -> JsObserver<'a> {
        let stop = self.stop.borrow().clone();
        JsObserver {
            callback,
            stop,
            event_loop: &self.event_loop,
            interval,
            last: None,
        }
    }

    async fn load_engine(
        &self,
        request: &LoadRequest,
        files: &JsValue,
        on_progress: Option<&js_sys::Function>,
    ) -> WebResult<Engine> {
        let controller = abort_controller()?;
        self.download.replace(Some(controller.clone()));
        let thrown = Thrown::default();
        let mut source = source(request, files, controller.signal(), thrown.clone()).await?;
        let options = EngineOptions {
            backend: request.backend,
            lanes: LANES,
            capacity: request.capacity,
            // What cannot be read was written by another version: the kernels are measured again.
            kernels: request
                .kernels
                .as_deref()
                .and_then(|kernels| serde_json::from_str(kernels).ok()),
            ..EngineOptions::default()
        };
        let mut observer = self.observer(on_progress, LOAD_INTERVAL);
        let loaded = Engine::load(&mut *source, &options, &mut observer).await;
        loaded.map_err(|error| match thrown.take() {
            Some(thrown) => WebError::Thrown(thrown),
            None => error.into(),
        })
    }

    async fn measure(
        &self,
        request: BenchmarkRequest,
        on_progress: Option<&js_sys::Function>,
    ) -> WebResult<BenchmarkResult> {
        let controller = abort_controller()?;
        self.download.replace(Some(controller.clone()));
        let mut subject = request.subject(controller.signal())?;
        let plan = request.plan();
        let mut observer = self.observer(on_progress, LOAD_INTERVAL);
        let report = benchmark::run(&mut *subject, &plan, request.about, &mut observer).await?;
        let table = benchmark::table(&report);
        Ok(BenchmarkResult { report, table })
    }

    async fn answer(
        &self,
        engine: &mut Engine,
        request: &GenerateRequest,
        observer: &mut JsObserver<'_>,
    ) -> WebResult<GenerateResult> {
        fit_lanes(engine, request)?;
        let request = Request {
            prompt: prompt_ids(engine.model(), &request.messages)?,
            first_lane: request.first_lane.unwrap_or(0),
            lanes: request
                .lanes
                .iter()
                .map(|lane| self.lane(engine.model(), lane, &request.sampling))
                .collect::<WebResult<_>>()?,
            max_tokens: request.max_tokens,
            stop_repeating: request.stop_repeating,
        };
        let prompts = request.lanes.iter().map(|lane| request.prompt_of(lane));
        let tokens = prompts.map(<[u32]>::len).collect();
        observer.tell(&PromptEvent { tokens });
        let outcome = generate(engine, &request, observer).await?;
        Ok(GenerateResult::new(&request, outcome, engine.memory()))
    }

    pub(super) fn steering(&self, asked: &[SteeringOptions]) -> WebResult<Vec<Steering>> {
        asked
            .iter()
            .map(|asked| {
                let vector = self.vector(&asked.vector)?;
                Ok(Steering {
                    strength: asked.strength.unwrap_or(vector.metadata.recommended),
                    vector,
                })
            })
            .collect()
    }

    fn lane(
        &self,
        model: &Model,
        options: &LaneOptions,
        sampling: &SamplingOptions,
    ) -> WebResult<LaneRequest> {
        let steering = self.steering(&options.steering)?;
        let offset = match (&options.offset, steering.first()) {
            (Some(text), _) => text,
            (None, Some(steering)) => &steering.vector.metadata.offset,
            (None, None) => "",
        };
        let offset = model.tokenizer.encode(offset)?;
        let recommended = steering
            .iter()
            .filter(|s| !s.strength.is_zero())
            .filter_map(|s| s.vector.metadata.repetition_penalty)
            .reduce(f32::max);
        let messages = options.messages.as_ref();
        let prompt = messages.map(|messages| prompt_ids(model, messages));
        Ok(LaneRequest {
            prompt: prompt.transpose()?,
            offset,
            sampling: sampling.of_lane(options.repetition_penalty, recommended),
            steering,
            ..LaneRequest::default()
        })
    }
}

/// Has the KV cache in [`LANES`] lanes for as many answers, and in the most that there can be for more:
/// not in as many as there are answers, so that another number of them finds its prompt in the cache. A
/// request that names its first lane is for the cache as it is, if that has the lanes.
fn fit_lanes(engine: &mut Engine, request: &GenerateRequest) -> Result<()> {
    let first = request.first_lane.unwrap_or(0);
    let wanted = first.saturating_add(request.lanes.len());
    match wanted {
        _ if request.first_lane.is_some() && wanted <= engine.cache_size().lanes => Ok(()),
        0..=LANES => engine.set_lanes(LANES),
        _ => engine.set_lanes(MOST_LANES),
    }
}

fn abort_controller() -> Result<AbortController> {
    AbortController::new().map_err(|_| {
        Error::InvalidRequest("this browser cannot cancel downloads; use a newer one".into())
    })
}

async fn source(
    request: &LoadRequest,
    files: &JsValue,
    signal: AbortSignal,
    thrown: Thrown,
) -> WebResult<Box<dyn ByteSource>> {
    match &request.url {
        _ if files.is_truthy() => Ok(Box::new(FilesSource::open(files, signal, thrown)?)),
        Some(url) => Ok(Box::new(FetchSource::open(url, signal).await?)),
        None => Err(WebError::BadArgument {
            reason: "there is neither `url` nor `files`".into(),
        }),
    }
}

pub(super) fn read<T: DeserializeOwned>(value: JsValue) -> WebResult<T> {
    serde_wasm_bindgen::from_value(value).map_err(|error| WebError::BadArgument {
        reason: error.to_string(),
    })
}

pub(super) fn write(value: &impl Serialize) -> WebResult<JsValue> {
    serde_wasm_bindgen::to_value(value).map_err(|error| WebError::BadArgument {
        reason: error.to_string(),
    })
}
