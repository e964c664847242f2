//! Chat messages to the text of a prompt, by the template that the model was trained with.

use super::metadata::Metadata;
use crate::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::{Deserialize, Serialize};

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// A model's chat template: Jinja, with the settings and functions of Hugging Face transformers, but
/// for `strftime_now`. Templates that write today's date have a fixed one where it is missing, and so
/// a prompt, and a vector made from it, are the same every day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatTemplate {
    source: Option<String>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// A template of this source, for a model without tokens that begin and end a text.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::default()
        }
    }

    /// Takes the template of a GGUF header. A file without one makes a template that does not
    /// render, because such a model can still complete plain text.
    ///
    /// # Errors
    /// [`Error::Metadata`].
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let tokens = metadata.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
        let token = |key: &str| -> Result<String> {
            let id = metadata
                .integer(key)?
                .and_then(|id| usize::try_from(id).ok());
            Ok(id
                .and_then(|id| tokens.get(id).cloned())
                .unwrap_or_default())
        };
        Ok(Self {
            source: metadata.text("tokenizer.chat_template")?.map(str::to_owned),
            bos_token: token("tokenizer.ggml.bos_token_id")?,
            eos_token: token("tokenizer.ggml.eos_token_id")?,
        })
    }

    /// The text of a prompt. With `add_generation_prompt` it ends with what begins an answer of
    /// the assistant.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] where there is no template or where it fails or objects.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let source = self.source.as_deref().ok_or_else(|| Error::ChatTemplate {
            reason: "the file has none, so it is not a chat model; give a plain prompt".into(),
        })?;
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()
                .map_err(failed)?,
        );
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", |message: String| {
            Err::<String, _>(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => &*message.role, content => &*message.content })
            .collect();
        environment
            .template_from_str(source)
            .and_then(|template| {
                template.render(context! {
                    messages,
                    add_generation_prompt,
                    bos_token => &*self.bos_token,
                    eos_token => &*self.eos_token,
                })
            })
            .map_err(failed)
    }
}

fn failed(error: minijinja::Error) -> Error {
    Error::ChatTemplate {
        reason: format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(content: &str) -> Vec<Message> {
        vec![Message {
            role: "user".into(),
            content: content.into(),
        }]
    }

    #[test]
    fn blocks_are_trimmed_and_python_methods_work() {
        let template = ChatTemplate::new(
            "{% for m in messages %}\n  {% if m.role.startswith('us') %}\n{{ m['content'].strip() }}\n  {% endif %}\n{% endfor %}\n{% if add_generation_prompt %}>{% endif %}",
        );
        assert_eq!(template.render(&user(" hi "), true).unwrap(), "hi\n>");
        assert_eq!(template.render(&user(" hi "), false).unwrap(), "hi\n");
    }

    #[test]
    fn a_template_that_objects_says_why() {
        let template = ChatTemplate::new("{{ raise_exception('roles must alternate') }}");
        let error = template.render(&user("hi"), true).unwrap_err();
        assert!(matches!(error, Error::ChatTemplate { .. }));
        assert!(
            error.to_string().contains("roles must alternate"),
            "{error}"
        );
    }

    #[test]
    fn a_model_without_a_template_says_so() {
        let error = ChatTemplate::default()
            .render(&user("hi"), true)
            .unwrap_err();
        assert!(error.to_string().contains("give a plain prompt"), "{error}");
    }
}
