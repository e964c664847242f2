//! Arguments in, text or JSON on standard output, everything else on standard error.

mod bench;
mod calibrate;
mod eval;
mod extract;
mod files;
mod generate;
mod inspect;
mod kernels;
mod measure;
mod model;
mod progress;
mod sampling;
mod score;
mod steering;
mod sweep;
mod synthesize;
mod tokenize;

use cache_steering::{Error, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Runs SmolLM2, or another small model, and steers it with one write to its KV cache.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer a prompt, plain or steered
    Generate(generate::Args),
    /// Make a steering vector from contrastive pairs
    Extract(extract::Args),
    /// Find the strength of a vector
    Calibrate(calibrate::Args),
    /// Measure what steering does to answers
    Eval(eval::Args),
    /// Measure what strength, pairs, shots or layers do to the effect
    Sweep(sweep::Args),
    /// Measure how well the model predicts a text
    Score(score::Args),
    /// Write a model file of random weights, to test with
    Synthesize(synthesize::Args),
    /// Show the tokens of a text
    Tokenize(tokenize::Args),
    /// Show what a model or vector file holds
    Inspect(inspect::Args),
    /// Measure how fast this machine runs a model
    Bench(bench::Args),
}

/// Runs the command line; an error becomes one line on standard error and exit code 1.
pub fn main() -> ExitCode {
    // Graphics drivers and their libraries talk a lot; `RUST_LOG` lets them.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let result = pollster::block_on(async {
        match Cli::parse().command {
            Command::Generate(args) => generate::run(args).await,
            Command::Extract(args) => extract::run(args).await,
            Command::Calibrate(args) => calibrate::run(args).await,
            Command::Eval(args) => eval::run(args).await,
            Command::Sweep(args) => sweep::run(args).await,
            Command::Score(args) => score::run(args).await,
            Command::Synthesize(args) => synthesize::run(args).await,
            Command::Tokenize(args) => tokenize::run(args).await,
            Command::Inspect(args) => inspect::run(args).await,
            Command::Bench(args) => bench::run(args).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output at once, so that a stream of tokens is seen as it comes.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| Error::Io {
            path: "standard output".into(),
            source,
        })
}

/// Writes one JSON object to standard output.
fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|e| Error::InvalidRequest(format!("the result cannot be written as JSON: {e}")))?;
    print(&(text + "\n"))
}
