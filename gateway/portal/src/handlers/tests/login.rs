use super::*;

#[tokio::test]
async fn a_login_comes_back_to_the_app_where_it_began() {
    let house = House::open().await;
    let mut browser = house.browser();
    let otp = enrol(&house, &mut browser, NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/patients/0042?tab=orders").await;
    let page = browser.get(AUTH, &place).await;
    assert!(page.body.contains("病棟カルテ"), "the page says what will open");
    let got = log_in(&house, &mut browser, &place, NURSE, &otp).await;
    let entered = enter(&mut browser, moves_to(&got)).await;
    assert_eq!((entered.status, entered.place()), (StatusCode::SEE_OTHER, "/patients/0042?tab=orders"));
    assert_ne!(browser.cookie(CHART, SESSION), browser.cookie(AUTH, SESSION), "each host has its own token");
    let again = enter(&mut house.browser(), moves_to(&got)).await;
    assert_eq!(again.place(), "/.sekimori/enter", "a code works once, and in its browser");
}

#[tokio::test]
async fn a_browser_that_is_logged_in_passes_without_a_page() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/a?b=c").await;
    let got = browser.get(AUTH, &place).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
    assert!(got.place().starts_with("https://chart.sekimori.localhost:8443/.sekimori/enter?code="), "{}", got.place());
    let entered = enter(&mut browser, got.place()).await;
    assert_eq!(entered.place(), "/a?b=c");
}

#[tokio::test]
async fn atk_a33_a_code_is_worthless_in_another_browser_and_on_another_host() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/").await;
    let got = browser.get(AUTH, &place).await;
    let stolen = got.place().to_owned();
    let path = stolen.split(":8443").nth(1).unwrap();
    let elsewhere =
        browser.send("lab.sekimori.localhost", Method::GET, path, navigation_from_elsewhere(), &[], "").await;
    assert_eq!(elsewhere.place(), "/.sekimori/enter", "the code stays in no address");
    let page = browser.get("lab.sekimori.localhost", "/.sekimori/enter").await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(browser.cookie("lab.sekimori.localhost", SESSION).is_none());
}

#[tokio::test]
async fn atk_a15_nothing_in_an_address_decides_where_a_login_leads() {
    let house = House::open().await;
    let forms = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "%2f%2fevil.example",
        "javascript:alert(1)",
        "https:evil.example",
        "\\\\evil.example",
        "/%09/evil.example",
        "https://auth.sekimori.localhost@evil.example",
        "https://chart.sekimori.localhost.evil.example/",
        "data:text/html,x",
        "//evil.example/%2f..",
        ".evil.example",
    ];
    let names = [
        "next",
        "to",
        "return",
        "return_to",
        "redirect",
        "redirect_uri",
        "url",
        "target",
        "rd",
        "i",
        "host",
        "continue",
        "lang",
        "by",
        "done",
    ];
    let mut stranger = house.browser();
    let mut nurse = house.logged_in(NURSE).await;
    for (n, form) in forms.into_iter().enumerate() {
        stranger.address = format!("10.1.1.{n}");
        nurse.address = format!("10.1.2.{n}");
        for name in names {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, form).finish();
            for path in ["/", "/login", "/lock", "/sessions", "/enrol", "/cli"] {
                for browser in [&mut stranger, &mut nurse] {
                    let got = browser.get(AUTH, &format!("{path}?{query}")).await;
                    let place = got.place();
                    assert!(
                        place.is_empty() || (place.starts_with('/') && !place.starts_with("//")),
                        "{path}?{query} → {place}"
                    );
                    let links = got.body.split(" href=\"").skip(1).chain(got.body.split(" action=\"").skip(1));
                    for link in links.map(|rest| rest.split('"').next().unwrap()) {
                        let app = link == "https://chart.sekimori.localhost:8443/";
                        assert!(
                            app || link.starts_with('/') && !link.starts_with("//"),
                            "{path}?{query} links to {link}"
                        );
                    }
                }
            }
        }
        // The target that a client sends to the data plane is the only way in, and it is a path or nothing.
        let mut browser = house.logged_in(NURSE).await;
        let place = sent_to_login(&house, &mut browser, form).await;
        let got = browser.get(AUTH, &place).await;
        let entered = enter(&mut browser, got.place()).await;
        let place = entered.place();
        assert!(place.starts_with('/') && !place.starts_with("//") && !place.starts_with("/\\"), "{form} → {place}");
    }
}

#[tokio::test]
async fn atk_a16_login_and_unlock_give_new_tokens_and_kill_the_old() {
    let house = House::open().await;
    let mut browser = house.browser();
    let otp = enrol(&house, &mut browser, NURSE).await;
    let fixed = model::Token::generate().unwrap().text();
    browser.keep(AUTH, SESSION, &fixed);
    log_in(&house, &mut browser, "/login", NURSE, &otp).await;
    let first = browser.cookie(AUTH, SESSION).unwrap().to_owned();
    assert_ne!(first, fixed);
    let form = browser.get(AUTH, "/").await.form("/lock");
    browser.post(AUTH, "/lock", &[("t", &form)]).await;
    let page = browser.open("/lock?by=password").await;
    let page = if page.body.contains("/unlock/password") {
        page
    } else {
        let i = page.body.split("/lock?i=").nth(1).unwrap().split(['&', '"']).next().unwrap();
        browser.get(AUTH, &format!("/lock?i={i}&by=password")).await
    };
    let form = page.form("/unlock/password");
    let i = page.body.split("/unlock/password?i=").nth(1).unwrap().split('"').next().unwrap();
    let wrong = browser.post(AUTH, &format!("/unlock/password?i={i}"), &[("t", &form), ("secret", "wrong")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let got = browser.post(AUTH, &format!("/unlock/password?i={i}"), &[("t", &form), ("secret", PASSWORD)]).await;
    assert_eq!((got.status, got.place()), (StatusCode::SEE_OTHER, "/"), "{}", got.body);
    assert_ne!(browser.cookie(AUTH, SESSION).unwrap(), first);
    assert_eq!(browser.get(AUTH, "/").await.status, StatusCode::OK);
    let mut thief = house.browser();
    thief.keep(AUTH, SESSION, &first);
    assert!(thief.get(AUTH, "/").await.place().starts_with("/login"), "the token from before the unlock is dead");
}

#[tokio::test]
async fn atk_a26_a_step_out_of_order_or_without_its_proof_leads_nowhere() {
    let house = House::open().await;
    let mut browser = house.browser();
    let otp = enrol(&house, &mut browser, NURSE).await;
    let page = browser.get(AUTH, "/login").await;
    let form = page.form("/login/name");
    let got = browser.post(AUTH, "/login/name?i=", &[("t", &form), ("name", NURSE)]).await;
    let i = got.place().split("i=").nth(1).unwrap().to_owned();
    let page = browser.get(AUTH, &format!("/login?i={i}&by=password")).await;
    let form = page.form("/login/password");
    for (path, fields) in [
        ("/login/passkey", vec![]),
        ("/login/passkey", vec![("credential", "{}")]),
        ("/login/password", vec![]),
        ("/login/totp", vec![("secret", "000000")]),
        ("/login/totp", vec![]),
    ] {
        let mut all = vec![("t", form.as_str())];
        all.extend(fields.iter().copied());
        let got = browser.post(AUTH, &format!("{path}?i={i}"), &all).await;
        assert!(matches!(got.status.as_u16(), 303 | 410 | 422), "{path}: {}", got.status);
        assert!(browser.cookie(AUTH, SESSION).is_none(), "{path} {fields:?}");
    }
    // A verification code alone is one factor.
    let code = otp.code(house.clock.now().after(Duration::from_secs(30)));
    house.clock.advance(Duration::from_secs(30));
    browser.post(AUTH, &format!("/login/totp?i={i}"), &[("t", &form), ("secret", &code)]).await;
    assert!(browser.cookie(AUTH, SESSION).is_none());
}

#[tokio::test]
async fn atk_a40_known_and_unknown_names_get_the_same_pages() {
    let house = House::open().await;
    enrol(&house, &mut house.browser(), NURSE).await;
    let mut shapes = Vec::new();
    for name in [NURSE, "999999", NEWCOMER, "not a number", "' OR 1=1 --"] {
        let mut browser = house.browser();
        let form = browser.get(AUTH, "/login").await.form("/login/name");
        let got = browser.post(AUTH, "/login/name?i=", &[("t", &form), ("name", name)]).await;
        let place = got.place().to_owned();
        let passkey = browser.get(AUTH, &place).await;
        let page = browser.get(AUTH, &format!("{place}&by=password")).await;
        let form = page.form("/login/password");
        let i = place.split("i=").nth(1).unwrap();
        let failed = browser.post(AUTH, &format!("/login/password?i={i}"), &[("t", &form), ("secret", "x")]).await;
        let shape = |body: &str| body.split(['"', '<']).map(str::len).count();
        shapes.push((got.status, passkey.status, shape(&passkey.body), failed.status, shape(&failed.body)));
    }
    assert!(shapes.iter().all(|s| s == &shapes[0]), "{shapes:?}");
}

#[tokio::test]
async fn an_address_that_tries_too_often_is_told_to_wait_and_another_is_not() {
    let house = House::open().await;
    let mut browser = house.browser();
    let form = browser.get(AUTH, "/login").await.form("/login/name");
    let mut last = StatusCode::OK;
    for _ in 0..41 {
        let got = browser.post(AUTH, "/login/name?i=", &[("t", &form), ("name", NURSE)]).await;
        last = got.status;
        if last == StatusCode::TOO_MANY_REQUESTS {
            assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    browser.address = "10.1.0.8".to_owned();
    let got = browser.post(AUTH, "/login/name?i=", &[("t", &form), ("name", NURSE)]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_login_page_that_stood_open_overnight_still_takes_the_name() {
    let house = House::open().await;
    let mut browser = house.browser();
    let place = sent_to_login(&house, &mut browser, "/").await;
    let page = browser.get(AUTH, &place).await;
    let form = page.form("/login/name");
    house.clock.advance(Duration::from_secs(9 * 3600));
    let i = place.split("i=").nth(1).unwrap();
    let got = browser.post(AUTH, &format!("/login/name?i={i}"), &[("t", &form), ("name", NURSE)]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    assert_eq!(browser.get(AUTH, got.place()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_language_of_the_browser_can_be_changed_and_is_kept() {
    let house = House::open().await;
    let mut browser = house.browser();
    assert!(browser.get(AUTH, "/login").await.body.contains("<html lang=\"ja\">"));
    browser.language = "en-GB,en;q=0.9";
    assert!(browser.get(AUTH, "/login").await.body.contains("<html lang=\"en\">"));
    let page = browser.get(AUTH, "/login?lang=ja").await;
    assert!(page.body.contains("<html lang=\"ja\">"));
    assert!(browser.get(AUTH, "/login").await.body.contains("<html lang=\"ja\">"));
    let page = browser.get(AUTH, "/login?lang=xx").await;
    assert!(page.body.contains("<html lang=\"ja\">"));
}

#[tokio::test]
async fn the_binder_is_set_once_and_names_a_browser_only() {
    let house = House::open().await;
    let mut browser = house.browser();
    browser.get(AUTH, "/login").await;
    let binder = browser.cookie(AUTH, BINDER).unwrap().to_owned();
    let got = browser.get(AUTH, "/login").await;
    assert!(got.headers.get("set-cookie").is_none());
    assert_eq!(browser.cookie(AUTH, BINDER), Some(binder.as_str()));
}

/// A script of an app frames the login of its victim, or fetches it, and would read the code from wherever
/// the redirect gets stuck.
#[tokio::test]
async fn atk_a15_a_frame_or_a_script_gets_no_code() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/a?b=c").await;
    let within = FetchMetadata { document: false, framed: true, user: false, ..navigation_from_elsewhere() };
    let got = browser.send(AUTH, Method::GET, &place, within, &[], "").await;
    assert_eq!((got.status, got.place(), got.header("refresh")), (StatusCode::OK, "", ""));
    assert!(got.body.contains("href=\"\" target=\"_blank\"") && !got.body.contains("code="), "{}", got.body);
    let i = place.split("i=").nth(1).unwrap();
    assert!(!got.body.contains(i), "nor the interaction: {}", got.body);
    for fetch in [
        FetchMetadata { present: true, ..FetchMetadata::default() },
        FetchMetadata { document: false, ..navigation_from_elsewhere() },
    ] {
        let got = browser.send(AUTH, Method::GET, &place, fetch, &[], "").await;
        assert_eq!((got.status, got.place()), (StatusCode::FORBIDDEN, ""));
        assert!(!got.body.contains("code="), "{}", got.body);
    }
    // Nothing of that has used it up: the button's tab is a page of its own.
    let got = browser.send(AUTH, Method::GET, &place, navigation_from_elsewhere(), &[], "").await;
    assert_eq!(enter(&mut browser, got.place()).await.place(), "/a?b=c");
}

#[tokio::test]
async fn a_browser_without_fetch_metadata_goes_on_by_a_button_of_ours() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/a?b=c").await;
    let page = browser.send(AUTH, Method::GET, &place, FetchMetadata::default(), &[], "").await;
    assert_eq!((page.status, page.place(), page.header("refresh")), (StatusCode::OK, "", ""));
    assert!(!page.body.contains("code="), "{}", page.body);
    assert_eq!(page.header("x-frame-options"), "DENY");
    let form = page.form("/login/onward");
    let path = place.replace("/login?", "/login/onward?");
    let body = format!("t={form}");
    let kind = (http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let origin = |origin| [kind.clone(), (http::header::ORIGIN, origin)];
    let none = FetchMetadata::default();
    let chart = origin("https://chart.sekimori.localhost:8443");
    let got = browser.send(AUTH, Method::POST, &path, none, &chart, &body).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let own = origin("https://auth.sekimori.localhost:8443");
    let got = browser.send(AUTH, Method::POST, &path, none, &own, "t=AAAA").await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let got = browser.send(AUTH, Method::POST, &path, none, &own, &body).await;
    assert_eq!(enter(&mut browser, moves_to(&got)).await.place(), "/a?b=c");
}

#[tokio::test]
async fn atk_a15_a_login_begun_at_another_address_is_not_gone_on_with() {
    let house = House::open().await;
    let mut thief = house.browser();
    thief.address = "10.1.0.66".to_owned();
    let place = sent_to_login(&house, &mut thief, "/").await;
    let mut browser = house.logged_in(NURSE).await;
    for language in ["ja", "en"] {
        browser.language = language;
        let got = browser.get(AUTH, &place).await;
        assert_eq!((got.status, got.place()), (StatusCode::FORBIDDEN, ""), "{}", got.body);
        let words = if language == "ja" { "はじめにやり直して" } else { "Please start again" };
        assert!(got.body.contains(words) && got.body.contains("href=\"/login\""), "{}", got.body);
    }
    // And a code goes no further than the address that began it.
    let place = sent_to_login(&house, &mut browser, "/").await;
    let got = browser.get(AUTH, &place).await;
    browser.address = "10.1.0.66".to_owned();
    assert_eq!(enter(&mut browser, got.place()).await.place(), "/.sekimori/enter");
    assert!(browser.cookie(CHART, SESSION).is_none());
}

#[tokio::test]
async fn unknown_codes_are_bounded_by_address_and_by_record_and_ten_restored_tabs_get_in() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let mut places = Vec::new();
    for n in 0..10 {
        let place = sent_to_login(&house, &mut browser, &format!("/tab/{n}")).await;
        places.push(browser.get(AUTH, &place).await.place().to_owned());
    }
    let before = house.records("handshake.refuse").len();
    let mut stranger = house.browser();
    let mut limited = 0;
    for _ in 0..90 {
        let code = model::Token::generate().unwrap().text();
        let got = stranger.get(CHART, &format!("/.sekimori/enter?code={code}")).await;
        match got.status {
            StatusCode::SEE_OTHER => assert_eq!(got.place(), "/.sekimori/enter"),
            StatusCode::TOO_MANY_REQUESTS => limited += 1,
            other => panic!("{other}"),
        }
        assert!(got.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    assert!((25..=30).contains(&limited), "{limited}");
    let records = house.records("handshake.refuse").len() - before;
    assert!((20..=60).contains(&records), "{records}");
    // At the same address, after all that.
    for (n, place) in places.iter().enumerate() {
        assert_eq!(enter(&mut browser, place).await.place(), format!("/tab/{n}"));
    }
    // One of them is loaded again.
    assert_eq!(enter(&mut browser, &places[0]).await.place(), "/");
}

#[tokio::test]
async fn an_enter_that_is_no_page_of_its_own_redeems_nothing_and_keeps_no_code() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/").await;
    let there = browser.get(AUTH, &place).await.place().to_owned();
    let path = there.strip_prefix("https://chart.sekimori.localhost:8443").unwrap();
    let within = FetchMetadata { document: false, framed: true, ..navigation_from_elsewhere() };
    for fetch in [within, FetchMetadata { present: true, same_origin: true, ..FetchMetadata::default() }] {
        let got = browser.send(CHART, Method::GET, path, fetch, &[], "").await;
        assert_eq!(got.place(), "/.sekimori/enter");
        assert!(browser.cookie(CHART, SESSION).is_none());
    }
    assert_eq!(enter(&mut browser, &there).await.place(), "/");
}

#[tokio::test]
async fn atk_a47_a_stranger_at_the_same_address_uses_up_nobodys_unlocking() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let form = browser.get(AUTH, "/").await.form("/lock");
    browser.post(AUTH, "/lock", &[("t", &form)]).await;
    let page = browser.open("/lock").await;
    let form = page.form("/unlock/passkey");
    let i = page.body.split("/unlock/passkey?i=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut stranger = house.browser();
    let tried = async |stranger: &mut Browser<'_>| stranger.post(AUTH, "/login/name", &[("name", "x")]).await.status;
    while tried(&mut stranger).await != StatusCode::TOO_MANY_REQUESTS {}
    let place = format!("/unlock/password?i={i}");
    let got = browser.post(AUTH, &place, &[("t", &form), ("secret", "not the password")]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", got.body);
    // Her own tries have their bound all the same.
    let mut last = got;
    for _ in 0..500 {
        last = browser.post(AUTH, &place, &[("t", &form), ("secret", "not the password")]).await;
        if last.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(last.body.contains(&format!("href=\"/lock?i={i}\"")), "back to the lock page: {}", last.body);
}

#[tokio::test]
async fn atk_a45_what_a_page_of_somebody_elses_sends_uses_up_no_steps_of_its_readers() {
    let house = House::open().await;
    let mut reader = house.browser();
    let foreign = FetchMetadata { present: true, ..FetchMetadata::default() };
    for _ in 0..500 {
        let got = reader
            .send(AUTH, Method::POST, "/login/name", foreign, &[(http::header::CONTENT_TYPE, "text/plain")], "x")
            .await;
        assert_eq!(got.status, StatusCode::FORBIDDEN);
    }
    assert_ne!(reader.post(AUTH, "/login/name", &[("name", "x")]).await.status, StatusCode::TOO_MANY_REQUESTS);
}
