//! What crosses between Rust and JavaScript: plain objects, the same as the TypeScript interfaces
//! at the end of this file, which the package's `.d.ts` carries.

use crate::backend::BackendKind;
use crate::backend::choose::BackendChoice;
use crate::engine::{Engine, MemoryUse, SlotWrite};
use crate::eval::Answer;
use crate::eval::report::Row;
use crate::generate::{self, LaneOutcome, LaneRequest, Request, Sampling, StopReason};
use crate::model::Message;
use crate::steering::{
    ContrastItem, ContrastivePair, ExtractProgress, SteeringVector, Strength, Style,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// Which model to load, and where it is to run.
#[derive(Debug, Deserialize)]
pub struct LoadRequest {
    /// Address of the GGUF file, relative to the page or worker, where there are no `files`.
    pub url: Option<String>,
    /// Where it runs.
    #[serde(default)]
    pub backend: BackendChoice,
    /// Positions of each lane of the KV cache.
    pub capacity: Option<usize>,
    /// What [`EngineInfo::kernels`] was on this device; anything else counts as nothing.
    pub kernels: Option<String>,
}

/// A loaded model and what it runs on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineInfo {
    /// The model.
    pub model: ModelInfo,
    /// `gpu` or `cpu`.
    pub backend: BackendKind,
    /// The adapter's name, or the CPU's precision.
    pub device: String,
    /// Whether a GPU adapter computes in software.
    pub software: bool,
    /// Which backend runs and why, as one sentence.
    pub reason: String,
    /// Sequences that the KV cache holds.
    pub lanes: usize,
    /// Positions of each.
    pub capacity: usize,
    /// Which kernels the GPU runs, as text for the next [`LoadRequest`].
    pub kernels: Option<String>,
    /// Memory that is held after loading.
    pub memory: MemoryUse,
}

/// The sizes of a model, and its file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// The name in the file, maybe empty.
    pub name: String,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Size of one head.
    pub head_dim: usize,
    /// Longest sequence that it was trained for.
    pub context_length: usize,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The same of each file, where the model is split over several.
    pub parts: Vec<String>,
}

impl EngineInfo {
    /// What an engine says of itself.
    pub fn of(engine: &Engine) -> Self {
        let (model, backend, cache) = (engine.model(), engine.backend_info(), engine.cache_size());
        Self {
            model: ModelInfo {
                name: model.config.name.clone(),
                layers: model.config.n_layers,
                width: model.config.width,
                kv_heads: model.config.n_kv_heads,
                head_dim: model.config.head_dim,
                context_length: model.config.context_length,
                bytes: model.file.bytes,
                sha256: model.file.sha256.clone(),
                parts: model.file.parts.clone(),
            },
            backend: backend.kind,
            device: backend.device.clone(),
            software: backend.software,
            reason: engine.backend_reason().into(),
            lanes: cache.lanes,
            capacity: cache.capacity,
            kernels: engine
                .kernel_choices()
                // What was not measured is no knowledge of the device.
                .filter(|kernels| kernels.key != 0)
                .and_then(|kernels| serde_json::to_string(&kernels).ok()),
            memory: engine.memory(),
        }
    }
}

/// A loaded steering vector.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VectorInfo {
    /// The name that requests use.
    pub id: String,
    /// Layers, KV heads and head size that it was made for.
    pub dims: [usize; 3],
    /// Text that follows the prompt.
    pub offset: String,
    /// The strength to start with.
    pub recommended: Strength,
    /// A short name for people.
    pub label: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// The repetition penalty to start with.
    pub repetition_penalty: Option<f32>,
    /// Number of contrastive pairs that it was made from.
    pub pairs: Option<usize>,
}

impl VectorInfo {
    /// What a vector says of itself.
    pub fn of(id: &str, vector: &SteeringVector) -> Self {
        let about = &vector.metadata;
        Self {
            id: id.into(),
            dims: vector.dims,
            offset: about.offset.clone(),
            recommended: about.recommended,
            label: about.label.clone(),
            description: about.description.clone(),
            repetition_penalty: about.repetition_penalty,
            pairs: about.pairs,
        }
    }
}

/// One prompt, and how each lane answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateRequest {
    /// The conversation so far; its last message is the question.
    pub messages: Vec<Message>,
    /// One for each answer.
    pub lanes: Vec<LaneOptions>,
    /// The lane of the KV cache that the first answer takes.
    pub first_lane: Option<usize>,
    /// How tokens are chosen, in all lanes.
    #[serde(default)]
    pub sampling: SamplingOptions,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// Whether an answer that repeats itself ends there.
    #[serde(default)]
    pub stop_repeating: bool,
}

/// How one lane answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneOptions {
    /// The conversation of this lane, instead of the request's.
    pub messages: Option<Vec<Message>>,
    /// Text whose tokens follow the prompt. A steered lane takes its vector's where there is none.
    pub offset: Option<String>,
    /// What is added to the cache, if anything.
    #[serde(default)]
    pub steering: Vec<SteeringOptions>,
    /// In this lane alone, instead of that of the request's sampling.
    pub repetition_penalty: Option<f32>,
}

/// A loaded vector and how strongly it is added.
#[derive(Debug, Deserialize)]
pub struct SteeringOptions {
    /// Name of the vector.
    pub vector: String,
    /// Its coefficients; what the vector recommends where there are none.
    pub strength: Option<Strength>,
}

/// A vector to make.
#[derive(Debug, Deserialize)]
pub struct ExtractRequest {
    /// What it is called, how it is made and how it is used.
    pub style: Style,
    /// A contrastive set whose items have a reasoning under the style's id.
    #[serde(default)]
    pub items: Vec<ContrastItem>,
    /// Pairs of prompts in the model's chat format, instead of items.
    #[serde(default)]
    pub pairs: Vec<ContrastivePair>,
    /// The name of the set, for the vector's file.
    pub set: String,
}

/// What to measure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateRequest {
    /// JSON lines in the form of GSM8K or ARC.
    pub questions: String,
    /// How each question is asked.
    pub conditions: Vec<EvaluateCondition>,
    /// How tokens are chosen; a steered lane has its vector's repetition penalty where there is none.
    #[serde(default)]
    pub sampling: SamplingOptions,
    /// Answers to each question under each condition.
    pub samples: Option<usize>,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// Answers from before, which are not made again.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// Whether questions with and without choices are counted together.
    #[serde(default)]
    pub together: bool,
    /// The contrastive set from which the vectors were made, where activations are asked for.
    #[serde(default)]
    pub items: Vec<ContrastItem>,
}

/// One way to ask.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluateCondition {
    /// What it is called in the results.
    pub name: String,
    /// What follows the question, in a paragraph of its own.
    pub appended: Option<String>,
    /// As in [`LaneOptions`], like the next two: flattened, each would be read in a second way.
    pub offset: Option<String>,
    /// What is added to the cache; the first vector's marker is looked for.
    #[serde(default)]
    pub steering: Vec<SteeringOptions>,
    /// Instead of that of the request's sampling.
    pub repetition_penalty: Option<f32>,
    /// Activation steering instead.
    pub activation: Option<ActivationOptions>,
}

/// A direction in the residual stream, of the same pairs as a vector.
#[derive(Debug, Deserialize)]
pub struct ActivationOptions {
    /// Name of the vector.
    pub vector: String,
    /// The layer, counted from 0; at two thirds of the depth where there is none.
    pub layer: Option<usize>,
    /// Its factor.
    pub strength: f32,
}

/// What an evaluation tells before its first answer.
#[derive(Debug, Serialize)]
pub struct Preparing {
    /// The prompts of which activations are made.
    pub preparing: ExtractProgress,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct EvaluateResult {
    /// Every answer.
    pub answers: Vec<Answer>,
    /// What they come to.
    pub rows: Vec<Row>,
    /// The same as a table in Markdown.
    pub table: String,
}

/// How tokens are chosen; what is missing has no effect.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplingOptions {
    /// 0 takes the most likely token.
    pub temperature: Option<f32>,
    /// Draws from so many of the most likely tokens; 0 for all.
    pub top_k: Option<usize>,
    /// Draws from the most likely tokens that together have this probability.
    pub top_p: Option<f32>,
    /// Draws from tokens that are at least this many times as likely as the most likely one.
    pub min_p: Option<f32>,
    /// Makes tokens that were there before less likely; 1 for no change.
    pub repetition_penalty: Option<f32>,
    /// The same seed gives the same answer.
    pub seed: Option<u32>,
}

impl SamplingOptions {
    /// How the tokens of one lane are chosen, which may ask for a repetition penalty of its own;
    /// `recommended` is that where nobody asks for one.
    pub fn of_lane(&self, own: Option<f32>, recommended: Option<f32>) -> Sampling {
        let d = Sampling::default();
        Sampling {
            temperature: self.temperature.unwrap_or(d.temperature),
            top_k: self.top_k.unwrap_or(d.top_k),
            top_p: self.top_p.unwrap_or(d.top_p),
            min_p: self.min_p.unwrap_or(d.min_p),
            repetition_penalty: own
                .or(self.repetition_penalty)
                .or(recommended)
                .unwrap_or(d.repetition_penalty),
            seed: self.seed.unwrap_or(d.seed),
        }
    }
}

/// The first thing that is told of a generation; [`generate::Event`]s follow.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "prompt", rename_all = "camelCase")]
pub struct PromptEvent {
    /// Tokens of the prompt of each lane of the request, without its offset.
    pub tokens: Vec<usize>,
}

/// The answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateResult {
    /// Tokens of the first lane's prompt.
    pub prompt_tokens: usize,
    /// One for each lane of the request.
    pub lanes: Vec<LaneResult>,
    /// Where the time went.
    pub timings: TimingsResult,
    /// Memory that is held afterwards.
    pub memory: MemoryUse,
}

/// The answer of one lane.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneResult {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Their text.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Tokens per second of decoding.
    pub tokens_per_second: f64,
    /// Tokens of the lane's prompt, without its offset.
    pub prompt_tokens: usize,
    /// What steering wrote, where it did.
    pub write: Option<SlotWrite>,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimingsResult {
    /// Prompt to cache.
    pub prefill_ms: f64,
    /// Tokens that were computed for it.
    pub prefill_tokens: usize,
    /// The write of the vectors.
    pub steering_ms: f64,
    /// All decode steps.
    pub decode_ms: f64,
    /// How many there were.
    pub decode_steps: usize,
    /// From the request to the first token.
    pub first_token_ms: f64,
}

impl GenerateResult {
    /// The outcome of a request.
    pub fn new(request: &Request, outcome: generate::Outcome, memory: MemoryUse) -> Self {
        let t = outcome.timings;
        let lane = |(asked, lane): (&LaneRequest, LaneOutcome)| LaneResult {
            tokens_per_second: lane.tokens_per_second(),
            tokens: lane.tokens,
            text: lane.text,
            stop_reason: lane.stop_reason,
            prompt_tokens: request.prompt_of(asked).len(),
            write: lane.write,
        };
        let lanes: Vec<LaneResult> = request.lanes.iter().zip(outcome.lanes).map(lane).collect();
        Self {
            prompt_tokens: lanes.first().map_or(0, |lane| lane.prompt_tokens),
            lanes,
            memory,
            timings: TimingsResult {
                prefill_ms: t.prefill_ms,
                prefill_tokens: t.prefill_tokens,
                steering_ms: t.steering_ms,
                decode_ms: t.decode_ms,
                decode_steps: t.decode_steps,
                first_token_ms: t.first_token_ms,
            },
        }
    }
}

#[wasm_bindgen(typescript_custom_section)]
const TYPESCRIPT: &str = include_str!("types.d.ts");
