//! Types that the engine has no kernels for are converted when a model is loaded. On the real model,
//! requantised to a mix such as public files have, that must not be seen in what it predicts.

use cache_steering::Engine;
use cache_steering::backend::choose::BackendChoice;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::engine::EngineOptions;
use cache_steering::model::load::MemorySource;
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use pollster::block_on;
use std::fs::File;
use std::io::Cursor;
use std::ops::ControlFlow;

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
