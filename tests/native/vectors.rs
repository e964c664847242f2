//! The vectors that the project ships: the list that the page reads says what their files say.

use cache_steering::steering::{SteeringVector, pairs};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Preset {
    id: String,
    label: String,
    description: String,
    file: String,
    recommended: Recommended,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recommended {
    values: f32,
    keys: f32,
    first_layer: usize,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

#[test]
fn the_list_says_what_the_files_say() {
    let list = std::fs::read_to_string(folder().join("index.json")).expect("the list");
    let list: BTreeMap<String, Vec<Preset>> = serde_json::from_str(&list).expect("its format");
    assert!(!list["SmolLM2-135M-Instruct"].is_empty());
    for (model, presets) in list {
        for preset in presets {
            let path = folder().join(&model).join(&preset.file);
            let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let metadata = SteeringVector::from_bytes(&bytes)
                .expect("a vector")
                .metadata;
            assert_eq!(preset.file, format!("{}.safetensors", preset.id));
            assert_eq!(metadata.label, Some(preset.label));
            assert_eq!(metadata.description, Some(preset.description));
            let Recommended {
                values,
                keys,
                first_layer,
            } = preset.recommended;
            let strength = metadata.recommended;
            assert_eq!(
                (strength.values, strength.keys, strength.first_layer),
                (values, keys, first_layer)
            );
            let pair_set = metadata.pair_set.expect("the pairs it was made from");
            let text = std::fs::read_to_string(folder().join(format!("pairs/{pair_set}.json")))
                .expect("the pairs");
            assert_eq!(
                Some(pairs::parse(&text).expect("pairs").len()),
                metadata.pairs
            );
        }
    }
}
