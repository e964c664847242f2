//! `cache-steering extract`: contrastive pairs to a vector file.

use super::model::ModelArgs;
use super::{files, progress};
use cache_steering::steering::{ExtractProgress, Strength, VectorMetadata, extract, pairs};
use cache_steering::{Error, Result};
use std::ops::ControlFlow;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A JSON list, or JSON lines, of objects with the texts "positive" and "negative", in the
    /// model's chat format
    #[arg(long, value_name = "F.json")]
    pairs: PathBuf,
    /// Where to write the vector
    #[arg(long, value_name = "F.safetensors")]
    out: PathBuf,
    /// A short name for people
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// One line for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Name of the set of pairs [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pair_set: Option<String>,
    /// Few-shot examples in each prompt, to be noted in the file
    #[arg(long, value_name = "N")]
    shots: Option<usize>,
    /// Seed with which the examples were drawn, to be noted in the file
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Text that follows the prompt when the vector is used, \n for a newline
    #[arg(long, value_name = "TEXT", default_value = "\\n")]
    offset: String,
    /// Recommended factor of the values
    #[arg(long, value_name = "C", default_value_t = Strength::default().values, allow_negative_numbers = true)]
    values: f32,
    /// Recommended factor of the keys
    #[arg(long, value_name = "C", default_value_t = Strength::default().keys, allow_negative_numbers = true)]
    keys: f32,
    /// Recommended first layer, counted from 0
    #[arg(long, value_name = "N", default_value_t = Strength::default().first_layer)]
    first_layer: usize,
}

pub async fn run(args: Args) -> Result<()> {
    let pairs = pairs::parse(&files::read_text(&args.pairs)?)?;
    let text = args.model.text().await?;
    let recommended = Strength {
        values: args.values,
        keys: args.keys,
        first_layer: args.first_layer,
    };
    recommended.check(text.config.n_layers)?;
    let mut longest = 1;
    for prompt in pairs
        .iter()
        .flat_map(|pair| [&pair.positive, &pair.negative])
    {
        longest = longest.max(text.tokenizer.encode(prompt)?.len());
    }

    let mut engine = args.model.load(longest).await?;
    let metadata = VectorMetadata {
        offset: args.offset.replace("\\n", "\n"),
        recommended,
        label: args.label,
        description: args.description,
        pair_set: args.pair_set.or_else(|| {
            args.pairs
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        }),
        shots: args.shots,
        seed: args.seed,
        ..VectorMetadata::default()
    };
    let bar = progress::steps("running the prompts");
    let mut observer = |ExtractProgress { done, total }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        ControlFlow::Continue(())
    };
    let vector = extract(&mut engine, &pairs, metadata, &mut observer).await?;
    bar.finish_and_clear();
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            path: folder.display().to_string(),
            source,
        })?;
    }
    files::write(&args.out, &vector.to_bytes()?)?;
    eprintln!(
        "{}: {} pairs, {} layers. {}",
        args.out.display(),
        pairs.len(),
        vector.dims[0],
        engine.backend_reason()
    );
    Ok(())
}
