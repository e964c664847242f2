//! `cargo xtask bench`: how fast the engine is, natively or in a browser, and the figures kept in
//! `bench/`.

mod figures;
mod plot;
mod store;

use crate::project::{Project, create_dir, run as exec, say};
use crate::{model, serve, system, tools, wasm};
use anyhow::{Context, Result, bail};
use std::path::Path;
use store::Store;

/// Seconds of one run, where the caller does not say. Two backends run one after the other.
const NATIVE_SECONDS: u64 = 120;
const BROWSER_SECONDS: u64 = 300;

/// What is ours among the options; the rest is for `cache-steering bench`.
#[derive(Debug, Default, PartialEq)]
struct Options<'a> {
    browser: bool,
    save: bool,
    plot: bool,
    rest: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn of(args: &[&'a str]) -> Self {
        let mut options = Self::default();
        for &arg in args {
            match arg {
                "--browser" => options.browser = true,
                "--save" => options.save = true,
                "--plot" => options.plot = true,
                other => options.rest.push(other),
            }
        }
        options
    }

    fn has(&self, name: &str) -> bool {
        let with_value = format!("{name}=");
        let mut rest = self.rest.iter();
        rest.any(|arg| *arg == name || arg.starts_with(&with_value))
    }
}

/// Measures, and keeps or draws the figures if asked to.
pub fn run(project: &Project, args: &[&str]) -> Result<()> {
    let options = Options::of(args);
    let store = Store::open(project)?;
    if options.browser {
        browser(project, &options, &store, args)?;
    } else if !options.plot || !options.rest.is_empty() {
        native(project, &options, &store, args)?;
    }
    if options.save {
        store.keep()?;
    }
    if options.save || options.plot {
        plot::draw(project)?;
    }
    Ok(())
}

/// Runs the command line's benchmark on the backend that was asked for, or on both.
fn native(project: &Project, options: &Options, store: &Store, args: &[&str]) -> Result<()> {
    let mut shared: Vec<String> = options.rest.iter().map(|&arg| arg.into()).collect();
    if !options.has("--model") && !options.has("--synthetic") {
        let model = model::fetch(project)?;
        shared.extend(["--model".into(), model.to_string_lossy().into_owned()]);
    }
    if !options.has("--budget") {
        shared.extend(["--budget".into(), NATIVE_SECONDS.to_string()]);
    }
    let backends: &[Option<&str>] = match options.has("--backend") {
        true => &[None],
        false => &[Some("cpu"), Some("gpu")],
    };
    let driver = system::vulkan(project)?;
    say("building the command line, release");
    exec(&mut project.cargo(&["build", "--release", "--bin", "cache-steering"]))?;
    let program = project
        .target
        .join("release")
        .join(format!("cache-steering{}", std::env::consts::EXE_SUFFIX));
    for backend in backends {
        let mut command = project.command(&program);
        command.arg("bench").args(&shared);
        if let Some(backend) = backend {
            command.args(["--backend", backend]);
        }
        command
            .args(["--command", &typed(args)])
            .arg("--json")
            .arg(store.fresh(&format!("native-{}", backend.unwrap_or("run"))));
        if let Some(driver) = &driver {
            command.env("VK_DRIVER_FILES", driver);
        }
        // One thread, as in a browser, unless the caller wants more.
        if std::env::var_os("RAYON_NUM_THREADS").is_none() {
            command.env("RAYON_NUM_THREADS", "1");
        }
        exec(&mut command)?;
        println!();
    }
    Ok(())
}

/// Runs both backends, and the peer, in Chromium.
fn browser(project: &Project, options: &Options, store: &Store, args: &[&str]) -> Result<()> {
    let seconds = match options.rest[..] {
        [] => BROWSER_SECONDS,
        ["--budget", seconds] => seconds
            .parse()
            .with_context(|| format!("`{seconds}` is no number of seconds"))?,
        _ => bail!(
            "`{}`: with --browser there is --budget SECONDS, --save and --plot",
            options.rest.join(" ")
        ),
    };
    let node = tools::node_packages(project)?;
    let chromium = system::browser(project)?.chromium;
    let model = model::fetch(project)?;
    wasm::build(project)?;
    let url = serve::benchmarks_in_background(project)?;
    say(&format!("measuring in Chromium, {seconds} seconds or so"));
    exec(
        project
            .command(node)
            .arg("bench/browser/run.mjs")
            .env("PAGE_URL", url)
            .env("PAGE_CHROMIUM", chromium)
            .env("BENCH_MODEL", model.file_name().unwrap_or_default())
            .env("BENCH_SECONDS", seconds.to_string())
            .env("BENCH_COMMAND", typed(args))
            .env("BENCH_OUT", store.folder()),
    )
}

/// The command as it was typed, with absolute paths cut to file names.
fn typed(args: &[&str]) -> String {
    let words = args.iter().map(|arg| {
        let (option, value) = arg.split_once('=').unwrap_or(("", arg));
        let path = Path::new(value);
        match path.file_name() {
            Some(name) if path.is_absolute() && option.is_empty() => name.to_string_lossy().into(),
            Some(name) if path.is_absolute() => format!("{option}={}", name.to_string_lossy()),
            _ => (*arg).to_owned(),
        }
    });
    ["cargo", "xtask", "bench"]
        .map(str::to_owned)
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The folder whose figures are in the repository.
fn kept(project: &Project) -> Result<std::path::PathBuf> {
    let folder = project.root.join("bench");
    create_dir(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_passed_on() {
        let options = Options::of(&["--save", "--backend=gpu", "--quant", "q4_0"]);
        assert_eq!(options.rest, ["--backend=gpu", "--quant", "q4_0"]);
        assert!(options.save && !options.browser && !options.plot);
        assert!(options.has("--backend") && options.has("--quant") && !options.has("--model"));
    }

    #[test]
    fn the_command_that_is_noted_has_no_absolute_paths() {
        let noted = typed(&["--model", "/home/me/a.gguf", "--json=/tmp/x.json", "--save"]);
        assert_eq!(
            noted,
            "cargo xtask bench --model a.gguf --json=x.json --save"
        );
    }
}
