//! `cache-steering extract`: contrastive pairs, or a contrastive set in a style, to vector files.

use super::model::ModelArgs;
use super::{files, progress};
use cache_steering::eval::Marker;
use cache_steering::steering::contrast::{self, PairOptions, Selection};
use cache_steering::steering::extract::{Average, Contrast, TokenPosition};
use cache_steering::steering::{
    ContrastivePair, ExtractOptions, ExtractProgress, Extractor, KeyFrame, SteeringVector,
    Strength, StrengthUnit, VectorMetadata, pairs, style,
};
use cache_steering::{Error, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    source: Source,
    /// The style of the set to make a vector for
    #[arg(long, value_name = "NAME", requires = "set")]
    style: Option<String>,
    /// Make a vector for each style of this list, named after it
    #[arg(long, value_name = "F.json", requires = "set", conflicts_with_all = ["style", "marker", "count", "shots", "selection", "seed", "offset", "values", "keys", "first_layer", "last_layer", "repetition_penalty", "label", "description"])]
    styles: Option<PathBuf>,
    /// List the vectors here for the page, under the name of their folder
    #[arg(long, value_name = "F.json", requires = "styles")]
    index: Option<PathBuf>,
    /// Where to write the vector; with --styles, the folder
    #[arg(long, value_name = "F.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// A JSON list, or JSON lines, of objects with the texts "positive" and "negative", in the
    /// model's chat format
    #[arg(long, value_name = "F.json", conflicts_with_all = ["style", "count", "selection"])]
    pairs: Option<PathBuf>,
    /// A contrastive set: objects with "question", "choices", "answer" and "reasoning"
    #[arg(long, value_name = "F.jsonl")]
    set: Option<PathBuf>,
}

/// What the file is to say of itself, and which pairs of a set it is made from.
#[derive(clap::Args)]
struct About {
    /// A short name for people
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// One line for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A regular expression that finds the style in an answer
    #[arg(long, value_name = "REGEX")]
    marker: Option<String>,
    /// Pairs to make of the set
    #[arg(long, value_name = "N", default_value_t = PairOptions::default().pairs)]
    count: usize,
    /// Few-shot examples in each prompt
    #[arg(long, value_name = "N")]
    shots: Option<usize>,
    /// How the examples of a question are chosen from the set
    #[arg(long, value_enum, default_value_t = Choose::Random)]
    selection: Choose,
    /// Seed with which the pairs are chosen
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
    /// Recommended last layer [default: the last one that there is]
    #[arg(long, value_name = "N")]
    last_layer: Option<usize>,
    /// Recommended repetition penalty: steered answers go round in circles more easily than plain ones
    #[arg(long, value_name = "R", default_value_t = 1.1)]
    repetition_penalty: f32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choose {
    /// At random
    Random,
    /// Those most similar to the question
    Similar,
}

/// How a vector is made of its pairs.
#[derive(clap::Args)]
struct How {
    /// Token to read: last, penultimate, or its number (negative from the end)
    #[arg(long, value_name = "TOKEN", value_parser = token, allow_negative_numbers = true)]
    token: Option<TokenPosition>,
    /// Take the positive prompts alone, instead of positive minus negative
    #[arg(long)]
    positive_only: bool,
    /// Average the largest of so many clusters, instead of all pairs
    #[arg(long, value_name = "N")]
    clusters: Option<usize>,
    /// Keep so many heads, those with the longest values
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Turn keys back to position 0 before they are averaged, and to the steered position when used
    #[arg(long)]
    unrotate_keys: bool,
}

/// One vector to make.
struct Task {
    out: PathBuf,
    pairs: Vec<ContrastivePair>,
    options: ExtractOptions,
    metadata: VectorMetadata,
}

pub async fn run(args: Args) -> Result<()> {
    let text = args.model.text().await?;
    let tasks = args.tasks(&text.chat)?;
    let mut longest = 1;
    for task in &tasks {
        if let Some(folder) = task.out.parent() {
            std::fs::create_dir_all(folder).map_err(|source| files::io_error(folder, source))?;
        }
        files::check_writable(&task.out)?;
        if let Some(pattern) = &task.metadata.marker {
            Marker::new(pattern)?;
        }
        task.metadata.recommended.check(text.config.n_layers)?;
        for pair in &task.pairs {
            for prompt in [&pair.positive, &pair.negative] {
                longest = longest.max(text.tokenizer.encode_whole(prompt)?.len());
            }
        }
    }
    let mut engine = args.model.load(longest).await?;
    let reason = engine.backend_reason().to_string();
    let mut extractor = Extractor::new(&mut engine);
    let mut listed = Vec::new();
    for task in tasks {
        let bar = progress::steps("running the prompts");
        let mut stable = None;
        let mut observer = |progress: ExtractProgress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            stable = progress.stability;
            ControlFlow::Continue(())
        };
        let vector = extractor
            .extract(&task.pairs, &task.options, task.metadata, &mut observer)
            .await?;
        bar.finish_and_clear();
        files::write(&task.out, &vector.to_bytes()?)?;
        listed.push(Listed::of(&task.out, &vector));
        eprintln!(
            "{}: {} pairs, {} layers{}",
            task.out.display(),
            task.pairs.len(),
            vector.dims[0],
            stable.map_or(String::new(), |cosine| format!(
                ", cosine of its halves {cosine:.3}"
            ))
        );
    }
    if let Some(index) = &args.index {
        list(index, &args.out, listed)?;
    }
    eprintln!("{reason}");
    Ok(())
}

/// What the page's list says of a vector, so that nothing has to be fetched to show it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    label: String,
    description: String,
    file: String,
    recommended: Strength,
    repetition_penalty: f32,
}

impl Listed {
    fn of(path: &Path, vector: &SteeringVector) -> Self {
        let about = &vector.metadata;
        let id = stem(path);
        Self {
            label: about.label.clone().unwrap_or_else(|| id.clone()),
            description: about.description.clone().unwrap_or_default(),
            file: format!("{id}.safetensors"),
            recommended: about.recommended,
            repetition_penalty: about.repetition_penalty.unwrap_or(1.0),
            id,
        }
    }
}

/// Puts the vectors of a folder into the list, in place of those that it had.
fn list(index: &Path, folder: &Path, listed: Vec<Listed>) -> Result<()> {
    let mut folders: BTreeMap<String, Vec<Listed>> = match index.exists() {
        true => files::read_json(index, "an object with a list of vectors for each folder")?,
        false => BTreeMap::new(),
    };
    folders.insert(stem(folder), listed);
    let mut json = serde_json::to_vec_pretty(&folders)
        .map_err(|e| Error::InvalidRequest(format!("the list cannot be written: {e}")))?;
    json.push(b'\n');
    files::write(index, &json)
}

impl Args {
    fn tasks(&self, chat: &cache_steering::model::ChatTemplate) -> Result<Vec<Task>> {
        let about = &self.about;
        let metadata = VectorMetadata {
            offset: about.offset.replace("\\n", "\n"),
            recommended: Strength {
                values: about.values,
                keys: about.keys,
                first_layer: about.first_layer,
                last_layer: about.last_layer,
                unit: StrengthUnit::Vector,
            },
            repetition_penalty: Some(about.repetition_penalty),
            label: about.label.clone(),
            description: about.description.clone(),
            marker: about.marker.clone(),
            ..VectorMetadata::default()
        };
        if let Some(path) = &self.source.pairs {
            return Ok(vec![Task {
                out: self.out.clone(),
                pairs: pairs::parse(&files::read_text(path)?)?,
                options: self.how.options(ExtractOptions::default()),
                metadata: VectorMetadata {
                    pair_set: Some(stem(path)),
                    shots: about.shots,
                    seed: about.seed,
                    ..metadata
                },
            }]);
        }
        let Some(path) = &self.source.set else {
            return Err(Error::InvalidRequest("give --pairs or --set".into()));
        };
        let items = contrast::parse(&files::read_text(path)?)?;
        if let Some(styles) = &self.styles {
            return style::parse(&files::read_text(styles)?)?
                .into_iter()
                .map(|style| {
                    Ok(Task {
                        out: self.out.join(&style.id).with_extension("safetensors"),
                        pairs: style.pairs(&items, chat)?,
                        options: self.how.options(style.extraction),
                        metadata: style.metadata(&stem(path)),
                    })
                })
                .collect();
        }
        let Some(style) = &self.style else {
            return Err(Error::InvalidRequest(
                "say which vectors to make of the set: give --style or --styles".into(),
            ));
        };
        let options = about.pair_options();
        Ok(vec![Task {
            out: self.out.clone(),
            pairs: contrast::pairs(&items, style, &options, chat)?,
            options: self.how.options(ExtractOptions::default()),
            metadata: VectorMetadata {
                pair_set: Some(stem(path)),
                style: Some(style.clone()),
                shots: Some(options.shots),
                selection: Some(options.selection),
                seed: Some(options.seed),
                ..metadata
            },
        }])
    }
}

impl About {
    fn pair_options(&self) -> PairOptions {
        let defaults = PairOptions::default();
        PairOptions {
            pairs: self.count,
            shots: self.shots.unwrap_or(defaults.shots),
            selection: match self.selection {
                Choose::Random => Selection::Random,
                Choose::Similar => Selection::Similar,
            },
            seed: self.seed.unwrap_or(defaults.seed),
        }
    }
}

impl How {
    /// What was asked for, on top of what would be done otherwise.
    fn options(&self, base: ExtractOptions) -> ExtractOptions {
        ExtractOptions {
            token: self.token.unwrap_or(base.token),
            contrast: match self.positive_only {
                true => Contrast::Positive,
                false => base.contrast,
            },
            average: self.clusters.map_or(base.average, Average::Clusters),
            heads: self.heads.or(base.heads),
            key_frame: match self.unrotate_keys {
                true => KeyFrame::Zero,
                false => base.key_frame,
            },
        }
    }
}

fn token(text: &str) -> Result<TokenPosition, String> {
    match text {
        "last" => Ok(TokenPosition::Last),
        "penultimate" => Ok(TokenPosition::Penultimate),
        number => number
            .parse()
            .map(TokenPosition::Index)
            .map_err(|_| "it is neither `last` nor `penultimate` nor a number".into()),
    }
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
