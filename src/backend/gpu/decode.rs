//! Decoding without the CPU: the sampled token is the next step's input without leaving the GPU.
//!
//! Tokens, positions, random state, limits and stop flags are in GPU buffers. A decode step is the
//! forward pass, `penalise` and `sample`; several steps are one submit, and several submits are on
//! their way at any time, so that the GPU never waits for the CPU. Tokens come back in the order
//! of the submits, each through a staging buffer of its own; nothing waits for a single token.
//!
//! A lane that ends stops itself on the GPU. Steps that were submitted before the CPU knew leave
//! no trace, and cost next to nothing once no lane goes on: every stage looks at the count of
//! active rows first. When the CPU knows, the next submit begins by closing the gap in the batch.
//!
//! How far ahead to submit is found by trying, see [`pace`](super::pace).

use super::buffer::GpuBuffer;
use super::device::{GpuDevice, Readback};
use super::forward::{Aside, Extent, ForwardPass, ROW_BYTES};
use super::pace::{MAX_BATCH_STEPS, Pace};
use super::profile::Recorder;
use super::stages::{MAX_END_TOKENS, SHARES, Stage, decode_rows};
use super::variants::Variant;
use crate::backend::cpu::SamplingUnits;
use crate::backend::{CacheSize, DecodeLane, LaneToken, MOST_LANES, Row};
use crate::model::ModelConfig;
use crate::steering::Activation;
use crate::{Error, Result};
use bytemuck::{Pod, Zeroable};
use std::collections::{BTreeMap, VecDeque};
use web_time::{Duration, Instant};

const WORD: usize = size_of::<u32>();

/// What `sample` writes for logits that are not numbers; other tokens are written plus one.
const NOT_A_NUMBER: u32 = u32::MAX;

/// As in `shaders/lanes.wgsl`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
struct LaneState {
    steepness: f32,
    penalty: f32,
    inverse_penalty: f32,
    top_k: u32,
    top_p: u32,
    min_weight: u32,
    seed: u32,
    step: u32,
    left: u32,
}

/// The buffers of the sampling stages, and the decoding that goes on.
pub(super) struct Decoder {
    vocab_size: usize,
    /// Rows that decode together, at most.
    rows: usize,
    /// Lanes of any cut of the cache.
    lane_count: usize,
    lanes: GpuBuffer,
    seen: GpuBuffer,
    end: GpuBuffer,
    sampled: GpuBuffer,
    /// Bound alone.
    _best: GpuBuffer,
    /// Where rows wait while the gap of an ended lane is closed.
    moved_rows: GpuBuffer,
    penalise: wgpu::BindGroup,
    sample: wgpu::BindGroup,
    /// Staging buffers that nothing is on its way to.
    staging: Vec<GpuBuffer>,
    /// What is added to the residual stream in every step.
    additions: Vec<Aside>,
    session: Session,
}

/// A decoding.
struct Session {
    start: Instant,
    end: Vec<u32>,
    /// The lanes that go on, as far as is known, in the order of the next submit's rows.
    lanes: Vec<DecodingLane>,
    /// Lanes that have written an end token.
    ended: Vec<usize>,
    in_flight: VecDeque<InFlight>,
    /// Steps that came back and were not asked for yet.
    ready: VecDeque<Vec<LaneToken>>,
    pace: Pace,
}

struct DecodingLane {
    lane: usize,
    /// Its row in the last submit.
    row: usize,
    /// Position of the next step to submit, unless it ends before.
    position: usize,
    /// Steps that may still be submitted.
    left: usize,
}

/// Steps that were submitted and whose tokens have not come back.
struct InFlight {
    steps: usize,
    /// The lane of each row.
    lanes: Vec<usize>,
    readback: Readback,
    submitted: Duration,
}

impl Decoder {
    pub fn new(
        device: &GpuDevice,
        config: &ModelConfig,
        cache: CacheSize,
        forward: &mut ForwardPass,
    ) -> Result<Self> {
        let rows = decode_rows(cache);
        let lane_count = cache.lanes.max(MOST_LANES);
        let words = |label: &str, words: usize| device.storage(label, (words * WORD) as u64);
        let lanes = words("sampling state", lane_count * size_of::<LaneState>() / WORD)?;
        let seen = words("tokens seen", lane_count * config.vocab_size.div_ceil(32))?;
        let end = words("end tokens", 1 + MAX_END_TOKENS)?;
        let sampled = words("sampled tokens", (1 + MAX_BATCH_STEPS) * rows)?;
        let best = words("best tokens", rows * SHARES * 2)?;
        let moved_rows = words("moved rows", rows * ROW_BYTES / WORD)?;

        let [batch, logits] = [&forward.batch, &forward.logits].map(|b| b.as_entire_binding());
        let [lanes_, seen_, best_] = [&lanes, &seen, &best].map(|b| b.as_entire_binding());
        let sampling = [batch, lanes_, seen_, logits, best_];
        let penalise = forward.kernels.bind(Stage::Penalise, &sampling);
        let results = [end.as_entire_binding(), sampled.as_entire_binding()];
        let sample = forward
            .kernels
            .bind(Stage::Sample, &[&sampling[..], &results].concat());
        Ok(Self {
            vocab_size: config.vocab_size,
            rows,
            lane_count,
            lanes,
            seen,
            end,
            sampled,
            _best: best,
            moved_rows,
            penalise,
            sample,
            staging: Vec::new(),
            additions: Vec::new(),
            session: Session::new(Vec::new(), Vec::new(), Pace::default()),
        })
    }

    /// Writes what the lanes start with; [`Decoder::next_step`] submits.
    pub fn start(
        &mut self,
        device: &GpuDevice,
        forward: &mut ForwardPass,
        lanes: &[DecodeLane],
        end: &[u32],
    ) -> Result<()> {
        if end.len() > MAX_END_TOKENS {
            return Err(Error::InvalidRequest(format!(
                "{} tokens end an answer, and the GPU takes no more than {MAX_END_TOKENS}",
                end.len()
            )));
        }
        let lanes: Vec<&DecodeLane> = lanes.iter().filter(|lane| lane.limit > 0).collect();
        if lanes.len() > self.rows {
            return Err(Error::InvalidRequest(format!(
                "the GPU decodes {} lanes together, not {}",
                self.rows,
                lanes.len()
            )));
        }
        for lane in &lanes {
            lane.sampling.check()?;
            self.write_lane(device, lane);
        }
        self.additions = self.additions(device, forward, &lanes)?;
        let rows: Vec<Row> = lanes.iter().map(|lane| lane.row).collect();
        forward.write_batch(device, &rows);
        let words = [&[end.len() as u32], end].concat();
        device
            .queue
            .write_buffer(&self.end, 0, bytemuck::cast_slice(&words));

        let lanes = (0..)
            .zip(&lanes)
            .map(|(row, lane)| DecodingLane {
                lane: lane.row.lane as usize,
                row,
                position: lane.row.position as usize,
                left: lane.limit,
            })
            .collect();
        let pace = self.session.pace.clone().restarted();
        self.session = Session::new(lanes, end.to_vec(), pace);
        device.check()
    }

    /// What the lanes ask to be added, a buffer for each layer.
    fn additions(
        &self,
        device: &GpuDevice,
        forward: &mut ForwardPass,
        lanes: &[&DecodeLane],
    ) -> Result<Vec<Aside>> {
        let mut layers: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
        for lane in lanes {
            if let Some(Activation { layer, delta }) = &lane.activation {
                let all = self.lane_count * delta.len();
                let deltas = layers.entry(*layer).or_insert_with(|| vec![0.0; all]);
                let start = lane.row.lane as usize * delta.len();
                deltas[start..start + delta.len()].copy_from_slice(delta);
            }
        }
        layers
            .iter()
            .map(|(layer, deltas)| forward.addition(device, *layer, deltas))
            .collect()
    }

    fn write_lane(&self, device: &GpuDevice, lane: &DecodeLane) {
        let index = lane.row.lane as usize;
        let units = SamplingUnits::from(lane.sampling);
        let state = LaneState {
            steepness: units.steepness,
            penalty: units.penalty,
            inverse_penalty: units.inverse_penalty,
            top_k: units.top_k,
            top_p: units.top_p,
            min_weight: units.min_weight,
            seed: units.seed,
            step: 0,
            left: u32::try_from(lane.limit).unwrap_or(u32::MAX),
        };
        let mut bits = vec![0u32; self.vocab_size.div_ceil(32)];
        for &token in &lane.seen {
            if let Some(word) = bits.get_mut(token as usize / 32) {
                *word |= 1 << (token % 32);
            }
        }
        let at = |bytes: &[u8]| (index * bytes.len()) as u64;
        for (buffer, bytes) in [
            (&self.lanes, bytemuck::bytes_of(&state)),
            (&self.seen, bytemuck::cast_slice(&bits)),
        ] {
            device.queue.write_buffer(buffer, at(bytes), bytes);
        }
    }

    /// The tokens of the next step; keeps the GPU busy meanwhile.
    pub async fn next_step(
        &mut self,
        device: &GpuDevice,
        forward: &mut ForwardPass,
    ) -> Result<Vec<LaneToken>> {
        loop {
            while self.session.wants_more() {
                self.submit(device, forward);
            }
            if let Some(step) = self.session.ready.pop_front() {
                return Ok(step);
            }
            let Some(mut first) = self.session.in_flight.pop_front() else {
                return Ok(Vec::new());
            };
            let words: Vec<u32> = first.readback.read(device).await?;
            self.staging.push(first.readback.staging);
            let now = self.session.start.elapsed();
            let round_trip = now.saturating_sub(first.submitted);
            self.session.pace.came_back(first.steps, round_trip, now);
            self.session.take(&first.lanes, &words, self.rows)?;
        }
    }

    /// Submits a batch of steps.
    fn submit(&mut self, device: &GpuDevice, forward: &mut ForwardPass) {
        let mut recorder = device.record();
        self.close_gaps(device, forward, recorder.encoder());
        let (rows, steps) = (self.session.lanes.len(), self.session.next_batch());
        recorder.encoder().clear_buffer(&self.sampled, 0, None);
        let furthest = self.session.lanes.iter().map(|lane| lane.position).max();
        for step in 1..=steps {
            let longest = furthest.unwrap_or(0) + step;
            forward.record(
                &mut recorder,
                rows,
                longest,
                Extent::Logits,
                &self.additions,
            );
            self.record_sampling(forward, &mut recorder, rows);
        }
        let staging = self
            .staging
            .pop()
            .unwrap_or_else(|| device.staging("sampled tokens", self.sampled.size()));
        let size = ((1 + steps) * self.rows * WORD) as u64;
        recorder
            .encoder()
            .copy_buffer_to_buffer(&self.sampled, 0, &staging, 0, size);
        let readback = device.submit_and_read(recorder.finish(), staging, size);
        let session = &mut self.session;
        for lane in &mut session.lanes {
            lane.left = lane.left.saturating_sub(steps);
            lane.position += steps;
        }
        session.in_flight.push_back(InFlight {
            steps,
            lanes: session.lanes.iter().map(|lane| lane.lane).collect(),
            readback,
            submitted: session.start.elapsed(),
        });
        // What their limit allows is on its way.
        session.lanes.retain(|lane| lane.left > 0);
        session.pace.submitted();
    }

    /// Compiles what decoding in so many lanes needs.
    pub fn compile(&self, device: &GpuDevice, forward: &mut ForwardPass, lanes: usize) {
        forward.compile_decode_steps(device, lanes.min(self.rows));
        // Recorded, and never submitted.
        self.record_sampling(forward, &mut device.record(), 1);
    }

    /// Records the two sampling stages of a step.
    fn record_sampling(&self, forward: &mut ForwardPass, recorder: &mut Recorder, rows: usize) {
        let [penalise, sample] = [Stage::Penalise, Stage::Sample].map(Variant::plain);
        let kernels = &mut forward.kernels;
        kernels.dispatch(recorder, penalise, &self.penalise, [SHARES, rows]);
        kernels.dispatch(recorder, sample, &self.sample, [1, rows]);
    }

    /// Moves the rows of lanes that go on to the places of those that ended.
    fn close_gaps(
        &mut self,
        device: &GpuDevice,
        forward: &ForwardPass,
        encoder: &mut wgpu::CommandEncoder,
    ) {
        let lanes = &mut self.session.lanes;
        if lanes.iter().enumerate().all(|(row, lane)| lane.row == row) {
            return;
        }
        let (batch, moved) = (&forward.batch, &self.moved_rows);
        let bytes = |rows: usize| (rows * ROW_BYTES) as u64;
        for (row, lane) in lanes.iter_mut().enumerate() {
            encoder.copy_buffer_to_buffer(batch, bytes(lane.row), moved, bytes(row), bytes(1));
            lane.row = row;
        }
        encoder.copy_buffer_to_buffer(moved, 0, batch, 0, bytes(lanes.len()));
        forward.write_row_count(device, lanes.len());
    }
}

impl Session {
    fn new(lanes: Vec<DecodingLane>, end: Vec<u32>, pace: Pace) -> Self {
        Self {
            start: Instant::now(),
            end,
            lanes,
            ended: Vec::new(),
            in_flight: VecDeque::new(),
            ready: VecDeque::new(),
            pace,
        }
    }

    /// Whether there are steps to submit, and few enough on their way.
    fn wants_more(&self) -> bool {
        let in_flight = self.in_flight.iter().map(|batch| batch.steps).sum();
        !self.lanes.is_empty() && self.pace.wants_more(in_flight)
    }

    /// Steps of the next submit: none that no lane needs.
    fn next_batch(&self) -> usize {
        let needed = self.lanes.iter().map(|lane| lane.left).max().unwrap_or(0);
        self.pace.batch_steps().min(needed)
    }

    /// Sorts tokens that came back into steps, and takes note of lanes that ended.
    ///
    /// `words` are as `sample` writes them: how many tokens each row has, then `[step, row]`, of
    /// `stride` rows.
    fn take(&mut self, lanes: &[usize], words: &[u32], stride: usize) -> Result<()> {
        for step in words.chunks_exact(stride).skip(1) {
            let mut tokens = Vec::with_capacity(lanes.len());
            for (&lane, &word) in lanes.iter().zip(step) {
                let token = match word {
                    0 => continue,
                    NOT_A_NUMBER => return Err(Error::NotANumber),
                    token_plus_one => token_plus_one - 1,
                };
                tokens.push(LaneToken { lane, token });
                if self.end.contains(&token) {
                    self.ended.push(lane);
                    self.lanes.retain(|other| other.lane != lane);
                }
            }
            if !tokens.is_empty() {
                self.ready.push_back(tokens);
            }
        }
        let mut on_their_way = self.in_flight.iter().flat_map(|batch| &batch.lanes);
        if on_their_way.all(|lane| self.ended.contains(lane)) {
            // Steps of lanes that have written their end token give nothing.
            self.in_flight.clear();
        }
        Ok(())
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
