//! How a question is asked.

use crate::generate::{LaneRequest, Sampling, prompt_ids};
use crate::model::{Message, Model};
use crate::steering::{Activation, Steering};
use crate::{Result, eval::Question};
use sha2::{Digest, Sha256};

/// What asks a model to reason without any steering (Kojima et al. 2022, arXiv 2205.11916).
pub const THINK_PROMPT: &str = "Let's think step by step.";

/// One way to have questions answered.
#[derive(Debug, Clone)]
pub struct Condition {
    /// What it is called in the results.
    pub name: String,
    /// The style whose marker counts, where it is one style's condition.
    pub style: Option<String>,
    /// What follows the question, in a paragraph of its own; see [`THINK_PROMPT`].
    pub appended: Option<String>,
    /// Text that follows the prompt.
    pub offset: String,
    /// What is added to the cache.
    pub steering: Vec<Steering>,
    /// What is added to the residual stream at every step.
    pub activation: Option<Activation>,
    /// How tokens are chosen.
    pub sampling: Sampling,
}

impl Condition {
    /// The question and nothing else.
    pub fn plain(sampling: Sampling) -> Self {
        Self {
            name: "plain".into(),
            style: None,
            appended: None,
            offset: String::new(),
            steering: Vec::new(),
            activation: None,
            sampling,
        }
    }

    /// A digest of everything but the name.
    pub(super) fn digest(&self) -> String {
        let mut bytes = format!("{:?}", (&self.appended, &self.offset, self.sampling)).into_bytes();
        for Steering { vector, strength } in &self.steering {
            let frame = vector.metadata.extraction.key_frame;
            bytes.extend(format!("{strength:?} {frame:?}").bytes());
            bytes.extend_from_slice(bytemuck::cast_slice(&vector.keys));
            bytes.extend_from_slice(bytemuck::cast_slice(&vector.values));
        }
        if let Some(activation) = &self.activation {
            bytes.extend(format!("activation {}", activation.layer).bytes());
            bytes.extend_from_slice(bytemuck::cast_slice(&activation.delta));
        }
        digest(&bytes)
    }

    /// The tokens of a question's prompt, with the generation prompt.
    pub(super) fn prompt(&self, model: &Model, question: &Question) -> Result<Vec<u32>> {
        let content = match &self.appended {
            Some(appended) => format!("{}\n\n{appended}", question.text),
            None => question.text.clone(),
        };
        let role = "user".into();
        prompt_ids(model, &[Message { role, content }])
    }

    /// A lane with this prompt.
    pub(super) fn lane(
        &self,
        model: &Model,
        prompt: Vec<u32>,
        sample: usize,
    ) -> Result<LaneRequest> {
        Ok(LaneRequest {
            prompt: Some(prompt),
            offset: model.tokenizer.encode(&self.offset)?,
            steering: self.steering.clone(),
            activation: self.activation.clone(),
            sampling: Sampling {
                seed: self.sampling.seed.wrapping_add(sample as u32),
                ..self.sampling
            },
        })
    }
}

/// The first 16 hexadecimal digits of SHA-256: for telling apart, not for safety.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
