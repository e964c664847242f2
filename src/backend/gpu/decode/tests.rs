//! Sampling on the GPU against sampling on the CPU, on logits that are made up.

use super::*;
use crate::backend::BackendBuilder;
use crate::backend::cpu::Sampler;
use crate::backend::gpu::{GpuBackend, GpuBuilder};
use crate::generate::Sampling;
use crate::model::synthetic;
use crate::model::weights::{BLOCK, WeightFormat, WeightMatrix, WeightName};
use pollster::block_on;

const LANES: usize = 6;

/// A backend whose weights are all 0: the tests make up the logits.
fn backend(vocab_size: usize) -> GpuBackend {
    let config = ModelConfig {
        vocab_size,
        n_layers: 1,
        ..synthetic::tiny()
    };
    let device = block_on(GpuDevice::request()).expect("an adapter");
    let cache = CacheSize {
        lanes: LANES,
        capacity: 64,
    };
    let mut builder = GpuBuilder::new(device, &config, cache).expect("a small cache");
    for name in WeightName::required(&config) {
        let (rows, cols) = name.shape(&config);
        let format = match name.is_vector() {
            true => WeightFormat::F32,
            false => WeightFormat::Q8_0,
        };
        let matrix = WeightMatrix {
            format,
            rows,
            cols,
            data: vec![0; rows * cols / BLOCK * format.block_bytes()],
        };
        builder.add(name, matrix).expect("a small matrix");
    }
    block_on(builder.build()).expect("a backend")
}

/// One token for each of the first `rows` lanes, from these logits.
fn sample(backend: &mut GpuBackend, logits: &[f32], rows: usize) -> Vec<u32> {
    let GpuBackend {
        device,
        forward,
        decoder,
        ..
    } = backend;
    let queue = &device.queue;
    queue.write_buffer(&forward.logits, 0, bytemuck::cast_slice(logits));
    let mut recorder = device.record();
    recorder.encoder().clear_buffer(&decoder.sampled, 0, None);
    decoder.record_sampling(forward, &mut recorder, rows);
    let size = (2 * decoder.rows * WORD) as u64;
    let staging = device.staging("sampled tokens", size);
    recorder
        .encoder()
        .copy_buffer_to_buffer(&decoder.sampled, 0, &staging, 0, size);
    let mut readback = device.submit_and_read(recorder.finish(), staging, size);
    let words: Vec<u32> = block_on(readback.read(device)).expect("results");
    words[decoder.rows..][..rows].to_vec()
}

fn lane(lane: u32, sampling: Sampling, seen: &[u32], limit: usize) -> DecodeLane {
    DecodeLane {
        row: Row {
            token: 1,
            lane,
            position: 5,
        },
        sampling,
        seen: seen.to_vec(),
        limit,
        activation: None,
    }
}

/// Numbers that look random: every device must make of them the same tokens.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.next(of.len() as u64) as usize]
    }

    /// About normal, in steps of `grain`, so that many are equal.
    fn logit(&mut self, spread: f32, grain: f32) -> f32 {
        let sum: u64 = (0..6).map(|_| self.next(1000)).sum();
        let value = (sum as f32 / 1000.0 - 3.0) * spread;
        (value / grain).round() * grain
    }
}

fn agrees_with_the_cpu(vocab_size: usize, rounds: usize) {
    let mut backend = backend(vocab_size);
    let mut random = Random(42);
    for round in 0..rounds {
        let settings: Vec<Sampling> = (0..LANES)
            .map(|_| Sampling {
                temperature: random.choose(&[0.0, 0.3, 0.8, 1.0, 2.5]),
                top_k: random.choose(&[0, 1, 7, 50, 1 << 20]),
                top_p: random.choose(&[1.0, 0.95, 0.5, 0.01]),
                min_p: random.choose(&[0.0, 0.0, 0.05, 1.0]),
                repetition_penalty: random.choose(&[1.0, 1.1, 2.0]),
                seed: random.next(1 << 32) as u32,
            })
            .collect();
        let seen: Vec<u32> = (0..40)
            .map(|_| random.next(vocab_size as u64) as u32)
            .collect();
        let lanes: Vec<DecodeLane> = (0..)
            .zip(&settings)
            .map(|(index, sampling)| lane(index, *sampling, &seen, 9))
            .collect();
        let (decoder, device) = (&mut backend.decoder, &backend.device);
        decoder
            .start(device, &mut backend.forward, &lanes, &[])
            .expect("a start");
        let mut samplers: Vec<Sampler> = settings
            .iter()
            .map(|s| Sampler::new(*s, &seen, vocab_size).expect("sense"))
            .collect();
        let (spread, grain) = (
            random.choose(&[0.5, 2.0, 6.0]),
            random.choose(&[1e-4, 0.25]),
        );
        for step in 0..4 {
            let logits: Vec<f32> = (0..LANES * vocab_size)
                .map(|_| random.logit(spread, grain))
                .collect();
            let tokens = sample(&mut backend, &logits, LANES);
            for (lane, sampler) in samplers.iter_mut().enumerate() {
                let logits = &logits[lane * vocab_size..][..vocab_size];
                assert_eq!(
                    tokens[lane],
                    sampler.sample(logits).expect("numbers") + 1,
                    "round {round}, step {step}, {:?}",
                    settings[lane]
                );
            }
        }
    }
}

#[test]
fn samples_what_the_cpu_samples() {
    agrees_with_the_cpu(320, 60);
    agrees_with_the_cpu(5003, 20);
    agrees_with_the_cpu(49152, 3);
}

#[test]
fn lanes_end_by_themselves() {
    let mut backend = backend(320);
    let greedy = Sampling::default();
    let lanes = [
        lane(2, greedy, &[], 3),
        lane(0, greedy, &[], 2),
        lane(1, greedy, &[], 3),
    ];
    let (decoder, device) = (&mut backend.decoder, &backend.device);
    decoder
        .start(device, &mut backend.forward, &lanes, &[7])
        .expect("a start");
    // Row r wants token 10 + r, but the third row meets an end token at its second step.
    let logits = |wanted: [usize; 3]| {
        let mut logits = vec![0.0; 3 * 320];
        for (row, token) in wanted.into_iter().enumerate() {
            logits[row * 320 + token] = 1.0;
        }
        logits
    };
    assert_eq!(sample(&mut backend, &logits([10, 11, 12]), 3), [11, 12, 13]);
    assert_eq!(sample(&mut backend, &logits([10, 11, 7]), 3), [11, 12, 8]);
    assert_eq!(sample(&mut backend, &logits([10, 11, 12]), 3), [11, 0, 0]);
    assert_eq!(sample(&mut backend, &logits([10, 11, 12]), 3), [0, 0, 0]);
}

#[test]
fn logits_that_are_not_numbers_are_said_to_be() {
    let mut backend = backend(320);
    for wrong in [f32::NAN, -f32::NAN, f32::INFINITY] {
        let lanes = [lane(0, Sampling::default(), &[], 3)];
        let (decoder, device) = (&mut backend.decoder, &backend.device);
        decoder
            .start(device, &mut backend.forward, &lanes, &[])
            .expect("a start");
        let mut logits = vec![0.0; 320];
        logits[100] = wrong;
        assert_eq!(sample(&mut backend, &logits, 1), [NOT_A_NUMBER]);
    }
}
