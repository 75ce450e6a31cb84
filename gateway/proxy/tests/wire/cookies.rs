//! Cookies through the whole proxy (A11, A48, H-31).

use crate::upstream::ok_with;
use crate::world::World;

#[tokio::test]
async fn atk_a48_the_next_person_never_finds_the_former_ones_upstream_session() {
    let world = World::new().await;
    let (a, b) = (world.login("000101", &["nurse"]).await, world.login("000102", &["nurse"]).await);
    world
        .upstream
        .answers(|_| ok_with("Set-Cookie: JSESSIONID=secret; Path=/; HttpOnly; Domain=hospital.example\r\n", ""));
    let answer = world.ask("GET /page", &a.cookie).await;
    let set = answer.header("set-cookie")[0].to_owned();
    assert!(set.starts_with("sk.") && !set.contains("secret") && !set.contains("Domain"), "{set}");
    let kept = set.split(';').next().unwrap();
    let with = |cookie: &str| format!("{}; {kept}\r\n", cookie.trim_end());
    world.ask("GET /page", &with(&a.cookie)).await;
    assert_eq!(world.upstream.seen().last().unwrap().header("cookie"), ["JSESSIONID=secret"]);
    let answer = world.ask("GET /page", &with(&b.cookie)).await;
    assert!(world.upstream.seen().last().unwrap().header("cookie").is_empty());
    let name = kept.split('=').next().unwrap();
    assert!(answer.header("set-cookie").iter().any(|c| c.starts_with(name) && c.contains("Max-Age=0")));
}

#[tokio::test]
async fn req_h31_our_cookies_are_neither_sent_upstream_nor_set_by_it() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world
        .upstream
        .answers(|_| ok_with("Set-Cookie: __Host-sk=evil; Path=/; Secure\r\nSet-Cookie: sk.a.b=evil\r\n", ""));
    let cookie = format!("{}; __Host-sk-bind=x; theme=dark; other=1\r\n", nurse.cookie.trim_end());
    let answer = world.ask("GET /page", &cookie).await;
    assert_eq!(world.upstream.only().header("cookie"), ["theme=dark"]);
    assert!(answer.header("set-cookie").is_empty(), "{}", answer.head);
}

#[tokio::test]
async fn atk_a11_a_malformed_session_cookie_never_passes_without_identity() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let token = nurse.cookie.trim_end().strip_prefix("Cookie: ").unwrap();
    for cookie in [
        String::new(),
        "Cookie: __Host-sk=\r\n".into(),
        "Cookie: __Host-sk=%00\r\n".into(),
        format!("Cookie: {token}x\r\n"),
        format!("Cookie: {token}; {token}\r\n"),
        format!("Cookie: {token}\r\nCookie: {token}\r\n"),
        format!("Cookie: x{token}\r\n"),
        format!("Cookie: {}\r\n", token.replacen('=', " =", 1)),
        format!("Cookie: {}\r\n", token.replacen('=', "\t=", 1)),
        format!("Cookie: {}\r\n", token.replacen('=', "= ", 1)),
    ] {
        assert_eq!(world.ask("GET /page", &cookie).await.status, 401, "{cookie}");
    }
    assert!(world.upstream.seen().is_empty());
}
