//! The pinned tools that the project brings itself: each is checked for, and installed if missing.

use crate::project::{Project, capture, run, say, sha256};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

const WASM_TARGET: &str = "wasm32-unknown-unknown";
const WASM_PACK: &str = "0.15.1";
const NODE_MAJOR: u32 = 20;

/// The standard library for WebAssembly, through rustup.
pub fn wasm_target(project: &Project) -> Result<()> {
    let libs = capture(Command::new("rustc").current_dir(&project.root).args([
        "--print=target-libdir",
        "--target",
        WASM_TARGET,
    ]))?;
    if PathBuf::from(libs.trim()).exists() {
        return Ok(());
    }
    say("adding the WebAssembly target to the Rust toolchain");
    let mut rustup = project.command("rustup");
    run(rustup.args(["target", "add", WASM_TARGET])).with_context(|| {
        format!(
            "Rust's standard library for {WASM_TARGET} is missing. With rustup: \
             `rustup target add {WASM_TARGET}`; without it, install your distribution's package \
             for this target"
        )
    })
}

/// `wasm-bindgen` and its test runner, in the very version that the crate is linked with: the two
/// speak a format that changes from release to release.
pub fn wasm_bindgen(project: &Project) -> Result<PathBuf> {
    let id = capture(&mut project.cargo(&["pkgid", "wasm-bindgen"]))?;
    let version = id
        .trim()
        .rsplit(['@', '#'])
        .next()
        .unwrap_or_default()
        .to_owned();
    // Without --locked: the lock file that this package ships names releases that were withdrawn.
    cargo_tool(project, "wasm-bindgen", "wasm-bindgen-cli", &version, &[])
}

/// Builds the browser tests and runs them under a driver.
pub fn wasm_pack(project: &Project) -> Result<PathBuf> {
    cargo_tool(project, "wasm-pack", "wasm-pack", WASM_PACK, &["--locked"])
}

fn cargo_tool(
    project: &Project,
    program: &str,
    package: &str,
    version: &str,
    options: &[&str],
) -> Result<PathBuf> {
    let own = project
        .tools()
        .join("bin")
        .join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    let on_path = which::which(program).ok();
    if let Some(found) = [Some(own.clone()), on_path]
        .into_iter()
        .flatten()
        .find(|path| has_version(path, version))
    {
        return Ok(found);
    }

    say(&format!(
        "installing {package} {version} into {}, once; this takes a few minutes",
        project.tools().display()
    ));
    let mut install = project.cargo(&["install", package, "--version", version, "--force"]);
    install.args(options).arg("--root").arg(project.tools());
    // A directory shared with the crate's own build would be locked meanwhile, and left littered.
    install.env_remove("CARGO_TARGET_DIR");
    run(&mut install).with_context(|| format!("cannot install {package} {version}"))?;
    if !has_version(&own, version) {
        bail!("{} does not say that it is {version}", own.display());
    }
    Ok(own)
}

fn has_version(program: &PathBuf, version: &str) -> bool {
    capture(Command::new(program).arg("--version"))
        .is_ok_and(|said| said.split_whitespace().any(|word| word == version))
}

/// Node.js itself, which the project does not install.
pub fn node() -> Result<PathBuf> {
    let node = which::which("node").ok().with_context(|| {
        format!("Node.js is missing: install version {NODE_MAJOR} or newer, with npm")
    })?;
    let said = capture(Command::new(&node).arg("--version"))?;
    let major = said.trim().trim_start_matches('v').split('.').next();
    if major.and_then(|m| m.parse().ok()).unwrap_or(0) < NODE_MAJOR {
        bail!(
            "Node.js {} is too old: install version {NODE_MAJOR} or newer",
            said.trim()
        );
    }
    Ok(node)
}

/// The packages of `package-lock.json`; returns Node.js to run them with.
pub fn node_packages(project: &Project) -> Result<PathBuf> {
    let node = node()?;
    let key = sha256(&project.root.join("package-lock.json"))?;
    let installed = project.root.join("node_modules/.package-lock.json");
    if installed.exists() && project.is_done("node-packages", &key) {
        return Ok(node);
    }
    let npm = which::which("npm").ok();
    let npm = npm.context("npm is missing: install it beside Node.js")?;
    say("installing the Node packages of package-lock.json");
    run(project.command(npm).args(["ci", "--no-audit", "--no-fund"]))?;
    project.set_done("node-packages", &key)?;
    Ok(node)
}

/// A file of an installed Node package. A script among them is to be run with Node.js: the links in
/// `node_modules/.bin` are shell scripts on some systems.
pub fn node_file(project: &Project, path: &str) -> PathBuf {
    project.root.join("node_modules").join(path)
}
