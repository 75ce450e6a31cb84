//! The patient in a JSON document: one way there, or none.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Found;

/// Whole numbers beyond this are not the same to every reader (RFC 8259 6).
const EXACT: u64 = 1 << 53;

/// The text or whole number at a JSON pointer (RFC 6901). A document in which a member on the way is there
/// twice, in whatever case, is two documents: readers differ in which one they take.
pub(crate) fn in_json(body: &[u8], pointer: &str) -> Found {
    let (Ok(text), Some(names)) = (std::str::from_utf8(body), pointer.strip_prefix('/')) else {
        return Found::Unknown;
    };
    let way: Vec<String> = names.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    let mut document = serde_json::Deserializer::from_str(text);
    match (Way(&way)).deserialize(&mut document).and_then(|found| document.end().map(|()| found)) {
        Ok(found) => Found::of(found.as_deref()),
        Err(_) => Found::Unknown,
    }
}

/// The names that are left on the way.
#[derive(Clone, Copy)]
struct Way<'w>(&'w [String]);

impl<'de> DeserializeSeed<'de> for Way<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl Way<'_> {
    fn arrived<E: Error>(self, text: impl FnOnce() -> String) -> Result<Option<String>, E> {
        Ok(self.0.is_empty().then(text))
    }
}

impl<'de> Visitor<'de> for Way<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut seen) = (None, false);
        while let Some(key) = map.next_key::<String>()? {
            let next = self.0.split_first().filter(|(name, _)| key.eq_ignore_ascii_case(name));
            let Some((name, rest)) = next else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen, true) {
                return Err(A::Error::custom("a repeated member"));
            }
            let value = map.next_value_seed(Way(rest))?;
            found = value.filter(|_| key == *name);
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for index in 0_usize.. {
            let next = self.0.split_first().filter(|(name, _)| **name == index.to_string());
            let more = match next {
                Some((_, rest)) => list.next_element_seed(Way(rest))?.map(|value| found = value),
                None => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.arrived(|| text.to_owned())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        if number > EXACT { Ok(None) } else { self.arrived(|| number.to_string()) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        if number.unsigned_abs() > EXACT { Ok(None) } else { self.arrived(|| number.to_string()) }
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Found {
        Found::Known(text.into())
    }

    #[test]
    fn a_json_pointer_finds_text_or_a_whole_number() {
        let body = br#"{"order":{"patient":"000123","n":42,"list":[7,[null],true,{"x":"y"}],"a/b":{"~":"8"}}}"#;
        assert_eq!(in_json(body, "/order/patient"), known("000123"));
        assert_eq!(in_json(body, "/order/n"), known("42"));
        assert_eq!(in_json(body, "/order/list/0"), known("7"));
        assert_eq!(in_json(body, "/order/list/3/x"), known("y"));
        assert_eq!(in_json(body, "/order/a~1b/~0"), known("8"));
        for pointer in [
            "",
            "/",
            "/order",
            "/order/list",
            "/order/list/00",
            "/order/list/4",
            "/order/n/1",
            "/nothing",
            "order/patient",
        ] {
            assert_eq!(in_json(body, pointer), Found::Unknown, "{pointer}");
        }
        for doubtful in [
            "{",
            "{\"n\":1.5}",
            "{\"n\":1e3}",
            "{\"n\":9007199254740993}",
            "{\"n\":1} x",
            "{\"n\":1}{\"n\":2}",
            "{\"n\":null}",
        ] {
            assert_eq!(in_json(doubtful.as_bytes(), "/n"), Found::Unknown, "{doubtful}");
        }
        assert_eq!(in_json(b"{\"x\":\"\xff\",\"n\":1}", "/n"), Found::Unknown);
    }

    #[test]
    fn atk_a52_a_member_that_is_there_twice_on_the_way_is_unknown() {
        for doubtful in [
            r#"{"order":{"patient":"1","patient":"2"}}"#,
            r#"{"order":{"patient":"1","patient":"1"}}"#,
            r#"{"order":{"patient":"1","p\u0061tient":"2"}}"#,
            r#"{"order":{"patient":"1"},"order":{"patient":"2"}}"#,
            r#"{"order":{"patient":"1"},"order":7}"#,
            r#"{"order":{"patient":"1","Patient":"2"}}"#,
            r#"{"ORDER":{"patient":"1"},"order":{"patient":"2"}}"#,
        ] {
            assert_eq!(in_json(doubtful.as_bytes(), "/order/patient"), Found::Unknown, "{doubtful}");
        }
        let aside = r#"{"a":{"b":1,"b":2},"order":{"patient":"1","note":{"patient":"2"}}}"#;
        assert_eq!(in_json(aside.as_bytes(), "/order/patient"), known("1"));
    }
}
