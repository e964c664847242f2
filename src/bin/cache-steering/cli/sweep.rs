//! `cache-steering sweep`: styles with one thing changed, from value to value, and measured.

use super::eval::steered_name;
use super::files;
use super::measure::{MeasureArgs, extracting};
use super::model::ModelArgs;
use cache_steering::eval::{Condition, Marker};
use cache_steering::steering::{ContrastivePair, Steering, Style, contrast, style};
use cache_steering::{Error, Result};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The contrastive set
    #[arg(long, value_name = "F.jsonl")]
    set: PathBuf,
    /// The list of styles
    #[arg(long, value_name = "F.json")]
    styles: PathBuf,
    /// A style of the list; several times for several [default: all]
    #[arg(long = "style", value_name = "NAME")]
    only: Vec<String>,
    /// What is changed
    #[arg(long, value_enum)]
    over: Over,
    /// The values that it takes
    #[arg(
        long,
        value_name = "X,X,...",
        value_delimiter = ',',
        required = true,
        allow_negative_numbers = true
    )]
    at: Vec<f32>,
    #[command(flatten)]
    measure: MeasureArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Over {
    /// The factor of the values
    Values,
    /// The factor of the keys
    Keys,
    /// How many pairs the vector is made of
    Pairs,
    /// How many examples a prompt of a pair has
    Shots,
    /// The first layer that is steered
    FirstLayer,
    /// The last layer that is steered
    LastLayer,
}

/// A style with one value changed.
struct Changed {
    style: Style,
    condition: String,
    pairs: Vec<ContrastivePair>,
}

pub async fn run(args: Args) -> Result<()> {
    let questions = args.measure.questions()?;
    let text = args.model.text().await?;
    let items = contrast::parse(&files::read_text(&args.set)?)?;
    let styles = args.styles()?;
    let mut markers = BTreeMap::new();
    let mut changed = Vec::new();
    for style in &styles {
        markers.insert(style.id.clone(), Marker::new(&style.marker)?);
        for &value in &args.at {
            let style = args.over.change(style, value)?;
            style.recommended.check(text.config.n_layers)?;
            changed.push(Changed {
                condition: args.over.name(&style, value),
                pairs: style.pairs(&items, &text.chat)?,
                style,
            });
        }
    }
    let pairs: Vec<_> = changed.iter().flat_map(|c| c.pairs.clone()).collect();
    let mut engine = args
        .measure
        .load(&args.model, &text, &questions, &pairs)
        .await?;
    let conditions = extracting(&mut engine, async |extractor, observer| {
        let mut conditions = Vec::with_capacity(changed.len());
        for Changed {
            style,
            condition,
            pairs,
        } in &changed
        {
            let metadata = style.metadata("");
            let options = &style.extraction;
            let vector = extractor
                .extract(pairs, options, metadata, observer)
                .await?;
            let steering = vec![Steering {
                vector: Arc::new(vector),
                strength: style.recommended,
            }];
            let sampling = args.measure.sampling.sampling(&steering);
            conditions.push(Condition {
                name: condition.clone(),
                style: Some(style.id.clone()),
                offset: style.offset.clone(),
                steering,
                ..Condition::plain(sampling)
            });
        }
        Ok(conditions)
    })
    .await?;
    args.measure
        .run(&mut engine, &questions, &conditions, &markers)
        .await
}

impl Args {
    fn styles(&self) -> Result<Vec<Style>> {
        let all = style::parse(&files::read_text(&self.styles)?)?;
        let known = |id: &&String| all.iter().any(|style| style.id == **id);
        if let Some(unknown) = self.only.iter().find(|id| !known(id)) {
            let names: Vec<&str> = all.iter().map(|style| style.id.as_str()).collect();
            return Err(Error::InvalidRequest(format!(
                "there is no style {unknown:?}: they are {}",
                names.join(", ")
            )));
        }
        let wanted = |style: &Style| self.only.is_empty() || self.only.contains(&style.id);
        Ok(all.into_iter().filter(wanted).collect())
    }
}

impl Over {
    fn change(self, style: &Style, value: f32) -> Result<Style> {
        let whole = || {
            let is_whole = value >= 0.0 && value.fract() == 0.0;
            is_whole.then_some(value as usize).ok_or_else(|| {
                Error::InvalidRequest(format!("{value} is no number of pairs, shots or layers"))
            })
        };
        let mut style = style.clone();
        match self {
            Self::Values => style.recommended = style.recommended.with_values(value),
            Self::Keys => style.recommended.keys = value,
            Self::Pairs => style.pairs.pairs = whole()?,
            Self::Shots => style.pairs.shots = whole()?,
            Self::FirstLayer => style.recommended.first_layer = whole()?,
            Self::LastLayer => style.recommended.last_layer = Some(whole()?),
        }
        Ok(style)
    }

    fn name(self, style: &Style, value: f32) -> String {
        let steered = steered_name(&style.id, &style.recommended);
        match self {
            Self::Pairs => format!("{steered}, {value} pairs"),
            Self::Shots => format!("{steered}, {value} shots"),
            _ => steered,
        }
    }
}
