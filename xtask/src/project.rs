//! Where things are, running programs, and remembering what is done.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The working tree and the target directory.
pub struct Project {
    pub root: PathBuf,
    pub target: PathBuf,
}

impl Project {
    /// Asks cargo, so that a target directory set by the user's configuration is respected.
    pub fn find() -> Result<Self> {
        let json = capture(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
        let metadata: serde_json::Value =
            serde_json::from_str(&json).context("cannot read what `cargo metadata` printed")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` does not say `{key}`"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
        })
    }

    /// A program to run in the root of the working tree.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root);
        command
    }

    /// `cargo` with these arguments, in the root of the working tree.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(args);
        command
    }

    /// Where the pinned cargo-built tools live.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// `PATH` with the project's own tools first.
    pub fn path_with_tools(&self) -> Result<OsString> {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let own = std::iter::once(self.tools().join("bin"));
        env::join_paths(own.chain(env::split_paths(&inherited)))
            .context("the target directory's path cannot be put on PATH")
    }

    /// What `name` was last done with, if that was `key`, need not be done again.
    pub fn is_done(&self, name: &str, key: &str) -> bool {
        fs::read_to_string(self.stamp(name)).is_ok_and(|done| done == key)
    }

    /// Remembers that `name` was done with `key`.
    pub fn set_done(&self, name: &str, key: &str) -> Result<()> {
        let stamp = self.stamp(name);
        create_dir(&self.target.join("stamps"))?;
        fs::write(&stamp, key).with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn stamp(&self, name: &str) -> PathBuf {
        self.target.join("stamps").join(name)
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Says what is going on, above the output of the program that does it.
pub fn say(message: &str) {
    eprintln!("==> {message}");
}

/// Runs to the end with the terminal's output; any status but success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|e| cannot_start(command, e))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs to the end and returns what was printed on standard output.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| cannot_start(command, e))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed ({}): {}",
            line(command),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cannot_start(command: &Command, error: io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy().into_owned();
    anyhow::Error::new(error).context(format!("cannot start `{program}`"))
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy()));
    words.join(" ")
}

pub fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// Removes a directory with all that is in it; one that is not there is fine.
pub fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    fs::File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut digest))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(format!("{:x}", digest.finalize()))
}
