//! The command line of `cache-steering`.

#[cfg(not(target_arch = "wasm32"))]
mod cli;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    cli::main()
}

/// A browser has no command line, but its tests build every binary of the package.
#[cfg(target_arch = "wasm32")]
fn main() {}
