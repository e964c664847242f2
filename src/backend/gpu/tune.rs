//! Which kernels are fastest on this device: measured once, when a model is loaded.
//!
//! Every candidate for every product runs on the model's own weights, all layers in turn, so that
//! caches are as cold as in a decode step. Before it is timed, its result in the first layer is
//! compared with that of the plain row kernel: a driver that computes something else, or whose
//! subgroups are not what the kernel expects, loses that candidate and nothing more.
//!
//! It takes about a second, most of which is compiling: what matters most is measured first, and
//! what is left when the time is up takes the kernels of the nearest smaller batch. A software
//! adapter is not measured ([`KernelChoices::software`]).

use super::choices::{CLASSES, KernelChoices, Product, ProductKernel, Reduction};
use super::device::GpuDevice;
use super::forward::ForwardPass;
use super::stages::LEAST_MAX_ROWS;
use crate::Result;
use crate::backend::Row;
use std::time::Duration;
use web_time::Instant;

/// How long measuring may take. The candidate that runs when it is over is the last.
const BUDGET: Duration = Duration::from_millis(1200);

/// Time of one measurement, over as many repetitions as it takes: a submit alone takes up to a
/// millisecond in a browser, and its clock is coarse.
const LEAST: Duration = Duration::from_millis(4);

/// A prefill chunk that takes longer than this delays everything else that the GPU draws.
const LONGEST_CHUNK: Duration = Duration::from_millis(150);

/// How much faster f16 has to be to be worth its rounding.
const HALF_GAIN: f64 = 0.9;

/// Batches in the order of their weight: a decode step of one lane, of two, a prefill, more lanes.
const ORDER: [usize; CLASSES.len()] = [1, 2, usize::MAX, 4, 8];

/// The products, those that read most weights first.
const PRODUCTS: [Product; 5] = [
    Product::GateUp,
    Product::Down,
    Product::Head,
    Product::Qkv,
    Product::Output,
];

/// Measures a model's kernels and leaves it with the best.
///
/// # Errors
/// As [`Backend::forward`](crate::backend::Backend::forward), where the device is lost.
pub(super) async fn tune(device: &GpuDevice, forward: &mut ForwardPass) -> Result<()> {
    let mut choices = forward.choices;
    let mut tuner = Tuner {
        device,
        forward,
        until: Instant::now() + BUDGET,
    };
    let mut chunk = Some(Duration::ZERO);
    for class in ORDER {
        for product in PRODUCTS {
            // A prefill has its logits computed for one row alone.
            if class == usize::MAX && product == Product::Head {
                continue;
            }
            let start = nearest(&choices, product, class);
            let (kernel, time) = tuner.best(product, class, start).await?;
            choices.set(product, class, kernel);
            if class == usize::MAX {
                chunk = chunk.zip(time).map(|(sum, time)| sum + time);
            }
        }
    }
    // What was measured is a whole chunk, but for attention.
    if chunk.is_some_and(|time| time > LONGEST_CHUNK) {
        choices.max_rows = LEAST_MAX_ROWS;
    }
    log::info!("kernels: {choices:?}");
    choices.key = key(device, forward);
    forward.choices = choices;
    Ok(())
}

/// Identifies what choices were measured on.
fn key(device: &GpuDevice, forward: &ForwardPass) -> u32 {
    KernelChoices::key(device, &forward.kernels.model.config)
}

/// What a class starts with: the kernel of fewer rows, which was measured before.
fn nearest(choices: &KernelChoices, product: Product, class: usize) -> ProductKernel {
    match class {
        1 | usize::MAX => choices.product(product, class),
        _ => choices.product(product, class / 2),
    }
}

struct Tuner<'a> {
    device: &'a GpuDevice,
    forward: &'a mut ForwardPass,
    until: Instant,
}

impl Tuner<'_> {
    /// Rows of the prefill that is measured.
    fn rows(&self) -> u32 {
        self.forward.kernels.model.max_rows as u32
    }

    /// The fastest kernel that computes what it should, and its time in all layers.
    async fn best(
        &mut self,
        product: Product,
        class: usize,
        start: ProductKernel,
    ) -> Result<(ProductKernel, Option<Duration>)> {
        if Instant::now() > self.until {
            return Ok((start, None));
        }
        let rows = class.min(self.rows() as usize);
        self.forward.make_up(self.device, rows);
        let reference = self.result(product, rows, ProductKernel::ROW).await?;
        let mut best = (start, None);
        let mut candidates = candidates(self.device, class, start);
        candidates.dedup();
        for kernel in candidates {
            if Instant::now() > self.until {
                break;
            }
            let Some(time) = self.measure(product, rows, kernel, &reference).await? else {
                log::warn!("{kernel:?} is no use for {product:?} on this device");
                continue;
            };
            let needed = match (kernel.needs_f16(), best.0.needs_f16()) {
                (true, false) => HALF_GAIN,
                _ => 1.0,
            };
            log::debug!("{product:?}, {rows} rows, {kernel:?}: {time:?}");
            if best.1.is_none_or(|t: Duration| time < t.mul_f64(needed)) {
                best = (kernel, Some(time));
            }
        }
        Ok(best)
    }

    /// How long a kernel takes in all layers; `None` where it fails or computes something else.
    async fn measure(
        &mut self,
        product: Product,
        rows: usize,
        kernel: ProductKernel,
        reference: &[f32],
    ) -> Result<Option<Duration>> {
        let device = self.device.device.clone();
        // A kernel that a driver refuses must not count as a fault of the device.
        let invalid = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        // Nothing is submitted: what a driver refused would never be done.
        let layers = 0..self.forward.layers();
        let mut unused = self.device.record();
        self.forward
            .dispatch_product(&mut unused, product, layers, kernel, rows);
        let errors = [internal.pop().await, invalid.pop().await];
        if let Some(error) = errors.iter().flatten().next() {
            log::warn!("{kernel:?}: {error}");
            return Ok(None);
        }
        let tolerance = if kernel.needs_f16() { 3e-2 } else { 1e-3 };
        let result = self.result(product, rows, kernel).await?;
        if !agrees(&result, reference, tolerance) {
            return Ok(None);
        }
        let first = self.time(product, rows, kernel, 1).await?;
        let repetitions = LEAST.as_secs_f64() / first.as_secs_f64().max(1e-4);
        let repetitions = (repetitions.ceil() as u32).clamp(1, 32);
        let mut shortest = first;
        for _ in 0..2 {
            let time = self.time(product, rows, kernel, repetitions).await?;
            shortest = shortest.min(time / repetitions);
        }
        Ok(Some(shortest))
    }

    async fn time(
        &mut self,
        product: Product,
        rows: usize,
        kernel: ProductKernel,
        repetitions: u32,
    ) -> Result<Duration> {
        let mut recorder = self.device.record();
        for _ in 0..repetitions {
            let layers = 0..self.forward.layers();
            self.forward
                .dispatch_product(&mut recorder, product, layers, kernel, rows);
        }
        let start = Instant::now();
        self.device.queue.submit([recorder.finish()]);
        self.device.finish().await?;
        Ok(start.elapsed())
    }

    /// What the product of the first layer leaves, or the beginning of it.
    async fn result(
        &mut self,
        product: Product,
        rows: usize,
        kernel: ProductKernel,
    ) -> Result<Vec<f32>> {
        let mut recorder = self.device.record();
        self.forward.dispatch_embed(&mut recorder, rows);
        self.forward
            .dispatch_product(&mut recorder, product, 0..1, kernel, rows);
        let (output, width) = self.forward.output(product);
        // The rows beyond are what other measurements left.
        let bytes = ((rows * width * size_of::<f32>()) as u64).min(RESULT_BYTES);
        let staging = self.device.staging("result", bytes);
        recorder
            .encoder()
            .copy_buffer_to_buffer(output, 0, &staging, 0, bytes);
        self.device
            .submit_and_read(recorder.finish(), staging, bytes)
            .read(self.device)
            .await
    }
}

/// How much of a result is compared: all rows of a decode step in all but the head.
const RESULT_BYTES: u64 = 256 << 10;

/// Whether a result differs by no more than `tolerance` of the largest value expected.
pub(super) fn agrees(found: &[f32], expected: &[f32], tolerance: f32) -> bool {
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance * largest;
    largest > 0.0 && found.len() == expected.len() && found.iter().zip(expected).all(close)
}

/// What is worth measuring, the likeliest first: `start` among them.
fn candidates(device: &GpuDevice, class: usize, start: ProductKernel) -> Vec<ProductKernel> {
    let mut kernels = vec![start];
    let vector = ProductKernel::vector;
    if class == 1 {
        // Where subgroups are larger than this, more slices than blocks would idle.
        let subgroup = device.abilities().subgroup.unwrap_or(1);
        for slices in [16, 32, 8, 4] {
            if slices <= subgroup {
                kernels.push(vector(Reduction::Subgroup, 128 / slices, slices));
            }
        }
        for [pairs, slices] in [[8, 16], [16, 8], [4, 32], [32, 4], [8, 32], [64, 1]] {
            kernels.push(vector(Reduction::Workgroup, pairs, slices));
        }
    } else if class == usize::MAX {
        kernels.extend([ProductKernel::Tiled, vector(Reduction::Workgroup, 8, 16)]);
    } else {
        // Larger tiles have larger sums to add, so fewer slices may do.
        kernels.extend([
            vector(Reduction::Workgroup, 16, 8),
            vector(Reduction::Workgroup, 32, 4),
        ]);
    }
    if class != usize::MAX {
        let halves: Vec<_> = kernels.iter().take(3).map(|k| k.with_half(true)).collect();
        kernels.extend(halves);
    }
    let mut seen = Vec::new();
    kernels.retain(|kernel| {
        let new = kernel.fits(device) && !seen.contains(kernel);
        seen.push(*kernel);
        new
    });
    kernels
}

impl ForwardPass {
    /// A batch and activations that are made up, where a real pass would have computed them.
    fn make_up(&mut self, device: &GpuDevice, rows: usize) {
        let vocab_size = self.kernels.model.config.vocab_size;
        let capacity = self.kernels.model.cache.capacity;
        let batch: Vec<Row> = (0..rows)
            .map(|i| Row {
                token: (i * 7919 % vocab_size) as u32,
                lane: 0,
                position: i.min(capacity - 1) as u32,
            })
            .collect();
        self.write_batch(device, &batch);
        for buffer in self.inputs() {
            let count = buffer.size() as usize / size_of::<f32>();
            let values: Vec<f32> = (0..count)
                .map(|i| ((i * 2_654_435_761) % 1024) as f32 / 512.0 - 1.0)
                .collect();
            device
                .queue
                .write_buffer(buffer, 0, bytemuck::cast_slice(&values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_result_does_not_agree() {
        assert!(agrees(&[1.0, 2.0], &[1.0, 2.001], 1e-3));
        assert!(!agrees(&[1.0, 2.0], &[1.0, 2.01], 1e-3));
        assert!(!agrees(&[1.0, f32::NAN], &[1.0, 2.0], 1e-3));
        assert!(!agrees(&[1.0], &[1.0, 2.0], 1e-3));
        assert!(!agrees(&[0.0, 0.0], &[0.0, 0.0], 1e-3));
    }
}
