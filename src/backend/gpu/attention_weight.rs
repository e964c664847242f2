//! How much attention goes to one position: a dispatch after `qkv` of every layer, and the buffer in
//! which they leave what they find.

use super::buffer::GpuBuffer;
use super::cache::GpuCache;
use super::choices::Product;
use super::device::GpuDevice;
use super::forward::{Aside, ForwardPass};
use super::stages::Stage;
use crate::Result;
use std::num::NonZeroU64;

/// Each layer's weights begin at a multiple of this many bytes, at which every adapter can bind.
const ALIGNMENT: usize = 256;

pub(super) struct AttentionWeights {
    pub asides: Vec<Aside>,
    /// `[layer, row, query head]`, each layer padded.
    pub buffer: GpuBuffer,
    /// Weights of a layer, and floats from the beginning of a layer to that of the next.
    of_layer: usize,
    stride: usize,
}

impl AttentionWeights {
    /// Binds what one pass over so many rows needs that looks at `position` of the rows' lanes.
    pub fn new(
        device: &GpuDevice,
        forward: &mut ForwardPass,
        cache: &GpuCache,
        [rows, position]: [usize; 2],
    ) -> Result<Self> {
        let heads = forward.kernels.model.config.n_heads;
        let of_layer = rows * heads;
        let bytes = (of_layer * size_of::<f32>()).next_multiple_of(ALIGNMENT) as u64;
        let layers = forward.layers();
        let buffer = device.storage("attention weights", layers as u64 * bytes)?;
        let watched = device.uniform("attention_weight", 16);
        let words = [position as u32, 0, 0, 0];
        device
            .queue
            .write_buffer(&watched, 0, bytemuck::cast_slice(&words));
        let q = wgpu::Buffer::clone(forward.output(Product::Qkv).0);
        let asides = (0..layers).map(|layer| {
            let [keys, _] = cache.layer(layer);
            let resources = [
                forward.batch.as_entire_binding(),
                watched.as_entire_binding(),
                q.as_entire_binding(),
                keys,
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer,
                    offset: layer as u64 * bytes,
                    size: NonZeroU64::new(bytes),
                }),
            ];
            let bind_group = forward.kernels.bind(Stage::AttentionWeight, &resources);
            Aside::after_qkv(layer, Stage::AttentionWeight, bind_group, heads)
        });
        Ok(Self {
            asides: asides.collect(),
            buffer,
            of_layer,
            stride: bytes as usize / size_of::<f32>(),
        })
    }

    /// Floats in the buffer.
    pub fn len(&self) -> usize {
        self.asides.len() * self.stride
    }

    /// What was read from the buffer, without the padding.
    pub fn of_layers(&self, padded: &[f32]) -> Vec<f32> {
        let layers = padded.chunks(self.stride);
        layers
            .flat_map(|layer| &layer[..self.of_layer])
            .copied()
            .collect()
    }
}
