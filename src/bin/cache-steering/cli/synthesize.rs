//! `cache-steering synthesize`: a model file of random weights, to test hosts, browsers and loaders with.

use super::print_json;
use cache_steering::benchmark::SyntheticModel;
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{ModelConfig, synthetic};
use cache_steering::{Error, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Sizes: tiny, smollm2-135m or smollm2-360m
    #[arg(long, default_value = "tiny")]
    shape: String,
    /// Type of the matrices: q8_0, q4_0, q4_1, f16, f32, or the mix q4_k_m
    #[arg(long, default_value = "q8_0")]
    quant: String,
    /// Seed of the weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write so many files, NAME-00001-of-0000N.gguf, as of a split model
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    split: u16,
    /// Where to write it, a path that ends in .gguf
    #[arg(long)]
    out: PathBuf,
}

/// What an entry of a model list says of a file.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    bytes: usize,
    sha256: String,
}

pub async fn run(args: Args) -> Result<()> {
    let config = match args.shape.as_str() {
        "tiny" => synthetic::tiny(),
        other => SyntheticModel::shape(other)?,
    };
    let gguf = gguf(&config, &args.quant, args.seed)?;
    let files = match args.split {
        1 => vec![(args.out, gguf)],
        count => {
            let stem = args.out.with_extension("");
            let parts = synthetic::split(&gguf, count.into())?;
            let name = |n| format!("{}-{n:05}-of-{:05}.gguf", stem.display(), parts.len());
            let names: Vec<PathBuf> = (1..=parts.len()).map(|n| name(n).into()).collect();
            names.into_iter().zip(parts).collect()
        }
    };
    for (file, bytes) in files {
        std::fs::write(&file, &bytes).map_err(|source| Error::Io {
            path: file.display().to_string(),
            source,
        })?;
        let digest = Sha256::digest(&bytes);
        print_json(&Written {
            bytes: bytes.len(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            file,
        })?;
    }
    Ok(())
}

fn gguf(config: &ModelConfig, quant: &str, seed: u64) -> Result<Vec<u8>> {
    match (quant, WeightFormat::from_name(quant)) {
        (_, Some(format)) => synthetic::gguf(config, format, seed),
        ("q4_k_m", None) => synthetic::gguf_of_types(config, synthetic::q4_k_m(config), seed),
        (other, None) => Err(Error::InvalidRequest(format!(
            "there is no type {other:?} to write: choose q8_0, q4_0, q4_1, f16, f32 or q4_k_m"
        ))),
    }
}
