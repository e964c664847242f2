//! What a device is told to do, counted, and timed where somebody asks: for benchmarks.
//!
//! Every dispatch goes through a [`Recorder`]. It counts, which costs nothing, and puts all
//! dispatches into one compute pass. While stage times are taken, each dispatch has a pass of its
//! own with a timestamp at either end: that separates dispatches which could overlap, so the times
//! tell the stages' shares, and their sum is an upper bound of the step.

use super::buffer::GpuBuffer;
use super::device::GpuDevice;
use crate::Result;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use web_time::Instant;

/// Timestamps of one query set: what WebGPU allows.
const QUERIES: u32 = 4096;

/// The device's time in one stage, over all of its dispatches that were timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// The stage, named as its file in `shaders/`.
    pub stage: String,
    /// Dispatches.
    pub dispatches: u32,
    /// Microseconds of all of them together.
    pub us: f64,
}

/// The counter, and the timestamps while they are taken. Shared by the clones of a device.
#[derive(Debug, Default)]
pub(super) struct Profiler {
    dispatches: u64,
    timing: Option<Timing>,
}

#[derive(Debug)]
struct Timing {
    queries: wgpu::QuerySet,
    /// The stage of each dispatch with a pair of timestamps.
    stages: Vec<&'static str>,
}

/// A command encoder that puts dispatches into compute passes.
pub(super) struct Recorder {
    // Before the encoder, which stays locked as long as there is a pass.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
    profiler: Rc<RefCell<Profiler>>,
}

impl Recorder {
    /// The pass for one dispatch of `stage`.
    pub fn pass(&mut self, stage: &'static str) -> &mut wgpu::ComputePass<'static> {
        let mut profiler = self.profiler.borrow_mut();
        profiler.dispatches += 1;
        if profiler.timing.is_some() {
            self.pass = None;
        }
        self.pass.get_or_insert_with(|| {
            let timing = profiler.timing.as_mut();
            let timing = timing.filter(|t| (t.stages.len() as u32) < QUERIES / 2);
            let first = timing.as_ref().map_or(0, |t| 2 * t.stages.len() as u32);
            let timestamp_writes = timing.map(|timing| {
                timing.stages.push(stage);
                wgpu::ComputePassTimestampWrites {
                    query_set: &timing.queries,
                    beginning_of_pass_write_index: Some(first),
                    end_of_pass_write_index: Some(first + 1),
                }
            });
            let descriptor = wgpu::ComputePassDescriptor {
                label: Some(stage),
                timestamp_writes,
            };
            self.encoder
                .begin_compute_pass(&descriptor)
                .forget_lifetime()
        })
    }

    /// The encoder, for what is no dispatch; the pass ends.
    pub fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.pass = None;
        &mut self.encoder
    }

    /// What was recorded, to submit.
    pub fn finish(mut self) -> wgpu::CommandBuffer {
        self.pass = None;
        self.encoder.finish()
    }
}

impl GpuDevice {
    /// Begins to record.
    pub(super) fn record(&self) -> Recorder {
        Recorder {
            pass: None,
            encoder: self.device.create_command_encoder(&Default::default()),
            profiler: self.profiler.clone(),
        }
    }

    /// Dispatches that were recorded so far.
    pub fn dispatches(&self) -> u64 {
        self.profiler.borrow().dispatches
    }

    /// Times each dispatch from now on, and says whether the adapter can.
    pub fn start_stage_times(&self) -> bool {
        if !self
            .device
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
        {
            return false;
        }
        let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stage times"),
            ty: wgpu::QueryType::Timestamp,
            count: QUERIES,
        });
        self.profiler.borrow_mut().timing = Some(Timing {
            queries,
            stages: Vec::new(),
        });
        true
    }

    /// The times of the stages since [`GpuDevice::start_stage_times`], in the order in which they
    /// first ran, and ends the timing. Of more than 2048 dispatches only the first are timed.
    ///
    /// # Errors
    /// As [`Backend::forward`](crate::backend::Backend::forward).
    pub async fn stage_times(&self) -> Result<Vec<StageTime>> {
        let timing = self.profiler.borrow_mut().timing.take();
        let Some(Timing { queries, stages }) = timing else {
            return Ok(Vec::new());
        };
        if stages.is_empty() {
            return Ok(Vec::new());
        }
        let count = 2 * stages.len() as u32;
        let bytes = u64::from(count) * wgpu::QUERY_SIZE as u64;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.buffer("stage times", bytes, usage);
        let staging = self.staging("stage times", bytes);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let mut readback = self.submit_and_read(encoder.finish(), staging, bytes);
        let ticks: Vec<u64> = readback.read(self).await?;
        let us_per_tick = f64::from(self.queue.get_timestamp_period()) / 1000.0;

        let mut times: Vec<StageTime> = Vec::new();
        for (name, pair) in stages.into_iter().zip(ticks.chunks_exact(2)) {
            let us = pair[1].saturating_sub(pair[0]) as f64 * us_per_tick;
            match times.iter_mut().find(|time| time.stage == name) {
                Some(time) => {
                    time.dispatches += 1;
                    time.us += us;
                }
                None => times.push(StageTime {
                    stage: name.into(),
                    dispatches: 1,
                    us,
                }),
            }
        }
        Ok(times)
    }

    /// Two buffers to copy between, of `bytes` each, or of what the adapter allows.
    pub(crate) fn copy_buffers(&self, bytes: u64) -> Result<[GpuBuffer; 2]> {
        let bytes = bytes.min(self.largest_buffer()) / 4 * 4;
        let buffers = [
            self.storage("to copy from", bytes)?,
            self.storage("to copy to", bytes)?,
        ];
        // Pages that nobody wrote to may not be there yet.
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for buffer in &buffers {
            encoder.clear_buffer(buffer, 0, None);
        }
        self.queue.submit([encoder.finish()]);
        Ok(buffers)
    }

    /// Copies from one buffer to the other so many times in one submit, and gives the seconds until
    /// the device has done it.
    ///
    /// # Errors
    /// As [`Backend::forward`](crate::backend::Backend::forward).
    pub(crate) async fn copy(&self, [from, to]: &[GpuBuffer; 2], times: usize) -> Result<f64> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for _ in 0..times {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        }
        self.finish().await?;
        let start = Instant::now();
        self.queue.submit([encoder.finish()]);
        self.finish().await?;
        Ok(start.elapsed().as_secs_f64())
    }
}
