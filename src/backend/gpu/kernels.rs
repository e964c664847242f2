//! The compute pipelines of a model, each compiled when it is first used.

use super::device::GpuDevice;
use super::profile::Recorder;
use super::stages::Binding::{Read, Uniform, Write};
use super::stages::Stage;
use super::variants::{KernelModel, Variant};
use std::collections::HashMap;

/// Pipelines and the layouts of what they bind.
pub(super) struct Kernels {
    device: GpuDevice,
    pub model: KernelModel,
    layouts: HashMap<Stage, wgpu::BindGroupLayout>,
    pipelines: HashMap<Variant, wgpu::ComputePipeline>,
}

impl Kernels {
    pub fn new(device: GpuDevice, model: KernelModel) -> Self {
        Self {
            device,
            model,
            layouts: HashMap::new(),
            pipelines: HashMap::new(),
        }
    }

    /// Binds buffers to a stage, in the order of its binding numbers.
    pub fn bind(&mut self, stage: Stage, resources: &[wgpu::BindingResource]) -> wgpu::BindGroup {
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry {
                binding,
                resource: resource.clone(),
            })
            .collect();
        let device = self.device.clone();
        device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(stage.name()),
            layout: self.layout(stage),
            entries: &entries,
        })
    }

    /// Records one dispatch over [items of a row, rows], as [`Variant::workgroups`] counts them.
    pub fn dispatch(
        &mut self,
        recorder: &mut Recorder,
        variant: Variant,
        bind_group: &wgpu::BindGroup,
        [width, rows]: [usize; 2],
    ) {
        let [x, y, z] = variant.workgroups(&self.model, width, rows);
        let pass = recorder.pass(variant.stage.name());
        pass.set_pipeline(self.pipeline(variant));
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }

    fn layout(&mut self, stage: Stage) -> &wgpu::BindGroupLayout {
        self.layouts.entry(stage).or_insert_with(|| {
            let entries: Vec<_> = (0..)
                .zip(stage.bindings())
                .map(|(binding, kind)| wgpu::BindGroupLayoutEntry {
                    binding,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer {
                        ty: match kind {
                            Uniform => wgpu::BufferBindingType::Uniform,
                            Read => wgpu::BufferBindingType::Storage { read_only: true },
                            Write => wgpu::BufferBindingType::Storage { read_only: false },
                        },
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                    count: None,
                })
                .collect();
            self.device
                .device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                    label: Some(stage.name()),
                    entries: &entries,
                })
        })
    }

    fn pipeline(&mut self, variant: Variant) -> &wgpu::ComputePipeline {
        let layout = self.layout(variant.stage).clone();
        self.pipelines.entry(variant).or_insert_with(|| {
            let device = &self.device.device;
            let name = variant.stage.name();
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(name),
                source: wgpu::ShaderSource::Wgsl(variant.source(&self.model).into()),
            });
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(variant.entry_point()),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every stage writes all of the workgroup memory that it reads.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        })
    }
}
