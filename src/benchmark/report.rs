//! What a benchmark found. The same JSON on every platform.

use super::statistics::timing;
use super::task::Task;
use crate::backend::BackendKind;
use crate::backend::gpu::StageTime;
use crate::engine::Engine;
use serde::{Deserialize, Serialize};

/// What the benchmark cannot know of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// When it ran, ISO 8601.
    pub date: String,
    /// The command that ran it.
    pub command: String,
    /// Processor and operating system, or browser.
    pub host: String,
}

/// The figures of one model on one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// When, how, and where it ran.
    pub about: About,
    /// Version of this crate.
    pub version: String,
    /// What the model ran on.
    pub device: DeviceReport,
    /// The model's shape.
    pub model: ModelReport,
    /// One for each length of a prompt.
    pub prefill: Vec<PrefillFigure>,
    /// One for each number of lanes at the first context, then one for each further context.
    pub decode: Vec<DecodeFigure>,
    /// What the method costs.
    pub steering: Option<SteeringFigure>,
    /// Dispatches of one decode step, all lanes together; a GPU's only.
    pub dispatches_per_step: Option<f64>,
    /// A plain copy on the same device.
    pub copy: Option<Bandwidth>,
    /// The GPU's time of one decode step of one lane at the first context, stage by stage; empty
    /// where the adapter cannot tell.
    pub stages: Vec<StageTime>,
    /// What there was no time for.
    pub left_out: Vec<String>,
    /// Seconds that all of it took.
    pub seconds: f64,
}

/// What a model ran on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceReport {
    /// `gpu` or `cpu`.
    pub backend: Option<BackendKind>,
    /// The adapter's name, or the CPU's precision.
    pub name: String,
    /// Whether a GPU adapter computes in software.
    pub software: bool,
}

/// The shape of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelReport {
    /// Its name, which for made-up weights is that of the shape.
    pub name: String,
    /// Whether its weights were made up.
    pub synthetic: bool,
    /// Format of most of its weights.
    pub quant: String,
    /// Bytes of weights that a decode step reads.
    pub weight_bytes: u64,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width inside the feed-forward network.
    pub ffn_width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
}

/// A time of which several samples were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// How many samples.
    pub samples: usize,
}

/// How fast a prompt is read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrefillFigure {
    /// Tokens of the prompt.
    pub tokens: usize,
    /// Milliseconds for all of them.
    pub ms: Timing,
    /// Tokens per second.
    pub tokens_per_second: f64,
}

/// How fast tokens come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecodeFigure {
    /// Tokens in each lane before.
    pub context: usize,
    /// Lanes of the step.
    pub lanes: usize,
    /// Milliseconds of one step, which gives every lane a token.
    pub ms: Timing,
    /// Tokens per second of all lanes together.
    pub tokens_per_second: f64,
    /// Time of a step over that of a step of one lane at the same context.
    pub over_one_lane: Option<f64>,
    /// Weights read per second, over the copy bandwidth.
    pub bandwidth_share: Option<f64>,
}

/// What steering costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SteeringFigure {
    /// Microseconds of the one write.
    pub write_us: Timing,
    /// The write over a decode step of one lane.
    pub over_token: f64,
    /// Milliseconds from a new strength to the first token, a plain lane beside the steered one.
    pub restart_ms: Option<Timing>,
}

/// A plain copy of a large buffer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bandwidth {
    /// Bytes of the buffer.
    pub bytes: u64,
    /// Bytes read and written per second, in the best of several samples.
    pub bytes_per_second: f64,
}

impl Report {
    pub(super) fn new(about: About) -> Self {
        Self {
            about,
            version: env!("CARGO_PKG_VERSION").into(),
            ..Self::default()
        }
    }

    /// Takes down what ran, and where.
    pub(super) fn describe(&mut self, engine: &Engine) {
        let (info, model) = (engine.backend_info(), engine.model());
        let config = &model.config;
        self.device = DeviceReport {
            backend: Some(info.kind),
            name: info.device.clone(),
            software: info.software,
        };
        self.model = ModelReport {
            name: config.name.clone(),
            synthetic: model.file.bytes == 0,
            quant: model.weights.format().into(),
            weight_bytes: model.weights.bytes_per_step(),
            layers: config.n_layers,
            width: config.width,
            ffn_width: config.ffn_width,
            heads: config.n_heads,
            kv_heads: config.n_kv_heads,
            vocab_size: config.vocab_size,
        };
    }

    /// Adds the figure of one task, in milliseconds. The decode of one lane comes before what
    /// refers to it.
    pub(super) fn add(&mut self, task: Task, samples: &[f64]) {
        let Some(ms) = timing(samples) else {
            self.left_out.push(task.to_string());
            return;
        };
        let one_lane = |figures: &[DecodeFigure], context| {
            let mut figures = figures.iter();
            let found = figures.find(|d| d.lanes == 1 && d.context == context);
            found.map(|d| d.ms.median)
        };
        match task {
            Task::Prefill { tokens } => self.prefill.push(PrefillFigure {
                tokens,
                ms,
                tokens_per_second: tokens as f64 * 1000.0 / ms.median,
            }),
            Task::Decode { context, lanes } => self.decode.push(DecodeFigure {
                context,
                lanes,
                ms,
                tokens_per_second: lanes as f64 * 1000.0 / ms.median,
                over_one_lane: match lanes {
                    1 => Some(1.0),
                    _ => one_lane(&self.decode, context).map(|one| ms.median / one),
                },
                bandwidth_share: self.copy.map(|copy| {
                    let per_second = self.model.weight_bytes as f64 * 1000.0 / ms.median;
                    per_second / copy.bytes_per_second
                }),
            }),
            Task::Steering { context } => {
                let token = one_lane(&self.decode, context);
                self.steering = token.map(|token| SteeringFigure {
                    write_us: ms.times(1000.0),
                    over_token: ms.median / token,
                    restart_ms: None,
                });
            }
            Task::Restart { .. } => {
                if let Some(steering) = &mut self.steering {
                    steering.restart_ms = Some(ms);
                }
            }
        }
    }
}

impl Timing {
    fn times(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            least: self.least * factor,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new(About {
            date: "2026-01-01".into(),
            command: "cargo xtask bench".into(),
            host: "a machine".into(),
        });
        report.device.backend = Some(BackendKind::Gpu);
        report.model.weight_bytes = 1000;
        report.copy = Some(Bandwidth {
            bytes: 64,
            bytes_per_second: 1e6,
        });
        let (context, tokens) = (16, 100);
        report.add(Task::Decode { context, lanes: 1 }, &[9.0, 4.0, 2.0, 3.0]);
        report.add(Task::Decode { context, lanes: 2 }, &[4.5]);
        report.add(Task::Steering { context }, &[0.5]);
        report.add(Task::Restart { context }, &[8.0]);
        report.add(Task::Prefill { tokens }, &[]);
        report
    }

    #[test]
    fn figures_refer_to_one_lane_and_to_the_copy() {
        let report = report();
        let [one, two] = report.decode[..] else {
            panic!("{report:?}")
        };
        assert_eq!((one.ms.median, one.ms.samples), (3.0, 3));
        assert_eq!(one.bandwidth_share, Some(1000.0 / 3e-3 / 1e6));
        assert_eq!(two.over_one_lane, Some(1.5));
        assert_eq!(two.tokens_per_second, 2.0 / 4.5e-3);
        let steering = report.steering.expect("a figure");
        assert_eq!(steering.write_us.median, 500.0);
        assert_eq!(steering.over_token, 0.5 / 3.0);
        assert_eq!(steering.restart_ms.map(|t| t.median), Some(8.0));
        assert_eq!(report.left_out, ["prefill of 100 tokens"]);
    }

    #[test]
    fn json_gives_the_report_back() {
        let mut report = report();
        // Numbers whose decimals end, so that equal means equal.
        report.decode.truncate(1);
        report.decode[0].bandwidth_share = Some(0.25);
        report.decode[0].tokens_per_second = 512.0;
        report.steering = None;
        let json = serde_json::to_string(&report).expect("JSON");
        assert!(json.contains("\"tokensPerSecond\":512.0"), "{json}");
        assert_eq!(
            serde_json::from_str::<Report>(&json).expect("a report"),
            report
        );
    }
}
