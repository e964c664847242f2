//! The forward pass: which kernels run over a batch, in the order that data flows.
//!
//! ```text
//! tokens -> embed -> x -> [ qkv -> attention -> project -> gate_up -> project ] x layers -> head
//! ```
//! `x` is the residual stream, `[row, width]`. Every layer is five dispatches.

use super::cache::GpuCache;
use super::device::GpuDevice;
use super::kernels::Kernels;
use super::stages::{MAX_ROWS, MatrixShape, Stage, Variant};
use super::weights::GpuMatrix;
use crate::Result;
use crate::backend::{Row, rope};
use crate::model::ModelConfig;

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
    batch: wgpu::Buffer,
    /// From the embedding to the last layer.
    steps: Vec<Step>,
    head: Step,
    logits: wgpu::Buffer,
    staging: wgpu::Buffer,
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
        let staging = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("logits, to read"),
            size: logits.size(),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let rope = rope::table(config, cache.size().capacity);
        let rope = device.storage_with("RoPE", bytemuck::cast_slice(&rope))?;
        let batch = device.uniform("batch", size_of::<[[u32; 4]; MAX_ROWS + 1]>() as u64);

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
            staging,
            vocab_size: config.vocab_size,
        })
    }

    /// Records the pass over `rows`, with the logits if asked for.
    pub fn record(
        &mut self,
        device: &GpuDevice,
        rows: &[Row],
        logits: bool,
    ) -> wgpu::CommandBuffer {
        let mut words = [[0u32; 4]; MAX_ROWS + 1];
        for (to, row) in words.iter_mut().zip(rows) {
            *to = [row.token, row.lane, row.position, 0];
        }
        words[MAX_ROWS][0] = rows.len() as u32;
        device
            .queue
            .write_buffer(&self.batch, 0, bytemuck::cast_slice(&words));

        let mut recorder = device.record();
        for step in self.steps.iter().chain(logits.then_some(&self.head)) {
            let variant = match step.matrix {
                Some(matrix) if step.stage.multiplies() => {
                    Variant::product(step.stage, matrix, rows.len())
                }
                matrix => Variant {
                    matrix,
                    ..Variant::plain(step.stage)
                },
            };
            let grid = [step.width, rows.len().div_ceil(variant.tile)];
            self.kernels
                .dispatch(&mut recorder, variant, &step.bind_group, grid);
        }
        if logits {
            let bytes = self.logits_bytes(rows.len());
            let encoder = recorder.encoder();
            encoder.copy_buffer_to_buffer(&self.logits, 0, &self.staging, 0, bytes);
        }
        recorder.finish()
    }

    /// Reads the logits of the first `rows` rows of the last pass: `[rows, vocab_size]`.
    pub async fn read_logits(&self, device: &GpuDevice, rows: usize) -> Result<Vec<f32>> {
        device.read(&self.staging, self.logits_bytes(rows)).await
    }

    fn logits_bytes(&self, rows: usize) -> u64 {
        (rows * self.vocab_size * size_of::<f32>()) as u64
    }
}
