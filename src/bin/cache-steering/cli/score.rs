//! `cache-steering score`: how well the model predicts a text.

use super::model::ModelArgs;
use super::{files, print, print_json, progress};
use cache_steering::engine::PrefillProgress;
use cache_steering::{Error, Result};
use serde::Deserialize;
use std::ops::ControlFlow;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    input: InputArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct InputArgs {
    /// Token ids: a JSON list, or an object with the list "ids"
    #[arg(long, value_name = "F.json")]
    ids: Option<PathBuf>,
    /// A text file; special tokens are parsed, none is added
    #[arg(long, value_name = "F")]
    text: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "neither of the two was found")]
enum Ids {
    List(Vec<u32>),
    Object { ids: Vec<u32> },
}

pub async fn run(args: Args) -> Result<()> {
    let ids = match (&args.input.ids, &args.input.text) {
        (Some(path), _) => {
            match files::read_json(
                path,
                "a list of token ids, or an object with the list \"ids\"",
            )? {
                Ids::List(ids) | Ids::Object { ids } => ids,
            }
        }
        (None, Some(path)) => args
            .model
            .text()
            .await?
            .tokenizer
            .encode_whole(&files::read_text(path)?)?,
        (None, None) => return Err(Error::InvalidRequest("give --ids or --text".into())),
    };
    let mut engine = args.model.load(ids.len()).await?;
    let bar = progress::steps("reading the text");
    let mut observer = |PrefillProgress { done, total }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    };
    let score = engine.score(&ids, &mut observer).await?;
    bar.finish_and_clear();
    if args.json {
        return print_json(&score);
    }
    print(&format!(
        "perplexity {:.4}, mean negative log-likelihood {:.5}, {} tokens\n",
        score.perplexity, score.nll, score.tokens
    ))?;
    eprintln!("{}", engine.backend_reason());
    Ok(())
}
