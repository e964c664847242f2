//! Where figures lie: fresh ones in the target directory, those to keep in `bench/`.

use super::figures::name;
use super::kept;
use crate::project::{Project, create_dir, remove_dir, say};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub struct Store {
    fresh: PathBuf,
    kept: PathBuf,
}

impl Store {
    /// A place for the figures of one run.
    pub fn open(project: &Project) -> Result<Self> {
        let fresh = project.target.join("bench");
        remove_dir(&fresh)?;
        create_dir(&fresh)?;
        Ok(Self {
            fresh,
            kept: kept(project)?,
        })
    }

    /// The folder of this run's figures.
    pub fn folder(&self) -> &Path {
        &self.fresh
    }

    /// A file for this run's figures. What comes before the first dash is kept in its name.
    pub fn fresh(&self, name: &str) -> PathBuf {
        self.fresh.join(format!("{name}.json"))
    }

    /// Copies this run's figures to `bench/`, over those of the same device and model.
    pub fn keep(&self) -> Result<()> {
        for (path, figures) in read(&self.fresh)? {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let place = stem.split('-').next().unwrap_or_default();
            let target = self.kept.join(format!("{}.json", name(place, &figures)));
            fs::copy(&path, &target)
                .with_context(|| format!("cannot write {}", target.display()))?;
            let file = target.file_name().unwrap_or_default().to_string_lossy();
            say(&format!("kept bench/{file}"));
        }
        Ok(())
    }
}

/// The JSON files of a folder, by name.
pub fn read(folder: &Path) -> Result<Vec<(PathBuf, Value)>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let figures = serde_json::from_str(&text)
                .with_context(|| format!("{} is broken", path.display()))?;
            Ok((path, figures))
        })
        .collect()
}
