//! `index.html` for a site: where its code is now, what to fetch at once, and what it may do.

use super::Files;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;

/// The module that has the browser keep the page.
const OFFLINE: &str = "offline.js";

const ENTRIES: [&str; 2] = ["main.js", OFFLINE];

/// Puts the page's code in the folder `app`. `code` has the modules' sources by their paths in it, `connect` the
/// origins of models, `lists` what the page fetches at its start.
pub fn rewrite(
    html: &str,
    app: &str,
    code: &Files,
    connect: &[String],
    lists: &[&str],
) -> Result<String> {
    let mut links = String::new();
    for module in modules(code, &ENTRIES)? {
        // Scripts of their own, a line above.
        if ENTRIES.contains(&module.as_str()) {
            continue;
        }
        links += &format!("    <link rel=\"modulepreload\" href=\"{app}/{module}\">\n");
    }
    for list in lists {
        links += &format!("    <link rel=\"preload\" href=\"{list}\" as=\"fetch\" crossorigin>\n");
    }
    let policy = format!(
        "\n    <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">",
        policy(connect)
    );
    let offline = format!("\n    <script type=\"module\" src=\"{app}/{OFFLINE}\"></script>");
    let charset = "<meta charset=\"utf-8\">";
    let main = "<script type=\"module\" src=\"main.js\"></script>";

    // The policy comes before everything that it is to bind.
    let html = replace(html, charset, &format!("{charset}{policy}"))?;
    let html = replace(
        &html,
        "href=\"styles.css\"",
        &format!("href=\"{app}/styles.css\""),
    )?;
    let moved = main.replace("main.js", &format!("{app}/main.js"));
    let html = replace(&html, main, &format!("{moved}{offline}"))?;
    let html = replace(&html, "href=\"pkg/licences.txt\"", "href=\"licences.txt\"")?;
    replace(&html, "  </head>", &format!("{links}  </head>"))
}

/// Nothing but what the page needs. Plots are images with `data:` addresses, and the worker comes by a
/// `blob:` address, so that the policy binds it too.
fn policy(connect: &[String]) -> String {
    let connect: String = connect.iter().map(|origin| format!(" {origin}")).collect();
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; connect-src 'self'{connect}; worker-src 'self' blob:; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'"
    )
}

fn replace(text: &str, from: &str, to: &str) -> Result<String> {
    if text.matches(from).count() != 1 {
        bail!("www/index.html must have `{from}` once: dist puts something in its place");
    }
    Ok(text.replacen(from, to, 1))
}

/// All modules that these import, directly or not, themselves included.
fn modules(code: &Files, entries: &[&str]) -> Result<BTreeSet<String>> {
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

    const PAGE: &str = r#"<head>
    <meta charset="utf-8">
    <link rel="stylesheet" href="styles.css">
    <script type="module" src="main.js"></script>
  </head>
  <a href="pkg/licences.txt">"#;

    #[test]
    fn the_page_finds_its_code_and_is_bound_from_the_first() {
        let code = code(&[
            ("main.js", "import './a.js';\n"),
            ("a.js", ""),
            ("offline.js", ""),
        ]);
        let connect = ["https://a.example".to_owned()];
        let html = rewrite(PAGE, "app-1", &code, &connect, &["models.json"]).unwrap();
        for part in [
            "href=\"app-1/styles.css\"",
            "src=\"app-1/main.js\"",
            "src=\"app-1/offline.js\"",
            "<link rel=\"modulepreload\" href=\"app-1/a.js\">",
            "<link rel=\"preload\" href=\"models.json\" as=\"fetch\" crossorigin>",
            "connect-src 'self' https://a.example;",
            "href=\"licences.txt\"",
        ] {
            assert_eq!(html.matches(part).count(), 1, "{part} in {html}");
        }
        assert!(html.find("Content-Security-Policy") < html.find("<link"));
        assert!(rewrite("<head>", "app-1", &code, &connect, &[]).is_err());
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
                "import { b } from './ui/b.js';\nnew URL('./worker.js', import.meta.url);\n",
            ),
            (
                "ui/b.js",
                "import * as d from \"../d.js\";\nexport { x } from './e.js';\n",
            ),
            ("ui/e.js", ""),
            ("d.js", "import './main.js';"),
            ("worker.js", ""),
        ]);
        let found = modules(&code, &["main.js"]).unwrap();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["a.js", "d.js", "main.js", "ui/b.js", "ui/e.js"]);
        assert!(modules(&code, &["gone.js"]).is_err());
    }
}
