//! Decoding on the CPU: a forward pass and a sampled token for each lane, step by step.

use super::head;
use super::{CpuBackend, Sampler};
use crate::Result;
use crate::backend::{DecodeLane, LaneToken, Row};
use crate::steering::Activation;

/// The lanes that have no answer yet.
#[derive(Default)]
pub(super) struct Decoding {
    lanes: Vec<DecodingLane>,
    end: Vec<u32>,
}

struct DecodingLane {
    /// The next input.
    row: Row,
    sampler: Sampler,
    left: usize,
    activation: Option<Activation>,
}

impl CpuBackend {
    pub(super) fn begin(&mut self, lanes: &[DecodeLane], end: &[u32]) -> Result<()> {
        let lanes = lanes
            .iter()
            .filter(|lane| lane.limit > 0)
            .map(|lane| {
                Ok(DecodingLane {
                    row: lane.row,
                    sampler: Sampler::new(lane.sampling, &lane.seen, self.config.vocab_size)?,
                    left: lane.limit,
                    activation: lane.activation.clone(),
                })
            })
            .collect::<Result<_>>()?;
        self.decoding = Decoding {
            lanes,
            end: end.to_vec(),
        };
        Ok(())
    }

    pub(super) async fn step(&mut self) -> Result<Vec<LaneToken>> {
        let lanes = &self.decoding.lanes;
        let rows: Vec<Row> = lanes.iter().map(|lane| lane.row).collect();
        let activations: Vec<_> = lanes.iter().map(|lane| lane.activation.clone()).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let x = self.run(&rows, self.config.n_layers, &activations, None)?;
        let logits = head::head(&self.config, &self.weights, &x)?;
        let Decoding { lanes, end } = &mut self.decoding;
        let mut tokens = Vec::with_capacity(rows.len());
        for (lane, logits) in lanes
            .iter_mut()
            .zip(logits.chunks_exact(self.config.vocab_size))
        {
            let token = lane.sampler.sample(logits)?;
            tokens.push(LaneToken {
                lane: lane.row.lane as usize,
                token,
            });
            lane.row.token = token;
            lane.row.position += 1;
            lane.left -= 1;
        }
        lanes.retain(|lane| lane.left > 0 && !end.contains(&lane.row.token));
        Ok(tokens)
    }
}
