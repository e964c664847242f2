//! Whether an answer is right.
//!
//! The rules, in this order; the first that finds something decides, and where none does, the
//! answer is wrong:
//!
//! - *Choices*: the choice whose words follow the last "answer is" or "answer:"; the letter after the last "answer is" or "answer:"; the letter that the answer begins
//!   with, alone or before a colon, period or parenthesis; the one choice whose words occur in the
//!   answer, if it is only one.
//! - *Numbers*: the number after the last "####", "answer is" or "answer:"; the last number. Thousands
//!   may have commas.

use super::question::Key;
use regex_lite::Regex;
use std::sync::LazyLock;

static STATED_LETTER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i:answer\s*(?:is|:)\s*:?)\s*[*(\[]*([A-Z])\b").ok());
static LEADING_LETTER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\W*([A-Z])(?:[:.)\]]|\s*$|\s*\n)").ok());
static STATED_NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i:####|answer\s*(?:is|:))[^\d\n-]{0,20}(-?\d[\d,]*(?:\.\d+)?)").ok()
});
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"-?\d[\d,]*(?:\.\d+)?").ok());

/// Whether an answer is right; `None` for an open question.
pub fn grade(key: &Key, answer: &str) -> Option<bool> {
    match key {
        Key::Open => None,
        Key::Number { value } => {
            let found = number(answer);
            Some(found.is_some_and(|found| (found - value).abs() < 1e-6 * value.abs().max(1.0)))
        }
        Key::Choice {
            labels,
            texts,
            label,
        } => Some(choice(labels, texts, answer).is_some_and(|found| found == label)),
    }
}

fn choice<'a>(labels: &'a [String], texts: &[String], answer: &str) -> Option<&'a String> {
    let known = |letter: &str| labels.iter().find(|label| *label == letter);
    let last = |regex: &Option<Regex>| -> Option<String> {
        let captures = regex.as_ref()?.captures_iter(answer).last()?;
        Some(captures[1].to_string())
    };
    // "The answer is A salmon" names no letter.
    let after = STATED_LETTER.as_ref().and_then(|regex| {
        let letter = regex.captures_iter(answer).last()?.get(1)?;
        Some(answer[letter.start()..].to_lowercase())
    });
    let begins = |text: &&String| {
        let begun = after
            .as_ref()
            .is_some_and(|after| after.starts_with(&text.to_lowercase()));
        begun && text.len() > 1
    };
    if let Some(index) = texts.iter().position(|text| begins(&text)) {
        return labels.get(index);
    }
    let stated = last(&STATED_LETTER).or_else(|| last(&LEADING_LETTER));
    if let Some(label) = stated.as_deref().and_then(known) {
        return Some(label);
    }
    let answer = answer.to_lowercase();
    let mut named = labels
        .iter()
        .zip(texts)
        .filter(|(_, text)| has_words(&answer, &text.to_lowercase()))
        .map(|(label, _)| label);
    match (named.next(), named.next()) {
        (Some(label), None) => Some(label),
        _ => None,
    }
}

/// Whether `words` stand in a text as words, and not inside of others.
fn has_words(text: &str, words: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + words.len()..]);
        !words.is_empty() && !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

fn number(answer: &str) -> Option<f64> {
    let stated = STATED_NUMBER
        .as_ref()
        .and_then(|regex| regex.captures_iter(answer).last())
        .and_then(|captures| captures.get(1));
    let last = || {
        NUMBER
            .as_ref()
            .and_then(|regex| regex.find_iter(answer).last())
    };
    let text = stated.or_else(last)?.as_str();
    text.trim_end_matches(',').replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::Choice {
            labels: ["A", "B", "C"].map(String::from).into(),
            texts: ["The sun", "The moon", "A star"].map(String::from).into(),
            label: "B".into(),
        }
    }

    #[test]
    fn patterns_are_valid() {
        for regex in [&STATED_LETTER, &LEADING_LETTER, &STATED_NUMBER, &NUMBER] {
            assert!(regex.is_some());
        }
    }

    #[test]
    fn a_choice_is_found_where_it_is_stated() {
        for right in [
            "B",
            "B: The moon",
            "(B) The moon",
            "**B.** It is near.",
            "The answer is B.",
            "The answer is A. No, wait: the answer is (B).",
            "Answer: B",
            "It must be the moon that does it.",
            "A good question. The correct answer is: B",
        ] {
            assert_eq!(grade(&key(), right), Some(true), "{right:?}");
        }
        for wrong in [
            "",
            "A",
            "The answer is C.",
            "The moon or the sun",
            "Because it is near",
            "The answer is Z, the moon and the sun",
        ] {
            assert_eq!(grade(&key(), wrong), Some(false), "{wrong:?}");
        }
    }

    #[test]
    fn a_number_is_the_stated_one_or_the_last() {
        let key = Key::Number { value: 1200.0 };
        for right in [
            "1200",
            "He has 3 boxes, so 1,200 pens.",
            "The answer is 1200, not 5.",
            "The answer is $1,200.00. Check: 3 * 400",
            "work #### 1200",
        ] {
            assert_eq!(grade(&key, right), Some(true), "{right:?}");
        }
        for wrong in [
            "",
            "many",
            "1200 and 5",
            "The answer is 12. Or 1200",
            "-1200",
        ] {
            assert_eq!(grade(&key, wrong), Some(false), "{wrong:?}");
        }
    }

    #[test]
    fn a_choice_that_begins_like_a_letter_is_no_letter() {
        let key = Key::Choice {
            labels: ["A", "B"].map(String::from).into(),
            texts: ["Ice", "A salmon"].map(String::from).into(),
            label: "B".into(),
        };
        for right in ["The answer is A salmon.", "A salmon is nice."] {
            assert_eq!(grade(&key, right), Some(true), "{right:?}");
        }
        for wrong in ["The answer is A.", "The answer is A because", "Nice salmon"] {
            assert_eq!(grade(&key, wrong), Some(false), "{wrong:?}");
        }
    }

    #[test]
    fn an_open_question_has_no_grade() {
        assert_eq!(grade(&Key::Open, "anything"), None);
    }
}
