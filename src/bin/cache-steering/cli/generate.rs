//! `cache-steering generate`: a prompt to an answer.

use super::model::ModelArgs;
use super::{files, print, print_json};
use cache_steering::backend::BackendInfo;
use cache_steering::generate::{
    Event, LaneOutcome, LaneRequest, Request, Sampling, Steering, StopReason, Timings, generate,
};
use cache_steering::model::Message;
use cache_steering::steering::{SteeringVector, Strength};
use cache_steering::{Engine, Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompt: PromptArgs,
    #[command(flatten)]
    steering: SteeringArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,
    /// Print one JSON object instead of the text
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct PromptArgs {
    /// What the user says; the model's chat template is put around it
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// A conversation: a JSON list of objects with "role" and "content"
    #[arg(long, value_name = "F.json")]
    messages: Option<PathBuf>,
}

#[derive(clap::Args)]
struct SteeringArgs {
    /// Steer with this vector
    #[arg(long, value_name = "F.safetensors")]
    vectors: Option<PathBuf>,
    /// Factor of the vector's values [default: what the file recommends]
    #[arg(
        long,
        value_name = "C",
        requires = "vectors",
        allow_negative_numbers = true
    )]
    values: Option<f32>,
    /// Factor of the vector's keys [default: what the file recommends]
    #[arg(
        long,
        value_name = "C",
        requires = "vectors",
        allow_negative_numbers = true
    )]
    keys: Option<f32>,
    /// First layer that is steered, counted from 0 [default: what the file recommends]
    #[arg(long, value_name = "N", requires = "vectors")]
    first_layer: Option<usize>,
    /// Text that follows the prompt, \n for a newline [default: what the vector file recommends]
    #[arg(long, value_name = "TEXT")]
    offset: Option<String>,
}

#[derive(clap::Args)]
struct SamplingArgs {
    /// 0 takes the most likely token each time
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    temperature: f32,
    /// Draw from the K most likely tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draw from the most likely tokens that reach this probability together
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    top_p: f32,
    /// Draw from tokens at least this many times as likely as the most likely one
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    min_p: f32,
    /// Make tokens that were there before less likely; 1 for no change
    #[arg(
        long,
        value_name = "R",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    repetition_penalty: f32,
    /// The same seed gives the same answer
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u32,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    prompt_ids: &'a [u32],
    offset_ids: &'a [u32],
    #[serde(flatten)]
    answer: &'a LaneOutcome,
    timings: Timings,
    tokens_per_second: f64,
    steering: Option<Strength>,
    backend: &'a BackendInfo,
    backend_reason: &'a str,
}

pub async fn run(args: Args) -> Result<()> {
    let messages = args.prompt.messages()?;
    let vector = args.steering.vector()?;
    let text = args.model.text().await?;
    let prompt = text.tokenizer.encode(&text.chat.render(&messages, true)?)?;
    let offset = text
        .tokenizer
        .encode(&args.steering.offset(vector.as_deref()))?;
    let sampling = args.sampling.sampling();
    sampling.check()?;

    let steering = vector.map(|vector| Steering {
        strength: args.steering.strength(&vector),
        vector,
    });
    if let Some(Steering { vector, strength }) = &steering {
        vector.check(&text.config)?;
        strength.check(text.config.n_layers)?;
    }
    let strength = steering.as_ref().map(|steering| steering.strength);
    let need = (prompt.len() + offset.len()).saturating_add(args.max_tokens);
    let mut engine = args.model.load(need).await?;
    let request = Request {
        prompt,
        lanes: vec![LaneRequest {
            offset,
            steering,
            sampling,
        }],
        max_tokens: args.max_tokens,
    };

    let mut broken = Ok(());
    let stream = !args.json;
    let mut observer = |event: Event| {
        if let (Event::Token { text, .. }, true) = (event, stream) {
            broken = print(&text);
        }
        if broken.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let outcome = generate(&mut engine, &request, &mut observer).await?;
    broken?;
    let [answer] = &outcome.lanes[..] else {
        return Err(Error::InvalidRequest(
            "one lane should give one answer".into(),
        ));
    };
    if args.json {
        return print_json(&Report {
            prompt_ids: &request.prompt,
            offset_ids: &request.lanes[0].offset,
            answer,
            timings: outcome.timings,
            tokens_per_second: answer.tokens_per_second(),
            steering: strength,
            backend: engine.backend_info(),
            backend_reason: engine.backend_reason(),
        });
    }
    print("\n")?;
    eprintln!("{}", summary(answer, &outcome.timings, &engine));
    Ok(())
}

fn summary(answer: &LaneOutcome, timings: &Timings, engine: &Engine) -> String {
    let end = match answer.stop_reason {
        StopReason::EndOfText => "complete",
        StopReason::MaxTokens => "cut off at --max-tokens",
        StopReason::ContextFull => "cut off by the context",
        StopReason::Cancelled => "stopped",
    };
    format!(
        "{} tokens ({end}), {:.1} tokens/s; prompt of {} in {:.0} ms. {}",
        answer.tokens.len(),
        answer.tokens_per_second(),
        timings.prefill_tokens,
        timings.prefill_ms,
        engine.backend_reason()
    )
}

impl PromptArgs {
    fn messages(&self) -> Result<Vec<Message>> {
        match &self.messages {
            Some(path) => files::read_json(path, "a list of objects with \"role\" and \"content\""),
            None => Ok(vec![Message {
                role: "user".into(),
                content: self.prompt.clone().unwrap_or_default(),
            }]),
        }
    }
}

impl SteeringArgs {
    fn vector(&self) -> Result<Option<Arc<SteeringVector>>> {
        let Some(path) = &self.vectors else {
            return Ok(None);
        };
        Ok(Some(Arc::new(SteeringVector::from_bytes(&files::read(
            path,
        )?)?)))
    }

    fn strength(&self, vector: &SteeringVector) -> Strength {
        let recommended = vector.metadata.recommended;
        Strength {
            values: self.values.unwrap_or(recommended.values),
            keys: self.keys.unwrap_or(recommended.keys),
            first_layer: self.first_layer.unwrap_or(recommended.first_layer),
        }
    }

    /// The text between prompt and answer: what was asked for, else what the vector needs.
    fn offset(&self, vector: Option<&SteeringVector>) -> String {
        match &self.offset {
            Some(text) => text.replace("\\n", "\n"),
            None => vector
                .map(|v| v.metadata.offset.clone())
                .unwrap_or_default(),
        }
    }
}

impl SamplingArgs {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed,
        }
    }
}
