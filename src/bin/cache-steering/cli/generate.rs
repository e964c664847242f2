//! `cache-steering generate`: a prompt to an answer.

use super::model::ModelArgs;
use super::sampling::SamplingArgs;
use super::steering::{SteeringArgs, warn_of_foreign};
use super::{files, print, print_json};
use cache_steering::backend::BackendInfo;
use cache_steering::generate::{
    Event, LaneOutcome, LaneRequest, Request, Sampling, StopReason, Timings, generate,
};
use cache_steering::model::Message;
use cache_steering::steering::{Steering, Strength};
use cache_steering::{Engine, Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;

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
    /// Go on where an answer repeats itself, instead of stopping there
    #[arg(long)]
    keep_repeating: bool,
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

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    prompt_ids: &'a [u32],
    offset_ids: &'a [u32],
    #[serde(flatten)]
    answer: &'a LaneOutcome,
    /// The text that each token adds.
    pieces: &'a [String],
    timings: Timings,
    tokens_per_second: f64,
    /// Transformer blocks of the model.
    layers: usize,
    /// One for each vector.
    steering: &'a [Strength],
    sampling: Sampling,
    backend: &'a BackendInfo,
    backend_reason: &'a str,
}

pub async fn run(args: Args) -> Result<()> {
    let messages = args.prompt.messages()?;
    let text = args.model.text().await?;
    let prompt = text
        .tokenizer
        .encode_whole(&text.chat.render(&messages, true)?)?;
    let steering = args.steering.steering(&text.config)?;
    let offset = text.tokenizer.encode(&args.steering.offset(&steering))?;
    let sampling = args.sampling.sampling(&steering);
    sampling.check()?;
    let strengths: Vec<Strength> = steering.iter().map(|s| s.strength).collect();
    let need = (prompt.len() + offset.len()).saturating_add(args.max_tokens);
    let mut engine = args.model.load(need).await?;
    for Steering { vector, .. } in &steering {
        warn_of_foreign(&engine, vector);
    }
    let request = Request {
        prompt,
        lanes: vec![LaneRequest {
            offset,
            steering,
            sampling,
            ..LaneRequest::default()
        }],
        max_tokens: args.max_tokens,
        stop_repeating: !args.keep_repeating,
        ..Request::default()
    };

    let mut broken = Ok(());
    let mut pieces = Vec::new();
    let mut observer = |event: Event| {
        if let Event::Token { text, .. } = event {
            if !args.json {
                broken = print(&text);
            }
            pieces.push(text);
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
            pieces: &pieces,
            timings: outcome.timings,
            tokens_per_second: answer.tokens_per_second(),
            layers: text.config.n_layers,
            steering: &strengths,
            sampling,
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
        StopReason::Repeating => "stopped where it repeats itself",
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
