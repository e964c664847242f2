//! What stands in a vector file beside its tensors, as strings:
//!
//! | metadata key | what it says |
//! |---|---|
//! | `format_version` | `1` |
//! | `site`, `operation` | where and how it is applied: that of its [`KeyFrame`], [`OPERATION`] |
//! | `model_name`, `model_architecture`, `model_sha256` | the model it was extracted from |
//! | `n_layers`, `n_kv_heads`, `head_dim` | that model's sizes |
//! | `offset` | the text whose tokens follow the prompt |
//! | `first_layer`, `last_layer`, `recommended_values`, `recommended_keys`, `unit` | the [`Strength`] to start with |
//! | `repetition_penalty` | the [`Sampling`](crate::generate::Sampling) to start with |
//! | `label`, `description` | a name and one line for people |
//! | `marker` | a regular expression that finds the style in an answer |
//! | `pair_set`, `style`, `pairs`, `shots`, `selection`, `seed` | what it was made from |
//! | `extraction` | how, as JSON: [`ExtractOptions`] where they are not the default |
//! | `made_by` | the program and version that made it |

use super::contrast::{self, ContrastItem, PairOptions, Selection};
use super::vector::bad;
use super::{ContrastivePair, ExtractOptions, Strength};
use crate::model::ChatTemplate;
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Version of the file format.
pub const FORMAT_VERSION: &str = "1";
/// What is done with it there.
pub const OPERATION: &str = "add";

/// Which position's turn (RoPE) a vector's keys have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyFrame {
    /// That of wherever they were in their prompts, mixed by the mean: as in the paper.
    #[default]
    Cached,
    /// That of position 0: turned back before the mean, and to the steered position when applied.
    Zero,
}

impl KeyFrame {
    const ALL: [Self; 2] = [Self::Cached, Self::Zero];

    /// The place in the model that a vector is for.
    fn site(self) -> &'static str {
        match self {
            Self::Cached => "kv-cache, last prompt token, keys after RoPE",
            Self::Zero => "kv-cache, last prompt token, keys turned back to position 0",
        }
    }
}

/// What a vector is for and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VectorMetadata {
    /// The model it was extracted from.
    pub model: VectorModel,
    /// Text whose tokens follow the prompt, so that the steered slot is of the kind that the
    /// vector was taken from.
    pub offset: String,
    /// The strength to start with.
    pub recommended: Strength,
    /// The repetition penalty to start with.
    pub repetition_penalty: Option<f32>,
    /// A short name for people.
    pub label: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// A regular expression that finds the style in an answer: a [`Marker`](crate::eval::Marker).
    pub marker: Option<String>,
    /// The name of the set of contrastive pairs.
    pub pair_set: Option<String>,
    /// The style that was taken of it.
    pub style: Option<String>,
    /// Number of pairs.
    pub pairs: Option<usize>,
    /// Few-shot examples in each prompt.
    pub shots: Option<usize>,
    /// How the few-shot examples were chosen.
    pub selection: Option<Selection>,
    /// Seed with which the few-shot examples were drawn.
    pub seed: Option<u64>,
    /// How it was made of the pairs.
    pub extraction: ExtractOptions,
    /// The program and version that made it.
    pub made_by: Option<String>,
}

/// The model that a vector was extracted from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VectorModel {
    /// `general.name` of the model file.
    pub name: Option<String>,
    /// `general.architecture` of the model file.
    pub architecture: Option<String>,
    /// SHA-256 of the model file, in hexadecimal.
    pub sha256: Option<String>,
}

impl Default for VectorMetadata {
    fn default() -> Self {
        Self {
            model: VectorModel::default(),
            offset: "\n".into(),
            recommended: Strength::default(),
            repetition_penalty: None,
            label: None,
            description: None,
            marker: None,
            pair_set: None,
            style: None,
            pairs: None,
            shots: None,
            selection: None,
            seed: None,
            extraction: ExtractOptions::default(),
            made_by: None,
        }
    }
}

impl VectorMetadata {
    /// The pairs that the vector was made from, made anew of the contrastive set.
    ///
    /// # Errors
    /// [`Error::Pairs`] where it was not made of a set; otherwise as [`contrast::pairs`].
    pub fn contrastive_pairs(
        &self,
        items: &[ContrastItem],
        chat: &ChatTemplate,
    ) -> Result<Vec<ContrastivePair>> {
        let (Some(style), Some(pairs), Some(shots)) = (&self.style, self.pairs, self.shots) else {
            return Err(Error::Pairs {
                reason: "the vector does not say of which style and pairs of a set it was made"
                    .into(),
            });
        };
        let defaults = PairOptions::default();
        let options = PairOptions {
            pairs,
            shots,
            selection: self.selection.unwrap_or(defaults.selection),
            seed: self.seed.unwrap_or(defaults.seed),
        };
        contrast::pairs(items, style, &options, chat)
    }

    /// Metadata from the strings of a file; what is missing gets its default.
    pub(super) fn from_entries(entries: &BTreeMap<String, String>) -> Result<Self> {
        for (key, expected) in [("format_version", FORMAT_VERSION), ("operation", OPERATION)] {
            if let Some(found) = entries.get(key).filter(|found| *found != expected) {
                return Err(bad(format!(
                    "its {key} is {found:?}, and this program knows only {expected:?}"
                )));
            }
        }
        let defaults = Self::default();
        let extraction: ExtractOptions = json(entries, "extraction")?.unwrap_or_default();
        let key_frame = match entries.get("site") {
            None => KeyFrame::default(),
            Some(site) => KeyFrame::ALL
                .into_iter()
                .find(|frame| frame.site() == site)
                .ok_or_else(|| {
                    bad(format!(
                        "its site is {site:?}, and this program knows only {:?}",
                        KeyFrame::ALL.map(KeyFrame::site)
                    ))
                })?,
        };
        let text = |key: &str| entries.get(key).cloned();
        let recommended = Strength {
            values: number(entries, "recommended_values")?.unwrap_or(defaults.recommended.values),
            keys: number(entries, "recommended_keys")?.unwrap_or(defaults.recommended.keys),
            first_layer: number(entries, "first_layer")?
                .unwrap_or(defaults.recommended.first_layer),
            last_layer: number(entries, "last_layer")?,
            unit: word(entries, "unit")?.unwrap_or_default(),
        };
        if !recommended.values.is_finite() || !recommended.keys.is_finite() {
            return Err(bad("its recommended strength is not a finite number".into()));
        }
        Ok(Self {
            model: VectorModel {
                name: text("model_name"),
                architecture: text("model_architecture"),
                sha256: text("model_sha256"),
            },
            offset: text("offset").unwrap_or(defaults.offset),
            recommended,
            repetition_penalty: number(entries, "repetition_penalty")?,
            label: text("label"),
            description: text("description"),
            marker: text("marker"),
            pair_set: text("pair_set"),
            style: text("style"),
            pairs: number(entries, "pairs")?,
            shots: number(entries, "shots")?,
            selection: word(entries, "selection")?,
            seed: number(entries, "seed")?,
            extraction: ExtractOptions {
                key_frame,
                ..extraction
            },
            made_by: text("made_by"),
        })
    }

    /// The strings of a file, for a vector of these sizes.
    pub(super) fn to_entries(
        &self,
        [n_layers, n_kv_heads, head_dim]: [usize; 3],
    ) -> BTreeMap<String, String> {
        let number = |n: Option<usize>| n.map(|n| n.to_string());
        let extraction = ExtractOptions {
            key_frame: KeyFrame::default(),
            ..self.extraction
        };
        let unusual = (extraction != ExtractOptions::default()).then_some(extraction);
        [
            ("format_version", Some(FORMAT_VERSION.to_string())),
            ("site", Some(self.extraction.key_frame.site().to_string())),
            ("operation", Some(OPERATION.to_string())),
            ("model_name", self.model.name.clone()),
            ("model_architecture", self.model.architecture.clone()),
            ("model_sha256", self.model.sha256.clone()),
            ("n_layers", number(Some(n_layers))),
            ("n_kv_heads", number(Some(n_kv_heads))),
            ("head_dim", number(Some(head_dim))),
            ("offset", Some(self.offset.clone())),
            ("first_layer", number(Some(self.recommended.first_layer))),
            (
                "recommended_values",
                Some(self.recommended.values.to_string()),
            ),
            ("recommended_keys", Some(self.recommended.keys.to_string())),
            ("last_layer", number(self.recommended.last_layer)),
            ("unit", to_word(&self.recommended.unit)),
            (
                "repetition_penalty",
                self.repetition_penalty.map(|penalty| penalty.to_string()),
            ),
            ("label", self.label.clone()),
            ("description", self.description.clone()),
            ("marker", self.marker.clone()),
            ("pair_set", self.pair_set.clone()),
            ("style", self.style.clone()),
            ("pairs", number(self.pairs)),
            ("shots", number(self.shots)),
            ("selection", self.selection.as_ref().and_then(to_word)),
            ("seed", self.seed.map(|seed| seed.to_string())),
            (
                "extraction",
                unusual.and_then(|options| serde_json::to_string(&options).ok()),
            ),
            ("made_by", self.made_by.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_string(), value?)))
        .collect()
    }
}

fn number<T: FromStr<Err: Display>>(
    entries: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<T>> {
    entries
        .get(key)
        .map(|text| {
            text.parse()
                .map_err(|e| bad(format!("its {key} is {text:?}: {e}")))
        })
        .transpose()
}

fn json<T: DeserializeOwned>(entries: &BTreeMap<String, String>, key: &str) -> Result<Option<T>> {
    entries
        .get(key)
        .map(|text| {
            serde_json::from_str(text).map_err(|e| bad(format!("its {key} is {text:?}: {e}")))
        })
        .transpose()
}

/// One of a few words, as JSON would name it.
fn word<T: DeserializeOwned>(entries: &BTreeMap<String, String>, key: &str) -> Result<Option<T>> {
    entries
        .get(key)
        .map(|text| {
            serde_json::from_value(text.as_str().into())
                .map_err(|e| bad(format!("its {key} is {text:?}: {e}")))
        })
        .transpose()
}

fn to_word(value: &impl Serialize) -> Option<String> {
    let value = serde_json::to_value(value).ok()?;
    value.as_str().map(str::to_owned)
}
