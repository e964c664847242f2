//! A style: what a preset is made from, whatever the model.

use super::contrast::{self, ContrastItem, PairOptions};
use super::{ContrastivePair, ExtractOptions, Strength, VectorMetadata};
use crate::model::ChatTemplate;
use crate::{Error, Result, lines};
use serde::{Deserialize, Serialize};

/// How to make the vector of one style from a contrastive set, and how to use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Style {
    /// Name of the vector's file, and of the reasoning in the items of the set.
    pub id: String,
    /// A short name for people.
    pub label: String,
    /// One line for people.
    pub description: String,
    /// A regular expression that finds the style in an answer.
    pub marker: String,
    /// Which pairs to make.
    #[serde(flatten)]
    pub pairs: PairOptions,
    /// How to make the vector of them.
    #[serde(default)]
    pub extraction: ExtractOptions,
    /// Text that follows the prompt.
    pub offset: String,
    /// The strength to start with.
    pub recommended: Strength,
    /// The repetition penalty to start with.
    pub repetition_penalty: f32,
}

/// Reads a JSON list of styles.
///
/// # Errors
/// [`Error::Pairs`].
pub fn parse(text: &str) -> Result<Vec<Style>> {
    lines::parse(text).map_err(|reason| Error::Pairs {
        reason: format!("the list of styles: {reason}"),
    })
}

impl Style {
    /// The pairs that a set makes for this style.
    ///
    /// # Errors
    /// As [`contrast::pairs`].
    pub fn pairs(
        &self,
        items: &[ContrastItem],
        chat: &ChatTemplate,
    ) -> Result<Vec<ContrastivePair>> {
        contrast::pairs(items, &self.id, &self.pairs, chat)
    }

    /// What is known of the vector before it is made; `set` is the name of the contrastive set.
    pub fn metadata(&self, set: &str) -> VectorMetadata {
        VectorMetadata {
            offset: self.offset.clone(),
            recommended: self.recommended,
            repetition_penalty: Some(self.repetition_penalty),
            label: Some(self.label.clone()),
            description: Some(self.description.clone()),
            marker: Some(self.marker.clone()),
            pair_set: Some(set.into()),
            style: Some(self.id.clone()),
            shots: Some(self.pairs.shots),
            selection: Some(self.pairs.selection),
            seed: Some(self.pairs.seed),
            ..VectorMetadata::default()
        }
    }
}
