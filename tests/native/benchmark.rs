//! The benchmark on a tiny model: every figure is there, and none is nonsense.

use cache_steering::Error;
use cache_steering::backend::BackendKind;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::benchmark::{
    self, About, Plan, Progress, Report, SyntheticModel, Timing, table,
};
use cache_steering::model::synthetic;
use cache_steering::model::weights::WeightFormat;
use pollster::block_on;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn tiny(backend: BackendChoice) -> SyntheticModel {
    SyntheticModel {
        config: synthetic::tiny(),
        format: WeightFormat::Q4_1,
        backend,
        cpu_precision: CpuPrecision::F32,
    }
}

fn plan() -> Plan {
    Plan {
        prefill: vec![32, 200],
        contexts: vec![16, 300],
        rounds: 3,
        copy_bytes: 1 << 20,
        ..Plan::full(Duration::from_secs(600))
    }
}

fn measure(backend: BackendChoice) -> Report {
    let about = About {
        date: "2026-01-01".into(),
        ..About::default()
    };
    let mut parts = Vec::new();
    let mut observer = |progress: Progress| {
        parts.push(progress.part);
        ControlFlow::Continue(())
    };
    let report = block_on(benchmark::run(
        &mut tiny(backend),
        &plan(),
        about,
        &mut observer,
    ));
    assert!(parts.len() > 20 && parts.is_sorted(), "{parts:?}");
    assert!(parts.iter().all(|part| (0.0..=1.0).contains(part)));
    report.expect("a benchmark of a tiny model")
}

fn check_timing(timing: Timing, what: &str) {
    assert!(timing.least > 0.0, "{what}: {timing:?}");
    assert!(timing.median.is_finite(), "{what}: {timing:?}");
    assert!(timing.median >= timing.least, "{what}: {timing:?}");
    assert_eq!(timing.samples, 3, "{what}");
}

fn check(report: &Report) {
    let positive =
        |value: f64, what: &str| assert!(value.is_finite() && value > 0.0, "{what}: {value}");
    let sizes: Vec<usize> = report.prefill.iter().map(|p| p.tokens).collect();
    assert_eq!(sizes, [32, 200]);
    for p in &report.prefill {
        check_timing(p.ms, "prefill");
        positive(p.tokens_per_second, "prefill");
    }
    let sizes: Vec<_> = report.decode.iter().map(|d| (d.context, d.lanes)).collect();
    assert_eq!(sizes, [(16, 1), (16, 2), (16, 4), (16, 8), (300, 1)]);
    for d in &report.decode {
        check_timing(d.ms, "decode");
        positive(d.tokens_per_second, "decode");
        positive(d.over_one_lane.expect("a ratio"), "lanes");
        positive(d.bandwidth_share.expect("a share"), "share");
    }
    let steering = report.steering.expect("the cost of steering");
    check_timing(steering.write_us, "write");
    check_timing(steering.restart_ms.expect("a restart"), "restart");
    positive(steering.over_token, "write over token");
    positive(report.copy.expect("a bandwidth").bytes_per_second, "copy");
    positive(report.seconds, "seconds");
    assert_eq!(report.left_out, [""; 0]);

    let model = &report.model;
    // 3 layers of 2 x 96 x 128, 2 x 96 x 32 and 3 x 96 x 160 values in blocks of 20 bytes, a Q8_0
    // embedding of 320 rows, and 7 norms.
    let matrices = 3 * (2 * 96 * 128 + 2 * 96 * 32 + 3 * 96 * 160) / 32 * 20;
    let embedding = 320 * 96 / 32 * 34;
    assert_eq!(model.weight_bytes, matrices + embedding + 7 * 96 * 4);
    assert_eq!((model.quant.as_str(), model.synthetic), ("q4_1", true));

    let shown = table(report);
    for row in [
        "prefill, 200 tokens",
        "decode at 300, 1 lane",
        "steering write",
        "copy bandwidth",
    ] {
        assert!(shown.contains(row), "{shown}");
    }
}

#[test]
fn a_benchmark_on_the_cpu_has_every_figure() {
    let report = measure(BackendChoice::Cpu);
    check(&report);
    assert_eq!(report.device.backend, Some(BackendKind::Cpu));
    assert_eq!(report.dispatches_per_step, None);
    assert!(report.stages.is_empty());
}

#[test]
fn a_benchmark_on_the_gpu_has_every_figure_and_few_dispatches() {
    let report = measure(BackendChoice::Gpu);
    check(&report);
    assert_eq!(report.device.backend, Some(BackendKind::Gpu));
    let layers = report.model.layers as f64;
    let dispatches = report.dispatches_per_step.expect("a count");
    assert!(
        (1.0..=5.0 * layers + 4.0).contains(&dispatches),
        "{dispatches}"
    );
    // Adapters that tests run on have timestamps.
    let timed: u32 = report.stages.iter().map(|stage| stage.dispatches).sum();
    assert_eq!(f64::from(timed), dispatches);
    for stage in &report.stages {
        assert!(stage.us.is_finite() && stage.us > 0.0, "{stage:?}");
    }
}

#[test]
fn what_takes_too_long_is_left_out() {
    let mut plan = plan();
    plan.budget = Duration::ZERO;
    let mut ignore = |_| ControlFlow::Continue(());
    let mut model = tiny(BackendChoice::Cpu);
    let report = block_on(benchmark::run(
        &mut model,
        &plan,
        About::default(),
        &mut ignore,
    ));
    let report = report.expect("a report");
    assert_eq!(report.decode.len(), 1);
    assert_eq!(report.left_out.len(), 8);
    assert!(table(&report).contains("left out"));
}

#[test]
fn a_benchmark_stops_when_told_to() {
    let mut heard = 0;
    let mut observer = |_| {
        heard += 1;
        if heard > 12 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut model = tiny(BackendChoice::Cpu);
    let result = block_on(benchmark::run(
        &mut model,
        &plan(),
        About::default(),
        &mut observer,
    ));
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(heard, 13);
}

#[test]
fn a_plan_without_a_context_is_refused() {
    let mut ignore = |_| ControlFlow::Continue(());
    for contexts in [vec![], vec![0]] {
        let plan = Plan { contexts, ..plan() };
        let mut model = tiny(BackendChoice::Cpu);
        let result = block_on(benchmark::run(
            &mut model,
            &plan,
            About::default(),
            &mut ignore,
        ));
        assert!(matches!(result, Err(Error::InvalidRequest(_))));
    }
}

#[test]
fn the_command_says_which_synthetic_models_there_are() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cache-steering"));
        let output = command
            .arg("bench")
            .args(args)
            .output()
            .expect("the command runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = run(&["--synthetic", "gpt-5"]);
    assert!(said.contains("smollm2-135m, smollm2-360m"), "{said}");
    let said = run(&["--synthetic", "smollm2-135m", "--quant", "q2"]);
    assert!(said.contains("q8_0, q4_0, q4_1 or f16"), "{said}");
}

#[test]
fn the_command_writes_the_figures_of_made_up_weights() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("benchmark.json");
    let output = Command::new(env!("CARGO_BIN_EXE_cache-steering"))
        .args(["bench", "--synthetic", "smollm2-135m", "--quant", "q4_0"])
        .args([
            "--backend",
            "cpu",
            "--precision",
            "quantized",
            "--budget",
            "3",
        ])
        .arg("--json")
        .arg(&file)
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.starts_with("smollm2-135m, q4_0, made-up weights\n"),
        "{shown}"
    );
    let json = std::fs::read_to_string(&file).expect("a file");
    let report: Report = serde_json::from_str(&json).expect("a report");
    assert_eq!(report.model.layers, 30);
    assert!(report.decode[0].tokens_per_second > 0.0);
    let About {
        date,
        command,
        host,
        ..
    } = &report.about;
    assert!(date.starts_with("20") && date.len() == 10, "{date}");
    assert!(host.contains("threads"), "{host}");
    assert!(command.ends_with("--json benchmark.json"), "{command}");
}

/// Weights in every format give numbers, at the depth of a real model.
#[test]
fn made_up_weights_keep_activations_finite() {
    use WeightFormat::{F16, Q4_0, Q4_1, Q8_0};
    for format in [Q8_0, Q4_0, Q4_1, F16] {
        let mut model = tiny(BackendChoice::Cpu);
        model.config.n_layers = 32;
        model.format = format;
        let plan = Plan {
            prefill: vec![8],
            contexts: vec![8],
            lanes: vec![1],
            rounds: 1,
            ..plan()
        };
        let mut ignore = |_| ControlFlow::Continue(());
        // Decoding refuses logits that are not numbers.
        let report = block_on(benchmark::run(
            &mut model,
            &plan,
            About::default(),
            &mut ignore,
        ));
        assert_eq!(report.expect("a report").model.quant, format.name());
    }
}
