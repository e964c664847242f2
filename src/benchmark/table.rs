//! A report as text in columns.

use super::report::Report;
use crate::backend::BackendKind;

/// The figures, for people.
pub fn table(report: &Report) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut row = |what: String, value: String, note: String| rows.push([what, value, note]);
    for p in &report.prefill {
        row(
            format!("prefill, {} tokens", p.tokens),
            format!("{} tokens/s", number(p.tokens_per_second)),
            format!("{} ms", number(p.ms.median)),
        );
    }
    for d in &report.decode {
        let lanes = if d.lanes == 1 { "lane" } else { "lanes" };
        let mut notes = vec![format!("{} ms a step", number(d.ms.median))];
        if let (Some(ratio), true) = (d.over_one_lane, d.lanes > 1) {
            notes.push(format!("{} x one lane", number(ratio)));
        }
        if let Some(share) = d.bandwidth_share {
            notes.push(format!("{} % of copy bandwidth", number(100.0 * share)));
        }
        row(
            format!("decode at {}, {} {lanes}", d.context, d.lanes),
            format!("{} tokens/s", number(d.tokens_per_second)),
            notes.join(", "),
        );
    }
    if let Some(s) = &report.steering {
        row(
            "steering write, once".into(),
            format!("{} us", number(s.write_us.median)),
            format!("{} % of one token", number(100.0 * s.over_token)),
        );
        if let Some(restart) = s.restart_ms {
            row(
                "new strength to first token".into(),
                format!("{} ms", number(restart.median)),
                String::new(),
            );
        }
    }
    row(
        "weights per step".into(),
        format!("{} MB", number(report.model.weight_bytes as f64 / 1e6)),
        String::new(),
    );
    if let Some(copy) = report.copy {
        row(
            "copy bandwidth".into(),
            format!("{} GB/s", number(copy.bytes_per_second / 1e9)),
            format!("{} MB, read and written", number(copy.bytes as f64 / 1e6)),
        );
    }
    if let Some(dispatches) = report.dispatches_per_step {
        row(
            "dispatches per step".into(),
            number(dispatches),
            format!("{} layers", report.model.layers),
        );
    }
    let all: f64 = report.stages.iter().map(|stage| stage.us).sum();
    for stage in &report.stages {
        row(
            format!("  {} x {}", stage.dispatches, stage.stage),
            format!("{} us", number(stage.us)),
            format!("{} % of the GPU's time", number(100.0 * stage.us / all)),
        );
    }
    for what in &report.left_out {
        row(
            what.clone(),
            "left out".into(),
            "no time, or no room".into(),
        );
    }
    heading(report) + &columns(&rows)
}

fn heading(report: &Report) -> String {
    let (device, model) = (&report.device, &report.model);
    let backend = match device.backend {
        Some(BackendKind::Gpu) if device.software => "GPU backend, software adapter",
        Some(BackendKind::Gpu) => "GPU backend",
        _ => "CPU backend",
    };
    let weights = if model.synthetic {
        ", made-up weights"
    } else {
        ""
    };
    format!(
        "{}, {}{weights}\n{backend}: {}\n{}, cache-steering {}, {}\n\n",
        model.name, model.quant, device.name, report.about.host, report.version, report.about.date
    )
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// Rows with their cells below one another; the middle column to the right.
fn columns(rows: &[[String; 3]]) -> String {
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max();
    let [first, second] = [width(0).unwrap_or(0), width(1).unwrap_or(0)];
    rows.iter()
        .map(|[a, b, c]| {
            format!("{a:first$}  {b:>second$}  {c}")
                .trim_end()
                .to_owned()
                + "\n"
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(number(1234.5), "1234");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(1.2345), "1.23");
        assert_eq!(number(0.01234), "0.012");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn cells_stand_below_one_another() {
        let rows = [["a", "10 ms", "x"], ["long", "5 ms", ""]].map(|row| row.map(String::from));
        assert_eq!(columns(&rows), "a     10 ms  x\nlong   5 ms\n");
    }
}
