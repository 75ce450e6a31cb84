//! The raw path of a request: what is ambiguous in it, and what an upstream could take it for.
//!
//! Patterns are matched on the raw bytes and those bytes are forwarded. That is only safe where no
//! upstream can read another path out of them (A1, A2, H-17): what every parser reads differently is a
//! [`PathFault`]; what some decode, fold or trim is [`fold`]ed and must not change the rule.

use std::borrow::Cow;

use crate::rules::{AppRules, PathEncoding};

/// Why a path is ambiguous and goes no further (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.name())]
pub enum PathFault {
    /// It doesn't begin with `/` (A7); also `*`.
    NoSlash,
    /// A byte that no path holds raw: space, control, `#`, `\`, or not ASCII.
    RawByte,
    /// `//`, or nothing before an encoded `;`.
    EmptySegment,
    /// `.` or `..`, however it is encoded, also before an encoded `;` or spaces.
    DotSegment,
    /// `%2f`; `%5c`, unless the app is opaque and it is the second byte of a character in CP932.
    EncodedSeparator,
    /// `%00` or another encoded control.
    EncodedControl,
    /// `%` without two hexadecimal digits.
    BadPercent,
    /// A percent-encoded byte once more after decoding (`%252e`, `%25%32%65`).
    DoubleEncoding,
    /// Percent-encoded bytes that aren't UTF-8, overlong forms too, where the app isn't opaque.
    NotUtf8,
    /// A `;` parameter that the app doesn't list.
    Parameter,
    /// The app's id is another policy's.
    NoApp,
}

impl PathFault {
    /// The word for records and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSlash => "path-no-slash",
            Self::RawByte => "path-raw-byte",
            Self::EmptySegment => "path-empty-segment",
            Self::DotSegment => "path-dot-segment",
            Self::EncodedSeparator => "path-encoded-separator",
            Self::EncodedControl => "path-encoded-control",
            Self::BadPercent => "path-bad-percent",
            Self::DoubleEncoding => "path-double-encoding",
            Self::NotUtf8 => "path-not-utf8",
            Self::Parameter => "path-parameter",
            Self::NoApp => "path-no-app",
        }
    }
}

/// A path that every upstream splits alike.
pub(crate) struct Path<'p> {
    /// The path itself, without a query.
    pub(crate) raw: &'p str,
    /// Its segments without their `;` parameters.
    pub(crate) segments: Vec<&'p str>,
}

impl<'p> Path<'p> {
    /// Splits the path of a request target (a query is cut off at the first `?`) or says why it is ambiguous.
    pub(crate) fn parse(target: &'p str, rules: &AppRules) -> Result<Self, PathFault> {
        let raw = target.split_once('?').map_or(target, |(path, _)| path);
        let inner = raw.strip_prefix('/').ok_or(PathFault::NoSlash)?;
        if raw.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'#' | b'\\')) {
            return Err(PathFault::RawByte);
        }
        let mut segments = Vec::with_capacity(8);
        let mut rest = Some(inner);
        while let Some(text) = rest {
            let (segment, following) = match text.split_once('/') {
                Some((segment, following)) => (segment, Some(following)),
                None => (text, None),
            };
            rest = following;
            segments.push(check_segment(segment, rest.is_none(), rules)?);
        }
        Ok(Self { raw, segments })
    }

    /// The raw text from the segment at `index` to the end.
    pub(crate) fn tail_at(&self, index: usize) -> &'p str {
        self.raw.splitn(index + 2, '/').last().unwrap_or_default()
    }
}

/// The segment without its parameters.
fn check_segment<'p>(segment: &'p str, last: bool, rules: &AppRules) -> Result<&'p str, PathFault> {
    let mut parts = segment.split(';');
    let name = parts.next().unwrap_or_default();
    for parameter in parts {
        let key = parameter.split_once('=').map_or(parameter, |(key, _)| key);
        if !rules.path_parameters.iter().any(|listed| listed == key) {
            return Err(PathFault::Parameter);
        }
        decoded(parameter, rules.path_encoding)?;
    }
    if name.is_empty() && !(last && segment.is_empty()) {
        return Err(PathFault::EmptySegment);
    }
    let whole = decoded(name, rules.path_encoding)?;
    // Some servers decode first and take parameters off after, and some file systems trim spaces.
    let bare = whole.split(|&b| b == b';').next().unwrap_or_default();
    match bare.trim_ascii_end() {
        b"." | b".." => Err(PathFault::DotSegment),
        _ if bare.is_empty() && !whole.is_empty() => Err(PathFault::EmptySegment),
        _ => Ok(name),
    }
}

/// The bytes that a text encodes, if every parser reads them alike.
fn decoded(text: &str, encoding: PathEncoding) -> Result<Cow<'_, [u8]>, PathFault> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let (byte, after) = encoded_byte(after).ok_or(PathFault::BadPercent)?;
        match byte {
            b'/' => return Err(PathFault::EncodedSeparator),
            b'\\' if encoding == PathEncoding::Strict => return Err(PathFault::EncodedSeparator),
            _ if byte.is_ascii_control() => return Err(PathFault::EncodedControl),
            _ => bytes.push(byte),
        }
        rest = after;
    }
    if bytes.windows(3).any(|w| w.split_first().is_some_and(|(&b, digits)| b == b'%' && encoded_byte(digits).is_some()))
    {
        return Err(PathFault::DoubleEncoding);
    }
    match encoding {
        PathEncoding::Strict if std::str::from_utf8(&bytes).is_err() => Err(PathFault::NotUtf8),
        PathEncoding::Opaque if has_backslash(&bytes) => Err(PathFault::EncodedSeparator),
        _ => Ok(Cow::Owned(bytes)),
    }
}

/// Holds the text a `\`, which some servers take for `/`, other than as the second byte of a character in CP932?
fn has_backslash(text: &[u8]) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return true,
            0x81..=0x9f | 0xe0..=0xfc => drop(bytes.next()),
            _ => {}
        }
    }
    false
}

/// The byte of two leading hexadecimal digits, and what follows them.
fn encoded_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], after) = text.split_first_chunk::<2>()?;
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some((digit(high)? * 16 + digit(low)?, after))
}

/// What a lenient upstream could take a segment for: decoded, in lower case, cut at an encoded `;`,
/// without the dots and spaces that some file systems ignore at the end.
pub(crate) fn fold(segment: &str) -> Cow<'_, [u8]> {
    let plain = |b: u8| !b.is_ascii_uppercase() && b != b'%';
    if segment.bytes().all(plain) && !segment.ends_with('.') {
        return Cow::Borrowed(segment.as_bytes());
    }
    // Opaque: nothing is refused here, only read.
    let mut bytes = decoded(segment, PathEncoding::Opaque).unwrap_or(Cow::Borrowed(segment.as_bytes())).into_owned();
    if let Some(at) = bytes.iter().position(|&b| b == b';') {
        bytes.truncate(at);
    }
    while bytes.last().is_some_and(|b| matches!(b, b'.' | b' ')) {
        bytes.pop();
    }
    bytes.make_ascii_lowercase();
    Cow::Owned(bytes)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str) -> Option<PathFault> {
        Path::parse(path, &AppRules::default()).err()
    }

    #[test]
    fn atk_a02_what_parsers_read_differently_is_refused() {
        for (path, expected) in [
            ("/public/../admin", PathFault::DotSegment),
            ("/public/./admin", PathFault::DotSegment),
            ("/public/%2e%2e/admin", PathFault::DotSegment),
            ("/public/.%2E/admin", PathFault::DotSegment),
            ("/public/..", PathFault::DotSegment),
            ("/public/..;/admin", PathFault::Parameter),
            ("/public;x=y/admin", PathFault::Parameter),
            ("/public;", PathFault::Parameter),
            ("/public/..%3bx/admin", PathFault::DotSegment),
            ("/.%3B/admin", PathFault::DotSegment),
            ("/public/..%20%20/admin", PathFault::DotSegment),
            ("/%3b/admin", PathFault::EmptySegment),
            ("//admin", PathFault::EmptySegment),
            ("/public//admin", PathFault::EmptySegment),
            ("//", PathFault::EmptySegment),
            ("/public%2fadmin", PathFault::EncodedSeparator),
            ("/public%2Fadmin", PathFault::EncodedSeparator),
            ("/public%5cadmin", PathFault::EncodedSeparator),
            ("/public\\admin", PathFault::RawByte),
            ("/public%00", PathFault::EncodedControl),
            ("/public%0d%0aX", PathFault::EncodedControl),
            ("/public%7f", PathFault::EncodedControl),
            ("/%252e%252e/admin", PathFault::DoubleEncoding),
            ("/%25%32%65", PathFault::DoubleEncoding),
            ("/%c0%ae%c0%ae/admin", PathFault::NotUtf8),
            ("/%e0%80%af", PathFault::NotUtf8),
            ("/%", PathFault::BadPercent),
            ("/%2", PathFault::BadPercent),
            ("/%zz", PathFault::BadPercent),
            ("/%u002e", PathFault::BadPercent),
            ("/a b", PathFault::RawByte),
            ("/a\u{e9}", PathFault::RawByte),
            ("/a#b", PathFault::RawByte),
        ] {
            assert_eq!(fault(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn atk_a07_a_path_without_its_leading_slash_is_refused() {
        for path in ["", "*", "admin", "?x=/", "http://chart/"] {
            assert_eq!(fault(path), Some(PathFault::NoSlash), "{path}");
        }
    }

    #[test]
    fn plain_paths_are_split_at_their_slashes() {
        let rules = AppRules { path_parameters: vec!["jsessionid".into()], ..AppRules::default() };
        let path = Path::parse("/a;jsessionid=1/%E5%B1%B1/100%25/?q=//..", &rules).unwrap();
        assert_eq!(path.segments, ["a", "%E5%B1%B1", "100%25", ""]);
        assert_eq!(path.tail_at(1), "%E5%B1%B1/100%25/");
        assert_eq!(path.tail_at(0), "a;jsessionid=1/%E5%B1%B1/100%25/");
        assert_eq!(path.tail_at(3), "");
        assert_eq!(fault("/"), None);
    }

    #[test]
    fn an_empty_name_before_a_parameter_is_an_empty_segment() {
        let rules = AppRules { path_parameters: vec!["jsessionid".into()], ..AppRules::default() };
        for path in ["/;jsessionid=1/a", "/a/;jsessionid=1"] {
            assert_eq!(Path::parse(path, &rules).err(), Some(PathFault::EmptySegment), "{path}");
        }
    }

    #[test]
    fn opaque_paths_hold_the_second_bytes_of_cp932_and_still_no_separator() {
        let rules = AppRules { path_encoding: PathEncoding::Opaque, ..AppRules::default() };
        // 表 is 0x95 0x5C in CP932.
        assert!(Path::parse("/%95%5C", &rules).is_ok());
        assert_eq!(Path::parse("/%95%2f", &rules).err(), Some(PathFault::EncodedSeparator));
        assert_eq!(Path::parse("/%95%00", &rules).err(), Some(PathFault::EncodedControl));
        assert_eq!(Path::parse("/%2e%2e/", &rules).err(), Some(PathFault::DotSegment));
    }

    /// Found by fuzzing: `/%5cadmin` was no `/admin` here, and is one to a Windows server.
    #[test]
    fn atk_a02_an_opaque_path_holds_a_backslash_only_as_half_a_character() {
        let rules = AppRules { path_encoding: PathEncoding::Opaque, ..AppRules::default() };
        for path in ["/%5cadmin", "/a%5Cb", "/..%5cadmin", "/%95%5C%5Cadmin", "/%95%95%5Cadmin", "/%b1%5Cadmin"] {
            assert_eq!(Path::parse(path, &rules).err(), Some(PathFault::EncodedSeparator), "{path}");
        }
        for path in ["/%95%5C%95%5C", "/%83A%83%5C", "/a%e0%5Cb"] {
            assert!(Path::parse(path, &rules).is_ok(), "{path}");
        }
    }

    #[test]
    fn folding_shows_what_a_lenient_upstream_could_read() {
        for (segment, folded) in [
            ("admin", "admin"),
            ("%61dmin", "admin"),
            ("ADMIN", "admin"),
            ("admin%3Bx", "admin"),
            ("admin.%20", "admin"),
        ] {
            assert_eq!(&*fold(segment), folded.as_bytes(), "{segment}");
        }
    }
}
