//! Types that the engine has no kernels for are converted when a model is loaded: each is compared with
//! what candle unpacks of the same file. On the real model, requantised to a mix such as public files
//! have, that must not be seen in what it predicts.

use crate::backends::shape;
use crate::loading::go_on;
use async_trait::async_trait;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::{Backend, BackendBuilder, CacheSize};
use cache_steering::engine::EngineOptions;
use cache_steering::model::load::MemorySource;
use cache_steering::model::weights::{BLOCK, WeightFormat, WeightMatrix, WeightName};
use cache_steering::model::{Architecture, ModelConfig, load, synthetic};
use cache_steering::{Engine, Result};
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use pollster::block_on;
use std::cell::RefCell;
use std::fs::File;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::rc::Rc;

const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/models/SmolLM2-135M-Instruct.Q4_1.gguf"
);

/// Where each matrix is stored in a mixed file: what has rows of 256 values in K-quants, as files named
/// Q4_K_M have, the rest in the older blocks.
fn mixed(name: &str, cols: usize) -> GgmlDType {
    let layer = name.split('.').nth(1).and_then(|n| n.parse::<usize>().ok());
    match (layer, cols.is_multiple_of(256)) {
        (None, _) => GgmlDType::Q8_0,
        (Some(n), true) => [GgmlDType::Q4K, GgmlDType::Q5K, GgmlDType::Q6K][n % 3],
        (Some(n), false) => [GgmlDType::Q5_0, GgmlDType::Q5_1, GgmlDType::BF16][n % 3],
    }
}

/// The real model with its matrices requantised, and the same with what that made of them as floats.
fn requantised() -> [Vec<u8>; 2] {
    let mut file = File::open(MODEL).expect("the model: `cargo xtask fetch-model` gets it");
    let content = gguf_file::Content::read(&mut file).expect("a header");
    let metadata: Vec<_> = content
        .metadata
        .iter()
        .map(|(k, v)| (k.as_str(), v))
        .collect();
    let mut packed = Vec::new();
    let mut exact = Vec::new();
    for name in content.tensor_infos.keys() {
        let tensor = content
            .tensor(&mut file, name, &Device::Cpu)
            .expect("a tensor");
        let values = tensor.dequantize(&Device::Cpu).expect("floats");
        let dims = values.dims().to_vec();
        let dtype = match dims[..] {
            [_, cols] => mixed(name, cols),
            _ => GgmlDType::F32,
        };
        let mixed = QTensor::quantize(&values, dtype).expect("blocks");
        let floats = mixed.dequantize(&Device::Cpu).expect("floats");
        let floats = QTensor::quantize(&floats, GgmlDType::F32).expect("floats");
        packed.push((name.as_str(), mixed));
        exact.push((name.as_str(), floats));
    }
    [packed, exact].map(|tensors| {
        let tensors: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (*name, tensor))
            .collect();
        let mut file = Cursor::new(Vec::new());
        gguf_file::write(&mut file, &metadata, &tensors).expect("a file");
        file.into_inner()
    })
}

fn nll(gguf: Vec<u8>, ids: &[u32]) -> f64 {
    let options = EngineOptions {
        backend: BackendChoice::Cpu,
        cpu_precision: CpuPrecision::F32,
        lanes: 1,
        capacity: Some(ids.len() + 1),
        kernels: None,
    };
    let mut source = MemorySource::new(gguf);
    let loading = &mut |_| ControlFlow::Continue(());
    let mut engine = block_on(Engine::load(&mut source, &options, loading)).expect("an engine");
    let scoring = &mut |_| ControlFlow::Continue(());
    block_on(engine.score(ids, scoring)).expect("a score").nll
}

#[test]
fn a_converted_model_predicts_as_the_exact_one() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../golden/perplexity.json")).expect("JSON");
    let ids = golden["ids"].as_array().expect("a list");
    let ids: Vec<u32> = ids[..512]
        .iter()
        .map(|id| id.as_u64().expect("an id") as u32)
        .collect();
    let [packed, exact] = requantised();
    let (converted, exact) = (nll(packed, &ids), nll(exact, &ids));
    let ratio = (converted - exact).exp();
    println!(
        "perplexity {} exactly, {} converted: {ratio}",
        exact.exp(),
        converted.exp()
    );
    assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
}

/// Takes what a model file is loaded as, and gives it to the CPU.
struct Recording {
    taken: Rc<RefCell<Vec<(WeightName, WeightMatrix)>>>,
    cpu: CpuBuilder,
}

#[async_trait(?Send)]
impl BackendBuilder for Recording {
    fn add(&mut self, name: WeightName, matrix: WeightMatrix) -> Result<()> {
        self.taken.borrow_mut().push((name, matrix.clone()));
        self.cpu.add(name, matrix)
    }

    async fn finish(self: Box<Self>) -> Result<Box<dyn Backend>> {
        Box::new(self.cpu).finish().await
    }
}

/// A model whose rows are whole blocks of every type, and stay in their order.
fn of_type(dtype: GgmlDType) -> (ModelConfig, Vec<u8>) {
    let config = ModelConfig {
        architecture: Architecture::Qwen2,
        n_layers: 1,
        width: 256,
        ffn_width: 512,
        ..shape(8, 2, 32, 300)
    };
    let tensors = WeightName::required(&config).map(|name| {
        let (rows, cols) = name.shape(&config);
        let values = (0..rows * cols).map(|i| (i as f32 * 0.37).sin() * (i as f32 * 0.011).cos());
        let dtype = match name.is_vector() {
            true => GgmlDType::F32,
            false => dtype,
        };
        (name, dtype, values.collect())
    });
    let gguf = synthetic::file(&config, tensors).expect("a model file");
    (config, gguf)
}

#[test]
fn every_type_is_loaded_as_candle_unpacks_it() {
    use GgmlDType as Type;
    use WeightFormat::{F16, F32, Q4_0, Q4_1, Q8_0};
    for (dtype, format) in [
        (Type::F32, F32),
        (Type::F16, F16),
        (Type::BF16, F16),
        (Type::Q8_0, Q8_0),
        (Type::Q4_0, Q4_0),
        (Type::Q4_1, Q4_1),
        (Type::Q5_0, Q8_0),
        (Type::Q5_1, Q8_0),
        (Type::Q2K, Q8_0),
        (Type::Q3K, Q8_0),
        (Type::Q4K, Q8_0),
        (Type::Q5K, Q8_0),
        (Type::Q6K, Q8_0),
    ] {
        let (config, gguf) = of_type(dtype);
        let taken = Rc::new(RefCell::new(Vec::new()));
        let build = |c: &ModelConfig| -> Result<Box<dyn BackendBuilder>> {
            let size = CacheSize {
                lanes: 1,
                capacity: 8,
            };
            Ok(Box::new(Recording {
                taken: taken.clone(),
                cpu: CpuBuilder::new(c, size, CpuPrecision::Quantized)?,
            }))
        };
        let mut source = MemorySource::new(gguf.clone());
        block_on(load(&mut source, build, &mut go_on))
            .map(drop)
            .unwrap_or_else(|e| panic!("{dtype:?}: {e}"));

        let mut file = Cursor::new(gguf);
        let content = gguf_file::Content::read(&mut file).expect("a header");
        let taken = taken.take();
        assert_eq!(taken.len(), WeightName::required(&config).count());
        for (name, matrix) in taken {
            let expected: Vec<f32> = content
                .tensor(&mut file, &name.gguf_name(), &Device::Cpu)
                .and_then(|tensor| tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1())
                .expect("floats");
            let found: Vec<f32> = matrix.dequantize().expect("floats");
            if !name.is_vector() {
                assert_eq!(matrix.format, format, "{dtype:?}");
            }
            let kept = name.is_vector() || format.dtype() == dtype;
            for (found, expected) in found.chunks(BLOCK).zip(expected.chunks(BLOCK)) {
                let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
                let bound = match format {
                    _ if kept => 0.0,
                    // f16 has the bits of bf16 and more, down to a smallest step.
                    F16 => 2f32.powi(-25),
                    // Half a step, whose size is rounded as well.
                    _ => 0.57 * largest / 127.0,
                };
                for (found, expected) in found.iter().zip(expected) {
                    let off = (found - expected).abs();
                    assert!(off <= bound, "{dtype:?} {name:?}: {found} for {expected}");
                }
            }
        }
    }
}
