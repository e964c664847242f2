//! The licences of what visitors are sent: of this project, of every crate in its WebAssembly, and of the
//! library beside it.

use crate::project::{Project, capture};
use crate::tools;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// This project's own files, which also stand in for those that a crate was published without.
const OWN: [(&str, &str); 2] = [("Apache-2.0", "LICENSE-APACHE"), ("MIT", "LICENSE-MIT")];

/// How the names of files begin that have to go along with a crate.
const FILES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

const HEAD: &str = "\
Licences of Cache steering and of what it is made with

The page, its WebAssembly and its JavaScript are under MIT or Apache-2.0, at your choice: texts 2 and 1
below. The contrastive pairs and the steering vectors are in the public domain (CC0 1.0).

Models are no part of this software. SmolLM2 is by Hugging Face, under Apache-2.0 (text 1):
https://huggingface.co/HuggingFaceTB. Other models that the page offers have licences of their own.

Markdown is read by marked, under MIT (text {marked}).

The WebAssembly contains the Rust standard library, by the Rust Project's contributors, under MIT or
Apache-2.0, and the crates below. Each is named with its licence and the numbers of the texts that it was
published with, which follow.

";

/// A crate, and the texts that go with it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    /// Only where the crate has no licence file that names them.
    authors: Option<String>,
    texts: Vec<usize>,
}

/// Everything as one text: the same for the same `Cargo.lock`.
pub fn text(project: &Project) -> Result<String> {
    let json = capture(&mut project.cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform=wasm32-unknown-unknown",
    ]))?;
    let metadata: Value =
        serde_json::from_str(&json).context("cannot read what `cargo metadata` printed")?;

    let mut texts = Texts::default();
    for (_, file) in OWN {
        texts.add(&project.root.join(file))?;
    }
    // In an order of their own, or the numbers of the texts would hang on that of the graph.
    let mut packages: Vec<&Value> = linked(&metadata)?.into_values().collect();
    packages.sort_by_key(|package| (field(package, "name"), field(package, "version")));
    let crates = packages
        .into_iter()
        .map(|package| crate_of(package, &mut texts))
        .collect::<Result<Vec<Crate>>>()?;

    let marked = tools::node_file(project, "marked/LICENSE");
    let marked = texts.add(&marked)?;
    let mut out = HEAD.replace("{marked}", &marked.to_string());
    for Crate {
        name,
        version,
        licence,
        authors,
        texts,
    } in &crates
    {
        let by = authors.as_ref().map(|a| format!(", by {a}"));
        let numbers: Vec<String> = texts.iter().map(usize::to_string).collect();
        writeln!(
            out,
            "{name} {version}{}: {licence}: {}",
            by.unwrap_or_default(),
            numbers.join(", ")
        )?;
    }
    for (i, text) in texts.list.iter().enumerate() {
        write!(out, "\n{}\nText {}\n\n{text}\n", "-".repeat(80), i + 1)?;
    }
    Ok(out)
}

/// The packages that are linked into the module, by their ids: what the crate depends on, directly or
/// not, but for what runs while it is compiled.
fn linked(metadata: &Value) -> Result<BTreeMap<&str, &Value>> {
    let by_id = |list: &'_ Value| -> BTreeMap<String, usize> {
        let ids = list.as_array().into_iter().flatten().enumerate();
        ids.map(|(i, item)| (field(item, "id").to_owned(), i))
            .collect()
    };
    let (packages, nodes) = (&metadata["packages"], &metadata["resolve"]["nodes"]);
    let (package_at, node_at) = (by_id(packages), by_id(nodes));
    let root = packages
        .as_array()
        .and_then(|all| all.iter().find(|p| p["name"] == "cache-steering"))
        .context("`cargo metadata` does not name the crate")?;

    let mut found = BTreeMap::new();
    let mut waiting = vec![root];
    while let Some(package) = waiting.pop() {
        let id = field(package, "id");
        if is_macro(package) || found.insert(id, package).is_some() {
            continue;
        }
        let node = node_at.get(id).map(|&i| &nodes[i]);
        let node = node.with_context(|| format!("`cargo metadata` does not resolve {id}"))?;
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.into_iter().any(|kind| kind["kind"].is_null())
                && let Some(&i) = package_at.get(field(dependency, "pkg"))
            {
                waiting.push(&packages[i]);
            }
        }
    }
    found.remove(field(root, "id"));
    Ok(found)
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets
        .filter_map(|target| target["kind"].as_array())
        .any(|kinds| kinds.iter().any(|kind| kind == "proc-macro"))
}

fn crate_of(package: &Value, texts: &mut Texts) -> Result<Crate> {
    let name = field(package, "name").to_owned();
    let licence = field(package, "license").to_owned();
    let manifest = Path::new(field(package, "manifest_path"));
    let folder = manifest.parent().unwrap_or(manifest);
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file() && is_licence(path))
        .collect();
    files.sort();
    let mut numbers = BTreeSet::new();
    for file in &files {
        numbers.insert(texts.add(file)?);
    }
    let mut authors = None;
    if files.is_empty() {
        let Some(own) = OWN.iter().position(|(id, _)| licence.contains(id)) else {
            bail!("the crate {name} has no licence file, and no text of `{licence}` is known");
        };
        numbers.insert(own + 1);
        let names = package["authors"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        authors = Some(names.join(", "));
    }
    Ok(Crate {
        name,
        version: field(package, "version").to_owned(),
        licence,
        authors,
        texts: numbers.into_iter().collect(),
    })
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_uppercase();
    FILES.iter().any(|start| name.starts_with(start))
}

fn field<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Texts, each once, whatever its line breaks.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Texts {
    /// The number of the text in a file, from 1.
    fn add(&mut self, file: &Path) -> Result<usize> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = self.numbers.entry(words.join(" ")).or_insert_with(|| {
            self.list.push(text.trim_matches('\n').to_owned());
            self.list.len()
        });
        Ok(*number)
    }
}
