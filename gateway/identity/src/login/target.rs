use std::fmt;

/// Longest path and query to come back to, in bytes.
const LONGEST: usize = 2048;

/// Where a browser wants to go on the host it came from: a path and query, never another host (A15).
///
/// Starts with a single `/`, has no `//` or `/\` at its start, no backslash in its path, no control or
/// non-ASCII character, no fragment, and at most 2,048 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Box<str>);

impl Target {
    /// Reads path and query as they stood in a request.
    ///
    /// # Errors
    /// [`TargetError`] for anything a browser could take for another place.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let bytes = text.as_bytes();
        let path = bytes.split(|b| *b == b'?').next().unwrap_or_default();
        let fits = bytes.len() <= LONGEST
            && bytes.first() == Some(&b'/')
            && !matches!(bytes.get(1), Some(b'/' | b'\\'))
            && bytes.iter().all(|b| matches!(b, 0x21..=0x7e) && *b != b'#')
            && !path.contains(&b'\\');
        if fits { Ok(Self(text.into())) } else { Err(TargetError) }
    }

    /// The host's first page.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no place on the same host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a path of this host")]
pub struct TargetError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_queries_are_targets() {
        for good in ["/", "/a/b?c=d", "/a?x=//evil.example", "/a//b", "/%5c%5cx", "/?x=\\y"] {
            assert_eq!(Target::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn atk_a15_nothing_that_leads_elsewhere_is_a_target() {
        let mut forms: Vec<String> = [
            "",
            "x",
            "//evil.example",
            "/\\evil.example",
            "\\/evil",
            "\\\\evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil",
            "\t//evil",
            " //evil",
            "/ /evil",
            "/a\\..\\b",
            "/a#b",
            "/あ",
            "/a\u{0}",
            "/a\r\nX: y",
            "?x",
            ".",
            "/\u{7f}",
        ]
        .map(str::to_owned)
        .to_vec();
        forms.push(format!("/{}", "a".repeat(LONGEST)));
        for prefix in ["", "/", "\\", "//", "///", "/\\/", "\t", " ", "\u{3000}", "https:", "https:/", "https:\\\\"] {
            for host in ["/evil.example", "\\evil.example", "//user@evil.example:1/", "\u{ff0f}evil"] {
                let form = format!("{prefix}{host}");
                if !(prefix.is_empty() && host == "/evil.example") {
                    forms.push(form);
                }
            }
        }
        for bad in forms {
            assert_eq!(Target::parse(&bad), Err(TargetError), "{bad:?}");
        }
    }
}
