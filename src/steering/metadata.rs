//! What stands in a vector file beside its tensors, as strings:
//!
//! | metadata key | what it says |
//! |---|---|
//! | `format_version` | `1` |
//! | `site`, `operation` | where and how it is applied: [`SITE`], [`OPERATION`] |
//! | `model_name`, `model_architecture`, `model_sha256` | the model it was extracted from |
//! | `n_layers`, `n_kv_heads`, `head_dim` | that model's sizes |
//! | `offset` | the text whose tokens follow the prompt |
//! | `first_layer`, `recommended_values`, `recommended_keys` | the [`Strength`] to start with |
//! | `label`, `description` | a name and one line for people |
//! | `pair_set`, `pairs`, `shots`, `seed` | what it was made from |
//! | `made_by` | the program and version that made it |

use super::Strength;
use super::vector::bad;
use crate::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Version of the file format.
pub const FORMAT_VERSION: &str = "1";
/// The place in the model that a vector of this format is for.
pub const SITE: &str = "kv-cache, last prompt token, keys after RoPE";
/// What is done with it there.
pub const OPERATION: &str = "add";

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
    /// A short name for people.
    pub label: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// The name of the set of contrastive pairs.
    pub pair_set: Option<String>,
    /// Number of pairs.
    pub pairs: Option<usize>,
    /// Few-shot examples in each prompt.
    pub shots: Option<usize>,
    /// Seed with which the few-shot examples were drawn.
    pub seed: Option<u64>,
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
            label: None,
            description: None,
            pair_set: None,
            pairs: None,
            shots: None,
            seed: None,
            made_by: None,
        }
    }
}

impl VectorMetadata {
    /// Metadata from the strings of a file; what is missing gets its default.
    pub(super) fn from_entries(entries: &BTreeMap<String, String>) -> Result<Self> {
        for (key, expected) in [
            ("format_version", FORMAT_VERSION),
            ("site", SITE),
            ("operation", OPERATION),
        ] {
            if let Some(found) = entries.get(key).filter(|found| *found != expected) {
                return Err(bad(format!(
                    "its {key} is {found:?}, and this program knows only {expected:?}"
                )));
            }
        }
        let defaults = Self::default();
        let text = |key: &str| entries.get(key).cloned();
        let recommended = Strength {
            values: number(entries, "recommended_values")?.unwrap_or(defaults.recommended.values),
            keys: number(entries, "recommended_keys")?.unwrap_or(defaults.recommended.keys),
            first_layer: number(entries, "first_layer")?
                .unwrap_or(defaults.recommended.first_layer),
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
            label: text("label"),
            description: text("description"),
            pair_set: text("pair_set"),
            pairs: number(entries, "pairs")?,
            shots: number(entries, "shots")?,
            seed: number(entries, "seed")?,
            made_by: text("made_by"),
        })
    }

    /// The strings of a file, for a vector of these sizes.
    pub(super) fn to_entries(
        &self,
        [n_layers, n_kv_heads, head_dim]: [usize; 3],
    ) -> BTreeMap<String, String> {
        let number = |n: Option<usize>| n.map(|n| n.to_string());
        [
            ("format_version", Some(FORMAT_VERSION.to_string())),
            ("site", Some(SITE.to_string())),
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
            ("label", self.label.clone()),
            ("description", self.description.clone()),
            ("pair_set", self.pair_set.clone()),
            ("pairs", number(self.pairs)),
            ("shots", number(self.shots)),
            ("seed", self.seed.map(|seed| seed.to_string())),
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
