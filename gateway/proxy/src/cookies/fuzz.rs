//! Fuzz target (`tests/fuzz`): nobody's cookies but one's own come out, and ours go nowhere.
//!
//! Lines of an input that begin with `S` are what Taro's upstream sets, with `C` what Taro's browser sends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::SET_COOKIE;
use model::{MasterKey, SessionId, Timestamp};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LONGEST: i64 = 3_600;
const SECRET: &str = "hanakos-own-secret";

struct House {
    jars: Jars,
    taro: SessionId,
    rules: CookieRules,
    /// What Hanako's browser holds, and Taro's.
    hers: Vec<String>,
    his: Vec<String>,
}

impl House {
    fn new() -> Self {
        let jars = Jars::new(Arc::new(MasterKey::generate().unwrap()));
        let rules = CookieRules { host: "chart.example".into(), listed: vec!["theme".into(), "sk.x.y".into()] };
        let (hanako, taro) = (SessionId::generate(), SessionId::generate());
        let mut house = Self { jars, taro, rules, hers: Vec::new(), his: Vec::new() };
        let set = |name: &str, value: &str| HeaderValue::from_str(&format!("{name}={value}; HttpOnly")).unwrap();
        let names = ["JSESSIONID", "__Host-a", "__Secure-b"];
        house.hers = house.given(hanako, names.map(|name| set(name, SECRET)).into()).0;
        house.his = house.given(taro, names.map(|name| set(name, "taros")).into()).0;
        let first = |line: &String| line.split(';').next().unwrap().to_owned();
        (house.hers, house.his) = (house.hers.iter().map(first).collect(), house.his.iter().map(first).collect());
        house
    }

    /// What a session's browser is given, and how many were dropped.
    fn given(&self, session: SessionId, values: Vec<HeaderValue>) -> (Vec<String>, usize) {
        let mut headers: HeaderMap = values.into_iter().map(|value| (SET_COOKIE, value)).collect();
        let until = NOW.after(Duration::from_secs(LONGEST.unsigned_abs()));
        let dropped = rewrite(&mut headers, &self.rules, NOW, until, || self.jars.of(session));
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        (headers.get_all(SET_COOKIE).iter().map(text).collect(), dropped)
    }

    /// What Taro's upstream gets.
    fn sent(&self, values: &[HeaderValue]) -> Forwarded {
        let headers: HeaderMap = values.iter().map(|value| (COOKIE, value.clone())).collect();
        forwarded(&headers, &self.rules, || self.jars.of(self.taro))
    }

    fn line(&self) -> String {
        self.jars.of(self.taro).unwrap().line().to_owned()
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let all = format!("C{}; {}; theme=dark\n", self.hers.join("; "), self.his.join("; "));
        let (own, sealed) = (self.his[0].split('=').next().unwrap(), self.hers[0].split('=').nth(1).unwrap());
        vec![all.into_bytes(), format!("C{own}={sealed}\n").into_bytes(), format!("S{}\n", self.hers[1]).into_bytes()]
    }
}

/// Ours by name, to whatever server.
fn is_ours(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    let bare = ["__host-", "__secure-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    bare.is_some_and(|bare| bare == "sk" || bare == "sk-bind") || bare.unwrap_or(&name).starts_with("sk.")
}

/// What goes upstream is listed or was sealed for Taro, and reads in one way.
fn outward(house: &House, sent: &[HeaderValue]) {
    let result = house.sent(sent);
    let text = result.header.as_ref().map_or(String::new(), |h| String::from_utf8_lossy(h.as_bytes()).into_owned());
    assert!(!text.contains(SECRET), "{text}");
    for pair in text.split("; ").filter(|_| !text.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("{text}"));
        assert!(!is_ours(name), "{text}");
        assert!(!value.contains(';') && value.trim() == value && name.trim() == name, "{text}");
        let quoted = value.strip_prefix('"').map(|rest| rest.strip_suffix('"'));
        assert!(quoted.is_none_or(|inside| inside.is_some_and(|inside| !inside.contains('"'))), "{text}");
        let own = matches!(name, "JSESSIONID" | "__Host-a" | "__Secure-b") && value == "taros";
        assert!(own || name == "theme", "{text}");
    }
    assert!(result.foreign.len() <= CLEARED);
    let mine = format!("sk.{}.", house.line());
    for name in &result.foreign {
        assert!(name.contains("sk.") && !split_prefix(name).1.starts_with(&mine), "{name}");
    }
    let mut headers = HeaderMap::new();
    expire(&mut headers, &result.foreign);
    for value in &headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>() {
        assert_eq!(String::from_utf8_lossy(value.as_bytes()).split(';').count(), 5, "{value:?}");
    }
}

/// The session cookie, read another way: there is one of exactly this name, and no other that looks like it.
fn session(sent: &[HeaderValue]) {
    let headers: HeaderMap = sent.iter().map(|value| (COOKIE, value.clone())).collect();
    let Presented::Token(token) = presented(&headers) else { return };
    let wanted = format!("__Host-sk={}", token.text());
    let pairs = || sent.iter().flat_map(|value| value.as_bytes().split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    assert_eq!(pairs().filter(|pair| *pair == wanted.as_bytes()).count(), 1);
    assert!(!pairs().any(|pair| pair.starts_with(b"__Host-sk=") && pair != wanted.as_bytes()));
}

/// What the browser gets is sealed or listed, bound to this host, no longer than the session, and comes back.
fn inward(house: &House, set: Vec<HeaderValue>) {
    let count = set.len();
    let (given, dropped) = house.given(house.taro, set);
    assert!(given.len() + dropped == count && given.len() <= 32);
    for line in &given {
        assert!(line.len() <= 4_096);
        let mut parts = line.split("; ");
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
        let attributes: Vec<&str> = parts.collect();
        assert!(attributes.contains(&"Secure"), "{line}");
        let known = ["Path=", "SameSite=", "Max-Age=", "Expires=", "Partitioned", "Secure", "HttpOnly"];
        assert!(attributes.iter().all(|a| known.iter().any(|known| a.starts_with(known))), "{line}");
        let names: BTreeSet<&str> = attributes.iter().map(|a| a.split('=').next().unwrap()).collect();
        assert_eq!(names.len(), attributes.len(), "{line}");
        if name == "theme" {
            assert!(!value.contains(';'));
            continue;
        }
        let (prefix, rest) = split_prefix(name);
        let plain = rest.strip_prefix(&format!("sk.{}.", house.line())).unwrap_or_else(|| panic!("{line}"));
        let seconds: i64 = attributes.iter().find_map(|a| a.strip_prefix("Max-Age=")).unwrap().parse().unwrap();
        assert!(attributes.contains(&"HttpOnly") && (0..=LONGEST).contains(&seconds), "{line}");
        assert!(!prefix.eq_ignore_ascii_case("__Host-") || attributes.contains(&"Path=/"), "{line}");
        let back = house.sent(&[HeaderValue::from_str(&format!("{name}={value}")).unwrap()]).header;
        let own = format!("{prefix}{plain}=");
        assert!(back.is_none() == (seconds == 0), "{line}");
        assert!(back.is_none_or(|back| back.as_bytes().starts_with(own.as_bytes())), "{line}");
    }
}

#[test]
fn atk_a48_no_cookie_of_another_session_comes_out_and_none_of_ours_goes_in() {
    let house = House::new();
    ::fuzz::run_from("cookies", &house.seeds(), |input| {
        let lines = |kind: u8| {
            let lines = input.split(|b| *b == b'\n').filter_map(move |line| line.strip_prefix(&[kind]));
            lines.filter_map(|value| HeaderValue::from_bytes(value).ok()).collect::<Vec<_>>()
        };
        outward(&house, &lines(b'C'));
        session(&lines(b'C'));
        inward(&house, lines(b'S'));
    });
}
