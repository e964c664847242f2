//! What the answers of an evaluation come to.

use super::grade::grade;
use super::statistics::{Mean, Rate};
use super::{Answer, Condition, Marker, Question};
use crate::generate::StopReason;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Whether questions with and without choices are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// Each kind has a row of its own.
    Apart,
    /// All questions are counted in one row.
    Together,
}

/// The figures of every condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Style after style, condition after condition; where they are apart, without and with choices.
    pub rows: Vec<Row>,
}

/// The answers to one kind of question under one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The style whose marker is looked for.
    pub style: Option<String>,
    /// The condition's name.
    pub condition: String,
    /// The condition's name, with the style where it is looked for in a condition of none.
    pub name: String,
    /// Whether the questions have choices; `None` where both kinds are counted together.
    pub choices: Option<bool>,
    /// Answers that show the style.
    pub marked: Option<Rate>,
    /// Answers that end because they repeat themselves.
    pub loops: Rate,
    /// Answers that the model ended itself.
    pub ended: Rate,
    /// Tokens of an answer.
    pub tokens: Mean,
    /// Right answers, of those that can be checked.
    pub right: Option<Rate>,
    /// Milliseconds a token, of answers beside which nothing else was decoded.
    pub ms_per_token: Option<Mean>,
}

impl Report {
    /// Counts. A condition of one style is counted for that style; one of none, for each style.
    pub fn new(
        questions: &[Question],
        conditions: &[Condition],
        markers: &BTreeMap<String, Marker>,
        answers: &[Answer],
        kinds: Kinds,
    ) -> Self {
        let kinds: &[Option<bool>] = match kinds {
            Kinds::Apart => &[Some(false), Some(true)],
            Kinds::Together => &[None],
        };
        let mut rows = Vec::new();
        let styles: Vec<Option<&String>> = match markers.is_empty() {
            true => vec![None],
            false => markers.keys().map(Some).collect(),
        };
        for style in styles {
            let of_style = |condition: &&Condition| {
                condition.style.is_none() || style.is_none() || condition.style.as_ref() == style
            };
            for condition in conditions.iter().filter(of_style) {
                for &choices in kinds {
                    let counted: Vec<(&Question, &Answer)> = answers
                        .iter()
                        .filter(|answer| answer.condition == condition.name)
                        .filter_map(|answer| {
                            let asked = questions.iter().find(|q| q.id == answer.question)?;
                            let counts =
                                choices.is_none_or(|choices| asked.has_choices() == choices);
                            counts.then_some((asked, answer))
                        })
                        .collect();
                    let marker = style.and_then(|style| Some((style, markers.get(style)?)));
                    rows.extend(row(condition, choices, marker, &counted));
                }
            }
        }
        Self { rows }
    }

    /// The figures as a table in Markdown.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let mut style = None;
        for row in &self.rows {
            if style != Some(&row.style) {
                style = Some(&row.style);
                if let Some(style) = &row.style {
                    let _ = write!(table, "\n**{style}**\n");
                }
                table.push_str("\n| condition | questions | in style | loops | ended | tokens | right | ms a token |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
            }
            let _ = writeln!(
                table,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                row.condition,
                match row.choices {
                    Some(true) => "choices",
                    Some(false) => "plain",
                    None => "all",
                },
                words(row.marked.as_ref()),
                words(Some(&row.loops)),
                words(Some(&row.ended)),
                mean(&row.tokens),
                words(row.right.as_ref()),
                row.ms_per_token
                    .map_or("".into(), |ms| format!("{:.1}", ms.mean)),
            );
        }
        table
    }
}

fn row(
    condition: &Condition,
    choices: Option<bool>,
    marker: Option<(&String, &Marker)>,
    answers: &[(&Question, &Answer)],
) -> Option<Row> {
    let reasons = |reason| answers.iter().map(move |(_, a)| a.stop_reason == reason);
    let figures = |figure: fn(&Answer) -> f64| -> Vec<f64> {
        answers.iter().map(|(_, answer)| figure(answer)).collect()
    };
    Some(Row {
        style: marker.map(|(style, _)| style.clone()),
        condition: condition.name.clone(),
        name: match marker {
            Some((style, _)) if condition.style.is_none() => {
                format!("{} ({style})", condition.name)
            }
            _ => condition.name.clone(),
        },
        choices,
        marked: marker
            .and_then(|(_, marker)| Rate::new(answers.iter().map(|(_, a)| marker.is_in(&a.text)))),
        loops: Rate::new(reasons(StopReason::Repeating))?,
        ended: Rate::new(reasons(StopReason::EndOfText))?,
        tokens: Mean::new(&figures(|answer| answer.tokens as f64))?,
        right: Rate::new(answers.iter().filter_map(|(q, a)| grade(&q.key, &a.text))),
        ms_per_token: Mean::new(
            &answers
                .iter()
                .filter_map(|(_, a)| a.ms_per_token)
                .collect::<Vec<_>>(),
        ),
    })
}

/// The counts, which cannot be rounded, and the interval in percent.
fn words(rate: Option<&Rate>) -> String {
    rate.map_or("".into(), |rate| {
        let [low, high] = rate.interval.map(|share| 100.0 * share);
        format!("{} of {} ({low:.0}-{high:.0} %)", rate.count, rate.of)
    })
}

fn mean(mean: &Mean) -> String {
    format!(
        "{:.0} ({:.0}-{:.0})",
        mean.mean, mean.interval[0], mean.interval[1]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::question::parse;
    use crate::generate::Sampling;

    fn answer(question: &str, condition: &str, text: &str, stop_reason: StopReason) -> Answer {
        Answer {
            question: question.into(),
            condition: condition.into(),
            sample: 0,
            text: text.into(),
            tokens: 10,
            stop_reason,
            ms_per_token: Some(2.0),
            made_from: String::new(),
        }
    }

    #[test]
    fn counts_each_style_with_its_marker() {
        let questions = parse(
            r#####"{"id": "a", "question": "How many?", "answer": "#### 4"}
               {"id": "b", "question": "Why?"}
               {"id": "c", "question": "Which?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}"#####,
        )
        .unwrap();
        let plain = Condition::plain(Sampling::default());
        let steered = Condition {
            name: "steered".into(),
            style: Some("steps".into()),
            ..plain.clone()
        };
        let markers = BTreeMap::from([
            ("steps".to_string(), Marker::new("^Step 1").unwrap()),
            ("loud".to_string(), Marker::new("!$").unwrap()),
        ]);
        let answers = [
            answer("a", "plain", "4!", StopReason::EndOfText),
            answer("b", "plain", "Step 2", StopReason::EndOfText),
            answer("c", "plain", "A", StopReason::EndOfText),
            answer("a", "steered", "Step 1: 5", StopReason::Repeating),
            answer("b", "steered", "Step 1: so", StopReason::MaxTokens),
            answer("c", "steered", "The answer is B", StopReason::MaxTokens),
            answer("z", "steered", "not asked", StopReason::MaxTokens),
        ];
        let conditions = [plain, steered];
        let report = Report::new(&questions, &conditions, &markers, &answers, Kinds::Apart);
        let found: Vec<_> = report
            .rows
            .iter()
            .map(|row| {
                let count = |rate: Option<Rate>| rate.map(|rate| (rate.count, rate.of));
                (
                    row.style.as_deref().unwrap_or(""),
                    row.condition.as_str(),
                    row.choices == Some(true),
                    count(row.marked),
                    row.loops.count,
                    count(row.right),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("loud", "plain", false, Some((1, 2)), 0, Some((1, 1))),
                ("loud", "plain", true, Some((0, 1)), 0, Some((0, 1))),
                ("steps", "plain", false, Some((0, 2)), 0, Some((1, 1))),
                ("steps", "plain", true, Some((0, 1)), 0, Some((0, 1))),
                ("steps", "steered", false, Some((2, 2)), 1, Some((0, 1))),
                ("steps", "steered", true, Some((0, 1)), 0, Some((1, 1))),
            ]
        );
        let table = report.table();
        assert!(table.contains("| steered | plain | 2 of 2 (34-100 %) | 1 of 2 "));

        let report = Report::new(&questions, &conditions, &markers, &answers, Kinds::Together);
        let found: Vec<_> = report
            .rows
            .iter()
            .map(|row| (row.name.as_str(), row.choices, row.loops.of))
            .collect();
        assert_eq!(
            found,
            [
                ("plain (loud)", None, 3),
                ("plain (steps)", None, 3),
                ("steered", None, 3),
            ]
        );
        let right = report.rows[2].right.expect("graded answers");
        assert_eq!((right.count, right.of), (1, 2));
        assert!(report.table().contains("| steered | all | 2 of 3 "));
    }
}
