//! How tokens are chosen.

use cache_steering::generate::Sampling;
use cache_steering::steering::Steering;

#[derive(clap::Args)]
pub struct SamplingArgs {
    /// 0 takes the most likely token each time
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    temperature: f32,
    /// Draw from the K most likely tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draw from the most likely tokens that reach this probability together
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    top_p: f32,
    /// Draw from tokens at least this many times as likely as the most likely one
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    min_p: f32,
    /// Make tokens that were there before less likely; 1 for no change [default: 1, or what the vector
    /// file recommends]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// The same seed gives the same answer
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u32,
}

impl SamplingArgs {
    /// What was asked for, with the repetition penalty that the steering recommends.
    pub fn sampling(&self, steering: &[Steering]) -> Sampling {
        let recommended = steering
            .iter()
            .filter(|s| !s.strength.is_zero())
            .filter_map(|s| s.vector.metadata.repetition_penalty)
            .reduce(f32::max);
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty.or(recommended).unwrap_or(1.0),
            seed: self.seed,
        }
    }
}
