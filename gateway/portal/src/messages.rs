//! The words of every page, in the languages the product speaks.

use std::fmt;
use std::sync::Arc;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use rust_embed::RustEmbed;
use unic_langid::LanguageIdentifier;

#[derive(RustEmbed)]
#[folder = "locales/"]
struct Locales;

/// A language of our pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// 日本語, the default.
    #[default]
    Japanese,
    /// English.
    English,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Japanese, Self::English];

    /// The tag as HTML, cookies and folders write it (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }

    /// The language's own name for itself.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::Japanese => "日本語",
            Self::English => "English",
        }
    }

    /// The one of two texts that is in this language.
    pub(crate) const fn of<'a>(self, ja: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Japanese => ja,
            Self::English => en,
        }
    }

    /// Reads [`Language::tag`] back.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    /// The best of an `Accept-Language` value (RFC 9110 12.5.4): highest weight first, regions
    /// ignored; Japanese if nothing fits. Only the first 16 ranges are looked at.
    pub fn accepted(header: &str) -> Self {
        let mut best = (0_u16, Self::default());
        for range in header.split(',').take(16) {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim();
            let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|p| p.trim().strip_prefix("q=")).map_or(1000, thousandths);
            if let Some(language) = Self::from_tag(&primary)
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }
}

fn thousandths(weight: &str) -> u16 {
    let weight: f32 = weight.trim().parse().unwrap_or(0.0);
    if (0.0..=1.0).contains(&weight) { (weight * 1000.0) as u16 } else { 0 }
}

/// The message files did not load; a build that passes its tests never shows this.
#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    /// A file is not UTF-8 or not Fluent.
    #[error("{file} is not a message file: {problem}")]
    Malformed {
        /// The file below `locales/`.
        file: String,
        /// What the parser said.
        problem: String,
    },
    /// The same key stands in two files of a language.
    #[error("{file} says again what another file says: {problem}")]
    Twice {
        /// The file below `locales/`.
        file: String,
        /// What the bundle said.
        problem: String,
    },
}

/// All messages, parsed once.
pub(crate) struct Messages {
    japanese: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

impl Messages {
    pub(crate) fn load() -> Result<Arc<Self>, MessagesError> {
        Ok(Arc::new(Self { japanese: bundle(Language::Japanese)?, english: bundle(Language::English)? }))
    }

    /// The words in one language.
    pub(crate) fn tongue(self: &Arc<Self>, language: Language) -> Tongue {
        Tongue { messages: Arc::clone(self), language }
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages(ja, en)")
    }
}

fn bundle(language: Language) -> Result<FluentBundle<FluentResource>, MessagesError> {
    let mut bundle = FluentBundle::new_concurrent(vec![identifier(language)]);
    // Whatever of a person's name or a path comes into a message was cleaned of direction marks
    // before (`Plain`); the marks that Fluent adds would only break copying and tests.
    bundle.set_use_isolating(false);
    for file in Locales::iter().filter(|file| file.starts_with(language.tag())) {
        let problem = |problem: &str| MessagesError::Malformed { file: file.to_string(), problem: problem.to_owned() };
        let data = Locales::get(&file).ok_or_else(|| problem("it is gone"))?.data;
        let text = std::str::from_utf8(&data).map_err(|_| problem("not UTF-8"))?;
        let resource =
            FluentResource::try_new(text.to_owned()).map_err(|(_, errors)| problem(&format!("{errors:?}")))?;
        bundle
            .add_resource(resource)
            .map_err(|errors| MessagesError::Twice { file: file.to_string(), problem: format!("{errors:?}") })?;
    }
    Ok(bundle)
}

fn identifier(language: Language) -> LanguageIdentifier {
    language.tag().parse().unwrap_or_default()
}

/// The messages in the reader's language; what templates ask for words.
#[derive(Clone, Debug)]
pub(crate) struct Tongue {
    messages: Arc<Messages>,
    language: Language,
}

impl Tongue {
    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// The message `key`.
    pub(crate) fn say(&self, key: &str) -> String {
        self.format(key, None)
    }

    /// The message `key` with its variables.
    pub(crate) fn with(&self, key: &str, values: &[(&str, &str)]) -> String {
        let args: FluentArgs<'_> = values.iter().map(|&(n, v)| (n, FluentValue::from(v))).collect();
        self.format(key, Some(&args))
    }

    /// The message `key` with its one variable.
    pub(crate) fn one(&self, key: &str, name: &str, value: &str) -> String {
        self.with(key, &[(name, value)])
    }

    /// The message `key` about `$count` things.
    pub(crate) fn count(&self, key: &str, count: usize) -> String {
        let mut args = FluentArgs::new();
        args.set("count", count);
        self.format(key, Some(&args))
    }

    /// A missing message shows as `⟨key⟩`: a test looks for these on every page.
    fn format(&self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        let bundle = match self.language {
            Language::Japanese => &self.messages.japanese,
            Language::English => &self.messages.english,
        };
        let mut errors = Vec::new();
        let said = bundle
            .get_message(key)
            .and_then(|message| message.value())
            .map(|pattern| bundle.format_pattern(pattern, args, &mut errors).into_owned());
        match said {
            Some(text) if errors.is_empty() => text,
            _ => format!("⟨{key}⟩"),
        }
    }
}

#[cfg(test)]
mod tests;
