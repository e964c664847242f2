//! From logits to a token.
//!
//! Everything is defined so that another device can repeat it: random numbers come from a 32-bit
//! hash of seed and step, candidates are ordered by logit and then by id, and the arithmetic is
//! f32.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How a lane's next token is chosen. The default takes the most likely one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token and leaves nothing to chance.
    pub temperature: f32,
    /// Draws from so many of the most likely tokens; 0 for all of them.
    pub top_k: usize,
    /// Draws from the most likely tokens that together reach this probability; 1 for all of them.
    pub top_p: f32,
    /// Makes tokens of the prompt and the answer less likely: positive logits are divided by it,
    /// negative ones multiplied (Keskar et al. 2019, arXiv 1909.05858); 1 for no change.
    pub repetition_penalty: f32,
    /// The same seed gives the same answer. Lanes with the same seed draw the same numbers.
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Refuses parameters that make no sense.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`].
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::InvalidRequest(what));
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return refuse(format!(
                "the temperature must be 0 or more, not {}",
                self.temperature
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return refuse(format!(
                "top-p must be above 0 and at most 1, not {}",
                self.top_p
            ));
        }
        if !self.repetition_penalty.is_finite() || self.repetition_penalty <= 0.0 {
            return refuse(format!(
                "the repetition penalty must be above 0, not {}; 1 changes nothing",
                self.repetition_penalty
            ));
        }
        Ok(())
    }
}

/// The sampling state of one lane.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    /// Whether a token is in the prompt or the answer.
    seen: Vec<bool>,
    /// Tokens that were drawn: the counter of the random numbers.
    step: u32,
}

/// Logits this many temperatures below the largest have a probability of 1e-13 each: all of a
/// vocabulary together are below the resolution of a random number, so they need no sorting.
const NEGLIGIBLE: f32 = 30.0;

impl Sampler {
    /// A sampler for a lane that starts with `prompt`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for parameters that make no sense.
    pub fn new(sampling: Sampling, prompt: &[u32], vocab_size: usize) -> Result<Self> {
        sampling.check()?;
        let mut sampler = Self {
            sampling,
            seen: vec![false; vocab_size],
            step: 0,
        };
        for &token in prompt {
            sampler.see(token);
        }
        Ok(sampler)
    }

    /// Chooses the next token and takes note of it.
    ///
    /// # Errors
    /// [`Error::NotANumber`] for logits that are not numbers.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32> {
        let mut candidates = self.candidates(logits)?;
        let token = if self.sampling.temperature == 0.0 {
            candidates[0].id
        } else {
            candidates.sort_unstable_by(Candidate::order);
            let u = uniform(self.sampling.seed, self.step);
            draw(&candidates, &self.sampling, u)
        };
        self.step = self.step.wrapping_add(1);
        self.see(token);
        Ok(token)
    }

    /// The tokens that can be chosen, the most likely one first, the others by id.
    fn candidates(&self, logits: &[f32]) -> Result<Vec<Candidate>> {
        let all = || {
            logits.iter().zip(0u32..).map(|(&logit, id)| Candidate {
                logit: self.penalised(logit, id),
                id,
            })
        };
        let mut best: Option<Candidate> = None;
        for candidate in all() {
            if candidate.logit.is_nan() {
                return Err(Error::NotANumber);
            }
            if best.is_none_or(|best| candidate.logit > best.logit) {
                best = Some(candidate);
            }
        }
        let best = best
            .filter(|best| best.logit.is_finite())
            .ok_or(Error::NotANumber)?;
        let floor = best.logit - NEGLIGIBLE * self.sampling.temperature;
        let mut candidates = vec![best];
        if self.sampling.temperature > 0.0 {
            candidates.extend(all().filter(|c| c.id != best.id && c.logit >= floor));
        }
        Ok(candidates)
    }

    fn penalised(&self, logit: f32, id: u32) -> f32 {
        match self.seen.get(id as usize) {
            Some(true) if logit > 0.0 => logit / self.sampling.repetition_penalty,
            Some(true) => logit * self.sampling.repetition_penalty,
            _ => logit,
        }
    }

    fn see(&mut self, token: u32) {
        if let Some(seen) = self.seen.get_mut(token as usize) {
            *seen = true;
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    logit: f32,
    id: u32,
}

impl Candidate {
    /// The larger logit first, then the smaller id.
    fn order(&self, other: &Self) -> Ordering {
        other
            .logit
            .total_cmp(&self.logit)
            .then(self.id.cmp(&other.id))
    }
}

/// The token at the point `u` of the candidates' probabilities, laid end to end in their order.
fn draw(sorted: &[Candidate], sampling: &Sampling, u: f32) -> u32 {
    let k = if sampling.top_k == 0 {
        sorted.len()
    } else {
        sampling.top_k.min(sorted.len())
    };
    let weights: Vec<f32> = sorted[..k]
        .iter()
        .map(|c| ((c.logit - sorted[0].logit) / sampling.temperature).exp())
        .collect();
    let nucleus = sampling.top_p * weights.iter().sum::<f32>();
    let mut kept = 0;
    let mut mass = 0.0;
    for weight in &weights {
        mass += weight;
        kept += 1;
        if mass >= nucleus {
            break;
        }
    }
    let target = u * mass;
    let mut sum = 0.0;
    for (candidate, weight) in sorted[..kept].iter().zip(&weights) {
        sum += weight;
        if sum > target {
            return candidate.id;
        }
    }
    // `u` is below 1 and the sums are the same, so only rounding of `u * mass` can come here.
    sorted[kept - 1].id
}

/// A number in [0, 1) from a seed and a counter.
fn uniform(seed: u32, counter: u32) -> f32 {
    const STEPS: f32 = (1 << 24) as f32;
    (pcg(counter.wrapping_add(pcg(seed))) >> 8) as f32 / STEPS
}

/// The PCG output function as a hash (Jarzynski and Olano 2020, "Hash Functions for GPU
/// Rendering").
fn pcg(input: u32) -> u32 {
    let state = input.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling, prompt: &[u32]) -> Sampler {
        Sampler::new(sampling, prompt, 4).unwrap()
    }

    fn counts(sampling: Sampling, logits: &[f32]) -> [usize; 4] {
        let mut counts = [0; 4];
        for seed in 0..4000 {
            let mut sampler = sampler(Sampling { seed, ..sampling }, &[]);
            counts[sampler.sample(logits).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_largest_and_the_lowest_id_of_equals() {
        let mut greedy = sampler(Sampling::default(), &[]);
        assert_eq!(greedy.sample(&[1.0, 3.0, 3.0, 2.0]).unwrap(), 1);
        assert_eq!(
            greedy
                .sample(&[-1.0, -3.0, -0.5, f32::NEG_INFINITY])
                .unwrap(),
            2
        );
    }

    #[test]
    fn the_penalty_makes_seen_tokens_less_likely() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        let mut sampler = sampler(sampling, &[1]);
        assert_eq!(
            sampler.sample(&[2.0, 3.0, 0.0, 0.0]).unwrap(),
            0,
            "prompt token 1 counts 1.5"
        );
        assert_eq!(
            sampler.sample(&[-1.0, -1.0, -1.5, -3.0]).unwrap(),
            2,
            "0 and 1 count -2"
        );
    }

    #[test]
    fn draws_by_probability() {
        let logits = [4f32.ln(), 0.0, 3f32.ln(), f32::NEG_INFINITY];
        let counts = counts(
            Sampling {
                temperature: 1.0,
                ..Sampling::default()
            },
            &logits,
        );
        assert_eq!(counts[3], 0);
        for (count, expected) in counts.iter().zip([2000.0, 500.0, 1500.0]) {
            assert!((*count as f64 - expected).abs() < 120.0, "{counts:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits = [1.0, 2.0, 2.0, 2.0];
        let one = Sampling {
            temperature: 1.0,
            top_k: 2,
            ..Sampling::default()
        };
        let [a, b, c, d] = counts(one, &logits);
        assert!(
            a == 0 && b > 1500 && c > 1500 && d == 0,
            "ties are cut by id"
        );
        let nucleus = Sampling {
            temperature: 1.0,
            top_p: 0.5,
            ..Sampling::default()
        };
        let [a, b, c, d] = counts(nucleus, &[5.0, 4.0, 3.0, 2.0]);
        assert_eq!([a, b, c, d], [4000, 0, 0, 0], "the first alone reaches 0.5");
    }

    #[test]
    fn a_seed_fixes_the_answer() {
        let draws = |seed| {
            let mut sampler = sampler(
                Sampling {
                    temperature: 1.0,
                    seed,
                    ..Sampling::default()
                },
                &[],
            );
            (0..32)
                .map(|_| sampler.sample(&[1.0, 1.0, 1.0, 1.0]).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn refuses_parameters_and_logits_that_make_no_sense() {
        for sampling in [
            Sampling {
                temperature: -1.0,
                ..Sampling::default()
            },
            Sampling {
                temperature: f32::NAN,
                ..Sampling::default()
            },
            Sampling {
                top_p: 0.0,
                ..Sampling::default()
            },
            Sampling {
                top_p: 1.5,
                ..Sampling::default()
            },
            Sampling {
                repetition_penalty: 0.0,
                ..Sampling::default()
            },
        ] {
            assert!(matches!(
                Sampler::new(sampling, &[], 4),
                Err(Error::InvalidRequest(_))
            ));
        }
        let mut greedy = sampler(Sampling::default(), &[]);
        assert!(matches!(
            greedy.sample(&[0.0, f32::NAN, 0.0, 0.0]),
            Err(Error::NotANumber)
        ));
    }
}
