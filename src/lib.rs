//! Runs SmolLM2, or another small language model ([`model::Architecture`]), with WGSL compute shaders,
//! in the browser and natively, and steers it with **one write to its KV cache**.
//!
//! The method is *KV Cache Steering for Inducing Reasoning in Small Language Models* (Belitsky et
//! al. 2025, arXiv 2507.08799). A vector that was averaged over pairs of prompts is added to the
//! cached keys and values of one position; a model that would have answered in one line then
//! reasons step by step. There is no hook in the forward pass and no cost per token.
//!
//! # Map
//! In the order in which data flows:
//!
//! | module | what it is |
//! |---|---|
//! | [`model`] | what a checkpoint is: GGUF stream, configuration, tokenizer, chat template, quantised weights |
//! | [`backend`] | where it runs: one trait, [`backend::gpu`] (wgpu) and [`backend::cpu`] |
//! | [`engine`] | a model on a backend, with its lanes: the KV caches of several sequences |
//! | [`steering`] | the vector file, contrastive pairs, extraction, and the write to the cache |
//! | [`observer`] | progress of long work, and the way to stop it |
//! | [`generate`] | sampling, stop rules, and the loop that streams tokens from several lanes |
//! | [`eval`] | what steering does to answers, measured |
//! | [`benchmark`] | how fast a device runs a model, with the figures that explain it |
//! | `web` | the same for JavaScript (wasm only) |

pub mod backend;
pub mod benchmark;
pub mod engine;
mod error;
pub mod eval;
pub mod generate;
mod lines;
pub mod model;
pub mod observer;
pub mod steering;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use engine::Engine;
pub use error::{Error, Result};

/// The README's example must compile; it reads a file, which a browser cannot.
#[cfg(all(doctest, not(target_arch = "wasm32")))]
#[doc = include_str!("../README.md")]
struct Readme;
