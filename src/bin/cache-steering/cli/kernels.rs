//! Which kernels were the fastest on this device, kept in the user's cache folder: measuring them
//! takes about a second. The engine itself finds out whether they are of this adapter, driver,
//! model and version.

use cache_steering::Engine;
use cache_steering::backend::gpu::KernelChoices;
use std::fs;
use std::path::{Path, PathBuf};

/// What was kept for a model file.
pub fn remembered(model: &Path) -> Option<KernelChoices> {
    serde_json::from_slice(&fs::read(file(model)?).ok()?).ok()
}

/// Keeps what was measured. A folder that cannot be written to costs a second the next time.
pub fn remember(model: &Path, engine: &Engine) {
    let measured = engine.kernel_choices().filter(|kernels| kernels.key != 0);
    let (Some(kernels), Some(file)) = (measured, file(model)) else {
        return;
    };
    let kept = serde_json::to_vec(&kernels).map_err(std::io::Error::from);
    let written = kept.and_then(|json| {
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        fs::write(&file, json)
    });
    if let Err(error) = written {
        log::warn!("{}: {error}", file.display());
    }
}

fn file(model: &Path) -> Option<PathBuf> {
    let name = model.file_stem()?.to_string_lossy();
    let folder = dirs::cache_dir()?.join("cache-steering");
    Some(folder.join(format!("{name}.kernels.json")))
}
