//! `cache-steering tokenize`: a text to token ids.

use super::{model, print, print_json};
use cache_steering::{Error, Result};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Model file, GGUF
    #[arg(long, value_name = "F.gguf")]
    model: PathBuf,
    /// The text; special tokens are parsed, none is added [default: standard input]
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    ids: Vec<u32>,
    tokens: Vec<String>,
}

pub async fn run(args: Args) -> Result<()> {
    let text = match args.text {
        Some(text) => text,
        None => std::io::read_to_string(std::io::stdin()).map_err(|source| Error::Io {
            path: "standard input".into(),
            source,
        })?,
    };
    let tokenizer = model::text(&args.model).await?.tokenizer;
    let ids = tokenizer.encode(&text)?;
    let tokens = ids
        .iter()
        .map(|&id| tokenizer.token(id).unwrap_or_default())
        .collect();
    let report = Report { ids, tokens };
    if args.json {
        return print_json(&report);
    }
    let mut lines = String::new();
    for (id, token) in report.ids.iter().zip(&report.tokens) {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{id:>6}  {token:?}");
    }
    print(&lines)
}
