//! Decoding: the lanes sample their own next tokens, and the device runs ahead of who reads them.

use super::Engine;
use crate::backend::{DecodeLane, LaneToken, Row};
use crate::generate::Sampling;
use crate::steering::Activation;
use crate::{Error, Result};

/// How one lane decodes.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeRequest {
    /// The lane; what it holds and the input are what the repetition penalty counts as seen.
    pub lane: usize,
    /// The token after those that the lane holds: the first input.
    pub input: u32,
    /// How its tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to sample; fewer where the lane's cache is full before.
    pub limit: usize,
    /// What is added to the residual stream at every step, the first input included; nothing where
    /// it is all 0.
    pub activation: Option<Activation>,
}

/// The next input of each lane that decodes.
#[derive(Debug, Default)]
pub(super) struct Decoding {
    inputs: Vec<LaneToken>,
}

impl Engine {
    /// Begins to decode in these lanes, in place of a decoding that was begun before. Each lane
    /// goes on until it has sampled an end token of the model, or its limit, or its cache is full.
    /// [`Engine::next_step`] gives the tokens; any other work on the engine ends the decoding.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a lane or token that does not exist, a lane named twice, more
    /// lanes than one batch takes, or sampling parameters or an activation that make no sense;
    /// [`Error::ContextFull`] where a lane has no room for its input; or as
    /// [`Backend::forward`](crate::backend::Backend::forward).
    pub fn start_decode(&mut self, requests: &[DecodeRequest]) -> Result<()> {
        self.decoding = Decoding::default();
        if requests.len() > self.max_rows() {
            return Err(Error::InvalidRequest(format!(
                "{} lanes are too many to decode together; {} can",
                requests.len(),
                self.max_rows()
            )));
        }
        let inputs: Vec<[u32; 1]> = requests.iter().map(|request| [request.input]).collect();
        let parts: Vec<(usize, &[u32])> = requests
            .iter()
            .zip(&inputs)
            .map(|(request, input)| (request.lane, &input[..]))
            .collect();
        let rows = self.rows(&parts)?;
        for activation in requests.iter().filter_map(|r| r.activation.as_ref()) {
            activation.check(&self.model.config)?;
        }
        let lanes: Vec<DecodeLane> = requests
            .iter()
            .zip(rows)
            .map(|(request, row)| self.decode_lane(request, row))
            .collect();
        self.backend
            .start_decode(&lanes, self.model.tokenizer.end_tokens())?;
        self.decoding.inputs = requests
            .iter()
            .map(|request| LaneToken {
                lane: request.lane,
                token: request.input,
            })
            .collect();
        Ok(())
    }

    fn decode_lane(&self, request: &DecodeRequest, row: Row) -> DecodeLane {
        let seen = [self.tokens(request.lane), &[request.input]].concat();
        let room = self.cache_size().capacity - self.tokens(request.lane).len();
        DecodeLane {
            row,
            sampling: request.sampling,
            seen,
            limit: request.limit.min(room),
            activation: request.activation.clone().filter(|a| !a.is_zero()),
        }
    }

    /// The tokens of the next decode step, one for each lane that goes on; none once all have
    /// ended.
    ///
    /// # Errors
    /// [`Error::NotANumber`], or as [`Backend::forward`](crate::backend::Backend::forward).
    pub async fn next_step(&mut self) -> Result<Vec<LaneToken>> {
        if self.decoding.inputs.is_empty() {
            return Ok(Vec::new());
        }
        let sampled = self.backend.next_step().await?;
        self.decoding.inputs.retain_mut(|input| {
            let Some(next) = sampled.iter().find(|token| token.lane == input.lane) else {
                return false;
            };
            self.lanes[input.lane].tokens.push(input.token);
            input.token = next.token;
            true
        });
        Ok(sampled)
    }
}
