//! The vectors that the project ships: the list that the page reads says what their files say.

use cache_steering::eval::{Marker, Question, question};
use cache_steering::model::ChatTemplate;
use cache_steering::steering::contrast::{self, ContrastItem, PairOptions};
use cache_steering::steering::{SteeringVector, Strength, style};
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
    recommended: Strength,
    repetition_penalty: f32,
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
            assert_eq!(metadata.recommended, preset.recommended);
            assert_eq!(metadata.repetition_penalty, Some(preset.repetition_penalty));
            Marker::new(&metadata.marker.expect("a marker")).expect("a regular expression");
            // What it says of itself makes its pairs.
            assert_eq!(metadata.pair_set.as_deref(), Some("contrastive"));
            let options = PairOptions {
                pairs: metadata.pairs.expect("their number"),
                shots: metadata.shots.expect("examples in each"),
                selection: metadata.selection.expect("a way to choose them"),
                seed: metadata.seed.expect("a seed"),
            };
            let style = metadata.style.expect("a style");
            assert_eq!(style, preset.id);
            let chat = ChatTemplate::new("{% for m in messages %}{{ m.content }}\n{% endfor %}");
            let pairs = contrast::pairs(&items(), &style, &options, &chat).expect("pairs");
            assert_eq!(pairs.len(), options.pairs);
        }
    }
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn items() -> Vec<ContrastItem> {
    contrast::parse(&text("contrastive.jsonl")).expect("the set")
}

/// Short, with and without choices, and answered in every style by a reasoning that begins alike.
#[test]
fn the_set_is_uniform() {
    let items = items();
    let styles = style::parse(&text("styles.json")).expect("styles");
    assert!(items.len() >= 60, "{}", items.len());
    let with_choices = items.iter().filter(|item| !item.choices.is_empty()).count();
    assert!((items.len() / 3..=2 * items.len() / 3).contains(&with_choices));
    for item in &items {
        let words = item.question.split_whitespace().count();
        assert!(words <= 45, "{}", item.question);
        if !item.choices.is_empty() {
            let letter = item.answer.bytes().next().expect("a letter");
            let choice = usize::from(letter.wrapping_sub(b'A'));
            assert!(item.answer.len() == 1 && choice < item.choices.len());
        }
        for style in &styles {
            let reasoning = &item.reasoning[&style.id];
            let marker = Marker::new(&style.marker).expect("a marker");
            assert!(marker.is_in(reasoning), "{}: {reasoning}", style.id);
            assert!(reasoning.ends_with('.') && !reasoning.contains(".."));
        }
    }
}

/// What vectors are made from, chosen with and reported on are different questions.
#[test]
fn no_question_is_used_twice() {
    let normal = |text: &str| {
        text.to_lowercase()
            .replace(|c: char| !c.is_alphanumeric(), "")
    };
    let mut asked: Vec<String> = items().iter().map(|item| normal(&item.question)).collect();
    for (name, least) in [("tuning", 20), ("held-out", 40)] {
        let questions = question::parse(&text(&format!("questions/{name}.jsonl")));
        let questions = questions.expect("questions");
        for choices in [false, true] {
            let of_kind = questions.iter().filter(|q| q.has_choices() == choices);
            assert!(of_kind.count() >= least, "{name}");
        }
        let text = |q: &Question| normal(q.text.split("\n\nChoices").next().unwrap_or_default());
        asked.extend(questions.iter().map(text));
    }
    let all = asked.len();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all);
}
