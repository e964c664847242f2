//! When an answer goes round in circles.
//!
//! Small models, steered ones above all, fall into loops: the same few tokens again and again, or
//! the same sentence with another number in front. Both are found as they happen, so that an answer
//! can stop there.

use std::collections::HashMap;

/// Longest period, in tokens, of what counts as the same tokens again.
const LONGEST_PERIOD: usize = 64;
/// How often something has to come to be a loop.
const TIMES: usize = 3;
/// Fewest tokens of a loop: shorter ones, such as a row of dashes, may be meant.
const FEWEST_TOKENS: usize = 24;
/// Fewest words of a sentence that counts; shorter ones may well return.
const FEWEST_WORDS: usize = 4;

/// Reads an answer token by token and says when it repeats itself: when it ends with the same
/// sequence of at most 64 tokens three times in a row, over at least 24 tokens; or when it has the same sentence of four words or more, whatever its numbers
/// and punctuation, for the third time.
#[derive(Debug, Clone, Default)]
pub struct RepetitionGuard {
    tokens: Vec<u32>,
    /// For each period, how many of the last tokens equal the one that is a period before.
    matches: Vec<usize>,
    sentence: String,
    sentences: HashMap<String, usize>,
}

impl RepetitionGuard {
    /// Takes the next token, and what it adds to the text. Says whether the answer repeats itself.
    pub fn push(&mut self, token: u32, text: &str) -> bool {
        self.tokens_repeat(token) | self.sentences_repeat(text)
    }

    fn tokens_repeat(&mut self, token: u32) -> bool {
        self.matches.resize(LONGEST_PERIOD, 0);
        let mut repeats = false;
        for (period, matches) in (1..).zip(&mut self.matches) {
            let before = self.tokens.len().checked_sub(period);
            let same = before.is_some_and(|i| self.tokens[i] == token);
            *matches = if same { *matches + 1 } else { 0 };
            let looping = *matches + period;
            repeats |= same && looping >= (TIMES * period).max(FEWEST_TOKENS);
        }
        self.tokens.push(token);
        repeats
    }

    fn sentences_repeat(&mut self, text: &str) -> bool {
        let mut repeats = false;
        for character in text.chars() {
            if matches!(character, '.' | '!' | '?' | '\n') {
                repeats |= self.sentence_ends();
            } else {
                self.sentence.push(character);
            }
        }
        repeats
    }

    fn sentence_ends(&mut self) -> bool {
        let sentence = std::mem::take(&mut self.sentence);
        let words: Vec<String> = sentence
            .split(|c: char| !c.is_alphabetic() && c != '\'')
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        if words.len() < FEWEST_WORDS {
            return false;
        }
        let times = self.sentences.entry(words.join(" ")).or_default();
        *times += 1;
        *times >= TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many tokens the guard speaks up.
    fn found_at(tokens: impl IntoIterator<Item = u32>) -> Option<usize> {
        let mut guard = RepetitionGuard::default();
        let mut found = tokens.into_iter().map(|token| guard.push(token, ""));
        found.position(|repeats| repeats).map(|i| i + 1)
    }

    fn repeats(text: &str) -> bool {
        let mut guard = RepetitionGuard::default();
        let mut words = (0..).zip(text.split_inclusive(' '));
        words.any(|(token, word)| guard.push(token, word))
    }

    #[test]
    fn a_cycle_is_found_in_its_third_round() {
        assert_eq!(found_at((0..200).map(|i| i % 20)), Some(60));
        assert_eq!(
            found_at((0..10).chain((0..100).map(|i| 100 + i % 8))),
            Some(34)
        );
    }

    #[test]
    fn one_token_may_come_a_few_times() {
        assert_eq!(found_at([7; 23]), None);
        assert_eq!(found_at([7; 24]), Some(24));
    }

    #[test]
    fn what_differs_each_time_is_no_cycle() {
        assert_eq!(
            found_at((0..400).map(|i| if i % 5 == 0 { i } else { i % 5 })),
            None
        );
        assert_eq!(found_at((0..400).map(|i| i % 65)), None);
    }

    #[test]
    fn a_sentence_with_another_number_is_the_same_sentence() {
        let step =
            "Step 1: Find the main idea. Step 2: Find the main idea. Step 3: Find the main idea!";
        assert!(repeats(step));
        assert!(!repeats(
            "Step 1: Find the main idea. Step 2: Read the text. Step 3: Find the main idea."
        ));
    }

    #[test]
    fn short_sentences_may_return() {
        assert!(!repeats(
            "It is so. Yes. It is so. Yes. It is so. Yes. It is so. Yes."
        ));
    }
}
