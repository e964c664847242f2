//! What one write to the cache did: to the slot, and to each token of the answer that followed.

use super::{Engine, PrefillProgress, Steered};
use crate::observer::Observer;
use crate::{Error, Result};
use serde::Serialize;

/// Tokens of each lane whose logits are held at once, 200 KB each for SmolLM2's vocabulary.
const BATCH: usize = 16;

/// The likeliest tokens that are told of each distribution.
const CANDIDATES: usize = 5;

/// A steered lane beside a plain one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The position that was written to.
    pub position: usize,
    /// By layer and KV head, the length of what was added to the keys, in parts of the length of what
    /// was there.
    pub keys: Vec<Vec<f32>>,
    /// The same for the values.
    pub values: Vec<Vec<f32>>,
    /// The tokens of the steered answer, in their order.
    pub tokens: Vec<TokenInspection>,
}

/// One token of the steered answer, and what else could have come there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenInspection {
    /// Token id.
    pub token: u32,
    /// Its text by itself; a part of a character is U+FFFD.
    pub text: String,
    /// `KL(steered || plain)` of what comes at this place, in nats: how far steering moved it.
    pub kl: f64,
    /// The likeliest tokens with steering, the likeliest first.
    pub steered: Vec<Candidate>,
    /// The likeliest tokens without, after the same text.
    pub plain: Vec<Candidate>,
    /// How much the token before, from which this one follows, attends to the slot.
    pub attention: SlotAttention,
}

/// The weight of a slot in attention, by layer: from 0 to 1, the mean over the query heads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlotAttention {
    /// With steering.
    pub steered: Vec<f32>,
    /// Without, after the same text.
    pub plain: Vec<f32>,
}

/// A token that could come, and its probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Token id.
    pub token: u32,
    /// Its text by itself.
    pub text: String,
    /// From 0 to 1, before any sampling parameter.
    pub p: f64,
}

impl Engine {
    /// Compares a lane that was steered and then decoded with the same prompt without steering: the
    /// slot that was written to, and, token by token of the steered `answer`, what comes next in each and how
    /// much attention goes to the slot. The plain lane is given that prompt, as far as it holds another, as in
    /// a conversation of two sides; it holds the steered answer afterwards. The observer hears of the prompt
    /// first.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for lanes that do not exist or are the same, for an answer that the steered
    /// one did not give, or where not exactly one position was steered; [`Error::NotANumber`], [`Error::Cancelled`], or as
    /// [`Backend::forward`](crate::backend::Backend::forward).
    pub async fn inspect(
        &mut self,
        plain: usize,
        steered: usize,
        answer: &[u32],
        observer: &mut dyn Observer<PrefillProgress>,
    ) -> Result<Inspection> {
        let Steered::At(position) = self.lane(steered)?.steered else {
            return Err(Error::InvalidRequest(
                "there is nothing to look into: no answer was steered at one position".into(),
            ));
        };
        if plain == steered {
            return Err(Error::InvalidRequest(
                "there is nothing to compare with: it takes two lanes".into(),
            ));
        }
        let tokens = self.lane(steered)?.tokens.clone();
        let prompt = position + 1;
        // The first input is the prompt's last token; the answer's last one was never an input.
        let inputs = tokens.get(prompt..prompt + answer.len());
        let Some(inputs) =
            inputs.filter(|inputs| answer.starts_with(inputs.get(1..).unwrap_or(&[])))
        else {
            return Err(Error::InvalidRequest(
                "there is nothing to look into: the steered lane holds another answer".into(),
            ));
        };
        let kept = self.keep_prefix(plain, &tokens[..prompt])?;
        self.prefill(&[(plain, &tokens[kept..prompt])], observer)
            .await?;
        let before = self.backend.read_slot(plain, position).await?;
        let after = self.backend.read_slot(steered, position).await?;
        let config = &self.model.config;
        let (heads, size) = (config.n_kv_heads, config.head_dim);
        let changes = [(&before.keys, &after.keys), (&before.values, &after.values)];
        let [keys, values] = changes.map(|(before, after)| changes_of(before, after, heads, size));
        let tokens = self
            .compare([plain, steered], prompt, inputs, answer, observer)
            .await?;
        Ok(Inspection {
            position,
            keys,
            values,
            tokens,
        })
    }

    /// What comes after each of some tokens, and was then chosen, in two lanes that are both made to hold
    /// these from `start` on.
    async fn compare(
        &mut self,
        lanes: [usize; 2],
        start: usize,
        inputs: &[u32],
        chosen: &[u32],
        observer: &mut dyn Observer<PrefillProgress>,
    ) -> Result<Vec<TokenInspection>> {
        for lane in lanes {
            self.truncate(lane, start)?;
        }
        // The steered one is the last before them.
        let slot = start - 1;
        let vocab_size = self.model.config.vocab_size;
        let total = chosen.len();
        let mut compared = Vec::with_capacity(total);
        for chunk in inputs.chunks(BATCH.min(self.max_rows() / 2).max(1)) {
            let mut found = Vec::with_capacity(2);
            for lane in lanes {
                let rows = self.rows(&[(lane, chunk)])?;
                found.push(self.backend.attention_to(&rows, slot).await?);
                self.remember(&rows);
            }
            let [plain, steered] = [&found[0], &found[1]];
            let distributions = plain.logits.chunks(vocab_size);
            let pairs = distributions.zip(steered.logits.chunks(vocab_size));
            for (row, (plain_p, steered_p)) in pairs.enumerate() {
                let token = chosen[compared.len()];
                let [plain, steered] = [plain, steered]
                    .map(|found| self.mean_weights(&found.weights, chunk.len(), row));
                let attention = SlotAttention { steered, plain };
                compared.push(self.compare_at(token, plain_p, steered_p, attention)?);
            }
            let done = compared.len();
            let progress = PrefillProgress { done, total };
            if observer.observe(progress).await.is_break() && done < total {
                return Err(Error::Cancelled);
            }
        }
        Ok(compared)
    }

    /// Of one of the rows that gave these weights, the mean over the query heads by layer.
    fn mean_weights(&self, weights: &[f32], rows: usize, row: usize) -> Vec<f32> {
        let heads = self.model.config.n_heads;
        let of_row = weights.chunks(heads).skip(row).step_by(rows);
        of_row
            .map(|heads| heads.iter().sum::<f32>() / heads.len() as f32)
            .collect()
    }

    fn compare_at(
        &self,
        token: u32,
        plain: &[f32],
        steered: &[f32],
        attention: SlotAttention,
    ) -> Result<TokenInspection> {
        let [plain, steered] = [plain, steered].map(log_softmax);
        let pairs = steered.iter().zip(&plain);
        let kl: f64 = pairs.map(|(s, p)| s.exp() * (s - p)).sum();
        if !kl.is_finite() {
            return Err(Error::NotANumber);
        }
        Ok(TokenInspection {
            token,
            text: self.text_of(token),
            // Rounding may leave a little less than nothing.
            kl: kl.max(0.0),
            steered: self.likeliest(&steered),
            plain: self.likeliest(&plain),
            attention,
        })
    }

    fn likeliest(&self, log_p: &[f64]) -> Vec<Candidate> {
        let mut order: Vec<usize> = (0..log_p.len()).collect();
        let by_p = |a: &usize, b: &usize| log_p[*b].total_cmp(&log_p[*a]).then(a.cmp(b));
        let count = CANDIDATES.min(order.len());
        if count < order.len() {
            order.select_nth_unstable_by(count, by_p);
        }
        order.truncate(count);
        order.sort_by(by_p);
        let candidates = order.into_iter().map(|id| Candidate {
            token: id as u32,
            text: self.text_of(id as u32),
            p: log_p[id].exp(),
        });
        candidates.collect()
    }

    /// The text of a token, a special one's as the vocabulary writes it.
    fn text_of(&self, token: u32) -> String {
        let tokenizer = &self.model.tokenizer;
        let text = tokenizer.decode(&[token]);
        match text.is_empty() {
            true => tokenizer.token(token).unwrap_or_default(),
            false => text,
        }
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&l| (f64::from(l) - max).exp()).sum();
    let log_sum = max + sum.ln();
    logits.iter().map(|&l| f64::from(l) - log_sum).collect()
}

/// `|after - before| / |before|` of each head, layer by layer; 0 where nothing was and nothing is.
pub(super) fn changes_of(
    before: &[f32],
    after: &[f32],
    heads: usize,
    size: usize,
) -> Vec<Vec<f32>> {
    let length = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    let of_head = |(before, after): (&[f32], &[f32])| {
        let added = length(&mut after.iter().zip(before).map(|(a, b)| a - b));
        match added {
            0.0 => 0.0,
            added => added / length(&mut before.iter().copied()),
        }
    };
    let mut all = before.chunks(size).zip(after.chunks(size)).map(of_head);
    let layers = before.len() / (heads * size).max(1);
    (0..layers)
        .map(|_| all.by_ref().take(heads).collect())
        .collect()
}
