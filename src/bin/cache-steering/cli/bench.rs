//! `cache-steering bench`: how fast this machine runs a model.

use super::model::RunArgs;
use super::{files, print, progress};
use async_trait::async_trait;
use cache_steering::backend::CacheSize;
use cache_steering::benchmark::{self, About, Plan, Progress, Subject, SyntheticModel, table};
use cache_steering::model::LoadProgress;
use cache_steering::model::load::FileSource;
use cache_steering::model::weights::WeightFormat;
use cache_steering::observer::Observer;
use cache_steering::{Engine, Error, Result};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Format of the made-up weights: q8_0, q4_0, q4_1 or f16
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "q8_0",
        conflicts_with = "model"
    )]
    quant: String,
    /// Time for all of it; what does not fit is left out
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    budget: u64,
    /// Write the figures to this file as well
    #[arg(long, value_name = "F.json")]
    json: Option<PathBuf>,
    /// The command to note in the file, where another program runs this one
    #[arg(long, value_name = "TEXT", hide = true)]
    command: Option<String>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct ModelArgs {
    /// Model file, GGUF
    #[arg(long, value_name = "F.gguf")]
    model: Option<PathBuf>,
    /// Weights made up in memory, in the shape of smollm2-135m or smollm2-360m
    #[arg(long, value_name = "SHAPE")]
    synthetic: Option<String>,
}

/// A model file, read anew each time.
struct ModelFile {
    path: PathBuf,
    run: RunArgs,
}

#[async_trait(?Send)]
impl Subject for ModelFile {
    async fn engine(
        &mut self,
        cache: CacheSize,
        observer: &mut dyn Observer<()>,
    ) -> Result<Engine> {
        let options = self.run.options(cache.lanes, cache.capacity);
        let mut source = FileSource::open(&self.path)?;
        let mut loading = Loading(observer);
        Engine::load(&mut source, &options, &mut loading).await
    }
}

struct Loading<'a>(&'a mut dyn Observer<()>);

#[async_trait(?Send)]
impl Observer<LoadProgress> for Loading<'_> {
    async fn observe(&mut self, _: LoadProgress) -> ControlFlow<()> {
        self.0.observe(()).await
    }
}

pub async fn run(args: Args) -> Result<()> {
    let mut subject = args.subject()?;
    let plan = Plan::full(Duration::from_secs(args.budget.max(1)));
    let about = About {
        date: today(),
        command: args.command.clone().unwrap_or_else(typed),
        host: host(),
        load: load(),
    };
    let bar = progress::steps("starting");
    bar.set_length(100);
    let mut observer = |Progress { part, doing }: Progress| {
        bar.set_position((100.0 * part) as u64);
        bar.set_message(doing);
        ControlFlow::Continue(())
    };
    let report = benchmark::run(&mut *subject, &plan, about, &mut observer).await?;
    bar.finish_and_clear();
    print(&table(&report))?;
    let Some(path) = &args.json else {
        return Ok(());
    };
    let json = serde_json::to_string_pretty(&report)
        .map_err(|e| Error::InvalidRequest(format!("the result cannot be written as JSON: {e}")))?;
    files::write(path, (json + "\n").as_bytes())
}

impl Args {
    fn subject(&self) -> Result<Box<dyn Subject>> {
        if let Some(path) = &self.model.model {
            return Ok(Box::new(ModelFile {
                path: path.clone(),
                run: self.run,
            }));
        }
        let shape = self.model.synthetic.as_deref().unwrap_or_default();
        let format = WeightFormat::from_name(&self.quant).ok_or_else(|| {
            Error::InvalidRequest(format!(
                "there is no weight format {:?}: choose q8_0, q4_0, q4_1 or f16",
                self.quant
            ))
        })?;
        let options = self.run.options(1, 1);
        Ok(Box::new(SyntheticModel {
            config: SyntheticModel::shape(shape)?,
            format,
            backend: options.backend,
            cpu_precision: options.cpu_precision,
        }))
    }
}

/// The command line as it was typed, with files without their folders.
fn typed() -> String {
    let words = std::env::args().map(|word| {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (format!("{option}="), value),
            None => (String::new(), word.as_str()),
        };
        let name = Path::new(value).file_name();
        let name = name.map_or(value.into(), |name| name.to_string_lossy());
        format!("{option}{name}")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The processor, how many threads it runs at once, and the system.
fn host() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let name = lines.find(|(key, _)| key.trim() == "model name");
    let name = name.map_or("processor unknown", |(_, name)| name.trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{name}, {threads} threads, {os} {arch}")
}

/// The load average of the last minute, where the system says.
fn load() -> Option<f64> {
    let averages = std::fs::read_to_string("/proc/loadavg").ok()?;
    averages.split_whitespace().next()?.parse().ok()
}

fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    date(now.map_or(0, |since| since.as_secs() / 86400))
}

/// The Gregorian date, ISO 8601, so many days after the first of 1970.
fn date(days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, left + 1)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_722, "2023-12-31"),
            (20_512, "2026-02-28"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
