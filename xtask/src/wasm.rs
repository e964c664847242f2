//! What the page imports that is not in `www/`: its WebAssembly, compiled, given its JavaScript surface and
//! optimised, and the library that reads Markdown. All of it goes into `www/pkg/`.

use crate::project::{Project, create_dir, remove_dir, run, say, sha256};
use crate::{licences, tools};
use anyhow::{Context, Result};
use std::env;
use std::fs;
use std::path::PathBuf;

/// What the module may use: everything that browsers with WebGPU have, nothing newer.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// LLVM has optimised the code already; what is left is mostly size. -O1 leaves 3.5 of 4.7 MB, 0.94 MB
/// after brotli, in 20 s, and functions that are called often get the shorter numbers; higher levels make a
/// smaller file that is larger after brotli.
const OPTIMISE: [&str; 2] = ["-O1", "--reorder-functions"];

const LICENCES: &str = "licences.txt";

/// A library's module and its types, and what the page imports them as.
const MARKED: [(&str, &str); 2] = [
    ("marked/lib/marked.esm.js", "marked.js"),
    ("marked/lib/marked.d.ts", "marked.d.ts"),
];

/// Builds what the page imports as `./pkg/cache_steering.js` and `./pkg/marked.js`.
///
/// Cargo decides whether to compile; the later steps run only if the compiled module changed.
pub fn build(project: &Project) -> Result<()> {
    tools::wasm_target(project)?;
    let wasm_bindgen = tools::wasm_bindgen(project)?;
    let node = tools::node_packages(project)?;

    say("building the WebAssembly module");
    run(project
        .cargo(&[
            "build",
            "--profile=web",
            "--lib",
            "--target=wasm32-unknown-unknown",
        ])
        .args(["--config", &without_home()?]))?;

    let compiled = project
        .target
        .join("wasm32-unknown-unknown/web/cache_steering.wasm");
    let out = project.root.join("www/pkg");
    let module = out.join("cache_steering_bg.wasm");
    let marked = tools::node_file(project, MARKED[0].0);
    let key = format!(
        "{} {} {} {} {}",
        out.display(),
        sha256(&compiled)?,
        sha256(&marked)?,
        OPTIMISE.join(" "),
        FEATURES.join(" ")
    );
    let is_whole = module.exists() && out.join(LICENCES).exists();
    if is_whole && project.is_done("page", &key) {
        return Ok(());
    }

    say("generating its JavaScript surface and optimising it");
    // Cut short, the folder holds something unfinished, which no key may then vouch for.
    project.set_done("page", "")?;
    remove_dir(&out)?;
    create_dir(&out)?;
    run(project
        .command(wasm_bindgen)
        .args(["--target=web", "--out-name=cache_steering", "--out-dir"])
        .arg(&out)
        .arg(&compiled))?;
    let optimised = out.join("optimised.wasm");
    run(project
        .command(node)
        .arg(tools::node_file(project, "binaryen/bin/wasm-opt"))
        .args(OPTIMISE)
        .args(FEATURES)
        .arg(&module)
        .arg("-o")
        .arg(&optimised))?;
    fs::rename(&optimised, &module)
        .with_context(|| format!("cannot replace {}", module.display()))?;
    for (source, name) in MARKED {
        let source = tools::node_file(project, source);
        fs::copy(&source, out.join(name))
            .with_context(|| format!("cannot copy {}", source.display()))?;
    }
    write_licences(project)?;
    project.set_done("page", &key)
}

/// The module names the sources of crates where something panics. Named by where they lie on this machine,
/// they would make another module of the same sources on the next, and tell visitors whose it was.
fn without_home() -> Result<String> {
    let cargo = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .context("cargo's own folder is not known: set CARGO_HOME")?;
    let sources = cargo.join("registry").join("src");
    Ok(format!(
        "target.wasm32-unknown-unknown.rustflags=['--remap-path-prefix={}=crates']",
        sources.display()
    ))
}

/// What the licences of the crates and the library ask for: their texts go where the module goes.
fn write_licences(project: &Project) -> Result<()> {
    let file = project.root.join("www/pkg").join(LICENCES);
    fs::write(&file, licences::text(project)?)
        .with_context(|| format!("cannot write {}", file.display()))
}
