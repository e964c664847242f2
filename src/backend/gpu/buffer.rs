//! Buffers on the GPU, and how many bytes they are together.

use super::device::GpuDevice;
use crate::{Error, Result};
use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;
use wgpu::BufferUsages as Usage;

/// A buffer that counts among those of its device for as long as it is held. What a bind group keeps
/// alive has to be held beside it.
#[derive(Debug)]
pub(crate) struct GpuBuffer {
    buffer: wgpu::Buffer,
    allocated: Rc<Cell<u64>>,
}

impl Deref for GpuBuffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        self.allocated
            .set(self.allocated.get() - self.buffer.size());
    }
}

impl GpuDevice {
    /// Bytes of all buffers that are held.
    pub fn allocated(&self) -> u64 {
        self.allocated.get()
    }

    /// A buffer of `size` bytes.
    pub(super) fn buffer(&self, label: &str, size: u64, usage: Usage) -> GpuBuffer {
        self.allocated.set(self.allocated.get() + size);
        GpuBuffer {
            buffer: self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            }),
            allocated: self.allocated.clone(),
        }
    }

    /// A storage buffer of `size` bytes that can be written, read back and bound.
    ///
    /// # Errors
    /// [`Error::GpuLimit`] where the adapter does not bind that much in one piece.
    pub(super) fn storage(&self, label: &str, size: u64) -> Result<GpuBuffer> {
        let limit = self.largest_buffer();
        if size > limit {
            return Err(Error::GpuLimit {
                what: label.to_string(),
                need: size,
                limit,
            });
        }
        Ok(self.buffer(
            label,
            size,
            Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC,
        ))
    }

    /// A storage buffer with these contents.
    ///
    /// # Errors
    /// As [`GpuDevice::storage`].
    pub(super) fn storage_with(&self, label: &str, contents: &[u8]) -> Result<GpuBuffer> {
        let buffer = self.storage(label, contents.len() as u64)?;
        self.queue.write_buffer(&buffer, 0, contents);
        Ok(buffer)
    }

    /// A uniform buffer of `size` bytes.
    pub(super) fn uniform(&self, label: &str, size: u64) -> GpuBuffer {
        self.buffer(label, size, Usage::UNIFORM | Usage::COPY_DST)
    }

    /// A buffer to read results from.
    pub(super) fn staging(&self, label: &str, size: u64) -> GpuBuffer {
        self.buffer(label, size, Usage::COPY_DST | Usage::MAP_READ)
    }
}
