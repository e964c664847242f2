//! A model on a backend, with its lanes.
//!
//! A lane is one sequence in the KV cache. The engine remembers which tokens each lane holds, so a
//! later prompt with the same beginning prefills only the rest; it checks every range, so that the
//! backend can trust its rows; and it is the only caller of [`Backend`].
//!
//! Steering a slot sets its former self aside, in the last position of the lane, which the engine
//! keeps for that. So a prompt that was steered once is steered anew without computing any of it
//! again.

mod decode;
mod inspect;
mod memory;
mod score;
mod write;

pub use decode::DecodeRequest;
pub use inspect::{Candidate, Inspection, SlotAttention, TokenInspection};
pub use memory::MemoryUse;
pub use score::Score;
pub use write::SlotWrite;

use crate::backend::choose::{BackendChoice, choose};
use crate::backend::cpu::CpuPrecision;
use crate::backend::gpu::{GpuDevice, KernelChoices};
use crate::backend::{Backend, BackendInfo, CacheSize, MOST_LANES, Row, Slot, SlotAddress};
use crate::model::Model;
use crate::model::load::{ByteSource, LoadProgress, load};
use crate::observer::Observer;
use crate::steering::{Steering, apply};
use crate::{Error, Result};
use decode::Decoding;
use serde::Serialize;

/// How a model is to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Where it runs.
    pub backend: BackendChoice,
    /// How the CPU backend computes.
    pub cpu_precision: CpuPrecision,
    /// Sequences that the KV cache holds, at least 1.
    pub lanes: usize,
    /// Positions of each lane, at least 1 and no more than the model was trained for;
    /// [`DEFAULT_CAPACITY`](crate::backend::choose::DEFAULT_CAPACITY) where `None`, or as many as the
    /// GPU can hold.
    pub capacity: Option<usize>,
    /// What [`Engine::kernel_choices`] gave on this device for a model of these sizes, to save the
    /// second in which a GPU is measured; or kernels fixed by hand.
    pub kernels: Option<KernelChoices>,
}

impl Default for EngineOptions {
    /// Two lanes, for a plain and a steered answer; on the CPU, quantized weights.
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            cpu_precision: CpuPrecision::Quantized,
            lanes: 2,
            capacity: None,
            kernels: None,
        }
    }
}

/// How far a prefill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PrefillProgress {
    /// Tokens whose keys and values are in the cache.
    pub done: usize,
    /// Tokens in all.
    pub total: usize,
}

/// What one lane of the cache holds.
#[derive(Debug, Clone, Default)]
struct Lane {
    tokens: Vec<u32>,
    steered: Steered,
}

/// Where a lane is not what its tokens alone give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Steered {
    #[default]
    Nowhere,
    /// At this position, whose former self was set aside, and in all that attended to it.
    At(usize),
    /// At several positions, this one being the first.
    From(usize),
}

impl Lane {
    fn truncate(&mut self, len: usize) {
        self.tokens.truncate(len);
        if let Steered::At(first) | Steered::From(first) = self.steered
            && first >= len
        {
            self.steered = Steered::Nowhere;
        }
    }
}

/// A model on a backend, with the lanes of its KV cache.
pub struct Engine {
    model: Model,
    backend: Box<dyn Backend>,
    reason: String,
    /// The KV cache as it was made.
    made: CacheSize,
    lanes: Vec<Lane>,
    decoding: Decoding,
}

/// Positions below which a lane is not worth having: a question and its chat format take as many.
const LEAST_LANE: usize = 64;

impl Engine {
    /// Reads a model from `source` into the backend that `options` ask for.
    ///
    /// # Errors
    /// What [`load`] and [`choose`] give, and [`Error::InvalidRequest`] for options of size 0.
    pub async fn load(
        source: &mut dyn ByteSource,
        options: &EngineOptions,
        observer: &mut dyn Observer<LoadProgress>,
    ) -> Result<Self> {
        if options.lanes == 0 || options.capacity == Some(0) {
            return Err(Error::InvalidRequest(
                "the KV cache needs at least one lane and one position".into(),
            ));
        }
        let chosen = choose(options.backend).await?;
        let mut reason = String::new();
        let (model, backend) = load(
            source,
            |config| {
                let (builder, why) = chosen.builder(
                    config,
                    options.lanes,
                    options.capacity,
                    options.cpu_precision,
                    options.kernels,
                )?;
                reason = why;
                Ok(builder)
            },
            observer,
        )
        .await?;
        Ok(Self::new(model, backend, reason))
    }

    /// An engine of parts. `reason` is the sentence that [`Engine::backend_reason`] gives.
    pub fn new(model: Model, backend: Box<dyn Backend>, reason: String) -> Self {
        let made = backend.cache_size();
        Self {
            model,
            backend,
            reason,
            made,
            lanes: vec![Lane::default(); made.lanes],
            decoding: Decoding::default(),
        }
    }

    /// The model: configuration, tokenizer, chat template.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the model runs on.
    pub fn backend_info(&self) -> &BackendInfo {
        self.backend.info()
    }

    /// Which backend runs and why, as one plain sentence.
    pub fn backend_reason(&self) -> &str {
        &self.reason
    }

    /// Which kernels the GPU runs, for [`EngineOptions::kernels`]; `None` on the CPU.
    pub fn kernel_choices(&self) -> Option<KernelChoices> {
        self.backend.kernel_choices()
    }

    /// Lanes and positions of the KV cache, without the position that the engine keeps for itself.
    pub fn cache_size(&self) -> CacheSize {
        let CacheSize { lanes, capacity } = self.backend.cache_size();
        CacheSize {
            lanes,
            capacity: capacity.saturating_sub(1),
        }
    }

    /// Has the KV cache in so many lanes, in the memory that it was made with: twice as many are half as
    /// long, and none is longer than at first. Where it has another number of lanes, what it holds is
    /// forgotten.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for no lanes, more than [`MOST_LANES`] or than the cache was made
    /// with, or lanes of less than 64 positions.
    pub fn set_lanes(&mut self, lanes: usize) -> Result<()> {
        if lanes == self.lanes.len() {
            return Ok(());
        }
        let most = MOST_LANES.max(self.made.lanes);
        if lanes == 0 || lanes > most {
            return Err(Error::InvalidRequest(format!(
                "the KV cache can have from 1 to {most} lanes, not {lanes}"
            )));
        }
        let positions = self.made.lanes * self.made.capacity;
        let size = CacheSize {
            lanes,
            capacity: (positions / lanes).min(self.made.capacity),
        };
        if size.capacity <= LEAST_LANE {
            return Err(Error::InvalidRequest(format!(
                "{lanes} lanes would have {} tokens each, less than {LEAST_LANE}: load the model with a \
                 larger capacity, or ask for fewer lanes",
                size.capacity.saturating_sub(1)
            )));
        }
        self.backend.cut_cache(size);
        self.lanes = vec![Lane::default(); lanes];
        self.decoding = Decoding::default();
        Ok(())
    }

    /// The tokens whose keys and values a lane holds; none for a lane that does not exist.
    pub fn tokens(&self, lane: usize) -> &[u32] {
        self.lanes.get(lane).map_or(&[], |lane| &lane.tokens)
    }

    /// Drops from a lane what is not the beginning of `tokens`, takes steering back, and says how
    /// many of `tokens` the lane still holds. What remains was computed from the same tokens,
    /// though maybe in other batches, so that its last bits may differ from those of a fresh
    /// prefill.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there is no such lane, or as [`Backend::forward`].
    pub fn keep_prefix(&mut self, lane: usize, tokens: &[u32]) -> Result<usize> {
        let held = self.lane(lane)?;
        let common = held
            .tokens
            .iter()
            .zip(tokens)
            .take_while(|(a, b)| a == b)
            .count();
        let kept = match held.steered {
            Steered::At(position) if position < common => {
                let (aside, here) = self.set_aside(lane, position);
                self.backend.copy_slots(aside, here, 1)?;
                position + 1
            }
            Steered::From(first) => common.min(first),
            _ => common,
        };
        self.decoding = Decoding::default();
        let lane = &mut self.lanes[lane];
        lane.truncate(kept);
        lane.steered = Steered::Nowhere;
        Ok(kept)
    }

    /// Where the former self of a slot is set aside, and the slot.
    fn set_aside(&self, lane: usize, position: usize) -> (SlotAddress, SlotAddress) {
        let aside = self.cache_size().capacity;
        (
            SlotAddress {
                lane,
                position: aside,
            },
            SlotAddress { lane, position },
        )
    }

    /// Appends tokens to lanes: their keys and values go to the cache. All parts run in the same
    /// batches, of at most [`BackendInfo::max_rows`] rows; the observer hears of each batch,
    /// of which the last two may still be on their way.
    ///
    /// # Errors
    /// [`Error::ContextFull`]; [`Error::InvalidRequest`] for a lane or token that does not exist or
    /// a lane named twice; [`Error::Cancelled`] where the observer breaks, with the batches that
    /// were done in the cache; or as [`Backend::forward`].
    pub async fn prefill(
        &mut self,
        parts: &[(usize, &[u32])],
        observer: &mut dyn Observer<PrefillProgress>,
    ) -> Result<()> {
        let rows = self.rows(parts)?;
        let total = rows.len();
        let mut done = 0;
        for batch in rows.chunks(self.max_rows()) {
            self.backend.forward(batch).await?;
            self.remember(batch);
            done += batch.len();
            if done == total {
                // Until now a batch or two may have been only on their way.
                self.backend.finish().await?;
            }
            if observer
                .observe(PrefillProgress { done, total })
                .await
                .is_break()
            {
                return Err(Error::Cancelled);
            }
        }
        Ok(())
    }

    /// Appends one token to each of some lanes, in one batch, and gives the logits of what comes
    /// next in each: `steps.len()` vectors of `vocab_size`.
    ///
    /// # Errors
    /// As [`Engine::prefill`], without [`Error::Cancelled`].
    pub async fn logits(&mut self, steps: &[(usize, u32)]) -> Result<Vec<Vec<f32>>> {
        let tokens: Vec<[u32; 1]> = steps.iter().map(|&(_, token)| [token]).collect();
        let parts: Vec<(usize, &[u32])> = steps
            .iter()
            .zip(&tokens)
            .map(|(&(lane, _), token)| (lane, &token[..]))
            .collect();
        let rows = self.rows(&parts)?;
        let mut logits = Vec::with_capacity(rows.len());
        for batch in rows.chunks(self.max_rows()) {
            let flat = self.backend.logits(batch).await?;
            self.remember(batch);
            logits.extend(
                flat.chunks(self.model.config.vocab_size)
                    .map(<[f32]>::to_vec),
            );
        }
        Ok(logits)
    }

    /// Shortens a lane to its first `len` tokens; a shorter one stays as it is.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there is no such lane.
    pub fn truncate(&mut self, lane: usize, len: usize) -> Result<()> {
        self.lane_mut(lane)?.truncate(len);
        self.decoding = Decoding::default();
        Ok(())
    }

    /// Makes lane `to` equal to lane `from`, steering included.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there is no such lane, or as [`Backend::forward`].
    pub fn copy_lane(&mut self, from: usize, to: usize) -> Result<()> {
        let source = self.lane(from)?.clone();
        self.lane(to)?;
        self.decoding = Decoding::default();
        if from != to {
            let start = |lane| SlotAddress { lane, position: 0 };
            let len = source.tokens.len();
            self.backend.copy_slots(start(from), start(to), len)?;
            if let Steered::At(position) = source.steered {
                let (from, _) = self.set_aside(from, position);
                let (to, _) = self.set_aside(to, position);
                self.backend.copy_slots(from, to, 1)?;
            }
            self.lanes[to] = source;
        }
        Ok(())
    }

    /// Adds vectors, each with its strength, to the cached keys and values at `position` of a lane:
    /// the one write of the method, however many vectors there are. Says whether there was one;
    /// coefficients of 0 write nothing.
    ///
    /// # Errors
    /// [`Error::VectorMismatch`], [`Error::InvalidRequest`] for a position that is not cached or a
    /// strength that makes no sense, or as [`Backend::forward`].
    pub async fn steer(
        &mut self,
        lane: usize,
        position: usize,
        steerings: &[Steering],
    ) -> Result<bool> {
        for Steering { vector, strength } in steerings {
            vector.check(&self.model.config)?;
            strength.check(self.model.config.n_layers)?;
        }
        self.check_cached(lane, position)?;
        let slot = if apply::needs_slot(steerings) {
            Some(self.backend.read_slot(lane, position).await?)
        } else {
            None
        };
        let delta = apply::delta(&self.model.config, steerings, position, slot.as_ref());
        let Some(delta) = delta else {
            return Ok(false);
        };
        let steered = match self.lanes[lane].steered {
            Steered::Nowhere => {
                let (aside, here) = self.set_aside(lane, position);
                self.backend.copy_slots(here, aside, 1)?;
                Steered::At(position)
            }
            Steered::At(first) if first == position => Steered::At(first),
            Steered::At(first) | Steered::From(first) => Steered::From(first.min(position)),
        };
        self.decoding = Decoding::default();
        self.backend.add_to_slot(lane, position, &delta)?;
        self.lanes[lane].steered = steered;
        Ok(true)
    }

    /// The cached keys and values at `position` of a lane, over all layers.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where nothing is cached there, or as [`Backend::forward`].
    pub async fn read_slot(&mut self, lane: usize, position: usize) -> Result<Slot> {
        self.check_cached(lane, position)?;
        self.backend.read_slot(lane, position).await
    }

    /// The residual stream after `layer`, `[width]`, if `token` came next in a lane. The lane stays as
    /// it is.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a lane, token or layer that does not exist,
    /// [`Error::ContextFull`] where the lane has no room, or as [`Backend::forward`].
    pub async fn residual(&mut self, lane: usize, token: u32, layer: usize) -> Result<Vec<f32>> {
        let layers = self.model.config.n_layers;
        if layer >= layers {
            return Err(Error::InvalidRequest(format!(
                "there is no layer {layer}: the model has {layers}, counted from 0"
            )));
        }
        match self.rows(&[(lane, &[token])])?[..] {
            [row] => self.backend.residual(row, layer).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Waits until the device has done all work that was given to it: for timings.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    pub async fn finish(&mut self) -> Result<()> {
        self.backend.finish().await
    }

    /// The graphics device that the model runs on, if it does: for counts and times.
    pub fn gpu(&self) -> Option<&GpuDevice> {
        self.backend.gpu()
    }

    /// Takes `tokens` for what a lane holds, without computing them: what is in the cache there is
    /// whatever was written before, or zeros. For timings at a long context.
    pub(crate) fn pretend(&mut self, lane: usize, tokens: &[u32]) -> Result<()> {
        *self.lane_mut(lane)? = Lane {
            tokens: tokens.to_vec(),
            steered: Steered::Nowhere,
        };
        Ok(())
    }

    /// The rows that append these parts to their lanes, after all checks.
    ///
    /// Whoever asks for rows has other work for the backend than the decoding that was begun.
    fn rows(&mut self, parts: &[(usize, &[u32])]) -> Result<Vec<Row>> {
        self.decoding = Decoding::default();
        let capacity = self.cache_size().capacity;
        let mut rows = Vec::with_capacity(parts.iter().map(|(_, tokens)| tokens.len()).sum());
        for (i, &(lane, tokens)) in parts.iter().enumerate() {
            let len = self.lane(lane)?.tokens.len();
            if parts[..i].iter().any(|&(other, _)| other == lane) {
                return Err(Error::InvalidRequest(format!("lane {lane} is named twice")));
            }
            if len + tokens.len() > capacity {
                return Err(self.context_full(len + tokens.len()));
            }
            for (position, &token) in (len..).zip(tokens) {
                self.check_token(token)?;
                rows.push(Row {
                    token,
                    lane: lane as u32,
                    position: position as u32,
                });
            }
        }
        Ok(rows)
    }

    pub(crate) fn context_full(&self, need: usize) -> Error {
        let CacheSize { lanes, capacity } = self.cache_size();
        Error::ContextFull {
            need,
            capacity,
            lanes,
        }
    }

    /// Takes note of rows that are in the cache now.
    fn remember(&mut self, batch: &[Row]) {
        for row in batch {
            self.lanes[row.lane as usize].tokens.push(row.token);
        }
    }

    fn max_rows(&self) -> usize {
        self.backend.info().max_rows.max(1)
    }

    fn lane(&self, lane: usize) -> Result<&Lane> {
        self.lanes
            .get(lane)
            .ok_or_else(|| no_lane(lane, self.lanes.len()))
    }

    fn lane_mut(&mut self, lane: usize) -> Result<&mut Lane> {
        let lanes = self.lanes.len();
        self.lanes.get_mut(lane).ok_or_else(|| no_lane(lane, lanes))
    }

    fn check_token(&self, token: u32) -> Result<()> {
        let vocab_size = self.model.config.vocab_size;
        if token as usize >= vocab_size {
            return Err(Error::InvalidRequest(format!(
                "there is no token {token}: the vocabulary has {vocab_size}"
            )));
        }
        Ok(())
    }

    fn check_cached(&self, lane: usize, position: usize) -> Result<()> {
        let len = self.lane(lane)?.tokens.len();
        if position >= len {
            return Err(Error::InvalidRequest(format!(
                "lane {lane} has nothing at position {position}: it holds {len} tokens"
            )));
        }
        Ok(())
    }
}

fn no_lane(lane: usize, lanes: usize) -> Error {
    Error::InvalidRequest(format!("there is no lane {lane}: the KV cache has {lanes}"))
}
