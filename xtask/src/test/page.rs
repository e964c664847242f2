//! The page in Chromium: as the development server shows it, and as the folder for static hosts, below a
//! sub-path, behind two servers that know nothing of it.

use super::{Equipment, Report};
use crate::project::{Project, create_dir, run as exec, say};
use crate::{dist, serve, system, tools, wasm};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// What concerns the development server alone.
const DEVELOPMENT: [&str; 2] = ["embed.test.mjs", "server.test.mjs"];

/// What concerns the folder for static hosts alone.
const DIST: &str = "dist.test.mjs";

/// Where the synthetic models are, in the target directory.
const MODELS: &str = "page-models";

/// Where the folder is on the test's servers: a page on a host that it shares with others.
const SUB_PATH: &str = "shared/host";

pub fn run(project: &Project, equipment: &Equipment, report: &mut Report) {
    let site = project.target.join("page-site");
    let folder = site.join(SUB_PATH);
    report.step("page tests, development server", || {
        wasm::build(project)?;
        let url = serve::in_background(project)?;
        drive(project, equipment, &url, None, |name| {
            DEVELOPMENT.contains(&name)
        })
    });
    report.step("models for the page tests", || synthesize(project));
    report.step("page tests, dist", || {
        let options = dist::Options {
            out: folder.clone(),
            with_model: true,
        };
        dist::run(project, &options)?;
        let url = serve::folder_in_background(&site)? + SUB_PATH + "/";
        drive(project, equipment, &url, Some(&folder), |name| {
            !DEVELOPMENT.contains(&name)
        })
    });
    report.step("page tests, dist on Python's http.server", || {
        let server = Python::serve(project, &site)?;
        let url = format!("{}{SUB_PATH}/", server.url);
        drive(project, equipment, &url, Some(&folder), |name| name == DIST)
    });
}

/// Drives the page at `url` with the tests whose files are wanted. They learn where things are from the
/// environment; see `tests/page/harness.mjs`.
fn drive(
    project: &Project,
    equipment: &Equipment,
    url: &str,
    dist: Option<&Path>,
    wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    let tests = tests(project, wanted)?;
    let screenshots = project.target.join("page-screenshots");
    create_dir(&screenshots)?;
    say(&format!("the page is at {url}"));
    let mut node = project.command(tools::node()?);
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
        .args(tests)
        .env("PAGE_URL", url)
        .env("PAGE_CHROMIUM", &equipment.browser()?.chromium)
        .env("PAGE_SCREENSHOTS", screenshots)
        .env("PAGE_MODELS", project.target.join(MODELS));
    if let Some(dist) = dist {
        node.env("PAGE_DIST", dist)
            .env("PAGE_REPORTS", project.target.join("page-reports"));
    }
    exec(&mut node)
}

/// Writes the models that the page tests download: tiny ones, one that is split, and the shape of the
/// model that the public page runs.
fn synthesize(project: &Project) -> Result<()> {
    const FILES: [(&str, &[&str]); 5] = [
        ("tiny-1.gguf", &["--seed=1"]),
        ("tiny-2.gguf", &["--seed=2"]),
        ("split.gguf", &["--split=3"]),
        ("smollm2-360m-q8_0.gguf", &["--shape=smollm2-360m"]),
        (
            "smollm2-360m-q4_k_m.gguf",
            &["--shape=smollm2-360m", "--quant=q4_k_m"],
        ),
    ];
    let folder = project.target.join(MODELS);
    create_dir(&folder)?;
    for (name, options) in FILES {
        let tool = ["run", "--release", "--quiet", "--bin=cache-steering", "--"];
        let mut cargo = project.cargo(&[&tool[..], &["synthesize"], options].concat());
        exec(cargo.arg("--out").arg(folder.join(name)))?;
    }
    Ok(())
}

fn tests(project: &Project, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let folder = project.root.join("tests/page");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut tests: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".test.mjs") && wanted(&name)
        })
        .collect();
    if tests.is_empty() {
        bail!("no such *.test.mjs in {}", folder.display());
    }
    tests.sort();
    Ok(tests)
}

/// Python's own static server: no ranges, no headers but the plainest. It ends with this value.
struct Python {
    url: String,
    server: Child,
}

impl Python {
    fn serve(project: &Project, folder: &Path) -> Result<Self> {
        let mut server = project
            .command(system::python()?)
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .arg("--directory")
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Python's http.server")?;
        // It says: Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ...
        let mut said = String::new();
        if let Some(out) = server.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        let url = said
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'));
        match url {
            Some((url, _)) => Ok(Self {
                url: url.to_owned(),
                server,
            }),
            None => bail!("Python's http.server does not say where it is: {said}"),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end or to wait for.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
