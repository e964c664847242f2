//! Which modules of the page need which, as their sources say.

use super::Files;
use anyhow::{Context, Result};
use std::collections::BTreeSet;

/// All modules that these import before they run, directly or not, themselves included. What a module
/// fetches later, with `import()` or as a worker, is no part of it.
pub fn modules(code: &Files, entries: &[&str]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<String> = entries.iter().map(|&path| path.into()).collect();
    while let Some(path) = waiting.pop() {
        let source = code
            .get(&path)
            .with_context(|| format!("the module {path} is imported but is not there"))?;
        if found.contains(&path) {
            continue;
        }
        let source = std::str::from_utf8(source).with_context(|| format!("{path} is no text"))?;
        waiting.extend(imports(source).map(|import| resolve(&path, import)));
        found.insert(path);
    }
    Ok(found)
}

/// The relative paths that a module imports. A statement begins its line, or ends on one that begins with
/// its closing brace; imports of types are comments, and begin with a star.
fn imports(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .filter(|line| {
            ["import ", "export ", "} from "]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .filter_map(|line| line.split(['\'', '"']).nth(1))
        .filter(|path| path.starts_with("./") || path.starts_with("../"))
}

fn resolve(from: &str, import: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|&(path, text)| (path.into(), text.into()))
            .collect()
    }

    #[test]
    fn the_graph_is_followed_without_types_and_strings() {
        let code = code(&[
            (
                "main.js",
                "/** @import { T } from './types.js' */\nimport './a.js';\nimport {\n  b,\n} from './ui/b.js';\n",
            ),
            (
                "a.js",
                "import { b } from './ui/b.js';\nnew URL('./worker.js', import.meta.url);\nimport('./later.js');\n",
            ),
            (
                "ui/b.js",
                "import * as d from \"../d.js\";\nexport { x } from './e.js';\n",
            ),
            ("ui/e.js", ""),
            ("d.js", "import './main.js';"),
            ("worker.js", ""),
            ("later.js", ""),
        ]);
        let found = modules(&code, &["main.js"]).unwrap();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["a.js", "d.js", "main.js", "ui/b.js", "ui/e.js"]);
        assert!(modules(&code, &["gone.js"]).is_err());
    }
}
