//! Models that are split over several files, and files whose digest is known.

use crate::cpu::rows;
use crate::loading::{cpu, go_on, load_bytes, tiny};
use async_trait::async_trait;
use cache_steering::backend::Backend;
use cache_steering::backend::cpu::CpuPrecision;
use cache_steering::model::load::{ByteSource, FileDigest, FileSource, MemorySource};
use cache_steering::model::{Model, load, synthetic};
use cache_steering::{Error, Result};
use pollster::block_on;
use std::path::Path;

/// Files in memory, one after the other, each with what is known of it.
struct Parts(Vec<(MemorySource, FileDigest)>);

#[async_trait(?Send)]
impl ByteSource for Parts {
    fn size(&self) -> Option<u64> {
        self.0[0].0.size()
    }

    fn total(&self) -> Option<u64> {
        self.0.iter().map(|(part, _)| part.size()).sum()
    }

    fn digest(&self) -> FileDigest {
        self.0[0].1.clone()
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.0[0].0.next().await
    }

    async fn next_file(&mut self) -> Result<bool> {
        self.0.remove(0);
        Ok(!self.0.is_empty())
    }
}

fn load_parts(parts: &[&Vec<u8>], digest: FileDigest) -> Result<(Model, Box<dyn Backend>)> {
    let part = |bytes: &&Vec<u8>| {
        let source = MemorySource::with_chunks((*bytes).clone(), 4096);
        (source, digest.clone())
    };
    let mut source = Parts(parts.iter().map(part).collect());
    block_on(load(&mut source, cpu(CpuPrecision::F32, 64), &mut go_on))
}

#[test]
fn a_split_model_is_the_whole_one() {
    let whole = tiny();
    let parts = synthetic::split(&whole, 3).unwrap();
    let logits = |backend: &mut Box<dyn Backend>| {
        block_on(backend.logits(&rows(&[1, 100, 319], 0))).unwrap()
    };
    let (_, mut backend) = load_bytes(whole.clone(), 1 << 20).unwrap();
    let expected = logits(&mut backend);
    let all: Vec<&Vec<u8>> = parts.iter().collect();
    let (model, mut backend) = load_parts(&all, FileDigest::Unknown).unwrap();
    assert_eq!(logits(&mut backend), expected);
    let sizes: usize = parts.iter().map(Vec::len).sum();
    assert_eq!(model.file.bytes, sizes as u64);
    assert_ne!(
        model.file.sha256,
        load_parts(&[&whole], FileDigest::Unknown)
            .unwrap()
            .0
            .file
            .sha256
    );

    // On disk, the first one's name says where the others are.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("split-model");
    std::fs::create_dir_all(&folder).unwrap();
    for (n, part) in parts.iter().enumerate() {
        let name = format!("model-{:05}-of-00003.gguf", n + 1);
        std::fs::write(folder.join(name), part).unwrap();
    }
    let mut first = FileSource::open(folder.join("model-00001-of-00003.gguf")).unwrap();
    let loaded = block_on(load(&mut first, cpu(CpuPrecision::F32, 64), &mut go_on));
    assert_eq!(loaded.unwrap().0.file, model.file);
}

#[test]
fn parts_that_do_not_make_a_model_are_refused() {
    let parts = synthetic::split(&tiny(), 3).unwrap();
    let [a, b, c] = &parts[..] else {
        unreachable!()
    };
    let problem = |parts: &[&Vec<u8>]| match load_parts(parts, FileDigest::Unknown).map(drop) {
        Err(error @ Error::Split { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(problem(&[a, b]).contains("split over 3 files, and number 3 is missing"));
    assert!(problem(&[b, c]).contains("number 2 comes where number 1 ought to be"));
    assert!(problem(&[a, c, b]).contains("number 3 comes where number 2 ought to be"));
    assert!(problem(&[a, b, c, c]).contains("there are more files than these"));
    let other = synthetic::split(&tiny(), 2).unwrap();
    assert!(problem(&[a, &other[1]]).contains("one file is of a model of 2"));
}

#[test]
fn the_digest_is_checked_unless_it_was_before() {
    let file = tiny();
    let other = "00".repeat(32);
    let (model, _) = load_parts(&[&file], FileDigest::Unknown).unwrap();
    let expected = FileDigest::Expected(model.file.sha256.clone());
    load_parts(&[&file], expected).map(drop).unwrap();
    let refused = load_parts(&[&file], FileDigest::Expected(other.clone())).map(drop);
    assert!(matches!(refused, Err(Error::Checksum { found, .. }) if found == model.file.sha256));
    let (model, _) = load_parts(&[&file], FileDigest::Verified(other.clone())).unwrap();
    assert_eq!(model.file.sha256, other);
}
