//! `cache-steering calibrate`: the lowest strength that switches the style and leaves the text whole.

use super::model::ModelArgs;
use super::steering::{read_vector, warn_of_foreign};
use super::{files, print, progress};
use cache_steering::eval::{self, CalibrateOptions, CalibrateProgress};
use cache_steering::{Error, Result};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The vector, which has a marker
    #[arg(long, value_name = "F.safetensors")]
    vector: PathBuf,
    /// Questions to try it on, in the form of GSM8K or ARC
    #[arg(long, value_name = "F.jsonl")]
    questions: PathBuf,
    /// So many of them, spread over the file
    #[arg(long, value_name = "N", default_value_t = 8)]
    count: usize,
    /// Factors of the values
    #[arg(long, value_name = "C,C,...", value_delimiter = ',', default_values_t = CalibrateOptions::default().values, allow_negative_numbers = true)]
    values: Vec<f32>,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = CalibrateOptions::default().max_tokens)]
    max_tokens: usize,
    /// Write the vector here, with the strength that was found as the one that it recommends
    #[arg(long, value_name = "F.safetensors")]
    out: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<()> {
    if let Some(path) = &args.out {
        files::check_writable(path)?;
    }
    let all = eval::question::parse(&files::read_text(&args.questions)?)?;
    let questions = eval::question::spread(all, args.count);
    let text = args.model.text().await?;
    let mut vector = read_vector(&args.vector, &text.config)?;
    let mut longest = 0;
    for question in &questions {
        longest = longest.max(text.tokenizer.encode(&question.text)?.len());
    }
    let options = CalibrateOptions {
        values: args.values,
        max_tokens: args.max_tokens,
        ..CalibrateOptions::default()
    };
    let capacity = (longest + 128).saturating_add(args.max_tokens);
    let lanes = options.values.len().clamp(1, 8);
    let mut engine = args.model.load_lanes(lanes, capacity).await?;
    warn_of_foreign(&engine, &vector);
    let bar = progress::steps("answers");
    let mut observer = |CalibrateProgress { done, total }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    };
    let shared = Arc::new(vector.clone());
    let found = eval::calibrate(&mut engine, &shared, &questions, &options, &mut observer).await?;
    bar.finish_and_clear();
    let mut table = String::from("values  in style  loops  broken  nats a token\n");
    for trial in &found.trials {
        table.push_str(&format!(
            "{:>6} {:>4} of {:<2} {:>5} {:>7} {:>13.2}\n",
            trial.values, trial.marked, trial.answers, trial.loops, trial.broken, trial.nll
        ));
    }
    print(&table)?;
    let Some(strength) = found.strength else {
        return Err(Error::InvalidRequest(
            "none of these strengths switches the style and leaves the text whole. Try others with --values, more shots, or another wording".into(),
        ));
    };
    print(&format!("strength {}\n", strength.values))?;
    if let Some(path) = &args.out {
        vector.metadata.recommended = strength;
        files::write(path, &vector.to_bytes()?)?;
    }
    Ok(())
}
