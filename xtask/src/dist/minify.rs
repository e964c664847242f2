//! Scripts and styles without what only their readers need.

use super::{Files, read_folder};
use crate::project::{Project, create_dir, remove_dir, run};
use crate::tools;
use anyhow::Result;

/// Through esbuild's own interface: what lies under `bin/` is a script or a program, depending on how npm
/// was told to install it.
const SCRIPT: &str = "
    import { build } from 'esbuild';
    const [folder, outdir, ...files] = process.argv.slice(1);
    await build({
        entryPoints: files.map((file) => `${folder}/${file}`),
        outdir, outbase: folder, minify: true, format: 'esm', target: 'esnext', logLevel: 'error',
    });
";

/// The same files of `www/`, smaller. Modules stay modules: nothing is bundled.
pub fn minify(project: &Project, code: &Files) -> Result<Files> {
    let out = project.target.join("minified");
    remove_dir(&out)?;
    create_dir(&out)?;
    let texts = code.keys().filter(|path| !path.ends_with(".wasm"));
    let mut node = project.command(tools::node_packages(project)?);
    node.args(["--input-type=module", "--eval", SCRIPT, "--"])
        .arg(project.root.join("www"))
        .arg(&out)
        .args(texts);
    run(&mut node)?;
    let mut smaller = code.clone();
    smaller.extend(read_folder(&out)?);
    Ok(smaller)
}
