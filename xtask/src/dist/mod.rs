//! `cargo xtask dist`: the page as a folder that any static host can serve, under any path.
//!
//! Code and style lie in one folder whose name is a digest of them, so browsers may keep it for ever;
//! modules keep their names and their relative imports, and lose their comments. Of the rest only
//! `index.html` is rewritten. It, the lists and the vectors stay at the root, where whoever hosts the page
//! can edit them.

mod budget;
mod graph;
mod html;
mod minify;
mod models;

use crate::project::{Project, create_dir, remove_dir, say};
use crate::{model, wasm};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a site by their paths, with `/` on every system.
type Files = BTreeMap<String, Vec<u8>>;

/// What is written, without models.
struct Site {
    files: Files,
    /// The paths of what a visitor fetches before the weights.
    first: BTreeSet<String>,
}

/// The engine's worker, which `main.js` starts before it can fetch the weights.
const WORKER: &str = "worker.js";

/// Digits of a digest in a name.
const DIGITS: usize = 16;

/// What the page fetches at its start, apart from its code.
const LISTS: [&str; 4] = [
    "models.json",
    "vectors/index.json",
    "vectors/styles.json",
    "vectors/recordings.json",
];

/// What to write, and where to.
#[derive(Debug, PartialEq)]
pub struct Options {
    pub out: PathBuf,
    /// Whether the model of 135 million parameters goes along.
    pub with_model: bool,
}

impl Options {
    pub fn of(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            out: "dist".into(),
            with_model: false,
        };
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            match (arg, args.next()) {
                ("--out", Some(dir)) => options.out = dir.into(),
                ("--with-model", Some(&"135m")) => options.with_model = true,
                ("--out", None) => bail!("--out needs a folder"),
                ("--with-model", _) => bail!("the model that can go along is called 135m"),
                _ => bail!("unknown option `{arg}`: there are --out DIR and --with-model 135m"),
            }
        }
        Ok(options)
    }
}

/// Builds the page, writes the folder, and says how large it is.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    wasm::build(project)?;
    let model = match options.with_model {
        true => Some(model::fetch(project)?),
        false => None,
    };
    let Site { files, first } = site(project, model.as_deref())?;
    let out = project.root.join(&options.out);
    write(&files, &out)?;
    if let Some(model) = model {
        let copy = out.join(models::path_of(&model));
        create_dir(&out.join("models"))?;
        fs::copy(&model, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    }
    say(&format!("the site is in {}", out.display()));
    budget::check(&files, &first)
}

/// The site. `model` is the file of the model that goes along.
fn site(project: &Project, model: Option<&Path>) -> Result<Site> {
    let www = read_folder(&project.root.join("www"))?;
    let page = |path: &str| {
        www.get(path)
            .with_context(|| format!("www/{path} is missing"))
    };
    let source: Files = www
        .iter()
        .filter(|(path, _)| is_code(path))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect();
    let code = minify::minify(project, &source)?;
    let app = format!("app-{}", digest(&code));

    let models = models::Models::read(page("models.json")?)?.for_site(model)?;
    let mut files: Files = read_folder(&project.root.join("vectors"))?
        .into_iter()
        .filter(|(path, _)| is_data(path))
        .map(|(path, bytes)| (format!("vectors/{path}"), bytes))
        .collect();
    files.insert("models.json".into(), models.to_json());
    for name in ["icon.svg", "manifest.json"] {
        files.insert(name.into(), page(name)?.clone());
    }
    let html = String::from_utf8(page("index.html")?.clone())?;
    let html = html::rewrite(&html, &app, &source, &models.connect, &LISTS)?;
    files.insert("index.html".into(), html.into_bytes());
    files.extend(
        code.into_iter()
            .map(|(path, bytes)| (format!("{app}/{path}"), bytes)),
    );
    let worker = service_worker(page("service-worker.js")?, &app, &files);
    files.insert("service-worker.js".into(), worker);
    files.insert("licences.txt".into(), page("pkg/licences.txt")?.clone());
    let first = fetched_first(&source, &app)?;
    Ok(Site { files, first })
}

/// The page, its lists, its styles, the engine, and the modules that these need to run.
fn fetched_first(source: &Files, app: &str) -> Result<BTreeSet<String>> {
    let mut first: BTreeSet<String> = LISTS.map(String::from).into();
    first.insert("index.html".into());
    let mut code = graph::modules(source, &[&html::ENTRIES[..], &[WORKER]].concat())?;
    let other = source.keys().filter(|path| !path.ends_with(".js"));
    code.extend(other.cloned());
    first.extend(code.into_iter().map(|path| format!("{app}/{path}")));
    Ok(first)
}

fn is_code(path: &str) -> bool {
    let endings = [".js", ".css", ".wasm"];
    endings.iter().any(|ending| path.ends_with(ending)) && path != "service-worker.js"
}

/// What the page fetches of `vectors/`: the lists, questions and vectors, not the results.
fn is_data(path: &str) -> bool {
    path.ends_with(".safetensors")
        || path.ends_with(".jsonl")
        || (path.ends_with(".json") && !path.contains('/'))
}

/// `www/service-worker.js` with what it has to keep, as its first line.
fn service_worker(script: &[u8], app: &str, files: &Files) -> Vec<u8> {
    let kept: Vec<&str> = files
        .keys()
        .map(|path| match path.as_str() {
            "index.html" => "./",
            path => path,
        })
        .collect();
    let site = serde_json::json!({ "version": digest(files), "app": app, "files": kept });
    let mut out = format!("self.site = {site};\n").into_bytes();
    out.extend_from_slice(script);
    out
}

/// A digest of names and contents.
fn digest(files: &Files) -> String {
    let mut digest = Sha256::new();
    for (path, bytes) in files {
        for part in [path.as_bytes(), bytes] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    let mut hex = format!("{:x}", digest.finalize());
    hex.truncate(DIGITS);
    hex
}

/// All files below a folder, by their paths in it.
fn read_folder(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut waiting = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = waiting.pop() {
        let unreadable = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                waiting.push((format!("{path}/"), entry.path()));
            } else {
                files.insert(path, fs::read(entry.path()).with_context(unreadable)?);
            }
        }
    }
    Ok(files)
}

/// Writes the site in place of the one that was there before.
fn write(files: &Files, out: &Path) -> Result<()> {
    let is_site = out.join("service-worker.js").exists();
    let is_empty = fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    if !is_site && !is_empty {
        bail!(
            "{} holds something else than a site: name an empty folder with --out",
            out.display()
        );
    }
    remove_dir(out)?;
    for (path, bytes) in files {
        let file = out.join(path);
        create_dir(file.parent().unwrap_or(out))?;
        fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|&(path, text)| (path.into(), text.into()))
            .collect()
    }

    #[test]
    fn options_are_read() {
        let options = Options::of(&["--with-model", "135m", "--out", "x"]).unwrap();
        assert_eq!((options.out, options.with_model), ("x".into(), true));
        for wrong in [&["--out"][..], &["--with-model", "1b"], &["x"]] {
            assert!(Options::of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_imported_later_is_not_fetched_first() {
        let source = files(&[
            ("main.js", "import './a.js';\nimport('./later.js');\n"),
            ("a.js", ""),
            ("later.js", "import './b.js';\n"),
            ("b.js", ""),
            ("offline.js", ""),
            ("worker.js", "import './pkg/engine.js';\n"),
            ("pkg/engine.js", ""),
            ("pkg/engine.wasm", ""),
            ("styles.css", ""),
        ]);
        let first = fetched_first(&source, "app").unwrap();
        for needed in [
            "app/a.js",
            "app/pkg/engine.js",
            "app/pkg/engine.wasm",
            "app/styles.css",
            "models.json",
        ] {
            assert!(first.contains(needed), "{needed} of {first:?}");
        }
        for later in ["app/later.js", "app/b.js"] {
            assert!(!first.contains(later), "{later}");
        }
    }

    #[test]
    fn a_digest_changes_with_every_name_and_byte() {
        let one = digest(&files(&[("a", "bc"), ("d", "")]));
        assert_eq!(one, digest(&files(&[("d", ""), ("a", "bc")])));
        for other in [[("ab", "c"), ("d", "")], [("a", "bd"), ("d", "")]] {
            assert_ne!(one, digest(&files(&other)));
        }
    }

    #[test]
    fn a_folder_that_is_no_site_is_not_deleted() {
        let folder = std::env::temp_dir().join(format!("xtask-dist-{}", std::process::id()));
        create_dir(&folder).unwrap();
        fs::write(folder.join("mine"), "").unwrap();
        let site = files(&[("service-worker.js", ""), ("a/b", "c")]);
        assert!(write(&site, &folder).is_err());
        assert!(folder.join("mine").exists());

        let fresh = folder.join("site");
        write(&site, &fresh).unwrap();
        fs::write(fresh.join("old"), "").unwrap();
        write(&site, &fresh).unwrap();
        assert_eq!(fs::read(fresh.join("a/b")).unwrap(), b"c");
        assert!(!fresh.join("old").exists());
        remove_dir(&folder).unwrap();
    }
}
