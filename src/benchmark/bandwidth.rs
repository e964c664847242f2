//! How fast the device copies memory: the physical limit beside the figures.

use super::report::Bandwidth;
use crate::Result;
use crate::engine::Engine;
use web_time::Instant;

/// A sample is long enough that starting it and waiting for it do not count.
const SAMPLE_SECONDS: f64 = 0.02;
const SAMPLES: usize = 5;
const MOST_COPIES: usize = 64;

/// Copies `bytes` a few times on the device that the engine runs on.
pub async fn measure(engine: &Engine, bytes: u64) -> Result<Bandwidth> {
    let mut best = 0f64;
    let mut copied = bytes;
    let mut copies = 1;
    if let Some(device) = engine.gpu() {
        let buffers = device.copy_buffers(bytes)?;
        copied = buffers[0].size();
        for _ in 0..SAMPLES {
            let seconds = device.copy(&buffers, copies).await?;
            best = best.max(per_second(copied, copies, seconds));
            copies = more(copies, seconds);
        }
        for buffer in &buffers {
            buffer.destroy();
        }
    } else {
        let from = vec![1u8; bytes as usize];
        let mut to = vec![0u8; bytes as usize];
        for _ in 0..SAMPLES {
            let start = Instant::now();
            for _ in 0..copies {
                to.copy_from_slice(std::hint::black_box(&from));
                std::hint::black_box(&mut to);
            }
            let seconds = start.elapsed().as_secs_f64();
            best = best.max(per_second(bytes, copies, seconds));
            copies = more(copies, seconds);
        }
    }
    Ok(Bandwidth {
        bytes: copied,
        bytes_per_second: best,
    })
}

/// Each byte of a copy is read once and written once.
fn per_second(bytes: u64, copies: usize, seconds: f64) -> f64 {
    2.0 * bytes as f64 * copies as f64 / seconds.max(1e-9)
}

fn more(copies: usize, seconds: f64) -> usize {
    if seconds < SAMPLE_SECONDS {
        (copies * 4).min(MOST_COPIES)
    } else {
        copies
    }
}
