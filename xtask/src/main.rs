//! `cargo xtask`: the project's own commands.
//!
//! Each command first sets up what it needs and lacks (see [`tools`] and [`model`]), once; a second
//! run finds it all in place. Everything that is installed or built stays in the target directory,
//! `node_modules/`, `models/` and `www/pkg/`, except system packages, which apt installs.

mod bench;
mod dist;
mod licences;
mod model;
mod project;
mod record;
mod serve;
mod system;
mod test;
mod tools;
mod wasm;

use anyhow::{Context, Result, bail};
use project::Project;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  serve [--port N]    Build the page, serve it on 127.0.0.1 (port 8080; 0 picks a free one)
  build               Build the page's WebAssembly, release, into www/pkg/
  dist [OPTION...]    Write the page as a folder for any static host, dist/ (see HOSTING.md);
                      --with-model 135m: with SmolLM2-135M in it; --out DIR: elsewhere
  test [PART...]      Run the checks, all of them or the named parts: lint native browser page
  bench [OPTION...]   Measure speed, natively; --browser: in Chromium, beside a peer;
                      --save: keep the figures in bench/; --plot: draw them (see bench/README.md)
  record              Record the answers that the page replays, vectors/recordings.json
  fetch-model         Fetch SmolLM2-135M-Instruct (98 MB, once) into models/";

const DEFAULT_PORT: u16 = 8080;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> Result<()> {
    if args.is_empty() || args.iter().any(|a| ["help", "--help", "-h"].contains(a)) {
        println!("{USAGE}");
        return Ok(());
    }
    let project = Project::find()?;
    match args {
        ["serve", rest @ ..] => serve::run(&project, port(rest)?)?,
        ["build"] => wasm::build(&project)?,
        ["dist", options @ ..] => dist::run(&project, &dist::Options::of(options)?)?,
        ["test", parts @ ..] => test::run(&project, parts)?,
        ["bench", options @ ..] => bench::run(&project, options)?,
        ["record"] => record::run(&project)?,
        ["fetch-model"] => println!("{}", model::fetch(&project)?.display()),
        _ => bail!("unknown command `{}`\n\n{USAGE}", args.join(" ")),
    }
    Ok(())
}

fn port(args: &[&str]) -> Result<u16> {
    let value = match args {
        [] => return Ok(DEFAULT_PORT),
        ["--port", value] => value,
        [one] => one
            .strip_prefix("--port=")
            .with_context(|| format!("unknown option `{one}`\n\n{USAGE}"))?,
        _ => bail!("unknown options `{}`\n\n{USAGE}", args.join(" ")),
    };
    match value.parse() {
        Ok(port) => Ok(port),
        Err(_) => bail!("`{value}` is not a port: give a number from 0 to 65535"),
    }
}
