//! The forward pass: which kernels run over a batch, in the order that data flows.
//!
//! ```text
//! tokens -> embed -> x -> [ qkv -> attention -> project -> gate_up -> project ] x layers -> head
//! ```
//! `x` is the residual stream, `[row, width]`. Every layer is five dispatches; `embed` and `head` are
//! one each, or as many as their matrix has parts.

use super::buffer::GpuBuffer;
use super::cache::GpuCache;
use super::choices::{CLASSES, KernelChoices, Product, ProductKernel};
use super::device::{GpuDevice, Readback};
use super::kernels::Kernels;
use super::profile::Recorder;
use super::stages::Stage;
use super::variants::{KernelModel, MatrixShape, Variant, can_merge};
use super::weights::GpuMatrix;
use crate::Result;
use crate::backend::{Row, rope};
use crate::model::ModelConfig;

/// A row of the batch, as in `shaders/row.wgsl`.
pub(super) const ROW_BYTES: usize = size_of::<[u32; 4]>();

pub(super) struct Weights {
    /// In parts, where it is too large to be bound in one piece.
    pub embedding: Vec<GpuMatrix>,
    pub layers: Vec<LayerWeights>,
    pub output_norm: GpuBuffer,
    /// Absent where the head is tied to the embedding.
    pub output: Option<Vec<GpuMatrix>>,
    /// Whether the layers have biases of queries, keys and values.
    pub has_biases: bool,
}

pub(super) struct LayerWeights {
    /// Its scale, then the biases of queries, keys and values where the model has them.
    pub attention_norm: GpuBuffer,
    pub qkv: GpuMatrix,
    pub attention_output: GpuMatrix,
    pub ffn_norm: GpuBuffer,
    pub gate_up: GpuMatrix,
    pub down: GpuMatrix,
}

/// What a step computes.
#[derive(Clone, Copy)]
enum Work {
    Embed(MatrixShape),
    Attention,
    Product(Stage, Product, MatrixShape),
}

/// A kernel with everything bound, but for the number of rows.
struct Step {
    work: Work,
    bind_group: wgpu::BindGroup,
    /// Items of a batch row, as [`Variant::workgroups`] counts them.
    width: usize,
}

impl Step {
    fn variant(&self, choices: &KernelChoices, rows: usize, splits: usize) -> Variant {
        match self.work {
            Work::Embed(matrix) => Variant::lookup(Stage::Embed, matrix),
            Work::Attention => Variant::attention(splits),
            Work::Product(stage, product, matrix) => {
                let splits = match product {
                    Product::Output => splits,
                    _ => 1,
                };
                let kernel = choices.product(product, rows);
                Variant::product(stage, matrix, kernel, rows, splits)
            }
        }
    }
}

/// Dispatches of a layer.
const LAYER_STEPS: usize = 5;

/// How far a pass goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Through so many layers.
    Layers(usize),
    /// Through all of them, to the logits.
    Logits,
}

/// A dispatch beside the steps of the layers, for those who ask for it.
pub(super) struct Aside {
    stage: Stage,
    bind_group: wgpu::BindGroup,
    /// Items of a batch row, as [`Variant::workgroups`] counts them.
    width: usize,
    /// Steps of layers that come before it.
    after: usize,
    /// Bound.
    _deltas: Option<GpuBuffer>,
}

impl Aside {
    /// One that sees a layer's queries, and the keys with those of the batch.
    pub fn after_qkv(
        layer: usize,
        stage: Stage,
        bind_group: wgpu::BindGroup,
        width: usize,
    ) -> Self {
        Self {
            stage,
            bind_group,
            width,
            after: layer * LAYER_STEPS + 1,
            _deltas: None,
        }
    }
}

/// Most parts of all sequences of a batch that attention leaves for the next stage to merge.
const MOST_SPLITS: usize = 32;

/// Parts in which attention takes each of `rows` sequences, of which the longest has so many
/// positions: few values, because each is a kernel of its own. A batch of many rows fills a GPU
/// without.
fn splits(rows: usize, longest: usize) -> usize {
    let [few, many] = SPLIT_LENGTHS;
    let wanted = match longest {
        n if n < few => 1,
        n if n < many => 4,
        _ => 16,
    };
    [16, 4, 1]
        .into_iter()
        .find(|splits| *splits <= wanted && rows * splits <= MOST_SPLITS)
        .unwrap_or(1)
}

/// Positions from which attention is split, and from which it is split further.
const SPLIT_LENGTHS: [usize; 2] = [256, 1024];

/// Binds buffers to stages.
struct Binder<'a> {
    kernels: &'a mut Kernels,
    batch: &'a GpuBuffer,
}

impl Binder<'_> {
    /// The batch, then the matrix, then the stage's own buffers.
    fn bind(
        &mut self,
        stage: Stage,
        matrix: Option<&GpuMatrix>,
        own: &[wgpu::BindingResource],
    ) -> wgpu::BindGroup {
        let mut resources = vec![self.batch.as_entire_binding()];
        if let Some(matrix) = matrix {
            resources.push(matrix.quants.as_entire_binding());
            resources.push(matrix.scales.as_entire_binding());
        }
        resources.extend_from_slice(own);
        self.kernels.bind(stage, &resources)
    }

    fn product(
        &mut self,
        stage: Stage,
        product: Product,
        matrix: &GpuMatrix,
        own: &[wgpu::BindingResource],
    ) -> Step {
        Step {
            work: Work::Product(stage, product, matrix.shape),
            bind_group: self.bind(stage, Some(matrix), own),
            width: matrix.shape.rows.div_ceil(2),
        }
    }
}

/// The kernels of a model in order, with their buffers bound.
pub(super) struct ForwardPass {
    pub kernels: Kernels,
    pub choices: KernelChoices,
    /// As in `shaders/batch.wgsl`.
    pub batch: GpuBuffer,
    /// From the beginning of a lane to that of the next.
    pub lane_slots: usize,
    x: GpuBuffer,
    q: GpuBuffer,
    attended: GpuBuffer,
    activated: GpuBuffer,
    /// One, or as many as the embedding has parts.
    embed: Vec<Step>,
    /// [`LAYER_STEPS`] of each layer.
    layers: Vec<Step>,
    /// One, or as many as its matrix has parts.
    head: Vec<Step>,
    pub logits: GpuBuffer,
    vocab_size: usize,
    /// Bound in the steps.
    _weights: Weights,
    _rope: GpuBuffer,
}

impl ForwardPass {
    /// Allocates the activations and binds every kernel.
    pub fn new(
        device: &GpuDevice,
        config: &ModelConfig,
        cache: &GpuCache,
        weights: Weights,
        choices: KernelChoices,
    ) -> Result<Self> {
        let max_rows = choices.max_rows;
        let activations = |label: &str, width: usize| {
            device.storage(label, (max_rows * width * size_of::<f32>()) as u64)
        };
        let x = activations("residual stream", config.width)?;
        let q = activations("queries", config.q_width())?;
        let unmerged = MOST_SPLITS * config.n_heads * (config.head_dim + 4);
        let attended = activations(
            "attention output",
            config.q_width().max(unmerged.div_ceil(max_rows)),
        )?;
        let activated = activations("FFN activations", config.ffn_width)?;
        let logits = activations("logits", config.vocab_size)?;
        let rope = rope::table(config, cache.size().capacity);
        let rope = device.storage_with("RoPE", bytemuck::cast_slice(&rope))?;
        use wgpu::BufferUsages as Usage;
        // The sampling stage writes it; the others read it through the faster path.
        let usage = Usage::UNIFORM | Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
        let batch = device.buffer("batch", (max_rows * ROW_BYTES) as u64 + 16, usage);

        let model = KernelModel {
            config: config.clone(),
            cache: cache.size(),
            f16_cache: choices.f16_cache,
            has_biases: weights.has_biases,
            max_rows,
        };
        let mut kernels = Kernels::new(device.clone(), model);
        let mut binder = Binder {
            kernels: &mut kernels,
            batch: &batch,
        };
        let [x_, q_, attended_, activated_] =
            [&x, &q, &attended, &activated].map(|b| b.as_entire_binding());

        let parts = weights.embedding.iter().map(|part| Step {
            work: Work::Embed(part.shape),
            bind_group: binder.bind(Stage::Embed, Some(part), std::slice::from_ref(&x_)),
            width: config.width / crate::model::weights::BLOCK,
        });
        let embed = parts.collect();
        let mut layers = Vec::with_capacity(config.n_layers * LAYER_STEPS);
        for (layer, w) in weights.layers.iter().enumerate() {
            let [keys, values] = cache.layer(layer);
            layers.push(binder.product(
                Stage::Qkv,
                Product::Qkv,
                &w.qkv,
                &[
                    x_.clone(),
                    w.attention_norm.as_entire_binding(),
                    rope.as_entire_binding(),
                    q_.clone(),
                    keys.clone(),
                    values.clone(),
                ],
            ));
            layers.push(Step {
                work: Work::Attention,
                bind_group: binder.bind(
                    Stage::Attention,
                    None,
                    &[q_.clone(), keys, values, attended_.clone()],
                ),
                width: config.n_heads,
            });
            layers.push(binder.product(
                Stage::Project,
                Product::Output,
                &w.attention_output,
                &[attended_.clone(), x_.clone()],
            ));
            layers.push(binder.product(
                Stage::GateUp,
                Product::GateUp,
                &w.gate_up,
                &[
                    x_.clone(),
                    w.ffn_norm.as_entire_binding(),
                    activated_.clone(),
                ],
            ));
            layers.push(binder.product(
                Stage::Project,
                Product::Down,
                &w.down,
                &[activated_.clone(), x_.clone()],
            ));
        }
        let bound = [
            x_,
            weights.output_norm.as_entire_binding(),
            logits.as_entire_binding(),
        ];
        let parts = weights.output.as_ref().unwrap_or(&weights.embedding);
        let head = parts
            .iter()
            .map(|part| binder.product(Stage::Head, Product::Head, part, &bound))
            .collect();
        Ok(Self {
            kernels,
            choices,
            batch,
            lane_slots: cache.size().capacity,
            x,
            q,
            attended,
            activated,
            embed,
            layers,
            head,
            logits,
            vocab_size: config.vocab_size,
            _weights: weights,
            _rope: rope,
        })
    }

    /// Makes these rows, at most [`KernelModel::max_rows`], the batch.
    pub fn write_batch(&self, device: &GpuDevice, rows: &[Row]) {
        let words: Vec<[u32; 4]> = rows
            .iter()
            .map(|row| [row.token, row.lane, row.position, 1])
            .collect();
        let queue = &device.queue;
        queue.write_buffer(&self.batch, 0, bytemuck::cast_slice(&words));
        let count = rows.len() as u32;
        let counts = [count, count, self.lane_slots as u32];
        queue.write_buffer(&self.batch, self.row_count(), bytemuck::cast_slice(&counts));
    }

    /// Shortens the batch, whose rows were moved.
    pub fn write_row_count(&self, device: &GpuDevice, rows: usize) {
        let count = [rows as u32];
        device
            .queue
            .write_buffer(&self.batch, self.row_count(), bytemuck::cast_slice(&count));
    }

    /// Where the counts are in the batch: rows, active rows, and slots of a lane.
    fn row_count(&self) -> u64 {
        (self.kernels.model.max_rows * ROW_BYTES) as u64
    }

    /// Uploads what is to be added to the residual stream after `layer`, `[lane, width]`.
    pub fn addition(&mut self, device: &GpuDevice, layer: usize, deltas: &[f32]) -> Result<Aside> {
        let deltas = device.storage_with("activations", bytemuck::cast_slice(deltas))?;
        let bound = [&self.batch, &deltas, &self.x].map(|b| b.as_entire_binding());
        Ok(Aside {
            stage: Stage::AddToResidual,
            bind_group: self.kernels.bind(Stage::AddToResidual, &bound),
            width: self.kernels.model.config.width / 4,
            after: (layer + 1) * LAYER_STEPS,
            _deltas: Some(deltas),
        })
    }

    /// Records the pass over the first `rows` rows of the batch, of which none sees more than
    /// `longest` positions.
    pub fn record(
        &mut self,
        recorder: &mut Recorder,
        rows: usize,
        longest: usize,
        extent: Extent,
        asides: &[Aside],
    ) {
        let splits = match self.choices.split_attention {
            true if can_merge(self.kernels.model.config.q_width()) => splits(rows, longest),
            _ => 1,
        };
        let (layers, head) = match extent {
            Extent::Layers(layers) => (layers, &[][..]),
            Extent::Logits => (self.layers(), &self.head[..]),
        };
        let before = self.embed.len();
        let layers = self.layers.iter().take(layers * LAYER_STEPS);
        let steps = self.embed.iter().chain(layers).chain(head);
        for (done, step) in (1..).zip(steps) {
            let variant = step.variant(&self.choices, rows, splits);
            let grid = [step.width, rows];
            self.kernels
                .dispatch(recorder, variant, &step.bind_group, grid);
            for aside in asides.iter().filter(|aside| done == before + aside.after) {
                let variant = Variant::plain(aside.stage);
                let grid = [aside.width, rows];
                self.kernels
                    .dispatch(recorder, variant, &aside.bind_group, grid);
            }
        }
    }

    /// Compiles what decode steps of so many lanes and of fewer need, at every length: none of it
    /// should have to be compiled in the middle of an answer.
    pub fn compile_decode_steps(&mut self, device: &GpuDevice, lanes: usize) {
        let mut batches = CLASSES.map(|rows| rows.min(lanes)).to_vec();
        batches.dedup();
        for rows in batches {
            for longest in [1, SPLIT_LENGTHS[0], SPLIT_LENGTHS[1]] {
                // Recorded, and never submitted.
                self.record(&mut device.record(), rows, longest, Extent::Logits, &[]);
            }
        }
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.kernels.model.config.n_layers
    }

    /// Records the embedding alone, for the tuner.
    pub fn dispatch_embed(&mut self, recorder: &mut Recorder, rows: usize) {
        for embed in &self.embed {
            let variant = embed.variant(&self.choices, rows, 1);
            let grid = [embed.width, rows];
            self.kernels
                .dispatch(recorder, variant, &embed.bind_group, grid);
        }
    }

    /// Records one product of these layers, or of parts of the head, alone, computed by `kernel`, for
    /// the tuner.
    pub fn dispatch_product(
        &mut self,
        recorder: &mut Recorder,
        product: Product,
        layers: std::ops::Range<usize>,
        kernel: ProductKernel,
        rows: usize,
    ) {
        let steps = self.layers.iter().chain(&self.head);
        let of_product = steps.filter_map(|step| match step.work {
            Work::Product(stage, p, matrix) if p == product => Some((stage, matrix, step)),
            _ => None,
        });
        for (stage, matrix, step) in of_product.skip(layers.start).take(layers.len()) {
            let variant = Variant::product(stage, matrix, kernel, rows, 1);
            let grid = [step.width, rows];
            self.kernels
                .dispatch(recorder, variant, &step.bind_group, grid);
        }
    }

    /// What a product leaves, and how many values of it a row has.
    pub fn output(&self, product: Product) -> (&GpuBuffer, usize) {
        let config = &self.kernels.model.config;
        match product {
            Product::Qkv => (&self.q, config.q_width()),
            Product::Output | Product::Down => (&self.x, config.width),
            Product::GateUp => (&self.activated, config.ffn_width),
            Product::Head => (&self.logits, config.vocab_size),
        }
    }

    /// What products read, beside the residual stream.
    pub fn inputs(&self) -> [&GpuBuffer; 2] {
        [&self.attended, &self.activated]
    }

    /// Submits what was recorded, and reads the logits of the first `rows` rows:
    /// `[rows, vocab_size]`.
    pub async fn read_logits(
        &self,
        device: &GpuDevice,
        recorder: Recorder,
        rows: usize,
    ) -> Result<Vec<f32>> {
        let logits = (&self.logits, rows * self.vocab_size);
        self.submit(device, recorder, &[logits]).read(device).await
    }

    /// Submits what was recorded, and reads the residual stream of the first row: `[width]`.
    pub async fn read_residual(&self, device: &GpuDevice, recorder: Recorder) -> Result<Vec<f32>> {
        let width = self.kernels.model.config.width;
        self.submit(device, recorder, &[(&self.x, width)])
            .read(device)
            .await
    }

    /// Submits what was recorded, and asks for the first so many floats of each of these buffers.
    pub fn submit(
        &self,
        device: &GpuDevice,
        mut recorder: Recorder,
        parts: &[(&GpuBuffer, usize)],
    ) -> Readback {
        let bytes_of = |len: usize| (len * size_of::<f32>()) as u64;
        let total = bytes_of(parts.iter().map(|(_, len)| len).sum());
        let staging = device.staging("results, to read", total);
        let encoder = recorder.encoder();
        let mut done = 0;
        for &(buffer, len) in parts {
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, done, bytes_of(len));
            done += bytes_of(len);
        }
        device.submit_and_read(recorder.finish(), staging, total)
    }
}
