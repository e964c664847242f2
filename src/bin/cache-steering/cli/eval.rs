//! `cache-steering eval`: what vectors do to answers, measured.

use super::files;
use super::measure::{MeasureArgs, extracting};
use super::model::ModelArgs;
use super::steering::{StrengthArgs, read_vector, warn_of_foreign};
use cache_steering::eval::{Condition, Marker, THINK_PROMPT};
use cache_steering::model::ModelConfig;
use cache_steering::steering::{
    Activation, ContrastivePair, Steering, SteeringVector, Strength, contrast,
};
use cache_steering::{Engine, Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// A vector, with its marker, offset, strength and repetition penalty; several times for several
    #[arg(long, value_name = "F.safetensors", required = true)]
    vectors: Vec<PathBuf>,
    /// Factors of the values to try, instead of the one that each vector recommends
    #[arg(
        long,
        value_name = "C,C,...",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    values: Vec<f32>,
    #[command(flatten)]
    strength: StrengthArgs,
    #[command(flatten)]
    activation: ActivationArgs,
    /// Conditions to leave out: plain, offset, prompt, steered, prompt+steered
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    without: Vec<String>,
    #[command(flatten)]
    measure: MeasureArgs,
}

/// Activation steering, for comparison.
#[derive(clap::Args)]
struct ActivationArgs {
    /// Compare with activation steering, from the same pairs of this set, made anew
    #[arg(long, value_name = "F.jsonl")]
    set: Option<PathBuf>,
    /// Layers after which activations are added, counted from 0 [default: at two thirds of the depth]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', requires = "set")]
    activation_layers: Vec<usize>,
    /// Factors of the activations
    #[arg(
        long,
        value_name = "C,C,...",
        value_delimiter = ',',
        requires = "set",
        default_values_t = [2.0],
        allow_negative_numbers = true
    )]
    activation_strengths: Vec<f32>,
}

/// A vector with what it is called, and the pairs that it was made of where they are wanted.
struct Named {
    style: String,
    vector: Arc<SteeringVector>,
    pairs: Vec<ContrastivePair>,
}

pub async fn run(args: Args) -> Result<()> {
    let questions = args.measure.questions()?;
    let text = args.model.text().await?;
    let mut vectors: Vec<Named> = args
        .vectors
        .iter()
        .map(|path| named(path, &text.config))
        .collect::<Result<_>>()?;
    let mut markers = BTreeMap::new();
    for Named { style, vector, .. } in &vectors {
        if let Some(pattern) = &vector.metadata.marker {
            markers.insert(style.clone(), Marker::new(pattern)?);
        }
    }
    if let Some(path) = &args.activation.set {
        let items = contrast::parse(&files::read_text(path)?)?;
        for Named { vector, pairs, .. } in &mut vectors {
            *pairs = vector.metadata.contrastive_pairs(&items, &text.chat)?;
        }
    }
    let mut conditions = args.conditions(&vectors)?;
    for steering in conditions.iter().flat_map(|c| &c.steering) {
        steering.strength.check(text.config.n_layers)?;
    }
    let pairs: Vec<_> = vectors.iter().flat_map(|v| v.pairs.clone()).collect();
    let mut engine = args
        .measure
        .load(&args.model, &text, &questions, &pairs)
        .await?;
    for Named { vector, .. } in &vectors {
        warn_of_foreign(&engine, vector);
    }
    if args.activation.set.is_some() {
        conditions.extend(args.activations(&mut engine, &vectors).await?);
    }
    args.measure
        .run(&mut engine, &questions, &conditions, &markers)
        .await
}

fn named(path: &Path, config: &ModelConfig) -> Result<Named> {
    let vector = read_vector(path, config)?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    Ok(Named {
        style: stem.unwrap_or_default().into_owned(),
        vector: Arc::new(vector),
        pairs: Vec::new(),
    })
}

impl Args {
    fn conditions(&self, vectors: &[Named]) -> Result<Vec<Condition>> {
        const NAMES: [&str; 5] = ["plain", "offset", "prompt", "steered", "prompt+steered"];
        if let Some(unknown) = self.without.iter().find(|w| !NAMES.contains(&w.as_str())) {
            return Err(Error::InvalidRequest(format!(
                "there is no condition {unknown:?}: they are {}",
                NAMES.join(", ")
            )));
        }
        let wants = |name: &str| !self.without.iter().any(|without| without == name);
        let plain = Condition::plain(self.measure.sampling.sampling(&[]));
        let mut conditions = Vec::new();
        if wants("plain") {
            conditions.push(plain.clone());
        }
        if wants("offset") {
            // Vectors of one set have one offset.
            let offset = vectors.first().map(|v| v.vector.metadata.offset.clone());
            conditions.push(Condition {
                name: "offset".into(),
                offset: offset.unwrap_or_default(),
                ..plain.clone()
            });
        }
        if wants("prompt") {
            conditions.push(Condition {
                name: "prompt".into(),
                appended: Some(THINK_PROMPT.into()),
                ..plain.clone()
            });
        }
        for Named { style, vector, .. } in vectors {
            let values: Vec<Option<f32>> = match self.values.is_empty() {
                true => vec![None],
                false => self.values.iter().copied().map(Some).collect(),
            };
            for values in values {
                let strength = self.strength.of(vector, values)?;
                let steering = vec![Steering {
                    strength,
                    vector: vector.clone(),
                }];
                let steered = Condition {
                    name: steered_name(style, &strength),
                    style: Some(style.clone()),
                    offset: vector.metadata.offset.clone(),
                    sampling: self.measure.sampling.sampling(&steering),
                    steering,
                    ..plain.clone()
                };
                let prompted = Condition {
                    name: format!("prompt + {}", steered.name),
                    appended: Some(THINK_PROMPT.into()),
                    ..steered.clone()
                };
                if wants("steered") {
                    conditions.push(steered);
                }
                if wants("prompt+steered") {
                    conditions.push(prompted);
                }
            }
        }
        Ok(conditions)
    }
    /// The conditions in which directions of the residual stream are added at every step.
    async fn activations(&self, engine: &mut Engine, vectors: &[Named]) -> Result<Vec<Condition>> {
        let mut layers = self.activation.activation_layers.clone();
        if layers.is_empty() {
            layers.push(Activation::usual_layer(engine.model().config.n_layers));
        }
        let directions = extracting(engine, async |extractor, observer| {
            let mut directions = Vec::with_capacity(vectors.len());
            for Named { pairs, .. } in vectors {
                directions.push(extractor.directions(pairs, &layers, observer).await?);
            }
            Ok(directions)
        })
        .await?;
        let mut conditions = Vec::new();
        for (Named { style, vector, .. }, directions) in vectors.iter().zip(directions) {
            let steering = [Steering {
                vector: vector.clone(),
                strength: vector.metadata.recommended,
            }];
            let sampling = self.measure.sampling.sampling(&steering);
            for (&layer, direction) in layers.iter().zip(directions) {
                for strength in &self.activation.activation_strengths {
                    conditions.push(Condition {
                        name: format!("activation, {style}, layer {layer} at {strength}"),
                        style: Some(style.clone()),
                        activation: Some(Activation::new(layer, &direction, *strength)),
                        ..Condition::plain(sampling)
                    });
                }
            }
        }
        Ok(conditions)
    }
}

/// A condition's name says all of its strength: answers that were kept are found by it.
pub fn steered_name(style: &str, strength: &Strength) -> String {
    let mut name = format!("{style} at {}", strength.values);
    let usual = Strength {
        values: strength.values,
        ..Strength::default()
    };
    if strength.keys != usual.keys {
        name.push_str(&format!(", keys {}", strength.keys));
    }
    match (strength.first_layer, strength.last_layer) {
        (first, None) if first == usual.first_layer => {}
        (first, None) => name.push_str(&format!(", from layer {first}")),
        (first, Some(last)) => name.push_str(&format!(", layers {first} to {last}")),
    }
    if strength.unit != usual.unit {
        name.push_str(" of the slot");
    }
    name
}
