//! `sample`: from logits to a token.
//!
//! 1. Tokens that were seen before are penalised.
//! 2. A greedy lane takes the largest logit; among equals, the lowest id.
//! 3. Otherwise a token's weight is `2^24 * 2^-d`, where `d` is its distance from the largest
//!    logit in units of the temperature, rounded to an integer by integer arithmetic. What rounds
//!    to 0 is left out: tokens that are 10 million times less likely than the best.
//! 4. Min-p, top-k and top-p cut the tail, in this order, each of what the one before left.
//! 5. A random number is a point on the weights laid end to end.
//!
//! Weights are integers, so sums come out the same in any order and a GPU that adds in parallel
//! draws the same token. Steps 4 and 5 take tokens of equal logits, and lay weights end to end, in
//! the order of [`draw_order`]: a GPU's threads each own every 256th token.

use crate::generate::Sampling;
use crate::{Error, Result};
use std::f32::consts::LOG2_E;

/// Threads of the GPU's stage: part of the definition of the order in which tokens are drawn.
pub(crate) const SAMPLE_THREADS: u32 = 256;

/// [`Sampling`] in the units of the arithmetic, which the GPU gets as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SamplingUnits {
    /// Distance of two logits in powers of two; 0 for greedy.
    pub steepness: f32,
    pub penalty: f32,
    pub inverse_penalty: f32,
    /// All of the vocabulary where there is no limit.
    pub top_k: u32,
    /// In parts of 65,536.
    pub top_p: u32,
    /// Least weight.
    pub min_weight: u32,
    pub seed: u32,
}

impl From<Sampling> for SamplingUnits {
    fn from(sampling: Sampling) -> Self {
        Self {
            steepness: match sampling.temperature {
                0.0 => 0.0,
                // A temperature of almost 0 must not make 0 times infinity of the best token.
                temperature => (LOG2_E / temperature).min(f32::MAX),
            },
            penalty: sampling.repetition_penalty,
            inverse_penalty: 1.0 / sampling.repetition_penalty,
            top_k: match sampling.top_k {
                0 => u32::MAX,
                k => u32::try_from(k).unwrap_or(u32::MAX),
            },
            top_p: ((sampling.top_p * 65536.0).round() as u32).max(1),
            min_weight: ((sampling.min_p * LARGEST_WEIGHT as f32) as u32).max(1),
            seed: sampling.seed,
        }
    }
}

/// The weight of the most likely token.
const LARGEST_WEIGHT: u32 = 1 << 24;

/// The sampling state of one lane.
#[derive(Debug, Clone)]
pub struct Sampler {
    units: SamplingUnits,
    /// Whether a token is in the prompt or the answer.
    seen: Vec<bool>,
    /// Tokens that were drawn: the counter of the random numbers.
    step: u32,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    key: u32,
    weight: u32,
    id: u32,
}

impl Sampler {
    /// A sampler for a lane that starts with the tokens `seen`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for parameters that make no sense.
    pub fn new(sampling: Sampling, seen: &[u32], vocab_size: usize) -> Result<Self> {
        sampling.check()?;
        let mut sampler = Self {
            units: sampling.into(),
            seen: vec![false; vocab_size],
            step: 0,
        };
        for &token in seen {
            sampler.see(token);
        }
        Ok(sampler)
    }

    /// Chooses the next token and takes note of it.
    ///
    /// # Errors
    /// [`Error::NotANumber`] for logits that are not numbers.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32> {
        let best = self.best(logits)?;
        let token = if self.units.steepness == 0.0 {
            best.1
        } else {
            let mut candidates = self.candidates(logits, best.0);
            self.cut_tail(&mut candidates);
            draw(&mut candidates, random(self.units.seed, self.step))
        };
        self.step = self.step.wrapping_add(1);
        self.see(token);
        Ok(token)
    }

    /// The largest logit and its lowest id.
    fn best(&self, logits: &[f32]) -> Result<(f32, u32)> {
        let mut best = (f32::NEG_INFINITY, 0);
        for (id, &logit) in (0u32..).zip(logits) {
            let logit = self.penalised(logit, id);
            if logit.is_nan() {
                return Err(Error::NotANumber);
            }
            if key(logit) > key(best.0) {
                best = (logit, id);
            }
        }
        if best.0.is_finite() {
            Ok(best)
        } else {
            Err(Error::NotANumber)
        }
    }

    /// The tokens that can be chosen at all.
    fn candidates(&self, logits: &[f32], best: f32) -> Vec<Candidate> {
        (0u32..)
            .zip(logits)
            .filter_map(|(id, &logit)| {
                let logit = self.penalised(logit, id);
                let weight = weight((best - logit) * self.units.steepness);
                (weight >= self.units.min_weight).then_some(Candidate {
                    key: key(logit),
                    weight,
                    id,
                })
            })
            .collect()
    }

    /// Top-k, and top-p of what that leaves.
    fn cut_tail(&self, candidates: &mut Vec<Candidate>) {
        let SamplingUnits { top_k, top_p, .. } = self.units;
        if top_k as usize >= candidates.len() && top_p >= 1 << 16 {
            return;
        }
        candidates.sort_unstable_by_key(|c| (std::cmp::Reverse(c.key), draw_order(c.id)));
        candidates.truncate(top_k as usize);
        if top_p < 1 << 16 {
            let nucleus = fraction(mass(candidates), top_p);
            let mut sum = 0;
            let kept = candidates.iter().position(|c| {
                sum += u64::from(c.weight);
                sum >= nucleus
            });
            candidates.truncate(kept.map_or(candidates.len(), |last| last + 1));
        }
    }

    fn penalised(&self, logit: f32, id: u32) -> f32 {
        match self.seen.get(id as usize) {
            Some(true) if logit > 0.0 => logit * self.units.inverse_penalty,
            Some(true) => logit * self.units.penalty,
            _ => logit,
        }
    }

    fn see(&mut self, token: u32) {
        if let Some(seen) = self.seen.get_mut(token as usize) {
            *seen = true;
        }
    }
}

/// The token at the point `random / 2^32` of the weights laid end to end.
fn draw(candidates: &mut [Candidate], random: u32) -> u32 {
    candidates.sort_unstable_by_key(|c| draw_order(c.id));
    let mass = mass(candidates);
    let point = fraction(mass, random >> 16) + (fraction(mass, random & 0xffff) >> 16);
    let mut sum = 0;
    candidates
        .iter()
        .find(|c| {
            sum += u64::from(c.weight);
            sum > point
        })
        // The point is below the mass, so there is always one.
        .map_or(0, |c| c.id)
}

fn mass(candidates: &[Candidate]) -> u64 {
    candidates.iter().map(|c| u64::from(c.weight)).sum()
}

/// `parts / 65536` of `mass`, rounded down.
fn fraction(mass: u64, parts: u32) -> u64 {
    // The mass of a vocabulary of 2^20 tokens has 44 bits; the product fits.
    (mass * u64::from(parts)) >> 16
}

fn draw_order(id: u32) -> (u32, u32) {
    (id % SAMPLE_THREADS, id)
}

/// An integer that grows with the number.
fn key(logit: f32) -> u32 {
    let bits = logit.to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    }
}

/// `2^24 * 2^-distance` for a distance of 0 or more, rounded down; 16 of its bits are right.
fn weight(distance: f32) -> u32 {
    if distance.is_nan() || distance >= 25.0 {
        return 0;
    }
    let fixed = (distance * 65536.0) as u32;
    let (whole, part) = (fixed >> 16, fixed & 0xffff);
    // 2^-x on [0, 1) by a polynomial through its Chebyshev nodes, in 16-bit fixed point.
    let power = [3487, 15691, 45420, 65536]
        .into_iter()
        .fold(448, |sum, coefficient| coefficient - ((part * sum) >> 16));
    (power << 8) >> whole
}

/// 32 random bits from a seed and a counter: the PCG output function as a hash (Jarzynski and
/// Olano 2020, "Hash Functions for GPU Rendering").
fn random(seed: u32, counter: u32) -> u32 {
    pcg(counter.wrapping_add(pcg(seed)))
}

fn pcg(input: u32) -> u32 {
    let state = input.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling, seen: &[u32]) -> Sampler {
        Sampler::new(sampling, seen, 4).unwrap()
    }

    fn counts(sampling: Sampling, logits: &[f32]) -> [usize; 4] {
        let mut counts = [0; 4];
        for seed in 0..4000 {
            let mut sampler = sampler(Sampling { seed, ..sampling }, &[]);
            counts[sampler.sample(logits).unwrap() as usize] += 1;
        }
        counts
    }

    const WARM: Sampling = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        seed: 0,
    };

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
    fn weights_are_powers_of_two() {
        for i in 0..25_000 {
            let distance = i as f32 / 1000.0;
            let exact = 2f64.powi(24) * (-f64::from(distance)).exp2();
            let error = f64::from(weight(distance)) - exact;
            assert!(
                error.abs() < 1.0 + exact * 5e-5,
                "{distance}: off by {error}"
            );
        }
        assert_eq!(weight(0.0), LARGEST_WEIGHT);
        assert_eq!([weight(25.0), weight(f32::INFINITY)], [0, 0]);
    }

    #[test]
    fn draws_by_probability() {
        let logits = [4f32.ln(), 0.0, 3f32.ln(), f32::NEG_INFINITY];
        let counts = counts(WARM, &logits);
        assert_eq!(counts[3], 0);
        for (count, expected) in counts.iter().zip([2000.0, 500.0, 1500.0]) {
            assert!((*count as f64 - expected).abs() < 120.0, "{counts:?}");
        }
    }

    #[test]
    fn top_k_top_p_and_min_p_cut_the_tail() {
        let [a, b, c, d] = counts(Sampling { top_k: 2, ..WARM }, &[1.0, 2.0, 2.0, 2.0]);
        assert!(
            a == 0 && b > 1500 && c > 1500 && d == 0,
            "ties are cut in the order of drawing"
        );
        let nucleus = Sampling { top_p: 0.5, ..WARM };
        let counted = counts(nucleus, &[5.0, 4.0, 3.0, 2.0]);
        assert_eq!(counted, [4000, 0, 0, 0], "the first alone reaches 0.5");
        let [a, b, c, d] = counts(Sampling { min_p: 0.3, ..WARM }, &[3.0, 2.0, 1.0, 0.0]);
        assert!(
            a > b && b > 0 && c == 0 && d == 0,
            "the third is 0.14 times as likely as the first"
        );
    }

    #[test]
    fn the_coldest_temperature_takes_the_best() {
        let cold = Sampling {
            temperature: f32::MIN_POSITIVE / 4.0,
            ..WARM
        };
        assert_eq!(counts(cold, &[1.0, 1.000_1, 0.0, 0.0]), [0, 4000, 0, 0]);
    }

    #[test]
    fn a_seed_fixes_the_answer() {
        let draws = |seed| {
            let mut sampler = sampler(Sampling { seed, ..WARM }, &[]);
            (0..32)
                .map(|_| sampler.sample(&[1.0, 1.0, 1.0, 1.0]).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn refuses_logits_that_make_no_sense() {
        let mut greedy = sampler(Sampling::default(), &[]);
        for logits in [
            [0.0, f32::NAN, 0.0, 0.0],
            [f32::NEG_INFINITY; 4],
            [f32::INFINITY, 0.0, 0.0, 0.0],
        ] {
            assert!(matches!(greedy.sample(&logits), Err(Error::NotANumber)));
        }
    }
}
