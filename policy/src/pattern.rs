use std::sync::Arc;

use crate::PatternFault;
use crate::path::fold;

/// Segments that a pattern may have: the depth of the router's search.
const MAX_SEGMENTS: usize = 64;

/// A path pattern, parsed: `/patients/{id}/{*rest}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// The raw text itself; empty only as the last one, after a final slash.
    Literal(String),
    /// `{name}`: any segment that isn't empty.
    Parameter(Arc<str>),
    /// `{*name}`: all that follows, perhaps nothing.
    Rest(Arc<str>),
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, PatternFault> {
        let inner = text.strip_prefix('/').ok_or(PatternFault::NoSlash)?;
        let texts: Vec<&str> = inner.split('/').collect();
        if texts.len() > MAX_SEGMENTS {
            return Err(PatternFault::TooLong);
        }
        let last = texts.len() - 1;
        let mut segments = Vec::with_capacity(texts.len());
        for (at, text) in texts.into_iter().enumerate() {
            segments.push(Segment::parse(text, at == last)?);
        }
        let pattern = Self { segments };
        let names: Vec<_> = pattern.parameters().collect();
        let repeated = names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|n| n == name));
        if repeated { Err(PatternFault::SameParameter) } else { Ok(pattern) }
    }

    /// The names of its parameters, in order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Rest(name) => Some(name),
        })
    }
}

impl Segment {
    fn parse(text: &str, last: bool) -> Result<Self, PatternFault> {
        if text.contains(['{', '}']) {
            return Self::parse_parameter(text, last);
        }
        match text {
            "" if !last => return Err(PatternFault::EmptySegment),
            "." | ".." => return Err(PatternFault::DotSegment),
            // Of `...` some servers leave nothing.
            _ if !text.is_empty() && fold(text).is_empty() => return Err(PatternFault::DotSegment),
            _ => {}
        }
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' => check_encoded(bytes.next(), bytes.next())?,
                _ if is_plain(byte) => {}
                _ => return Err(PatternFault::Byte(odd_char(text))),
            }
        }
        Ok(Self::Literal(text.to_owned()))
    }

    fn parse_parameter(text: &str, last: bool) -> Result<Self, PatternFault> {
        let inside = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or(PatternFault::Parameter)?;
        let (rest, name) = match inside.strip_prefix('*') {
            Some(name) => (true, name),
            None => (false, inside),
        };
        let named = !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        match (named, rest) {
            (true, false) => Ok(Self::Parameter(name.into())),
            (true, true) if last => Ok(Self::Rest(name.into())),
            _ => Err(PatternFault::Parameter),
        }
    }
}

/// `pchar` of RFC 3986 without `%` and without `;`, whose parameters are no part of what is matched.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

/// A percent sign must stand for a byte that a path can hold no other way; else a pattern would never
/// match, or would match what a client may also write plainly.
fn check_encoded(high: Option<u8>, low: Option<u8>) -> Result<(), PatternFault> {
    let digit = |b: Option<u8>| match b {
        Some(b @ b'0'..=b'9') => Ok(b - b'0'),
        Some(b @ b'A'..=b'F') => Ok(b - b'A' + 10),
        _ => Err(PatternFault::Percent),
    };
    let byte = digit(high)? * 16 + digit(low)?;
    let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if unreserved || byte.is_ascii_control() || matches!(byte, b'/' | b';') {
        return Err(PatternFault::Percent);
    }
    Ok(())
}

fn odd_char(text: &str) -> char {
    let odd = |c: &char| !(*c == '%' || u8::try_from(*c).is_ok_and(is_plain));
    text.chars().find(odd).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_literals_parameters_and_a_rest() {
        let parsed = Pattern::parse("/patients/{id}/files/{*rest}").unwrap();
        assert_eq!(
            parsed.segments,
            [
                Segment::Literal("patients".into()),
                Segment::Parameter("id".into()),
                Segment::Literal("files".into()),
                Segment::Rest("rest".into()),
            ]
        );
        assert_eq!(Pattern::parse("/").unwrap().segments, [Segment::Literal(String::new())]);
    }

    #[test]
    fn what_a_raw_path_never_holds_is_no_pattern() {
        for (text, fault) in [
            ("", PatternFault::NoSlash),
            ("patients", PatternFault::NoSlash),
            ("/a//b", PatternFault::EmptySegment),
            ("/a/../b", PatternFault::DotSegment),
            ("/a/.", PatternFault::DotSegment),
            ("/a/...", PatternFault::DotSegment),
            ("/a/.%20/b", PatternFault::DotSegment),
            ("/a?b", PatternFault::Byte('?')),
            ("/a#b", PatternFault::Byte('#')),
            ("/a;b", PatternFault::Byte(';')),
            ("/a\\b", PatternFault::Byte('\\')),
            ("/a b", PatternFault::Byte(' ')),
            ("/病棟", PatternFault::Byte('病')),
            ("/%61", PatternFault::Percent),
            ("/%2F", PatternFault::Percent),
            ("/%00", PatternFault::Percent),
            ("/%e7%97%85", PatternFault::Percent),
            ("/%E", PatternFault::Percent),
            ("/{id}.json", PatternFault::Parameter),
            ("/{}", PatternFault::Parameter),
            ("/{Id}", PatternFault::Parameter),
            ("/{*rest}/b", PatternFault::Parameter),
            ("/{id}/{id}", PatternFault::SameParameter),
        ] {
            assert_eq!(Pattern::parse(text), Err(fault), "{text}");
        }
        assert!(Pattern::parse("/%E7%97%85%E6%A3%9F/a%20b/100%25/").is_ok());
        assert_eq!(Pattern::parse(&"/a".repeat(65)), Err(PatternFault::TooLong));
    }
}
