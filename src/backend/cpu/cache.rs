//! The KV cache: plain arrays of floats.

use crate::backend::{CacheSize, Slot, SlotAddress};
use crate::model::ModelConfig;
use crate::{Error, Result};
use std::ops::Range;

/// Keys and values of all layers and lanes.
pub(super) struct KvCache {
    pub size: CacheSize,
    pub layers: Vec<LayerCache>,
}

/// Keys and values of one layer, each `[lane, position, kv_width]`; keys after RoPE.
pub(super) struct LayerCache {
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
    capacity: usize,
    kv_width: usize,
}

impl LayerCache {
    /// Where the values of one slot lie.
    pub fn slot(&self, lane: usize, position: usize) -> Range<usize> {
        self.range(lane, position..position + 1)
    }

    /// Where some positions of a lane lie.
    pub fn range(&self, lane: usize, positions: Range<usize>) -> Range<usize> {
        let slot = |position| (lane * self.capacity + position) * self.kv_width;
        slot(positions.start)..slot(positions.end)
    }
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(config: &ModelConfig, size: CacheSize) -> Result<Self> {
        let kv_width = config.kv_width();
        let len = size
            .lanes
            .checked_mul(size.capacity)
            .and_then(|slots| slots.checked_mul(kv_width));
        let total = len.and_then(|len| len.checked_mul(2 * config.n_layers));
        let (Some(len), Some(total)) = (len, total) else {
            return Err(out_of_memory(config, size));
        };
        // Reserving and freeing it all finds out whether it fits; the vectors themselves would
        // abort the program.
        Vec::<f32>::new()
            .try_reserve_exact(total)
            .map_err(|_| out_of_memory(config, size))?;
        let layers = (0..config.n_layers)
            .map(|_| LayerCache {
                keys: vec![0.0; len],
                values: vec![0.0; len],
                capacity: size.capacity,
                kv_width,
            })
            .collect();
        Ok(Self { size, layers })
    }

    /// Cuts it anew, into no more positions than it was made with.
    pub fn cut(&mut self, size: CacheSize) {
        self.size = size;
        for layer in &mut self.layers {
            layer.capacity = size.capacity;
        }
    }

    pub fn copy_slots(&mut self, from: SlotAddress, to: SlotAddress, len: usize) {
        for layer in &mut self.layers {
            let source = layer.range(from.lane, from.position..from.position + len);
            let target = layer.slot(to.lane, to.position).start;
            layer.keys.copy_within(source.clone(), target);
            layer.values.copy_within(source, target);
        }
    }

    pub fn add_to_slot(&mut self, lane: usize, position: usize, delta: &Slot) {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let slot = layer.slot(lane, position);
            let part = index * layer.kv_width..(index + 1) * layer.kv_width;
            add(&mut layer.keys[slot.clone()], &delta.keys[part.clone()]);
            add(&mut layer.values[slot], &delta.values[part]);
        }
    }

    pub fn read_slot(&self, lane: usize, position: usize) -> Slot {
        let mut slot = Slot {
            keys: Vec::new(),
            values: Vec::new(),
        };
        for layer in &self.layers {
            let range = layer.slot(lane, position);
            slot.keys.extend_from_slice(&layer.keys[range.clone()]);
            slot.values.extend_from_slice(&layer.values[range]);
        }
        slot
    }
}

/// `x += y`
fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

fn out_of_memory(config: &ModelConfig, size: CacheSize) -> Error {
    let slots = size.lanes as u128 * size.capacity as u128;
    let need = slots * (2 * config.slot_len() * size_of::<f32>()) as u128;
    Error::OutOfMemory {
        what: format!("a KV cache of {} x {} tokens", size.lanes, size.capacity),
        need: need.try_into().unwrap_or(u64::MAX),
    }
}
