use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use model::{MasterKey, SessionId, Timestamp, Token};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn until() -> Timestamp {
    NOW.after(Duration::from_secs(3_600))
}

fn rules() -> CookieRules {
    CookieRules { host: "chart.example".into(), listed: vec!["theme".into(), "sk.x.y".into()] }
}

fn jars() -> Jars {
    Jars::new(Arc::new(MasterKey::generate().unwrap()))
}

fn set(values: &[&str]) -> HeaderMap {
    values.iter().map(|v| (SET_COOKIE, v.parse().unwrap())).collect()
}

fn sent(values: &[&str]) -> HeaderMap {
    values.iter().map(|v| (COOKIE, v.parse().unwrap())).collect()
}

/// What the browser of `session` is given for `values`, and how many were dropped.
fn given(jars: &Jars, session: SessionId, values: &[&str]) -> (Vec<String>, usize) {
    let mut headers = set(values);
    let dropped = rewrite(&mut headers, &rules(), NOW, until(), || jars.of(session));
    let kept = headers.get_all(SET_COOKIE).iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    (kept, dropped)
}

/// What the upstream is sent when the browser of `session` sends `cookies`.
fn upstream(jars: &Jars, session: SessionId, cookies: &[&str]) -> String {
    let result = forwarded(&sent(cookies), &rules(), || jars.of(session));
    result.header.map(|h| h.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap()
}

#[test]
fn atk_a48_only_the_session_that_was_given_a_cookie_can_use_it() {
    let (jars, hanako, taro) = (jars(), SessionId::generate(), SessionId::generate());
    let (cookies, dropped) = given(&jars, hanako, &["JSESSIONID=abc; Path=/; HttpOnly; Domain=example"]);
    assert_eq!(dropped, 0);
    let cookie = &cookies[0];
    assert!(cookie.starts_with("sk."), "{cookie}");
    assert!(!cookie.contains("abc") && !cookie.to_lowercase().contains("domain"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; Max-Age=3600; HttpOnly"), "{cookie}");
    assert_eq!(upstream(&jars, hanako, &[pair(cookie)]), "JSESSIONID=abc");
    assert_eq!(upstream(&jars, taro, &[pair(cookie)]), "");
    let (theirs, _) = given(&jars, taro, &["JSESSIONID=x"]);
    let (own_name, _) = theirs[0].split_once('=').unwrap();
    let (_, sealed) = pair(cookie).split_once('=').unwrap();
    assert_eq!(upstream(&jars, taro, &[&format!("{own_name}={sealed}")]), "");
}

#[test]
fn a_sealed_cookie_opens_only_under_its_own_name_and_host() {
    let (jars, session) = (jars(), SessionId::generate());
    let (cookies, _) = given(&jars, session, &["a=1; HttpOnly"]);
    let renamed = pair(&cookies[0]).replacen(".a=", ".b=", 1);
    assert_eq!(upstream(&jars, session, &[&renamed]), "");
    let elsewhere = CookieRules { host: "pacs.example".into(), listed: vec![] };
    let result = forwarded(&sent(&[pair(&cookies[0])]), &elsewhere, || jars.of(session));
    assert!(result.header.is_none());
}

#[test]
fn prefixes_stay_in_front_and_keep_their_meaning() {
    let (jars, session) = (jars(), SessionId::generate());
    let (cookies, _) = given(&jars, session, &["__Host-a=1; Path=/x", "__Secure-b=2; Path=/y; SameSite=strict"]);
    assert!(cookies[0].starts_with("__Host-sk."), "{}", cookies[0]);
    assert!(cookies[0].contains("; Path=/; Secure"), "{}", cookies[0]);
    assert!(cookies[1].starts_with("__Secure-sk."), "{}", cookies[1]);
    assert!(cookies[1].contains("; Path=/y; SameSite=Strict; Secure"), "{}", cookies[1]);
    let all = format!("{}; {}", pair(&cookies[0]), pair(&cookies[1]));
    assert_eq!(upstream(&jars, session, &[&all]), "__Host-a=1; __Secure-b=2");
}

#[test]
fn req_h31_our_names_are_neither_set_by_upstreams_nor_sent_to_them() {
    let (jars, session) = (jars(), SessionId::generate());
    let ours = [
        "__Host-sk=evil; Path=/; Secure",
        "__host-SK=evil",
        "__Host-sk-bind=evil",
        "__Secure-sk.x.y=evil",
        "sk.x.y=evil",
        "SK.x.y=evil",
        "=__Host-sk=evil",
        "__Host-=__Host-sk=evil",
        "__Host-sk",
        "na me=evil",
        "__Host-sk\t=evil",
    ];
    assert_eq!(given(&jars, session, &ours), (vec![], ours.len()));
    let token = Token::generate().unwrap().text();
    let cookies = format!("__Host-sk={token}; __Host-sk-bind={token}; other=1; sk.x.y=2; theme=dark");
    assert_eq!(upstream(&jars, session, &[&cookies]), "theme=dark");
}

#[test]
fn listed_cookies_pass_as_they_are_without_their_domain() {
    let (jars, session) = (jars(), SessionId::generate());
    let (cookies, _) = given(&jars, session, &["theme=dark; Domain=example; Max-Age=9999999; Path=/"]);
    assert_eq!(cookies, ["theme=dark; Path=/; Secure; Max-Age=9999999"]);
}

/// Found by fuzzing: to a server that reads quoted values, `theme="a; JSESSIONID=…; theme="` is one cookie, which the
/// app may well show on a page.
#[test]
fn atk_a48_a_listed_cookie_with_an_open_quotation_swallows_no_other() {
    let (jars, session) = (jars(), SessionId::generate());
    let (cookies, _) = given(&jars, session, &["JSESSIONID=abc"]);
    let own = pair(&cookies[0]);
    let sandwich = format!("theme=\"a; {own}; theme=b\"");
    assert_eq!(upstream(&jars, session, &[&sandwich]), "JSESSIONID=abc; theme=b\"");
    for open in ["\"", "\"a", "\"a\"b", "\"a\\\"b\""] {
        assert_eq!(upstream(&jars, session, &[&format!("theme={open}")]), "", "{open}");
    }
    for plain in ["\"\"", "\"a\"", "{\"a\":1}", "a\"b"] {
        assert_eq!(upstream(&jars, session, &[&format!("theme={plain}")]), format!("theme={plain}"));
    }
}

#[test]
fn a_cookie_lives_no_longer_than_its_session_and_can_be_deleted() {
    let (jars, session) = (jars(), SessionId::generate());
    let ends = |text: &str| {
        let (cookies, _) = given(&jars, session, &[text]);
        cookies[0].split("; Max-Age=").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(ends("a=1; Max-Age=99999"), "3600");
    assert_eq!(ends("a=1; Max-Age=60"), "60");
    assert_eq!(ends("a=1; Max-Age=-1"), "0");
    assert_eq!(ends("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "0");
    assert_eq!(ends("a=1; Expires=Fri, 15 Jan 2038 08:00:30 GMT"), "3600");
}

#[test]
fn count_and_size_are_bounded() {
    let (jars, session) = (jars(), SessionId::generate());
    let many: Vec<String> = (0..40).map(|i| format!("c{i}=1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(given(&jars, session, &many).1, 8);
    let big = format!("a={}", "x".repeat(4_000));
    assert_eq!(given(&jars, session, &[&big]), (vec![], 1));
}

#[test]
fn cookies_of_former_sessions_are_named_to_be_cleared() {
    let (jars, before, now) = (jars(), SessionId::generate(), SessionId::generate());
    let (cookies, _) = given(&jars, before, &["a=1"]);
    let result = forwarded(&sent(&[pair(&cookies[0])]), &rules(), || jars.of(now));
    let mut headers = HeaderMap::new();
    expire(&mut headers, &result.foreign);
    let cleared = headers[SET_COOKIE].to_str().unwrap();
    assert!(cleared.starts_with(pair(&cookies[0]).split_once('=').unwrap().0));
    assert!(cleared.ends_with("=; Path=/; Max-Age=0; Secure; HttpOnly"));
}

#[test]
fn atk_a11_a_malformed_or_doubled_session_cookie_is_no_session() {
    let token = Token::generate().unwrap().text();
    assert!(matches!(presented(&sent(&[])), Presented::Nothing));
    assert!(matches!(presented(&sent(&[&format!("a=b; __Host-sk={token}")])), Presented::Token(_)));
    for bad in [
        "__Host-sk=".to_owned(),
        "__Host-sk=abc".to_owned(),
        format!("__Host-sk=\"{token}\""),
        format!("__Host-sk={token}; __Host-sk={token}"),
        format!("__Host-sk= ; __Host-sk={token}"),
        format!("__Host-sk={token}; __Host-sk= x"),
    ] {
        assert!(matches!(presented(&sent(&[&bad])), Presented::Malformed), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_an_upstream_sets_comes_back_to_it_unchanged(
        name in "[A-Za-z_][A-Za-z0-9_.-]{0,12}", value in "[ -:<-~]{0,40}"
    ) {
        let (jars, session) = (jars(), SessionId::generate());
        let value = value.trim();
        let (cookies, _) = given(&jars, session, &[&format!("{name}={value}; HttpOnly")]);
        if let Some(cookie) = cookies.first() {
            prop_assert_eq!(upstream(&jars, session, &[pair(cookie)]), format!("{name}={value}"));
        }
    }
}
