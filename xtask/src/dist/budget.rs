//! How much a visitor downloads before the weights, as servers that compress well would send it.

use super::Files;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes after brotli.
const LIMIT: usize = 1_000_000;

const QUALITY: i32 = 11;
const WINDOW: i32 = 22;

/// Prints the sizes; an error if what is needed before the weights is over the limit. `first` are the paths
/// that this is, of all files.
pub fn check(files: &Files, first: &BTreeSet<String>) -> Result<()> {
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (path, bytes) in files {
        let group = match first.contains(path) {
            true => group(path),
            false => LATER,
        };
        let (raw, small) = groups.entry(group).or_default();
        *raw += bytes.len();
        *small += brotli(bytes).with_context(|| format!("cannot compress {path}"))?;
    }
    println!("{:>12}{:>12}", "bytes", "brotli");
    let mut total = 0;
    for (name, (raw, small)) in &groups {
        println!("{raw:>12}{small:>12}  {name}");
        if *name != LATER {
            total += small;
        }
    }
    println!("{total:>24}  before the weights, of {LIMIT}");
    if total > LIMIT {
        bail!("the page is {} bytes too large after brotli", total - LIMIT);
    }
    Ok(())
}

const LATER: &str = "in the background or when asked for";

fn group(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "wasm")) => "WebAssembly",
        Some((_, "css")) => "style",
        Some((_, "js")) => "JavaScript",
        _ => "page and lists",
    }
}

fn brotli(bytes: &[u8]) -> std::io::Result<usize> {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: QUALITY,
        lgwin: WINDOW,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params)
}
