//! What `eval` and `sweep` have in common: questions in, answers kept, figures out.

use super::model::{ModelArgs, TextParts};
use super::sampling::SamplingArgs;
use super::{files, print, progress};
use cache_steering::eval::{
    self, Answer, Condition, EvalProgress, Kinds, Marker, Question, Report,
};
use cache_steering::observer::Observer;
use cache_steering::steering::{ContrastivePair, ExtractProgress, Extractor};
use cache_steering::{Engine, Error, Result};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct MeasureArgs {
    /// Questions in the form of GSM8K or ARC, JSON lines; several times for several files
    #[arg(long, value_name = "F.jsonl", required = true)]
    questions: Vec<PathBuf>,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// Answers to each question under each condition; more than one makes sense above temperature 0.
    /// The intervals take them for independent, which answers to one question are not
    #[arg(long, value_name = "N", default_value_t = 1)]
    samples: usize,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N", default_value_t = 160)]
    max_tokens: usize,
    /// Lanes that decode together; with one, the milliseconds a token are told, which lanes beside each
    /// other would share
    #[arg(long, value_name = "N", default_value_t = 8)]
    lanes: usize,
    /// Keep the answers here as they come, and go on from those that are there
    #[arg(long, value_name = "F.jsonl")]
    answers: Option<PathBuf>,
    /// Write the figures to this file as well
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
    /// Draw the figures into this file
    #[arg(long, value_name = "F.svg")]
    plot: Option<PathBuf>,
}

impl MeasureArgs {
    pub fn questions(&self) -> Result<Vec<Question>> {
        let mut questions = Vec::new();
        for path in &self.questions {
            questions.extend(eval::question::parse(&files::read_text(path)?)?);
        }
        Ok(questions)
    }

    /// An engine with room for the questions and their answers, and for these pairs.
    pub async fn load(
        &self,
        model: &ModelArgs,
        text: &TextParts,
        questions: &[Question],
        pairs: &[ContrastivePair],
    ) -> Result<Engine> {
        let mut capacity = 0;
        for question in questions {
            // Around the question come the chat format and what a condition appends.
            let prompt = text.tokenizer.encode(&question.text)?.len() + 128;
            capacity = capacity.max(prompt.saturating_add(self.max_tokens));
        }
        for pair in pairs {
            for prompt in [&pair.positive, &pair.negative] {
                capacity = capacity.max(text.tokenizer.encode_whole(prompt)?.len());
            }
        }
        model.load_lanes(self.lanes, capacity).await
    }

    /// Has the questions answered, and tells the figures.
    pub async fn run(
        &self,
        engine: &mut Engine,
        questions: &[Question],
        conditions: &[Condition],
        markers: &BTreeMap<String, Marker>,
    ) -> Result<()> {
        for path in self.json.iter().chain(&self.plot) {
            files::check_writable(path)?;
        }
        let (kept, mut file) = match &self.answers {
            Some(path) => (kept(path)?, Some((path, append_to(path)?))),
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
                failed = write_line(&answer, file).map_err(|source| files::io_error(path, source));
            }
            match failed {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let answers = eval::run(
            engine,
            questions,
            conditions,
            self.samples,
            self.max_tokens,
            kept,
            &mut observer,
        )
        .await;
        failed?;
        let answers = answers?;
        bar.finish_and_clear();

        let report = Report::new(questions, conditions, markers, &answers, Kinds::Apart);
        if let Some(path) = &self.json {
            let json = serde_json::to_vec_pretty(&report)
                .map_err(|e| Error::InvalidRequest(format!("the figures are no JSON: {e}")))?;
            files::write(path, &json)?;
        }
        if let Some(path) = &self.plot {
            files::write(path, report.plot()?.as_bytes())?;
        }
        print(&report.table())?;
        eprintln!("{}", engine.backend_reason());
        Ok(())
    }
}

/// Runs an extraction with a progress bar.
pub async fn extracting<T>(
    engine: &mut Engine,
    work: impl AsyncFnOnce(&mut Extractor, &mut dyn Observer<ExtractProgress>) -> Result<T>,
) -> Result<T> {
    let bar = progress::steps("running the prompts");
    let mut observer = |progress: ExtractProgress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    };
    let done = work(&mut Extractor::new(engine), &mut observer).await;
    bar.finish_and_clear();
    done
}

/// The answers of an earlier run. A line that a broken run left half-written is dropped.
fn kept(path: &Path) -> Result<Vec<Answer>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = files::read_text(path)?;
    let answers: Vec<Answer> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if answers.is_empty() && text.lines().count() > 1 {
        return Err(Error::InvalidRequest(format!(
            "{} holds no answers of an evaluation: give --answers a file of its own",
            path.display()
        )));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        // Or the next answer would go on in the broken line.
        append_to(path)?
            .write_all(b"\n")
            .map_err(|source| files::io_error(path, source))?;
    }
    Ok(answers)
}

fn append_to(path: &Path) -> Result<File> {
    let open = OpenOptions::new().create(true).append(true).open(path);
    open.map_err(|source| files::io_error(path, source))
}

fn write_line(answer: &Answer, file: &mut File) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    file.write_all(&line)
}
