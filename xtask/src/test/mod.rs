//! `cargo xtask test`: every check that the project has.
//!
//! A failed step does not hide the next one: all run, and the summary tells which failed. All
//! cargo commands use the release profile: tests run a real model, and what one step compiles
//! (dependencies, procedural macros, check results) the others share.

mod page;

use crate::project::{Project, run as exec, say};
use crate::system::{self, Browser};
use crate::{model, tools, wasm};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PARTS: &[&str] = &["lint", "native", "browser", "page"];
const WASM: &str = "--target=wasm32-unknown-unknown";

/// Runs the named parts, or all if none is named.
pub fn run(project: &Project, parts: &[&str]) -> Result<()> {
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        bail!(
            "`{unknown}` is no part of the tests: they are {}",
            PARTS.join(", ")
        );
    }
    let parts = if parts.is_empty() { PARTS } else { parts };
    let wants = |part: &str| parts.contains(&part);

    let mut report = Report::default();
    let start = Instant::now();
    let equipment = Equipment::set_up(project, &wants)?;
    report.add("set-up", start.elapsed(), true);

    if wants("lint") {
        lint(project, &mut report);
    }
    if wants("native") {
        report.step("native tests", || native(project, &equipment));
        report.step("tests of xtask", || {
            exec(&mut project.cargo(&["test", "--profile=xtask", "--package=xtask"]))
        });
    }
    if wants("browser") {
        report.step("browser tests", || in_browser(project, &equipment));
    }
    if wants("page") {
        page::run(project, &equipment, &mut report);
    }
    report.finish()
}

/// What the tests need besides the project itself. Set up first, so that what is missing is known
/// before minutes of compiling.
struct Equipment {
    browser: Option<Browser>,
    vulkan_driver: Option<PathBuf>,
}

impl Equipment {
    fn set_up(project: &Project, wants: &dyn Fn(&str) -> bool) -> Result<Self> {
        let in_chromium = wants("browser") || wants("page");
        if wants("lint") || wants("page") {
            tools::node_packages(project)?;
        }
        let browser = in_chromium.then(|| system::browser(project)).transpose()?;
        let vulkan_driver = match wants("native") {
            true => system::vulkan(project)?,
            false => None,
        };
        if in_chromium || wants("native") {
            model::fetch(project)?;
        }
        if in_chromium || wants("lint") {
            tools::wasm_target(project)?;
            tools::wasm_bindgen(project)?;
        }
        if wants("browser") {
            tools::wasm_pack(project)?;
        }
        Ok(Self {
            browser,
            vulkan_driver,
        })
    }

    fn browser(&self) -> Result<&Browser> {
        self.browser.as_ref().context("no browser was set up")
    }
}

fn lint(project: &Project, report: &mut Report) {
    let mut cargo = |name: &str, args: &[&str]| {
        report.step(name, || exec(&mut project.cargo(args)));
    };
    cargo("format", &["fmt", "--all", "--check"]);
    let strict = ["--", "-D", "warnings"];
    cargo(
        "clippy, native",
        &[&["clippy", "--release", "--all-targets"], &strict[..]].concat(),
    );
    cargo(
        "clippy, wasm",
        &[
            &["clippy", "--release", WASM, "--lib", "--tests"],
            &strict[..],
        ]
        .concat(),
    );
    cargo(
        "clippy, xtask",
        &[
            &["clippy", "--profile=xtask", "--package=xtask"],
            &strict[..],
        ]
        .concat(),
    );
    report.step("documentation", || {
        exec(
            project
                .cargo(&["doc", "--release", "--lib", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    report.step("page build", || wasm::build(project));
    for config in [
        "tsconfig.json",
        "www/tsconfig.json",
        "tests/page/tsconfig.json",
        "bench/browser/tsconfig.json",
    ] {
        report.step(&format!("types, {config}"), || {
            let tsc = tools::node_file(project, "typescript/bin/tsc");
            exec(
                project
                    .command(tools::node()?)
                    .arg(tsc)
                    .args(["--project", config]),
            )
        });
    }
}

fn native(project: &Project, equipment: &Equipment) -> Result<()> {
    let mut cargo = project.cargo(&["test", "--release", "--no-fail-fast"]);
    if let Some(driver) = &equipment.vulkan_driver {
        cargo.env("VK_DRIVER_FILES", driver);
    }
    exec(&mut cargo)?;

    // Another driver, with subgroups of another size and no f16.
    let Some(driver) = system::swiftshader() else {
        say("there is no SwiftShader to test the kernels on");
        return Ok(());
    };
    exec(
        project
            .cargo(&["test", "--release", "--test=native"])
            .args(["--", "kernels::", "decode::"])
            .envs(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|name| (name, &driver))),
    )
}

fn in_browser(project: &Project, equipment: &Equipment) -> Result<()> {
    let browser = equipment.browser()?;
    let mut wasm_pack = project.command(tools::wasm_pack(project)?);
    wasm_pack
        .args(["test", "--headless", "--chrome", "--release"])
        .args(["--mode", "no-install", "--chromedriver"])
        .arg(&browser.driver)
        .env("PATH", project.path_with_tools()?)
        .env(
            "WASM_BINDGEN_TEST_WEBDRIVER_JSON",
            capabilities(project, browser)?,
        );
    exec(&mut wasm_pack)
}

/// `webdriver.json` with the path of the Chromium that this machine has.
fn capabilities(project: &Project, browser: &Browser) -> Result<PathBuf> {
    let source = project.root.join("webdriver.json");
    let text =
        fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut json: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is broken", source.display()))?;
    json["goog:chromeOptions"]["binary"] = browser.chromium.to_string_lossy().into();
    let copy = project.target.join("webdriver.json");
    fs::write(&copy, json.to_string())
        .with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

/// How long each step took, and whether it passed.
#[derive(Default)]
struct Report {
    steps: Vec<(String, Duration, bool)>,
}

impl Report {
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        say(name);
        let start = Instant::now();
        let result = work();
        if let Err(error) = &result {
            eprintln!("error: {error:#}");
        }
        self.add(name, start.elapsed(), result.is_ok());
    }

    fn add(&mut self, name: &str, took: Duration, passed: bool) {
        self.steps.push((name.to_owned(), took, passed));
    }

    fn finish(&self) -> Result<()> {
        println!();
        for (name, took, passed) in &self.steps {
            let verdict = if *passed { "passed" } else { "FAILED" };
            println!("{verdict}  {:>7.1} s  {name}", took.as_secs_f64());
        }
        let failed = self.steps.iter().filter(|(_, _, passed)| !passed).count();
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.steps.len());
        }
        Ok(())
    }
}
