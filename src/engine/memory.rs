//! How much memory an engine holds.

use super::Engine;
use serde::Serialize;

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// Buffers that the engine has on the GPU; 0 where it runs on the CPU.
    pub gpu: u64,
    /// The WebAssembly memory, which never shrinks, of all that runs in it; 0 natively.
    pub wasm: u64,
}

impl Engine {
    /// The memory that is held now.
    pub fn memory(&self) -> MemoryUse {
        #[cfg(target_arch = "wasm32")]
        let pages = core::arch::wasm32::memory_size(0);
        #[cfg(not(target_arch = "wasm32"))]
        let pages = 0;
        MemoryUse {
            gpu: self.gpu().map_or(0, |gpu| gpu.allocated()),
            wasm: (pages as u64) << 16,
        }
    }
}
