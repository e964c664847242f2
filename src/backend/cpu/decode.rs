//! Decoding on the CPU: a forward pass and a sampled token for each lane, step by step.

use super::{CpuBackend, Sampler};
use crate::Result;
use crate::backend::{Backend, DecodeLane, LaneToken, Row};

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
        let rows: Vec<Row> = self.decoding.lanes.iter().map(|lane| lane.row).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let logits = self.logits(&rows).await?;
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
