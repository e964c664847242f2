//! How well a model predicts a text.

use super::{Engine, PrefillProgress};
use crate::observer::Observer;
use crate::{Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;

/// Rows of logits that [`Engine::score`] holds at once, 200 KB each for SmolLM2's vocabulary.
const SCORE_ROWS: usize = 64;

/// How well a model predicts a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Mean negative log-likelihood of the predicted tokens, in nats.
    pub nll: f64,
    /// `exp(nll)`.
    pub perplexity: f64,
    /// Tokens of the text; the first one is not predicted.
    pub tokens: usize,
    /// Negative log-likelihood of each token but the first.
    #[serde(skip)]
    pub token_nll: Vec<f64>,
}

impl Engine {
    /// How well the model predicts `ids`, in one window: positions from 0, each token predicted
    /// from all before it, nothing put in front. Takes lane 0 for it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for fewer than two tokens, [`Error::NotANumber`]; otherwise as
    /// [`Engine::prefill`].
    pub async fn score(
        &mut self,
        ids: &[u32],
        observer: &mut dyn Observer<PrefillProgress>,
    ) -> Result<Score> {
        let [inputs @ .., last] = ids else {
            return Err(Error::InvalidRequest("there is no text to score".into()));
        };
        if inputs.is_empty() {
            return Err(Error::InvalidRequest(
                "a score needs at least two tokens".into(),
            ));
        }
        self.check_token(*last)?;
        self.truncate(0, 0)?;
        let rows = self.rows(&[(0, inputs)])?;
        let total = rows.len();
        let mut token_nll = Vec::with_capacity(total);
        for batch in rows.chunks(SCORE_ROWS.min(self.max_rows())) {
            let logits = self.backend.logits(batch).await?;
            self.remember(batch);
            for row in logits.chunks(self.model.config.vocab_size) {
                let target = ids[token_nll.len() + 1];
                token_nll.push(negative_log_likelihood(row, target as usize));
            }
            let done = token_nll.len();
            if observer
                .observe(PrefillProgress { done, total })
                .await
                .is_break()
                && done < total
            {
                return Err(Error::Cancelled);
            }
        }
        let nll = token_nll.iter().sum::<f64>() / total as f64;
        if !nll.is_finite() {
            return Err(Error::NotANumber);
        }
        Ok(Score {
            nll,
            perplexity: nll.exp(),
            tokens: ids.len(),
            token_nll,
        })
    }

    /// How well the model, without steering, predicts an answer to a prompt: the mean negative
    /// log-likelihood of the answer's tokens, in nats; 0 for an empty answer. Takes lane 0 for it;
    /// what that holds of the prompt is not computed again.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for an empty prompt, [`Error::NotANumber`]; otherwise as
    /// [`Engine::logits`].
    pub async fn score_answer(&mut self, prompt: &[u32], answer: &[u32]) -> Result<f64> {
        let Some((last, before)) = prompt.split_last() else {
            return Err(Error::InvalidRequest("the prompt is empty".into()));
        };
        let Some((end, answered)) = answer.split_last() else {
            return Ok(0.0);
        };
        self.check_token(*end)?;
        let kept = self.keep_prefix(0, before)?;
        self.prefill(&[(0, &before[kept..])], &mut |_| ControlFlow::Continue(()))
            .await?;
        let inputs = [&[*last], answered].concat();
        let rows = self.rows(&[(0, &inputs)])?;
        let mut targets = answer.iter();
        let mut sum = 0.0;
        for batch in rows.chunks(SCORE_ROWS.min(self.max_rows())) {
            let logits = self.backend.logits(batch).await?;
            self.remember(batch);
            let rows = logits.chunks(self.model.config.vocab_size);
            for (row, &target) in rows.zip(&mut targets) {
                sum += negative_log_likelihood(row, target as usize);
            }
        }
        let nll = sum / answer.len() as f64;
        if !nll.is_finite() {
            return Err(Error::NotANumber);
        }
        Ok(nll)
    }
}

/// `-log softmax(logits)[target]`.
fn negative_log_likelihood(logits: &[f32], target: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
    let sum: f64 = logits.iter().map(|&l| (l as f64 - max).exp()).sum();
    max + sum.ln() - logits[target] as f64
}
