//! Everything that can be wrong with a model file, each with its own error.

use crate::loading::{cpu, go_on, load_bytes, tiny};
use async_trait::async_trait;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::model::load::{ByteSource, MemorySource, read_header};
use cache_steering::model::weights::WeightFormat;
use cache_steering::model::{Architecture, ModelConfig, load, synthetic};
use cache_steering::{Error, Result};
use pollster::block_on;

fn error_of(bytes: Vec<u8>) -> Error {
    match load_bytes(bytes, 10_007) {
        Ok(_) => panic!("a faulty file was loaded"),
        Err(error) => error,
    }
}

#[test]
fn other_files_are_told_from_models_by_their_first_bytes() {
    let page = b"<!DOCTYPE html><html><body>Not found".to_vec();
    match error_of(page) {
        Error::NotGguf { found } => assert_eq!(found, "<!DOCTYPE html><"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(error_of(b"GGU".to_vec()), Error::Truncated { .. }));
    assert!(matches!(error_of(Vec::new()), Error::Truncated { .. }));
    assert!(matches!(error_of(b"\0".to_vec()), Error::NotGguf { .. }));
}

/// A file whose size nobody knows, such as a compressed download.
struct Unsized(MemorySource);

#[async_trait(?Send)]
impl ByteSource for Unsized {
    fn size(&self) -> Option<u64> {
        None
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.0.next().await
    }
}

#[test]
fn a_file_cut_anywhere_says_where() {
    let bytes = tiny();
    let header = block_on(read_header(&mut MemorySource::with_chunks(
        bytes.clone(),
        4096,
    )))
    .unwrap();
    let first = header.tensors[0].offset as usize;
    for cut in [8, 20, 100, 1000, first / 2, first - 33] {
        let error = error_of(bytes[..cut].to_vec());
        match &error {
            Error::Truncated { what, need, have } => {
                assert_eq!((what.as_str(), *have), ("the header", cut as u64));
                assert!(*need > *have && *need <= first as u64, "{error}");
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    for (index, info) in header.tensors.iter().enumerate() {
        let cut = (info.end() - 1) as usize;
        let sized = error_of(bytes[..cut].to_vec());
        let mut source = Unsized(MemorySource::with_chunks(
            bytes[..cut].to_vec(),
            1000 + index,
        ));
        let later = block_on(load(&mut source, cpu(CpuPrecision::F32, 8), &mut go_on));
        for error in [Err(sized), later.map(drop)] {
            match error {
                Err(Error::Truncated { what, need, have }) => {
                    assert!(what.contains(&info.name), "{what} instead of {}", info.name);
                    assert_eq!((need, have), (info.end(), cut as u64));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Where `needle` ends in the file.
fn end_of(bytes: &[u8], needle: &str) -> usize {
    let start = bytes
        .windows(needle.len())
        .position(|window| window == needle.as_bytes());
    start.unwrap_or_else(|| panic!("no {needle}")) + needle.len()
}

/// A tiny model with other bytes `skip` behind a name in its header.
fn patched(name: &str, skip: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = tiny();
    let at = end_of(&bytes, name) + skip;
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// A tiny model with another value of a metadata key, which follows the key and its type.
fn with_value(key: &str, value: u32) -> Vec<u8> {
    patched(key, 4, &value.to_le_bytes())
}

#[test]
fn metadata_that_makes_no_sense_is_refused_by_its_key() {
    let nan = f32::NAN.to_bits();
    for (key, value) in [
        ("llama.block_count", 0),
        ("llama.block_count", u32::MAX),
        ("llama.context_length", 0),
        ("llama.embedding_length", 0),
        ("llama.embedding_length", 100),
        ("llama.feed_forward_length", 161),
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count", 7),
        ("llama.attention.head_count_kv", 0),
        ("llama.attention.head_count_kv", 3),
        ("llama.attention.head_count_kv", 16),
        ("llama.attention.key_length", 15),
        ("llama.attention.key_length", 0),
        ("llama.attention.value_length", 32),
        ("llama.rope.dimension_count", 8),
        ("llama.rope.freq_base", 0),
        ("llama.rope.freq_base", nan),
        ("llama.attention.layer_norm_rms_epsilon", 0),
        ("llama.attention.layer_norm_rms_epsilon", nan),
    ] {
        match error_of(with_value(key, value)) {
            Error::Metadata { key: found, .. } if key.starts_with(&found) => {}
            // Heads that do not divide are reported by the other count.
            Error::Metadata { key: found, .. } if found.starts_with(key) => {}
            other => panic!("{key} = {value}: {other:?}"),
        }
    }
    // A key of the wrong name is a missing key.
    match error_of(patched("llama.context_lengt", 0, b"X")) {
        Error::Metadata { key, problem } => {
            assert_eq!(
                (key.as_str(), problem.as_str()),
                ("llama.context_length", "is missing")
            );
        }
        other => panic!("{other:?}"),
    }
    let wrong_type = patched("llama.block_count", 0, &6u32.to_le_bytes());
    assert!(matches!(error_of(wrong_type), Error::Metadata { .. }));
    match error_of(patched("tokenizer.ggml.pre", 12, b"llama3")) {
        Error::Metadata { key, problem } => {
            assert_eq!(key, "tokenizer.ggml.pre");
            assert!(problem.contains("llama3"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_that_makes_no_sense_is_refused() {
    for (name, skip, new) in [
        ("GGUF", 0, &[1u8, 0, 0, 0][..]),
        ("GGUF", 0, &[0, 0, 0, 3]),
        // Counts, lengths, types and ranks beyond reason.
        ("GGUF", 4, &[255; 8]),
        ("GGUF", 12, &[255; 8]),
        ("general.name", 4, &[255; 8]),
        ("general.name", 0, &[99, 0, 0, 0]),
        ("tokenizer.ggml.tokens", 8, &[255; 8]),
        ("token_embd.weight", 0, &[9, 0, 0, 0]),
        // A size, and an offset, that overflow.
        ("token_embd.weight", 4, &[255; 8]),
        ("token_embd.weight", 24, &[255; 8]),
        // A tensor on top of another.
        ("output_norm.weight", 16, &[0; 8]),
    ] {
        let error = error_of(patched(name, skip, new));
        assert!(
            matches!(error, Error::BadHeader { .. }),
            "{name}: {error:?}"
        );
    }
    // An alignment of zero, in place of a key of the same length.
    let mut bytes = with_value("llama.block_count", 0);
    let at = end_of(&bytes, "llama.block_count") - "llama.block_count".len();
    bytes[at..at + 17].copy_from_slice(b"general.alignment");
    match error_of(bytes) {
        Error::BadHeader { reason } => assert!(reason.contains("alignment"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_architectures_are_named() {
    match error_of(patched("general.architecture", 12, b"mamba")) {
        Error::UnsupportedArchitecture { found } => assert_eq!(found, "mamba"),
        other => panic!("{other:?}"),
    }
}

/// Of another architecture, keys have another beginning, and more tensors have to be there.
#[test]
fn each_architecture_has_its_own_keys_and_tensors() {
    // The name is as long, so that the file is whole; its keys are not those of the name.
    match error_of(patched("general.architecture", 12, b"qwen2")) {
        Error::Metadata { key, problem } => {
            let said = (key.as_str(), problem.as_str());
            assert_eq!(said, ("qwen2.embedding_length", "is missing"));
        }
        other => panic!("{other:?}"),
    }
    let config = ModelConfig {
        architecture: Architecture::Qwen2,
        ..synthetic::tiny()
    };
    let mut bytes = synthetic::gguf(&config, WeightFormat::Q8_0, 1).expect("a model file");
    assert!(load_bytes(bytes.clone(), 10_007).is_ok());
    let at = end_of(&bytes, "blk.2.attn_k.bia");
    bytes[at] = b'X';
    match error_of(bytes) {
        Error::MissingTensor { name } => assert_eq!(name, "blk.2.attn_k.bias"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    const NAME: &str = "blk.1.ffn_up.weight";
    match error_of(patched("blk.1.ffn_u", 0, b"X")) {
        Error::MissingTensor { name } => assert_eq!(name, NAME),
        other => panic!("{other:?}"),
    }
    // Half the rows, so that the data still lies where it should.
    match error_of(patched(NAME, 12, &80u64.to_le_bytes())) {
        Error::TensorShape {
            name,
            expected,
            found,
        } => {
            assert_eq!(name, NAME);
            assert_eq!((expected, found), (vec![160, 96], vec![80, 96]));
        }
        other => panic!("{other:?}"),
    }
    // Types that candle does not know, and one that only activations have.
    for (number, text) in [(20u32, "iq4_nl"), (999, "GGML type 999"), (9, "q8_1")] {
        match error_of(patched("output_norm.weight", 12, &number.to_le_bytes())) {
            Error::TensorType { name, found } => {
                assert_eq!(
                    (name.as_str(), found.as_str()),
                    ("output_norm.weight", text)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    // One layer fewer than the file has.
    match error_of(with_value("llama.block_count", 2)) {
        Error::UnknownTensor { name } => assert!(name.starts_with("blk.2."), "{name}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_vocabulary_that_does_not_fit_its_merges_is_refused() {
    // "a a" becomes a pair whose second half no token is.
    let mut bytes = tiny();
    let at = end_of(&bytes, "tokenizer.ggml.merges") + 16 + 8;
    bytes[at + 2] = b'\x01';
    match error_of(bytes) {
        Error::Tokenizer { reason } => assert!(reason.contains("lacks"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
