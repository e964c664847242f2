//! A contrastive set: questions with an answer, and a reasoning for each of several styles.
//!
//! One set makes pairs for every style, and for every model, because it holds no chat format: the
//! pairs are rendered with the template of the model at hand ([`pairs`](super::pairs)).

use super::ContrastivePair;
use crate::model::{ChatTemplate, Message};
use crate::{Error, Result};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// A question with its answer, and the way there in each style.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContrastItem {
    /// The question.
    pub question: String,
    /// What there is to choose from; empty for an open question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The answer: a letter where there are choices, otherwise what ends "The answer is".
    pub answer: String,
    /// For each style, the reasoning that comes before the answer.
    pub reasoning: BTreeMap<String, String>,
}

/// Which pairs to make of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PairOptions {
    /// Pairs; each asks another question.
    pub pairs: usize,
    /// Worked examples before the question, the same in both prompts of a pair.
    pub shots: usize,
    /// How the examples of a question are chosen.
    pub selection: Selection,
    /// Seed of the choice.
    pub seed: u64,
}

/// How the examples of a question are chosen from the others of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// At random.
    Random,
    /// Those that share most words with the question, rare words counting more; the most similar
    /// one comes last.
    Similar,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self {
            pairs: 10,
            shots: 3,
            selection: Selection::Random,
            seed: 0,
        }
    }
}

/// Reads a set: a JSON list or JSON lines of [`ContrastItem`]s.
///
/// # Errors
/// [`Error::Pairs`] with the line of what cannot be read, or where there is no item.
pub fn parse(text: &str) -> Result<Vec<ContrastItem>> {
    super::pairs::parse_list(text, "question", r#""question", "answer" and "reasoning""#)
}

/// The pairs that a set makes for one style. The same options choose the same questions and
/// examples for every style, so that styles share their negative prompts.
///
/// # Errors
/// [`Error::Pairs`] where the set is too small or an item lacks the style;
/// [`Error::ChatTemplate`].
pub fn pairs(
    items: &[ContrastItem],
    style: &str,
    options: &PairOptions,
    chat: &ChatTemplate,
) -> Result<Vec<ContrastivePair>> {
    let PairOptions { pairs, shots, .. } = *options;
    if pairs == 0 || pairs > items.len() || shots == 0 || shots >= items.len() {
        return Err(bad(format!(
            "{pairs} pairs with {shots} examples each cannot be made of {} questions: ask for 1 to {} pairs and fewer examples than there are questions",
            items.len(),
            items.len()
        )));
    }
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.shuffle(&mut random);
    let similarity = Similarity::new(items);
    order[..pairs]
        .iter()
        .map(|&question| {
            let mut others: Vec<usize> = (0..items.len()).filter(|i| *i != question).collect();
            others.shuffle(&mut random);
            if options.selection == Selection::Similar {
                let to_question = |i: &usize| similarity.of(question, *i);
                others.sort_by(|a, b| to_question(b).total_cmp(&to_question(a)));
                others[..shots].reverse();
            }
            let examples = &others[..shots];
            Ok(ContrastivePair {
                positive: prompt(items, examples, question, Some(style), chat)?,
                negative: prompt(items, examples, question, None, chat)?,
            })
        })
        .collect()
}

/// The examples with their answers, then the question: in a style, or without any reasoning.
fn prompt(
    items: &[ContrastItem],
    examples: &[usize],
    question: usize,
    style: Option<&str>,
    chat: &ChatTemplate,
) -> Result<String> {
    let message = |role: &str, content: String| Message {
        role: role.into(),
        content,
    };
    let mut messages = Vec::with_capacity(2 * examples.len() + 1);
    for &example in examples {
        messages.push(message("user", items[example].text()));
        messages.push(message("assistant", items[example].answered(style)?));
    }
    messages.push(message("user", items[question].text()));
    chat.render(&messages, true)
}

impl ContrastItem {
    /// The question as it is asked, with its choices.
    pub fn text(&self) -> String {
        question_text(&self.question, self.choices.iter().map(String::as_str))
    }

    /// The answer, after the reasoning of a style if one is asked for.
    fn answered(&self, style: Option<&str>) -> Result<String> {
        let answer = format!("The answer is {}.", self.answer);
        let Some(style) = style else {
            return Ok(answer);
        };
        let reasoning = self.reasoning.get(style).ok_or_else(|| {
            let known: Vec<&str> = self.reasoning.keys().map(String::as_str).collect();
            bad(format!(
                "the question {:?} has no reasoning in the style {style:?}, but in {}",
                self.question,
                known.join(", ")
            ))
        })?;
        Ok(format!("{reasoning} {answer}"))
    }
}

/// A question with its choices, lettered from A.
pub fn question_text<'a>(question: &str, choices: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = question.to_string();
    for (letter, choice) in ('A'..='Z').zip(choices) {
        let heading = if letter == 'A' { "\n\nChoices:" } else { "" };
        text.push_str(&format!("{heading}\n{letter}: {choice}"));
    }
    text
}

/// Questions as bags of words, weighted by how rare a word is in the set (TF-IDF; Spärck Jones
/// 1972), to be compared by the cosine.
struct Similarity {
    bags: Vec<HashMap<String, f64>>,
}

impl Similarity {
    fn new(items: &[ContrastItem]) -> Self {
        let mut bags: Vec<HashMap<String, f64>> = items.iter().map(bag).collect();
        let mut questions_with: HashMap<String, f64> = HashMap::new();
        for word in bags.iter().flat_map(HashMap::keys) {
            *questions_with.entry(word.clone()).or_default() += 1.0;
        }
        for bag in &mut bags {
            for (word, weight) in bag.iter_mut() {
                *weight *= (items.len() as f64 / questions_with[word]).ln();
            }
            let norm = bag.values().map(|w| w * w).sum::<f64>().sqrt();
            bag.values_mut().for_each(|w| *w /= norm.max(1e-12));
        }
        Self { bags }
    }

    fn of(&self, a: usize, b: usize) -> f64 {
        let weight = |word: &String| self.bags[b].get(word).copied().unwrap_or(0.0);
        let mut products: Vec<f64> = self.bags[a].iter().map(|(w, x)| x * weight(w)).collect();
        // The order of a hash map is random, and with it the last bits of a sum.
        products.sort_by(f64::total_cmp);
        products.iter().sum()
    }
}

fn bag(item: &ContrastItem) -> HashMap<String, f64> {
    let text = item.text().to_lowercase();
    let mut bag = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if word.len() > 2 {
            *bag.entry(word.to_string()).or_default() += 1.0;
        }
    }
    bag
}

fn bad(reason: String) -> Error {
    Error::Pairs { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<ContrastItem> {
        let question = |question: &str, choices: &[&str], answer: &str| ContrastItem {
            question: question.into(),
            choices: choices.iter().map(|c| c.to_string()).collect(),
            answer: answer.into(),
            reasoning: BTreeMap::from([("slow".into(), format!("Well, {answer} it is."))]),
        };
        vec![
            question("Why does ice melt in the sun?", &["Heat", "Cold"], "A"),
            question("How many legs has a spider?", &[], "8"),
            question("How many legs has a beetle?", &[], "6"),
            question("What melts ice on a road?", &["Salt", "Sand"], "A"),
            question("Which bird cannot fly?", &[], "the penguin"),
        ]
    }

    fn chat() -> ChatTemplate {
        ChatTemplate::new(
            "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
        )
    }

    fn options(selection: Selection, seed: u64) -> PairOptions {
        PairOptions {
            pairs: 5,
            shots: 2,
            selection,
            seed,
        }
    }

    #[test]
    fn the_two_prompts_of_a_pair_differ_in_the_reasoning_alone() {
        let pairs = pairs(&items(), "slow", &options(Selection::Random, 1), &chat()).unwrap();
        assert_eq!(pairs.len(), 5);
        for pair in &pairs {
            assert!(pair.positive.ends_with("[assistant]"));
            let mut bare = pair.positive.clone();
            for answer in ["A", "8", "6", "the penguin"] {
                bare = bare.replace(&format!("Well, {answer} it is. "), "");
            }
            assert_eq!(bare, pair.negative);
            assert_ne!(bare, pair.positive);
        }
    }

    #[test]
    fn choices_are_lettered() {
        assert_eq!(
            items()[0].text(),
            "Why does ice melt in the sun?\n\nChoices:\nA: Heat\nB: Cold"
        );
    }

    #[test]
    fn a_seed_always_chooses_the_same() {
        let make = |seed| pairs(&items(), "slow", &options(Selection::Random, seed), &chat());
        assert_eq!(make(7).unwrap(), make(7).unwrap());
        assert_ne!(make(7).unwrap(), make(8).unwrap());
    }

    #[test]
    fn similar_examples_share_words_with_the_question() {
        let pairs = pairs(&items(), "slow", &options(Selection::Similar, 3), &chat()).unwrap();
        let spider = pairs
            .iter()
            .find(|pair| pair.negative.ends_with("spider?[assistant]"))
            .unwrap();
        let last = spider.negative.rfind("beetle").expect("the other legs");
        assert!(spider.negative.rfind("The answer is 6.").unwrap() > last);
    }

    #[test]
    fn what_cannot_be_made_is_refused_with_words() {
        let refusal = |style, options| {
            pairs(&items(), style, &options, &chat())
                .unwrap_err()
                .to_string()
        };
        let unknown = refusal("loud", options(Selection::Random, 0));
        assert!(
            unknown.contains("\"loud\"") && unknown.contains("slow"),
            "{unknown}"
        );
        for (pairs, shots) in [(0, 1), (6, 1), (1, 0), (1, 5)] {
            let options = PairOptions {
                pairs,
                shots,
                ..PairOptions::default()
            };
            assert!(refusal("slow", options).contains("5 questions"));
        }
    }
}
