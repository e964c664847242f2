//! The KV cache in GPU memory, and the operations on it: copying slots, adding to a slot, reading
//! a slot.
//!
//! Keys and values have a buffer each, f32 or f16, `[layer, slot, KV head, element]`, where a slot is a
//! position of a lane, one lane after the other. The stages of one layer bind that layer's part; the
//! operations bind it all, so that steering every layer is one dispatch. Kernels are told where a lane
//! begins, so that the same memory can be cut into other lanes without compiling any of them again.

use super::buffer::GpuBuffer;
use super::device::GpuDevice;
use super::kernels::Kernels;
use super::profile::Recorder;
use super::stages::Stage;
use super::variants::Variant;
use crate::Result;
use crate::backend::{CacheSize, Slot, SlotAddress};
use crate::model::ModelConfig;
use half::f16;

pub(super) struct GpuCache {
    size: CacheSize,
    /// Of a layer.
    slots: usize,
    n_layers: usize,
    kv_width: usize,
    f16: bool,
    keys: GpuBuffer,
    values: GpuBuffer,
}

/// The slots of a layer are rounded up to this, so that each layer's part begins at an offset that every
/// adapter can bind (256 bytes).
const SLOT_STEP: usize = 32;

/// Slots of each layer of a cache that is made with this size.
pub(super) fn slots(size: CacheSize) -> usize {
    let slots = size.lanes.saturating_mul(size.capacity);
    slots.saturating_add(SLOT_STEP - 1) / SLOT_STEP * SLOT_STEP
}

/// The most positions that each of `lanes` can have on a device: keys, and values, of all lanes and
/// layers are bound in one piece.
pub(super) fn largest_capacity(
    device: &GpuDevice,
    config: &ModelConfig,
    lanes: usize,
    f16: bool,
) -> usize {
    let positions = device.largest_buffer() / cache_bytes(config, lanes, f16).max(1);
    positions as usize / SLOT_STEP * SLOT_STEP
}

/// Bytes of the keys, or of the values, of so many slots of all layers.
fn cache_bytes(config: &ModelConfig, slots: usize, f16: bool) -> u64 {
    [config.slot_len(), slots, element_bytes(f16)]
        .into_iter()
        .fold(1, |bytes, factor| bytes.saturating_mul(factor as u64))
}

fn element_bytes(f16: bool) -> usize {
    if f16 {
        size_of::<f16>()
    } else {
        size_of::<f32>()
    }
}

impl GpuCache {
    /// An empty cache of this size, in f16 or f32.
    pub fn new(
        device: &GpuDevice,
        config: &ModelConfig,
        size: CacheSize,
        f16: bool,
    ) -> Result<Self> {
        let slots = slots(size);
        let bytes = cache_bytes(config, slots, f16);
        Ok(Self {
            size,
            slots,
            n_layers: config.n_layers,
            kv_width: config.kv_width(),
            f16,
            keys: device.storage("KV cache, keys", bytes)?,
            values: device.storage("KV cache, values", bytes)?,
        })
    }

    pub fn size(&self) -> CacheSize {
        self.size
    }

    /// Cuts it anew, into no more slots than it was made with.
    pub fn cut(&mut self, size: CacheSize) {
        self.size = size;
    }

    /// The slot of a position, in each layer.
    fn slot(&self, address: SlotAddress) -> usize {
        address.lane * self.size.capacity + address.position
    }

    /// One layer's keys and values, to bind.
    pub fn layer(&self, layer: usize) -> [wgpu::BindingResource<'_>; 2] {
        let bytes = (self.slots * self.kv_width * element_bytes(self.f16)) as u64;
        [&self.keys, &self.values].map(|buffer| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: layer as u64 * bytes,
                size: std::num::NonZeroU64::new(bytes),
            })
        })
    }

    /// Records the copy of `len` positions.
    pub fn copy_slots(
        &self,
        device: &GpuDevice,
        kernels: &mut Kernels,
        recorder: &mut Recorder,
        [from, to]: [SlotAddress; 2],
        len: usize,
    ) {
        let copy = device.uniform("copy_slots", 16);
        let words = [self.slot(from), self.slot(to), len, 0];
        device
            .queue
            .write_buffer(&copy, 0, bytemuck::cast_slice(&words.map(|n| n as u32)));
        let bound = [&copy, &self.keys, &self.values].map(|b| b.as_entire_binding());
        let bind_group = kernels.bind(Stage::CopySlots, &bound);
        let grid = [len * self.kv_width / 4, self.n_layers];
        kernels.dispatch(
            recorder,
            Variant::plain(Stage::CopySlots),
            &bind_group,
            grid,
        );
    }

    /// Records the addition of `delta` to a slot: one dispatch for all layers, keys and values.
    pub fn add_to_slot(
        &self,
        device: &GpuDevice,
        kernels: &mut Kernels,
        recorder: &mut Recorder,
        address: SlotAddress,
        delta: &Slot,
    ) -> Result<()> {
        let target = device.uniform("add_to_slot", 16);
        let words = [self.slot(address) as u32, 0, 0, 0];
        device
            .queue
            .write_buffer(&target, 0, bytemuck::cast_slice(&words));
        let delta_keys = device.storage_with("key delta", bytemuck::cast_slice(&delta.keys))?;
        let delta_values =
            device.storage_with("value delta", bytemuck::cast_slice(&delta.values))?;
        let buffers = [
            &target,
            &delta_keys,
            &delta_values,
            &self.keys,
            &self.values,
        ];
        let bind_group = kernels.bind(Stage::AddToSlot, &buffers.map(|b| b.as_entire_binding()));
        let grid = [self.n_layers * self.kv_width / 4, 1];
        kernels.dispatch(
            recorder,
            Variant::plain(Stage::AddToSlot),
            &bind_group,
            grid,
        );
        Ok(())
    }

    /// Reads one slot of every layer.
    pub async fn read_slot(&self, device: &GpuDevice, address: SlotAddress) -> Result<Slot> {
        let width = (self.kv_width * element_bytes(self.f16)) as u64;
        let half = self.n_layers as u64 * width;
        let staging = device.staging("slot", 2 * half);
        let mut encoder = device.device.create_command_encoder(&Default::default());
        for (source, start) in [(&self.keys, 0), (&self.values, half)] {
            for layer in 0..self.n_layers {
                let slot = layer * self.slots + self.slot(address);
                let from = slot as u64 * width;
                let to = start + layer as u64 * width;
                encoder.copy_buffer_to_buffer(source, from, &staging, to, width);
            }
        }
        let mut readback = device.submit_and_read(encoder.finish(), staging, 2 * half);
        let mut keys: Vec<f32> = if self.f16 {
            let halves: Vec<f16> = readback.read(device).await?;
            halves.into_iter().map(f16::to_f32).collect()
        } else {
            readback.read(device).await?
        };
        let values = keys.split_off(keys.len() / 2);
        Ok(Slot { keys, values })
    }
}
