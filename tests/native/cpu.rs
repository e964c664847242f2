//! The CPU backend, called as a backend: golden logits, lanes, and the write to a slot.

use crate::loading::{GoldenPrompt, golden, load_bytes, load_real, tiny};
use cache_steering::Error;
use cache_steering::backend::cpu::{CpuBuilder, CpuPrecision};
use cache_steering::backend::{Backend, CacheSize, Row, SlotAddress};
use cache_steering::model::synthetic;
use pollster::block_on;

pub fn rows(tokens: &[u32], lane: u32) -> Vec<Row> {
    let positions = 0..tokens.len() as u32;
    let row = |(&token, position)| Row {
        token,
        lane,
        position,
    };
    tokens.iter().zip(positions).map(row).collect()
}

/// The largest difference of the golden first-step logits, the last token alone in its batch.
fn first_step_error(backend: &mut dyn Backend, prompts: &[GoldenPrompt]) -> f32 {
    let mut largest = 0f32;
    for prompt in prompts {
        let rows = rows(&prompt.input_ids, 1);
        let (last, others) = rows.split_last().unwrap();
        block_on(backend.forward(others)).unwrap();
        let logits = block_on(backend.logits(&[*last])).unwrap();
        for &(token, expected) in &prompt.baseline.first_top10 {
            largest = largest.max((logits[token as usize] - expected).abs());
        }
    }
    largest
}

#[test]
fn the_cpu_gives_the_golden_logits() {
    let prompts = golden().prompts;
    let (_, mut exact) = load_real(CpuPrecision::F32);
    let error = first_step_error(&mut *exact, &prompts);
    assert!(error < 5e-3, "F32 is off by {error}");
    let (_, mut rounded) = load_real(CpuPrecision::Int8);
    let error = first_step_error(&mut *rounded, &prompts[..4]);
    assert!((1e-3..1.0).contains(&error), "Int8 is off by {error}");
}

#[test]
fn lanes_do_not_see_each_other_and_a_copied_lane_goes_on_alike() {
    let (_, mut backend) = load_bytes(tiny(), 1 << 20).unwrap();
    let prompt = [5, 80, 300, 17, 9];
    block_on(backend.forward(&rows(&[7; 20], 0))).unwrap();
    block_on(backend.forward(&rows(&prompt, 1))).unwrap();
    let start = |lane| SlotAddress { lane, position: 0 };
    backend
        .copy_slots(start(1), start(0), prompt.len())
        .unwrap();
    let next = |lane| Row {
        token: 33,
        lane,
        position: prompt.len() as u32,
    };
    let both = block_on(backend.logits(&[next(0), next(1)])).unwrap();
    let (first, second) = both.split_at(both.len() / 2);
    assert_eq!(first, second);
    // A row of a short batch does not depend on the rows beside it, to the last bit.
    let again = block_on(backend.logits(&[rows(&prompt, 0), vec![next(0)]].concat())).unwrap();
    assert_eq!(&again[again.len() - first.len()..], first);
    // A long batch is computed in another way: the same up to rounding.
    let long = [rows(&prompt, 0), vec![next(0)], rows(&[7; 20], 1)].concat();
    let long = block_on(backend.logits(&long)).unwrap();
    for (a, b) in first.iter().zip(&long[prompt.len() * first.len()..]) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn a_cache_beyond_all_memory_is_refused() {
    for capacity in [usize::MAX, usize::MAX >> 20] {
        let size = CacheSize { lanes: 2, capacity };
        let refused = CpuBuilder::new(&synthetic::tiny(), size, CpuPrecision::F32);
        assert!(matches!(refused.map(drop), Err(Error::OutOfMemory { .. })));
    }
}

#[test]
fn what_is_added_to_a_slot_can_be_read_and_changes_the_logits() {
    let (model, mut backend) = load_bytes(tiny(), 1 << 20).unwrap();
    block_on(backend.forward(&rows(&[5, 80, 300], 1))).unwrap();
    let before = block_on(backend.read_slot(1, 2)).unwrap();
    let next = Row {
        token: 33,
        lane: 1,
        position: 3,
    };
    let plain = block_on(backend.logits(&[next])).unwrap();
    let mut delta = before.clone();
    delta.keys.fill(0.25);
    delta.values.fill(-0.5);
    backend.add_to_slot(1, 2, &delta).unwrap();
    let after = block_on(backend.read_slot(1, 2)).unwrap();
    assert_eq!(before.keys.len(), model.config.slot_len());
    for (before, after) in before.keys.iter().zip(&after.keys) {
        assert_eq!(before + 0.25, *after);
    }
    for (before, after) in before.values.iter().zip(&after.values) {
        assert_eq!(before - 0.5, *after);
    }
    assert_ne!(block_on(backend.logits(&[next])).unwrap(), plain);
}
