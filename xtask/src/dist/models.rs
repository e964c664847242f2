//! `models.json`: which models the page offers, and from where they come.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// The list, and the origins that its files come from, as a content security policy names them.
pub struct Models {
    pub connect: Vec<String>,
    models: Vec<Value>,
}

impl Models {
    pub fn read(json: &[u8]) -> Result<Self> {
        let list: Value = serde_json::from_slice(json).context("models.json is no JSON")?;
        let (Some(connect), Some(models)) = (list["connect"].as_array(), list["models"].as_array())
        else {
            bail!("models.json has no `connect` or no `models`");
        };
        let connect = connect.iter().map(source).collect::<Result<_>>()?;
        Ok(Self {
            connect,
            models: models.clone(),
        })
    }

    /// What a site can offer, in the same order: models that come from elsewhere, and the one whose file
    /// goes along.
    pub fn for_site(self, along: Option<&Path>) -> Result<Self> {
        let along = along.map(path_of);
        let is_along = |url: &str| along.as_ref().is_some_and(|path| path == url);
        let mut models = Vec::new();
        let mut is_listed = false;
        for mut model in self.models {
            let files = model["files"].as_array_mut().into_iter().flatten();
            let mut complete = true;
            for file in files {
                let Some(urls) = file["urls"].as_array_mut() else {
                    bail!("a file in models.json has no `urls`: {file}");
                };
                urls.retain(|url| {
                    url.as_str()
                        .is_some_and(|url| url.contains("://") || is_along(url))
                });
                complete &= !urls.is_empty();
                is_listed |= urls.iter().any(|url| url.as_str().is_some_and(is_along));
            }
            if complete {
                models.push(model);
            }
        }
        if let Some(path) = along
            && !is_listed
        {
            bail!("no model in models.json has the file {path}");
        }
        if models.is_empty() {
            bail!(
                "all models of models.json come from the folder models/, which does not go along: \
                 add --with-model 135m, or a model with an address"
            );
        }
        Ok(Self {
            connect: self.connect,
            models,
        })
    }

    /// For people to read and edit, too.
    pub fn to_json(&self) -> Vec<u8> {
        let list = serde_json::json!({ "connect": self.connect, "models": self.models });
        format!("{list:#}\n").into_bytes()
    }
}

/// Where a model's file is on the site.
pub fn path_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("models/{name}")
}

/// One origin. It becomes part of a policy, in which a space or a semicolon would begin something else.
fn source(value: &Value) -> Result<String> {
    let source = value.as_str().unwrap_or_default();
    let host = source
        .strip_prefix("https://")
        .or_else(|| source.strip_prefix("http://"));
    let is_host = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_alphanumeric() || "-.*:".contains(c))
    };
    match host {
        Some(host) if is_host(host) => Ok(source.to_owned()),
        _ => bail!("{value} in `connect` of models.json is no origin: write https:// and a host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{
        "connect": ["https://huggingface.co", "https://*.hf.co"],
        "models": [
            { "id": "far", "files": [{ "urls": ["https://huggingface.co/a.gguf"] }, { "urls": ["models/b.gguf", "https://huggingface.co/b.gguf"] }] },
            { "id": "half", "files": [{ "urls": ["https://huggingface.co/a.gguf"] }, { "urls": ["models/c.gguf"] }] },
            { "id": "near", "files": [{ "urls": ["models/d.gguf"], "bytes": 3 }], "vectors": "vectors/d/" }
        ]
    }"#;

    fn offered(along: Option<&str>) -> Value {
        let models = Models::read(LIST.as_bytes()).unwrap();
        let models = models.for_site(along.map(Path::new)).unwrap();
        serde_json::from_slice(&models.to_json()).unwrap()
    }

    fn ids(list: &Value) -> Vec<&str> {
        let models = list["models"].as_array().unwrap();
        models.iter().map(|m| m["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn only_models_with_an_address_are_left() {
        let list = offered(None);
        assert_eq!(ids(&list), ["far"]);
        let urls = &list["models"][0]["files"][1]["urls"];
        assert_eq!(urls, &serde_json::json!(["https://huggingface.co/b.gguf"]));
        assert_eq!(list["connect"][1], "https://*.hf.co");
    }

    #[test]
    fn the_model_that_goes_along_is_offered_whole() {
        let list = offered(Some("/somewhere/d.gguf"));
        assert_eq!(ids(&list), ["far", "near"]);
        assert_eq!(list["models"][1]["files"][0]["urls"][0], "models/d.gguf");
        assert_eq!(list["models"][1]["vectors"], "vectors/d/");
    }

    #[test]
    fn a_list_that_offers_nothing_is_refused() {
        let none = Models::read(br#"{ "connect": [], "models": [] }"#).unwrap();
        assert!(none.for_site(None).is_err());
        let models = Models::read(LIST.as_bytes()).unwrap();
        assert!(models.for_site(Some(Path::new("unlisted.gguf"))).is_err());
    }

    #[test]
    fn an_origin_cannot_add_to_the_policy() {
        for wrong in [
            "https://",
            "*",
            "https://a b",
            "https://a;script-src",
            "https://a'",
            "data:",
        ] {
            let list = serde_json::json!({ "connect": [wrong], "models": [] });
            assert!(
                Models::read(list.to_string().as_bytes()).is_err(),
                "{wrong}"
            );
        }
    }
}
