//! Every kernel in every variant, validated by naga.

use super::choices::{ProductKernel, Reduction};
use super::stages::{Binding, Stage};
use super::variants::{KernelModel, MatrixShape, Variant};
use crate::backend::CacheSize;
use crate::model::weights::WeightFormat;
use crate::model::{Architecture, ModelConfig};
use wgpu::naga;
use wgpu::naga::valid::Capabilities;

fn smollm2_135m() -> ModelConfig {
    ModelConfig {
        name: String::new(),
        architecture: Architecture::Llama,
        n_layers: 30,
        width: 576,
        ffn_width: 1536,
        n_heads: 9,
        n_kv_heads: 3,
        head_dim: 64,
        vocab_size: 49152,
        context_length: 8192,
        rope_base: 100_000.0,
        rope_factors: Vec::new(),
        norm_eps: 1e-5,
    }
}

fn model([f16_cache, has_biases]: [bool; 2]) -> KernelModel {
    KernelModel {
        config: smollm2_135m(),
        cache: CacheSize {
            lanes: 2,
            capacity: 256,
        },
        f16_cache,
        has_biases,
        max_rows: 64,
    }
}

fn products() -> Vec<ProductKernel> {
    let mut kernels = vec![ProductKernel::Tiled];
    for reduction in [Reduction::Row, Reduction::Workgroup, Reduction::Subgroup] {
        for half in [false, true] {
            kernels.push(ProductKernel::Vector {
                reduction,
                pairs: 16,
                slices: if reduction == Reduction::Row { 1 } else { 8 },
                half,
            });
        }
    }
    kernels
}

fn variants(stage: Stage) -> Vec<Variant> {
    let formats = [
        WeightFormat::Q8_0,
        WeightFormat::Q4_0,
        WeightFormat::Q4_1,
        WeightFormat::F16,
        WeightFormat::F32,
    ];
    let matrices = formats.map(|format| MatrixShape {
        format,
        first: 0,
        rows: 960,
        cols: 576,
    });
    match stage {
        Stage::Embed => matrices.map(|m| Variant::lookup(stage, m)).into(),
        Stage::Attention => [1, 4].map(Variant::attention).into(),
        stage if stage.multiplies() => {
            let splits = if stage == Stage::Project {
                &[1, 4][..]
            } else {
                &[1]
            };
            let mut variants = Vec::new();
            for matrix in matrices {
                for kernel in products() {
                    for rows in [1, 2, 4, 8] {
                        let of = |&splits| Variant::product(stage, matrix, kernel, rows, splits);
                        let unmergeable = kernel == ProductKernel::Tiled;
                        variants
                            .extend(splits.iter().take(if unmergeable { 1 } else { 2 }).map(of));
                    }
                }
            }
            variants
        }
        _ => vec![Variant::plain(stage)],
    }
}

/// Every stage in every variant parses, validates with the features that it says it needs, and
/// binds what [`Stage::bindings`] says.
#[test]
fn every_variant_validates() {
    for stage in Stage::ALL {
        for variant in variants(stage) {
            for caches in [false, true] {
                for biases in [false, true] {
                    validate(variant, &model([caches, biases]));
                }
            }
        }
    }
}

fn validate(variant: Variant, model: &KernelModel) {
    // What `unpack2x16float` counts as; WebGPU has it without any feature.
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    capabilities.set(Capabilities::SHADER_FLOAT16, variant.needs_f16(model));
    capabilities.set(Capabilities::SUBGROUP, variant.needs_subgroups());

    let source = variant.source(model);
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|e| panic!("{variant:?}: {}", e.emit_to_string(&source)));
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|e| panic!("{variant:?}: {}", e.emit_to_string(&source)));
    assert_eq!(bound(&module), variant.stage.bindings(), "{variant:?}");
    assert!(
        module
            .entry_points
            .iter()
            .any(|e| e.name == variant.entry_point())
    );
}

fn bound(module: &naga::Module) -> Vec<Binding> {
    let mut bound: Vec<(u32, Binding)> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let kind = match variable.space {
                naga::AddressSpace::Uniform => Binding::Uniform,
                naga::AddressSpace::Storage { access }
                    if access.contains(naga::StorageAccess::STORE) =>
                {
                    Binding::Write
                }
                naga::AddressSpace::Storage { .. } => Binding::Read,
                _ => return None,
            };
            Some((variable.binding.as_ref()?.binding, kind))
        })
        .collect();
    bound.sort_by_key(|(number, _)| *number);
    bound.into_iter().map(|(_, kind)| kind).collect()
}
