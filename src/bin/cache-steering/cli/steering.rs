//! `--vectors` and how strongly they are added.

use super::files;
use cache_steering::model::ModelConfig;
use cache_steering::steering::{Steering, SteeringVector, Strength, StrengthUnit};
use cache_steering::{Engine, Error, Result};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
pub struct SteeringArgs {
    /// Steer with this vector; several times for several vectors, which are added in one write
    #[arg(long, value_name = "F.safetensors")]
    vectors: Vec<PathBuf>,
    /// Factor of the vector's values, one for each of --vectors in their order [default: what the
    /// file recommends]
    #[arg(
        long,
        value_name = "C",
        requires = "vectors",
        allow_negative_numbers = true
    )]
    values: Vec<f32>,
    #[command(flatten)]
    strength: StrengthArgs,
    /// Text that follows the prompt, \n for a newline [default: what the vector file recommends]
    #[arg(long, value_name = "TEXT")]
    offset: Option<String>,
}

/// What all vectors have in common.
#[derive(Clone, Copy, clap::Args)]
pub struct StrengthArgs {
    /// Factor of the vector's keys [default: in proportion to that of the values, as the file
    /// recommends]
    #[arg(
        long,
        value_name = "C",
        allow_negative_numbers = true,
        requires = "vectors"
    )]
    keys: Option<f32>,
    /// First layer that is steered, counted from 0 [default: what the file recommends]
    #[arg(long, value_name = "N", requires = "vectors")]
    first_layer: Option<usize>,
    /// Last layer that is steered [default: what the file recommends]
    #[arg(long, value_name = "N", requires = "vectors")]
    last_layer: Option<usize>,
    /// What the factors multiply [default: what the file recommends]
    #[arg(long, value_enum, requires = "vectors")]
    unit: Option<Unit>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Unit {
    /// The vector as it is
    Vector,
    /// The vector at the length of the steered slot, layer by layer
    Slot,
}

impl SteeringArgs {
    /// The vectors with their strengths, if they fit the model.
    pub fn steering(&self, config: &ModelConfig) -> Result<Vec<Steering>> {
        if self.values.len() > self.vectors.len() {
            return Err(Error::InvalidRequest(format!(
                "--values was given {} times, but --vectors {} times",
                self.values.len(),
                self.vectors.len()
            )));
        }
        let mut values = self.values.iter().copied();
        self.vectors
            .iter()
            .map(|path| {
                let vector = read_vector(path, config)?;
                let strength = self.strength.of(&vector, values.next())?;
                strength.check(config.n_layers)?;
                Ok(Steering {
                    vector: Arc::new(vector),
                    strength,
                })
            })
            .collect()
    }

    /// The text between prompt and answer: what was asked for, else what the first vector needs.
    pub fn offset(&self, steering: &[Steering]) -> String {
        match &self.offset {
            Some(text) => text.replace("\\n", "\n"),
            None => steering
                .first()
                .map(|s| s.vector.metadata.offset.clone())
                .unwrap_or_default(),
        }
    }
}

/// A vector that fits the model; an error names the file.
pub fn read_vector(path: &Path, config: &ModelConfig) -> Result<SteeringVector> {
    let bytes = files::read(path)?;
    let read = SteeringVector::from_bytes(&bytes).and_then(|vector| {
        vector.check(config)?;
        Ok(vector)
    });
    read.map_err(|error| Error::InvalidRequest(format!("{}: {error}", path.display())))
}

/// Says where a vector was made with another model of the same sizes: that works, but not well.
pub fn warn_of_foreign(engine: &Engine, vector: &SteeringVector) {
    let made_with = &vector.metadata.model;
    let file = &engine.model().file.sha256;
    if made_with
        .sha256
        .as_ref()
        .is_some_and(|sha256| sha256 != file)
    {
        let name = made_with.name.as_deref().unwrap_or("another model");
        eprintln!(
            "warning: a vector was made with {name}, from a file other than this model's; `extract` makes one that belongs to it"
        );
    }
}

impl StrengthArgs {
    /// What was asked for, else what the vector recommends.
    pub fn of(&self, vector: &SteeringVector, values: Option<f32>) -> Result<Strength> {
        let mut recommended = vector.metadata.recommended;
        let unit = match self.unit {
            Some(Unit::Vector) => StrengthUnit::Vector,
            Some(Unit::Slot) => StrengthUnit::Slot,
            None => recommended.unit,
        };
        if unit != recommended.unit && values.is_none() {
            return Err(Error::InvalidRequest(
                "the vector recommends a strength in another unit: say with --values how many of this one".into(),
            ));
        }
        if let Some(values) = values {
            recommended = recommended.with_values(values);
        }
        Ok(Strength {
            values: recommended.values,
            keys: self.keys.unwrap_or(recommended.keys),
            first_layer: self.first_layer.unwrap_or(recommended.first_layer),
            last_layer: self.last_layer.or(recommended.last_layer),
            unit,
        })
    }
}
