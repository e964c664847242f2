//! The forward pass: which kernels run over a batch, in the order that data flows.
//!
//! ```text
//! tokens -> embed -> x -> [ qkv -> attention -> project -> gate_up -> project ] x layers -> head
//! ```
//! `x` is the residual stream, `[row, width]`. Every layer is five dispatches.

use super::cache::GpuCache;
use super::device::GpuDevice;
use super::kernels::Kernels;
use super::profile::Recorder;
use super::stages::{MAX_ROWS, MatrixShape, Stage, Variant};
use super::weights::GpuMatrix;
use crate::Result;
use crate::backend::{Row, rope};
use crate::model::ModelConfig;

/// A row of the batch, as in `shaders/row.wgsl`.
pub(super) const ROW_BYTES: usize = size_of::<[u32; 4]>();

/// Where the counts of rows and of active rows are in the batch.
const ROW_COUNT: u64 = (MAX_ROWS * ROW_BYTES) as u64;

pub(super) struct Weights {
    pub embedding: GpuMatrix,
    pub layers: Vec<LayerWeights>,
    pub output_norm: wgpu::Buffer,
    /// Absent where the head is tied to the embedding.
    pub output: Option<GpuMatrix>,
}

pub(super) struct LayerWeights {
    pub attention_norm: wgpu::Buffer,
    pub qkv: GpuMatrix,
    pub attention_output: GpuMatrix,
    pub ffn_norm: wgpu::Buffer,
    pub gate_up: GpuMatrix,
    pub down: GpuMatrix,
}

/// A kernel with everything bound, but for the number of rows.
struct Step {
    stage: Stage,
    matrix: Option<MatrixShape>,
    bind_group: wgpu::BindGroup,
    /// Size of the grid's first dimension; the second one runs over the batch.
    width: usize,
}

/// The kernels of a model in order, with their buffers bound.
pub(super) struct ForwardPass {
    pub kernels: Kernels,
    /// As in `shaders/batch.wgsl`.
    pub batch: wgpu::Buffer,
    /// From the embedding to the last layer.
    steps: Vec<Step>,
    head: Step,
    pub logits: wgpu::Buffer,
    vocab_size: usize,
}

impl ForwardPass {
    /// Allocates the activations and binds every kernel.
    pub fn new(
        device: &GpuDevice,
        config: &ModelConfig,
        cache: &GpuCache,
        weights: Weights,
    ) -> Result<Self> {
        let activations = |label: &str, width: usize| {
            device.storage(label, (MAX_ROWS * width * size_of::<f32>()) as u64)
        };
        let x = activations("residual stream", config.width)?;
        let q = activations("queries", config.q_width())?;
        let attended = activations("attention output", config.q_width())?;
        let activated = activations("FFN activations", config.ffn_width)?;
        let logits = activations("logits", config.vocab_size)?;
        let rope = rope::table(config, cache.size().capacity);
        let rope = device.storage_with("RoPE", bytemuck::cast_slice(&rope))?;
        use wgpu::BufferUsages as Usage;
        let batch = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("batch"),
            size: (MAX_ROWS * ROW_BYTES) as u64 + 16,
            // The sampling stage writes it; the others read it through the faster path.
            usage: Usage::UNIFORM | Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC,
            mapped_at_creation: false,
        });

        let mut kernels = Kernels::new(device.clone(), config.clone(), cache.size());
        // Binds the batch, then the matrix, then the stage's own buffers.
        let mut step = |stage, matrix: Option<&GpuMatrix>, own: &[wgpu::BindingResource], width| {
            let mut resources = vec![batch.as_entire_binding()];
            if let Some(matrix) = matrix {
                resources.push(matrix.quants.as_entire_binding());
                resources.push(matrix.scales.as_entire_binding());
            }
            resources.extend_from_slice(own);
            Step {
                stage,
                matrix: matrix.map(|m| MatrixShape {
                    format: m.format,
                    rows: m.rows,
                    cols: m.cols,
                }),
                bind_group: kernels.bind(stage, &resources),
                width,
            }
        };
        let [x_, q_, attended_, activated_] =
            [&x, &q, &attended, &activated].map(|b| b.as_entire_binding());

        let mut steps = vec![step(
            Stage::Embed,
            Some(&weights.embedding),
            std::slice::from_ref(&x_),
            config.width / crate::model::weights::BLOCK,
        )];
        for (layer, w) in weights.layers.iter().enumerate() {
            let [keys, values] = cache.layer(layer);
            steps.push(step(
                Stage::Qkv,
                Some(&w.qkv),
                &[
                    x_.clone(),
                    w.attention_norm.as_entire_binding(),
                    rope.as_entire_binding(),
                    q_.clone(),
                    keys.clone(),
                    values.clone(),
                ],
                w.qkv.rows / 2,
            ));
            steps.push(step(
                Stage::Attention,
                None,
                &[q_.clone(), keys, values, attended_.clone()],
                config.n_heads,
            ));
            steps.push(step(
                Stage::Project,
                Some(&w.attention_output),
                &[attended_.clone(), x_.clone()],
                config.width / 2,
            ));
            steps.push(step(
                Stage::GateUp,
                Some(&w.gate_up),
                &[
                    x_.clone(),
                    w.ffn_norm.as_entire_binding(),
                    activated_.clone(),
                ],
                config.ffn_width,
            ));
            steps.push(step(
                Stage::Project,
                Some(&w.down),
                &[activated_.clone(), x_.clone()],
                config.width / 2,
            ));
        }
        let head = step(
            Stage::Head,
            Some(weights.output.as_ref().unwrap_or(&weights.embedding)),
            &[
                x_,
                weights.output_norm.as_entire_binding(),
                logits.as_entire_binding(),
            ],
            config.vocab_size.div_ceil(2),
        );
        Ok(Self {
            kernels,
            batch,
            steps,
            head,
            logits,
            vocab_size: config.vocab_size,
        })
    }

    /// Makes these rows, at most [`MAX_ROWS`], the batch.
    pub fn write_batch(&self, device: &GpuDevice, rows: &[Row]) {
        let words: Vec<[u32; 4]> = rows
            .iter()
            .map(|row| [row.token, row.lane, row.position, 1])
            .collect();
        let queue = &device.queue;
        queue.write_buffer(&self.batch, 0, bytemuck::cast_slice(&words));
        let counts = [rows.len() as u32; 2];
        queue.write_buffer(&self.batch, ROW_COUNT, bytemuck::cast_slice(&counts));
    }

    /// Shortens the batch, whose rows were moved.
    pub fn write_row_count(&self, device: &GpuDevice, rows: usize) {
        let count = [rows as u32];
        device
            .queue
            .write_buffer(&self.batch, ROW_COUNT, bytemuck::cast_slice(&count));
    }

    /// Records the pass over the first `rows` rows of the batch, with the logits if asked for.
    pub fn record(&mut self, recorder: &mut Recorder, rows: usize, logits: bool) {
        for step in self.steps.iter().chain(logits.then_some(&self.head)) {
            let variant = match step.matrix {
                Some(matrix) if step.stage.multiplies() => {
                    Variant::product(step.stage, matrix, rows)
                }
                matrix => Variant {
                    matrix,
                    ..Variant::plain(step.stage)
                },
            };
            let grid = [step.width, rows.div_ceil(variant.tile)];
            self.kernels
                .dispatch(recorder, variant, &step.bind_group, grid);
        }
    }

    /// Submits what was recorded, and reads the logits of the first `rows` rows:
    /// `[rows, vocab_size]`.
    pub async fn read_logits(
        &self,
        device: &GpuDevice,
        mut recorder: Recorder,
        rows: usize,
    ) -> Result<Vec<f32>> {
        let bytes = (rows * self.vocab_size * size_of::<f32>()) as u64;
        let staging = device.staging("logits, to read", bytes);
        let encoder = recorder.encoder();
        encoder.copy_buffer_to_buffer(&self.logits, 0, &staging, 0, bytes);
        device
            .submit_and_read(recorder.finish(), staging, bytes)
            .read(device)
            .await
    }
}
