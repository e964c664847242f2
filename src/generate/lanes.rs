//! The state of one lane while it answers.

use super::{LaneOutcome, RepetitionGuard, StopReason};
use crate::engine::SlotWrite;
use crate::model::{Model, TextStream, Tokenizer};

pub(super) struct LaneState {
    /// Prompt and offset.
    pub sequence: Vec<u32>,
    pub stop: Option<StopReason>,
    pub decode_ms: f64,
    pub write: Option<SlotWrite>,
    tokens: Vec<u32>,
    text: String,
    stream: TextStream,
    tokenizer: Tokenizer,
    guard: Option<RepetitionGuard>,
}

impl LaneState {
    pub fn new(model: &Model, sequence: Vec<u32>, stop_repeating: bool) -> Self {
        Self {
            stream: model.tokenizer.stream(),
            tokenizer: model.tokenizer.clone(),
            sequence,
            stop: None,
            decode_ms: 0.0,
            write: None,
            tokens: Vec::new(),
            text: String::new(),
            guard: stop_repeating.then(RepetitionGuard::default),
        }
    }

    /// Takes the next token and gives what it adds to the text. `room` is the number of tokens
    /// that the lane's cache still takes.
    pub fn push(&mut self, token: u32, max_tokens: usize, room: usize) -> String {
        self.tokens.push(token);
        let mut piece = self.stream.push(token);
        let repeats = match &mut self.guard {
            Some(guard) => guard.push(token, &piece),
            None => false,
        };
        self.stop = if self.tokenizer.end_tokens().contains(&token) {
            Some(StopReason::EndOfText)
        } else if self.tokens.len() >= max_tokens {
            Some(StopReason::MaxTokens)
        } else if room == 0 {
            Some(StopReason::ContextFull)
        } else if repeats {
            Some(StopReason::Repeating)
        } else {
            None
        };
        if self.stop.is_some() {
            piece.push_str(&self.stream.finish());
        }
        self.text.push_str(&piece);
        piece
    }

    pub fn into_outcome(self) -> LaneOutcome {
        LaneOutcome {
            tokens: self.tokens,
            text: self.text,
            stop_reason: self.stop.unwrap_or(StopReason::Cancelled),
            decode_ms: self.decode_ms,
            write: self.write,
        }
    }
}
