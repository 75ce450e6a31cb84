//! Fuzz target (`tests/fuzz`): a patient is known only where every reader finds that one.
//!
//! The first line of an input is the JSON pointer or the name of the field, the second the query; the rest is the body.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::*;

/// A document with every member that it has, repeated ones too.
#[derive(Debug)]
enum Document {
    Map(Vec<(String, Document)>),
    List(Vec<Document>),
    Other,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        macro_rules! plain {
            ($($visit:ident: $type:ty,)*) => {
                $(fn $visit<E>(self, _: $type) -> Result<Document, E> { Ok(Document::Other) })*
            };
        }
        impl<'de> Visitor<'de> for Reader {
            type Value = Document;

            plain! { visit_str: &str, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool, }

            fn visit_unit<E>(self) -> Result<Document, E> {
                Ok(Document::Other)
            }

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Document::Map(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Document, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = list.next_element()? {
                    members.push(member);
                }
                Ok(Document::List(members))
            }
        }
        from.deserialize_any(Reader)
    }
}

/// Does a member have a double on the way that `names` go, in whatever case?
fn is_doubtful(document: &Document, names: &[String]) -> bool {
    let Some((name, rest)) = names.split_first() else { return false };
    match document {
        Document::Map(members) => {
            let mut same = members.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            match (same.next(), same.next()) {
                (_, Some(_)) => true,
                (Some((_, member)), None) => is_doubtful(member, rest),
                (None, _) => false,
            }
        }
        Document::List(members) => {
            let at = name.parse().ok().filter(|at: &usize| at.to_string() == *name);
            at.and_then(|at| members.get(at)).is_some_and(|member| is_doubtful(member, rest))
        }
        Document::Other => false,
    }
}

fn json(body: &[u8], pointer: &str) {
    let found = in_json(body, pointer);
    // What no number of `serde_json` holds, or lies too deep for it, it refuses; it is read here if it lies aside.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    let document: Document = serde_json::from_slice(body).unwrap();
    let names: Vec<String> = pointer.split('/').skip(1).map(|n| n.replace("~1", "/").replace("~0", "~")).collect();
    let meant = match value.pointer(pointer) {
        _ if pointer.is_empty() || is_doubtful(&document, &names) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            let exact = number.as_i64().is_some_and(|n| n.unsigned_abs() <= 1 << 53);
            exact.then(|| number.to_string())
        }
        _ => None,
    };
    assert_eq!(found, Found::of(meant.as_deref()), "{value}");
}

/// As lenient servers read a form: escapes that are none stand for themselves, `;` parts as `&` does.
fn fields(form: &[u8]) -> Vec<(String, String)> {
    let plain = |text: &[u8]| {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((byte, after)) = rest.split_first() {
            let digits = after.get(..2).filter(|d| *byte == b'%' && d.iter().all(u8::is_ascii_hexdigit));
            let escaped = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
            bytes.push(escaped.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
            rest = if escaped.is_some() { &after[2..] } else { after };
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let pair = |pair: &[u8]| match pair.iter().position(|b| *b == b'=') {
        Some(at) => (plain(&pair[..at]), plain(&pair[at + 1..])),
        None => (plain(pair), String::new()),
    };
    form.split(|b| matches!(b, b'&' | b';')).map(pair).collect()
}

/// Does some server (PHP, ASP, Rails) take `key` for `name`?
fn taken_for(key: &str, name: &str) -> bool {
    let folded = |text: &str| text.trim_start().to_ascii_lowercase().replace(['.', ' '], "_");
    folded(key) == folded(name) || folded(key.split('[').next().unwrap_or_default()) == folded(name)
}

fn form(body: &[u8], query: &str, name: &str) {
    if let Found::Known(number) = in_form(body, name) {
        let fields = fields(body);
        let named: Vec<_> = fields.iter().filter(|(key, _)| taken_for(key, name)).collect();
        assert!(!named.is_empty());
        assert!(named.iter().all(|(key, value)| *key == name && value.trim() == &*number), "{named:?}");
    }
    if let found @ Found::Known(_) = in_form_beside_query(body, query, name) {
        assert_eq!(found, in_form(body, name));
        assert!(!fields(query.as_bytes()).iter().any(|(key, _)| taken_for(key, name)), "{query}");
    }
}

#[test]
fn atk_a52_a_patient_is_known_only_where_every_reader_finds_the_same() {
    ::fuzz::run("patient", |input| {
        let mut parts = input.splitn(3, |b| *b == b'\n');
        let mut line = || std::str::from_utf8(parts.next().unwrap_or_default());
        let (Ok(name), Ok(query)) = (line(), line()) else { return };
        let body = parts.next().unwrap_or_default();
        json(body, name);
        form(body, query, name);
        let path = unescape_path(name);
        assert!(name.contains('%') || path == name);
        for found in [in_json(body, name), in_form(body, name), in_path(Some(name))] {
            let Found::Known(number) = found else { continue };
            assert!((1..=LONGEST).contains(&number.len()) && !number.contains(char::is_control), "{number:?}");
        }
    });
}
