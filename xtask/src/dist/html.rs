//! `index.html` for a site: where its code is now, what to fetch at once, and what it may do.

use super::{Files, graph};
use anyhow::{Result, bail};

/// The module that has the browser keep the page.
const OFFLINE: &str = "offline.js";

/// The modules that the page itself starts.
pub const ENTRIES: [&str; 2] = ["main.js", OFFLINE];

/// Puts the page's code in the folder `app`. `code` has the modules' sources by their paths in it, `connect` the
/// origins of models, `lists` what the page fetches at its start. All of it has a low priority: the text and its
/// style are there first, to be read.
pub fn rewrite(
    html: &str,
    app: &str,
    code: &Files,
    connect: &[String],
    lists: &[&str],
) -> Result<String> {
    let mut links = String::new();
    for module in graph::modules(code, &ENTRIES)? {
        // Scripts of their own, a line above.
        if ENTRIES.contains(&module.as_str()) {
            continue;
        }
        links += &format!(
            "    <link rel=\"modulepreload\" href=\"{app}/{module}\" fetchpriority=\"low\">\n"
        );
    }
    for list in lists {
        links += &format!(
            "    <link rel=\"preload\" href=\"{list}\" as=\"fetch\" crossorigin fetchpriority=\"low\">\n"
        );
    }
    let policy = format!(
        "\n    <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">",
        policy(connect)
    );
    let offline = format!(
        "\n    <script type=\"module\" src=\"{app}/{OFFLINE}\" fetchpriority=\"low\"></script>"
    );
    let charset = "<meta charset=\"utf-8\">";
    let main = "<script type=\"module\" src=\"main.js\"></script>";

    // The policy comes before everything that it is to bind.
    let mut html = replace(html, charset, &format!("{charset}{policy}"))?;
    for style in code.keys().filter(|path| path.ends_with(".css")) {
        let moved = format!("href=\"{app}/{style}\"");
        html = replace(&html, &format!("href=\"{style}\""), &moved)?;
    }
    let moved = main.replace(
        "main.js\"",
        &format!("{app}/main.js\" fetchpriority=\"low\""),
    );
    let html = replace(&html, main, &format!("{moved}{offline}"))?;
    let html = replace(&html, "href=\"pkg/licences.txt\"", "href=\"licences.txt\"")?;
    replace(&html, "  </head>", &format!("{links}  </head>"))
}

/// Nothing but what the page needs. A chart becomes a PNG by way of an image with a `data:` address, and the
/// worker comes by a `blob:` address, so that the policy binds it too.
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
    <link rel="stylesheet" href="lab/lab.css">
    <script type="module" src="main.js"></script>
  </head>
  <a href="pkg/licences.txt">"#;

    #[test]
    fn the_page_finds_its_code_and_is_bound_from_the_first() {
        let code = code(&[
            ("main.js", "import './a.js';\n"),
            ("a.js", ""),
            ("offline.js", ""),
            ("styles.css", ""),
            ("lab/lab.css", ""),
        ]);
        let connect = ["https://a.example".to_owned()];
        let html = rewrite(PAGE, "app-1", &code, &connect, &["models.json"]).unwrap();
        for part in [
            "href=\"app-1/styles.css\"",
            "href=\"app-1/lab/lab.css\"",
            "src=\"app-1/main.js\" fetchpriority=\"low\"",
            "src=\"app-1/offline.js\" fetchpriority=\"low\"",
            "<link rel=\"modulepreload\" href=\"app-1/a.js\" fetchpriority=\"low\">",
            "<link rel=\"preload\" href=\"models.json\" as=\"fetch\" crossorigin fetchpriority=\"low\">",
            "connect-src 'self' https://a.example;",
            "href=\"licences.txt\"",
        ] {
            assert_eq!(html.matches(part).count(), 1, "{part} in {html}");
        }
        assert!(html.find("Content-Security-Policy") < html.find("<link"));
        assert!(rewrite("<head>", "app-1", &code, &connect, &[]).is_err());
    }
}
