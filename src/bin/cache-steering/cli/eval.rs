//! `cache-steering eval` and `sweep`: what steering does to answers, measured.

use super::model::ModelArgs;
use super::sampling::SamplingArgs;
use super::steering::StrengthArgs;
use super::{files, print, progress};
use cache_steering::eval::{self, Answer, Condition, EvalProgress, Marker, Report, THINK_PROMPT};
use cache_steering::steering::{Steering, SteeringVector};
use cache_steering::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Questions in the form of GSM8K or ARC, JSON lines; several times for several files
    #[arg(long, value_name = "F.jsonl", required = true)]
    questions: Vec<PathBuf>,
    /// A vector, with its marker, offset, strength and repetition penalty; several times for several
    #[arg(long, value_name = "F.safetensors", required = true)]
    vectors: Vec<PathBuf>,
    /// Factors of the values to try, instead of the one that each vector recommends
    #[arg(
        long,
        value_name = "C,C,...",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    values: Vec<f32>,
    #[command(flatten)]
    strength: StrengthArgs,
    /// Conditions to leave out: plain, offset, prompt, steered, prompt+steered
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    without: Vec<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Answers to each question under each condition; more than one makes sense above temperature 0
    #[arg(long, value_name = "N", default_value_t = 1)]
    samples: usize,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 160)]
    max_tokens: usize,
    /// Lanes that decode together
    #[arg(long, value_name = "N", default_value_t = 8)]
    lanes: usize,
    /// Keep the answers here as they come, and go on from those that are there
    #[arg(long, value_name = "F.jsonl")]
    answers: Option<PathBuf>,
    /// Write the figures to this file as well
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
}

/// A vector with what it is called.
struct Named {
    style: String,
    vector: Arc<SteeringVector>,
}

pub async fn run(args: Args) -> Result<()> {
    let mut questions = Vec::new();
    for path in &args.questions {
        questions.extend(eval::question::parse(&files::read_text(path)?)?);
    }
    let text = args.model.text().await?;
    let vectors: Vec<Named> = args
        .vectors
        .iter()
        .map(|path| named(path))
        .collect::<Result<_>>()?;
    let mut markers = BTreeMap::new();
    for Named { style, vector } in &vectors {
        vector.check(&text.config)?;
        if let Some(pattern) = &vector.metadata.marker {
            markers.insert(style.clone(), Marker::new(pattern)?);
        }
    }
    let conditions = args.conditions(&vectors)?;
    for steering in conditions.iter().flat_map(|c| &c.steering) {
        steering.strength.check(text.config.n_layers)?;
    }

    let mut longest = 0;
    for question in &questions {
        longest = longest.max(text.tokenizer.encode(&question.text)?.len());
    }
    // Around the question come the chat format and what a condition appends.
    let capacity = (longest + 128).saturating_add(args.max_tokens);
    let mut engine = args.model.load_lanes(args.lanes, capacity).await?;

    let (kept, mut file) = match &args.answers {
        Some(path) => {
            let kept = kept(path)?;
            (kept, Some((path, append_to(path)?)))
        }
        None => (Vec::new(), None),
    };
    let bar = progress::steps("answers");
    let mut failed = Ok(());
    let mut observer = |EvalProgress {
                            done,
                            total,
                            answer,
                        }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if let (Some(answer), Some((path, file))) = (answer, &mut file) {
            failed = keep(&answer, file).map_err(|source| files::io_error(path, source));
        }
        match failed {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let answers = eval::run(
        &mut engine,
        &questions,
        &conditions,
        args.samples,
        args.max_tokens,
        kept,
        &mut observer,
    )
    .await;
    failed?;
    let answers = answers?;
    bar.finish_and_clear();

    let report = Report::new(&questions, &conditions, &markers, &answers);
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report)
            .map_err(|e| Error::InvalidRequest(format!("the figures are no JSON: {e}")))?;
        files::write(path, &json)?;
    }
    print(&report.table())?;
    eprintln!("{}", engine.backend_reason());
    Ok(())
}

fn named(path: &Path) -> Result<Named> {
    let vector = SteeringVector::from_bytes(&files::read(path)?)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    Ok(Named {
        style: stem.unwrap_or_default().into_owned(),
        vector: Arc::new(vector),
    })
}

impl Args {
    fn conditions(&self, vectors: &[Named]) -> Result<Vec<Condition>> {
        const NAMES: [&str; 5] = ["plain", "offset", "prompt", "steered", "prompt+steered"];
        if let Some(unknown) = self.without.iter().find(|w| !NAMES.contains(&w.as_str())) {
            return Err(Error::InvalidRequest(format!(
                "there is no condition {unknown:?}: they are {}",
                NAMES.join(", ")
            )));
        }
        let wants = |name: &str| !self.without.iter().any(|without| without == name);
        let plain = Condition::plain(self.sampling.sampling(&[]));
        let mut conditions = Vec::new();
        if wants("plain") {
            conditions.push(plain.clone());
        }
        if wants("offset") {
            // Vectors of one set have one offset.
            let offset = vectors.first().map(|v| v.vector.metadata.offset.clone());
            conditions.push(Condition {
                name: "offset".into(),
                offset: offset.unwrap_or_default(),
                ..plain.clone()
            });
        }
        if wants("prompt") {
            conditions.push(Condition {
                name: "prompt".into(),
                appended: Some(THINK_PROMPT.into()),
                ..plain.clone()
            });
        }
        for Named { style, vector } in vectors {
            let recommended = [vector.metadata.recommended.values];
            let values = match self.values.is_empty() {
                true => &recommended[..],
                false => &self.values,
            };
            for &values in values {
                let steering = vec![Steering {
                    strength: self.strength.of(vector, Some(values)),
                    vector: vector.clone(),
                }];
                let steered = Condition {
                    name: format!("{style} at {values}"),
                    style: Some(style.clone()),
                    offset: vector.metadata.offset.clone(),
                    sampling: self.sampling.sampling(&steering),
                    steering,
                    ..plain.clone()
                };
                if wants("prompt+steered") {
                    conditions.push(Condition {
                        name: format!("prompt + {}", steered.name),
                        appended: Some(THINK_PROMPT.into()),
                        ..steered.clone()
                    });
                }
                if wants("steered") {
                    conditions.push(steered);
                }
            }
        }
        Ok(conditions)
    }
}

/// The answers of an earlier run. A line that a broken run left half-written is dropped.
fn kept(path: &Path) -> Result<Vec<Answer>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = files::read_text(path)?;
    if !text.is_empty() && !text.ends_with('\n') {
        // Or the next answer would go on in the broken line.
        append_to(path)?
            .write_all(b"\n")
            .map_err(|source| files::io_error(path, source))?;
    }
    let answers = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(answers.collect())
}

fn append_to(path: &Path) -> Result<File> {
    let open = OpenOptions::new().create(true).append(true).open(path);
    open.map_err(|source| files::io_error(path, source))
}

fn keep(answer: &Answer, file: &mut File) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    file.write_all(&line)
}
