//! Questions, in the forms of the two data sets that the paper evaluates on.

use crate::steering::contrast::question_text;
use crate::{Error, Result, lines};
use serde::{Deserialize, Serialize};

/// A question and how its answer is checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What it is called in the results.
    pub id: String,
    /// The text that is asked, choices included.
    pub text: String,
    /// The right answer.
    pub key: Key,
}

/// The right answer of a [`Question`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Key {
    /// One of several choices.
    Choice {
        /// Their letters, or numbers, in order.
        labels: Vec<String>,
        /// What they say.
        texts: Vec<String>,
        /// The right label.
        label: String,
    },
    /// A number.
    Number {
        /// The right one.
        value: f64,
    },
    /// Nothing that could be checked.
    Open,
}

/// One line of a file of questions.
#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    question: String,
    /// As in GSM8K (Cobbe et al. 2021, arXiv 2110.14168): a solution that ends with `#### 42`.
    answer: Option<String>,
    /// As in ARC (Clark et al. 2018, arXiv 1803.05457).
    choices: Option<Choices>,
    #[serde(rename = "answerKey")]
    answer_key: Option<String>,
}

#[derive(Deserialize)]
struct Choices {
    text: Vec<String>,
    label: Vec<String>,
}

impl Question {
    /// Whether it has choices.
    pub fn has_choices(&self) -> bool {
        matches!(self.key, Key::Choice { .. })
    }
}

/// Reads a JSON list or JSON lines of questions: with `choices` and `answerKey` as in ARC, with an
/// `answer` that ends in `#### 42` as in GSM8K, or with neither. Those without an `id` are numbered.
///
/// # Errors
/// [`Error::Questions`] with the line of what cannot be read, or where there is no question.
pub fn parse(text: &str) -> Result<Vec<Question>> {
    let bad = |reason: String| Error::Questions { reason };
    let lines: Vec<Line> = lines::parse(text).map_err(bad)?;
    if lines.is_empty() {
        return Err(bad("there is no question in the file".into()));
    }
    lines
        .into_iter()
        .enumerate()
        .map(|(i, line)| {
            let id = line.id.clone().unwrap_or_else(|| (i + 1).to_string());
            question(line, id.clone()).map_err(|reason| bad(format!("question {id}: {reason}")))
        })
        .collect()
}

/// So many of the questions, at equal distances over the whole list.
pub fn spread(questions: Vec<Question>, count: usize) -> Vec<Question> {
    let all = questions.len().max(1);
    let part = |i: usize| i.saturating_mul(count) / all;
    let begins = |i: usize| i == 0 || part(i) != part(i - 1);
    let chosen = questions
        .into_iter()
        .enumerate()
        .filter(|(i, _)| begins(*i));
    chosen.take(count).map(|(_, question)| question).collect()
}

fn question(line: Line, id: String) -> Result<Question, String> {
    let (text, key) = match (line.choices, line.answer) {
        (Some(choices), _) => {
            let label = line.answer_key.ok_or("it has choices, but no answerKey")?;
            if choices.text.len() != choices.label.len() {
                return Err("it has not as many labels as choices".into());
            }
            if !choices.label.contains(&label) {
                return Err(format!("its answerKey {label:?} is none of its labels"));
            }
            // Lettered anew: a few questions of ARC count with numbers.
            let letters = ('A'..='Z').map(String::from);
            let labels: Vec<String> = letters.take(choices.label.len()).collect();
            let right = choices.label.iter().position(|l| *l == label);
            let label = right.and_then(|i| labels.get(i)).cloned();
            let text = question_text(&line.question, choices.text.iter().map(String::as_str));
            let key = Key::Choice {
                labels,
                texts: choices.text,
                label: label.ok_or("it has more choices than there are letters")?,
            };
            (text, key)
        }
        (None, Some(answer)) => {
            let number = answer.rsplit_once("####").map(|(_, number)| number);
            let number = number.ok_or("its answer does not end in \"#### \" and a number")?;
            let value = number.trim().replace([',', '$'], "");
            let value = value
                .parse()
                .map_err(|_| format!("{number:?} is not a number"))?;
            (line.question, Key::Number { value })
        }
        (None, None) => (line.question, Key::Open),
    };
    Ok(Question { id, text, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_spread_over_the_whole() {
        let all = |n: usize| -> Vec<Question> {
            let question = |i| Question {
                id: format!("{i}"),
                text: String::new(),
                key: Key::Open,
            };
            (0..n).map(question).collect()
        };
        let ids =
            |n, count| -> Vec<String> { spread(all(n), count).into_iter().map(|q| q.id).collect() };
        assert_eq!(ids(6, 3), ["0", "2", "4"]);
        assert_eq!(ids(6, 4), ["0", "2", "3", "5"]);
        assert_eq!(ids(3, 9), ["0", "1", "2"]);
        assert!(ids(3, 0).is_empty() && ids(0, 3).is_empty());
    }

    #[test]
    fn reads_all_three_forms() {
        let text = r#####"{"id": "a", "question": "Which?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"}
{"question": "How many?", "answer": "6 * 200 = 1200 #### 1,200"}

{"question": "Why?"}"#####;
        let questions = parse(text).unwrap();
        assert_eq!(questions[0].id, "a");
        assert_eq!(questions[0].text, "Which?\n\nChoices:\nA: x\nB: y");
        assert!(questions[0].has_choices());
        assert!(matches!(&questions[0].key, Key::Choice { label, .. } if label == "B"));
        assert_eq!(questions[1].id, "2");
        assert_eq!(questions[1].key, Key::Number { value: 1200.0 });
        assert_eq!(questions[2].key, Key::Open);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, words) in [
            ("", "no question"),
            ("{\"question\": 1}", "line 1"),
            (r#####"{"question": "q", "answer": "4"}"#####, "####"),
            (
                r#####"{"question": "q", "answer": "#### four"}"#####,
                "four",
            ),
            (
                r#####"{"id": "z", "question": "q", "choices": {"text": ["x"], "label": ["A"]}, "answerKey": "B"}"#####,
                "question z: its answerKey \"B\"",
            ),
            (
                r#####"{"question": "q", "choices": {"text": ["x"], "label": ["A"]}}"#####,
                "no answerKey",
            ),
            (
                r#####"{"question": "q", "choices": {"text": ["x"], "label": []}, "answerKey": "A"}"#####,
                "labels",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
