use std::collections::BTreeSet;
use std::time::Duration;

use http::{Method, StatusCode};
use model::{Refusal, TokenKind, Wants};

use crate::house::{AUTH, CHART, House, NURSE};

fn all() -> Vec<Refusal> {
    vec![
        Refusal::Malformed("te-and-cl"),
        Refusal::Misdirected,
        Refusal::NotFound,
        Refusal::MethodNotAllowed("GET, POST".to_owned()),
        Refusal::TooLarge,
        Refusal::UriTooLong,
        Refusal::Expectation,
        Refusal::TooMany { retry_after: Duration::from_millis(2_500) },
        Refusal::LoginRequired { target: "/needle".to_owned() },
        Refusal::Locked { target: "/needle".to_owned() },
        Refusal::Denied {
            app: "chart".to_owned(),
            action: Some("admin".to_owned()),
            reason: "no-role",
            missing: vec!["role:keeper".to_owned()],
        },
        Refusal::Upstream,
        Refusal::UpstreamTimeout,
        Refusal::Loop,
        Refusal::Unavailable,
        Refusal::SlowBody,
    ]
}

#[tokio::test]
async fn every_refusal_has_a_page_in_both_languages_that_says_what_to_do_and_whom_to_call() {
    let house = House::open().await;
    for refusal in all() {
        for language in ["ja", "en"] {
            let mut browser = house.browser();
            browser.language = language;
            let got = browser.refused(&house, CHART, refusal.clone(), Wants::Page, &Method::POST, None).await;
            assert_eq!(got.status.as_u16(), refusal.status(), "{refusal:?}");
            assert!(
                got.body.contains(&format!("<html lang=\"{language}\">")) && got.body.contains("<h1>"),
                "{refusal:?}"
            );
            assert!(got.body.contains("内線 1234"), "{refusal:?}: whom to call");
            assert!(!got.body.contains("te-and-cl"), "H-30: the rule is for the log");
        }
    }
}

#[tokio::test]
async fn req_h30_every_refusal_is_a_problem_document_without_anything_from_behind() {
    let house = House::open().await;
    let mut kinds = BTreeSet::new();
    for refusal in all() {
        let got = house.browser().refused(&house, CHART, refusal.clone(), Wants::Problem, &Method::GET, None).await;
        assert_eq!(got.status.as_u16(), refusal.status());
        assert_eq!(got.header("content-type"), "application/problem+json");
        let problem = got.json();
        assert_eq!(problem["status"], refusal.status());
        assert_eq!(problem["help"], "内線 1234");
        assert!(problem["request"].as_str().is_some_and(|id| id.len() == 36));
        assert!(!got.body.contains("te-and-cl") && !got.body.contains("9101"), "{}", got.body);
        kinds.insert(problem["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds.len(), all().len(), "each has its own type");
}

#[tokio::test]
async fn a_status_that_asks_for_a_header_has_it() {
    let house = House::open().await;
    for (refusal, name, value) in [
        (all()[7].clone(), "retry-after", "3"),
        (all()[3].clone(), "allow", "GET, POST"),
        (all()[8].clone(), "www-authenticate", "Bearer realm=\"sekimori\""),
    ] {
        let got = house.browser().refused(&house, CHART, refusal, Wants::Problem, &Method::GET, None).await;
        assert_eq!(got.header(name), value);
    }
}

#[tokio::test]
async fn a_denied_page_says_what_was_asked_why_not_and_what_it_takes() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let token = model::Token::parse(browser.cookie(AUTH, crate::SESSION).unwrap()).unwrap();
    let live = house.sessions.find(&token, TokenKind::PortalSession, AUTH).await.unwrap().unwrap();
    let got = browser.refused(&house, CHART, all()[10].clone(), Wants::Page, &Method::GET, Some(&live)).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    for words in [
        "病棟カルテ",
        "カルテの管理",
        "あなたの役割では、この操作は許されていません",
        "役割：管理者",
        "髙橋 花子",
        "action=\"/.sekimori/lock\"",
    ] {
        assert!(got.body.contains(words), "{words}: {}", got.body);
    }
    assert!(!got.body.contains("admin"), "the name is for rules and records");
    assert!(!got.body.contains("/logout"), "the portal alone logs out");
    for (reason, words) in [
        ("zone", "区域"),
        ("unknown-zone", "区域"),
        ("hours", "時間帯"),
        ("deny-rule", "禁じられています"),
        ("assurance", "より確かなログイン"),
        ("no-action", "この操作はありません"),
        ("origin", "別のサイトの画面"),
        ("service-worker", "動き続けるプログラム"),
        ("download", "ファイルとして持ち出す"),
        ("policy-error", "規則により"),
    ] {
        let refusal = Refusal::Denied {
            app: "chart".to_owned(),
            action: None,
            reason,
            missing: vec!["hours:in-house".to_owned()],
        };
        let got = browser.refused(&house, CHART, refusal, Wants::Page, &Method::GET, Some(&live)).await;
        assert!(got.body.contains(words) && got.body.contains("時間帯：院内に限る"), "{reason}");
    }
}

#[tokio::test]
async fn what_has_a_title_is_called_by_it_and_what_has_none_by_its_name() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let page = browser.get(AUTH, "/sessions").await;
    assert!(page.body.contains("<td><bdi>病棟</bdi></td>"), "{}", page.body);
    let denied = |action: &str| Refusal::Denied {
        app: "chart".to_owned(),
        action: Some(action.to_owned()),
        reason: "zone",
        missing: vec!["zone:ward".to_owned(), "zone:office".to_owned()],
    };
    for (language, words) in [
        ("ja", ["カルテの管理", "区域：病棟", "区域：office", "<bdi>病棟</bdi>"]),
        ("en", ["Administer the chart", "Zone: Ward", "Zone: office", "<bdi>Ward</bdi>"]),
    ] {
        browser.language = language;
        let token = model::Token::parse(browser.cookie(AUTH, crate::SESSION).unwrap()).unwrap();
        let live = house.sessions.find(&token, TokenKind::PortalSession, AUTH).await.unwrap().unwrap();
        let got = browser.refused(&house, CHART, denied("admin"), Wants::Page, &Method::GET, Some(&live)).await;
        for word in words {
            assert!(got.body.contains(word), "{word}: {}", got.body);
        }
        let got = browser.refused(&house, CHART, denied("view"), Wants::Page, &Method::GET, Some(&live)).await;
        assert!(got.body.contains("<bdi>view</bdi>"), "{}", got.body);
    }
    browser.zone = "unknown";
    let page = browser.get(AUTH, "/").await;
    assert!(page.body.contains("a place that is not registered"), "{}", page.body);
}

#[test]
fn every_reason_of_the_policy_has_words() {
    let other = super::words::denial;
    let messages = crate::messages::Messages::load().unwrap();
    let t = messages.tongue(crate::Language::English);
    let known: Vec<_> = policy::Reason::ALL.iter().map(|reason| other(&t, reason.name()).0).collect();
    let unknown = other(&t, "?").0;
    assert_eq!(
        known.iter().filter(|words| **words == unknown).count(),
        2,
        "stale-policy and policy-error are ours to mend"
    );
}

#[tokio::test]
async fn a_frame_gets_a_small_page_with_one_button_that_names_no_address() {
    let house = House::open().await;
    for (refusal, words) in [(all()[8].clone(), "ログイン"), (all()[9].clone(), "ロック解除")] {
        let got = house.browser().refused(&house, CHART, refusal, Wants::Frame, &Method::GET, None).await;
        assert!(got.body.contains("href=\"\" target=\"_blank\"") && got.body.contains(words), "{}", got.body);
        let policy = got.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'self' https://*.sekimori.localhost:8443"), "{policy}");
    }
}

#[tokio::test]
async fn a_navigation_that_reads_is_sent_to_the_portal_and_one_that_sends_is_told_so() {
    let house = House::open().await;
    let mut browser = house.browser();
    for (refusal, page) in [(all()[8].clone(), "/login?i="), (all()[9].clone(), "/lock?i=")] {
        let got = browser.refused(&house, CHART, refusal.clone(), Wants::Page, &Method::GET, None).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER);
        let place = format!("https://auth.sekimori.localhost:8443{page}");
        assert!(got.place().starts_with(&place), "{}", got.place());
        assert!(!got.place().contains("needle"), "the target stays here (A15)");
        assert!(browser.cookie(CHART, crate::BINDER).is_some(), "the binder is set before leaving");
        let got = browser.refused(&house, CHART, refusal.clone(), Wants::Page, &Method::POST, None).await;
        assert_eq!(got.status.as_u16(), refusal.status(), "never a redirect (design.md §15)");
        assert!(got.body.contains("届いていません") && got.body.contains(&place), "{}", got.body);
    }
}

#[tokio::test]
async fn an_address_that_begins_interactions_without_end_is_told_to_wait() {
    let house = House::open().await;
    let mut browser = house.browser();
    let mut statuses = BTreeSet::new();
    for _ in 0..900 {
        let got = browser.refused(&house, CHART, all()[8].clone(), Wants::Page, &Method::GET, None).await;
        statuses.insert(got.status.as_u16());
    }
    assert_eq!(statuses, BTreeSet::from([303, 429]));
}

#[tokio::test]
async fn pages_of_ours_stand_in_nobodys_frame_and_run_nothing_of_anybody_elses() {
    let house = House::open().await;
    let got = house.browser().get(AUTH, "/login").await;
    let policy = got.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    ] {
        assert!(policy.contains(part), "{part}");
    }
    assert!(!policy.contains("unsafe"));
    let seconds = got.header("strict-transport-security").strip_prefix("max-age=").unwrap().split(';').next().unwrap();
    assert!(seconds.parse::<u64>().unwrap() >= 31_536_000);
}

/// The handshake's code stands in the address of what is refused before its path is known.
#[tokio::test]
async fn atk_a15_a_refusal_before_routing_stands_in_nobodys_frame() {
    let house = House::open().await;
    let before = |refusal: &Refusal| {
        use Refusal::{Expectation, Malformed, Misdirected, TooLarge, TooMany, Unavailable, UriTooLong};
        matches!(
            refusal,
            Malformed(_) | Misdirected | TooLarge | UriTooLong | Expectation | TooMany { .. } | Unavailable
        )
    };
    let refusals: Vec<_> = all().into_iter().filter(before).collect();
    assert_eq!(refusals.len(), 7);
    for refusal in refusals {
        let got = house.browser().refused(&house, CHART, refusal.clone(), Wants::Frame, &Method::GET, None).await;
        assert!(got.header("content-security-policy").contains("frame-ancestors 'none'"), "{refusal:?}");
        assert_eq!(got.header("x-frame-options"), "DENY", "{refusal:?}");
    }
}

#[tokio::test]
async fn whoever_holds_a_locked_session_unlocks_though_strangers_at_his_address_begin_without_end() {
    let house = House::open().await;
    let browser = house.logged_in(NURSE).await;
    let token = model::Token::parse(browser.cookie(AUTH, crate::SESSION).unwrap()).unwrap();
    let live = house.sessions.find(&token, TokenKind::PortalSession, AUTH).await.unwrap().unwrap();
    let mut stranger = house.browser();
    for _ in 0..900 {
        stranger.refused(&house, CHART, all()[8].clone(), Wants::Page, &Method::GET, None).await;
    }
    let mut browser = browser;
    let got = browser.refused(&house, CHART, all()[9].clone(), Wants::Page, &Method::GET, Some(&live)).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
}
