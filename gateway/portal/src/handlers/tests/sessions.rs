use super::*;
use crate::house::ADMIN;

#[tokio::test]
async fn the_launcher_shows_what_the_policy_permits_here_and_now() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let page = browser.get(AUTH, "/").await;
    assert!(page.body.contains("href=\"https://chart.sekimori.localhost:8443/\""), "{}", page.body);
    assert!(!page.body.contains("lab.sekimori.localhost"));
    assert!(
        page.body.contains("髙橋 花子") && page.body.contains("3階東病棟") && page.body.contains("残り 12 時間 0 分")
    );
    browser.zone = "unknown";
    let page = browser.get(AUTH, "/").await;
    assert!(page.body.contains("いま使えるアプリはありません"), "{}", page.body);
}

#[tokio::test]
async fn the_launcher_leads_nobody_to_a_start_page_that_he_would_be_refused() {
    let house = House::open().await;
    // May administer the chart, and not open it; may administer the gateway.
    let page = house.logged_in(ADMIN).await.get(AUTH, "/").await;
    assert!(!page.body.contains("chart.sekimori.localhost"), "{}", page.body);
    assert!(page.body.contains("いま使えるアプリはありません") && page.body.contains("href=\"/cli\""), "{}", page.body);
}

#[tokio::test]
async fn req_s02_one_press_locks_and_the_same_cookie_opens_nothing_until_unlocked() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let form = browser.get(AUTH, "/").await.form("/lock");
    let got = browser.post(AUTH, "/lock", &[("t", &form)]).await;
    assert_eq!((got.status, got.place()), (StatusCode::SEE_OTHER, "/lock"));
    for path in ["/", "/sessions", "/cli"] {
        let got = browser.get(AUTH, path).await;
        assert!(got.status == StatusCode::SEE_OTHER && got.place().starts_with("/lock?i="), "{path}: {}", got.place());
    }
    let page = browser.open("/lock").await;
    assert!(page.body.contains("画面ロック中") && page.body.contains("髙橋 花子"));
    assert!(!page.body.contains("action=\"/lock\""), "no lock button on a locked page");
}

#[tokio::test]
async fn req_s02_an_idle_session_is_locked_at_the_next_request() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    house.clock.advance(Duration::from_secs(5 * 60 + 1));
    assert!(browser.get(AUTH, "/").await.place().starts_with("/lock"));
}

#[tokio::test]
async fn req_h28_a_page_of_ours_that_loads_itself_again_keeps_no_session_awake() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let by_script =
        FetchMetadata { navigate: true, document: true, same_origin: true, present: true, ..FetchMetadata::default() };
    house.clock.advance(Duration::from_secs(200));
    let got = browser.send(AUTH, Method::GET, "/", by_script, &[], "").await;
    assert_eq!(got.status, StatusCode::OK);
    house.clock.advance(Duration::from_secs(101));
    assert!(browser.get(AUTH, "/").await.place().starts_with("/lock"));
}

#[tokio::test]
async fn an_app_page_may_lock_the_screen_and_nothing_else() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/").await;
    let got = browser.get(AUTH, &place).await;
    enter(&mut browser, got.place()).await;
    let fetch = FetchMetadata { present: true, same_origin: true, ..FetchMetadata::default() };
    let got = browser.send(CHART, Method::POST, "/.sekimori/lock", fetch, &[], "").await;
    assert_eq!(got.status, StatusCode::NO_CONTENT);
    assert!(browser.get(AUTH, "/").await.place().starts_with("/lock"));
}

/// A46: a script on an app host has that host's token and can send anything anywhere.
#[tokio::test]
async fn atk_a46_an_app_hosts_token_and_script_get_nowhere_at_the_portal() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/").await;
    let got = browser.get(AUTH, &place).await;
    enter(&mut browser, got.place()).await;
    let token = browser.cookie(CHART, SESSION).unwrap().to_owned();
    let mut thief = house.browser();
    thief.keep(AUTH, SESSION, &token);
    assert!(thief.get(AUTH, "/").await.place().starts_with("/login"));
    let api = [(http::header::AUTHORIZATION, format!("Bearer {token}"))];
    let headers: Vec<_> = api.iter().map(|(n, v)| (n.clone(), v.as_str())).collect();
    let got = thief.send(AUTH, Method::GET, "/.sekimori/api/v1/session", FetchMetadata::default(), &headers, "").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let script = FetchMetadata { present: true, ..FetchMetadata::default() };
    for path in
        ["/lock", "/logout", "/sessions/end", "/cli", "/.sekimori/api/v1/enrolment", "/login/name", "/unlock/password"]
    {
        let headers = [(http::header::ORIGIN, "https://chart.sekimori.localhost:8443")];
        let got = browser.send(AUTH, Method::POST, path, script, &headers, "").await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(browser.get(AUTH, "/").await.status, StatusCode::OK, "and nothing has happened");
}

#[tokio::test]
async fn atk_a18_logging_out_ends_the_session_at_the_server_and_clears_the_browser() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let place = sent_to_login(&house, &mut browser, "/").await;
    let got = browser.get(AUTH, &place).await;
    enter(&mut browser, got.place()).await;
    let [portal, app] = [AUTH, CHART].map(|host| browser.cookie(host, SESSION).unwrap().to_owned());
    let form = browser.get(AUTH, "/").await.form("/logout");
    let got = browser.post(AUTH, "/logout", &[("t", &form)]).await;
    assert_eq!(got.header("clear-site-data"), "\"cache\", \"storage\"");
    assert!(browser.cookie(AUTH, SESSION).is_none());
    assert!(got.body.contains("ログアウトしました") && !got.body.contains("髙橋"));
    let mut thief = house.browser();
    thief.keep(AUTH, SESSION, &portal);
    thief.keep(CHART, SESSION, &app);
    assert!(thief.get(AUTH, "/").await.place().starts_with("/login"));
    let fetch = FetchMetadata { present: true, same_origin: true, ..FetchMetadata::default() };
    let got = thief.send(CHART, Method::POST, "/.sekimori/lock", fetch, &[], "").await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn atk_a39_a_person_ends_his_own_sessions_and_nobody_elses() {
    let house = House::open().await;
    let mut nurse = house.logged_in(NURSE).await;
    let mut admin = house.logged_in(ADMIN).await;
    let others = admin.get(AUTH, "/sessions").await;
    let id = others.body.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = nurse.get(AUTH, "/sessions").await.form("/sessions/end");
    let got = nurse.post(AUTH, "/sessions/end", &[("t", &form), ("session", id)]).await;
    assert_eq!(got.place(), "/sessions?done=gone");
    assert_eq!(admin.get(AUTH, "/").await.status, StatusCode::OK);
    let page = nurse.get(AUTH, "/sessions").await;
    assert!(page.body.contains("2026年11月21日(土) 14:05") && page.body.contains("この端末"), "{}", page.body);
    let id = page.body.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let got = nurse.post(AUTH, "/sessions/end", &[("t", &form), ("session", id)]).await;
    assert!(got.body.contains("ログアウトしました"), "{}", got.body);
    assert!(nurse.get(AUTH, "/").await.place().starts_with("/login"));
}

#[tokio::test]
async fn a_second_login_locks_the_first_station_and_the_list_shows_both() {
    let house = House::open().await;
    let mut first = house.logged_in(NURSE).await;
    let mut second = house.logged_in(NURSE).await;
    assert!(first.get(AUTH, "/").await.place().starts_with("/lock"));
    let page = second.get(AUTH, "/sessions").await;
    assert!(page.body.contains("2 件") && page.body.contains("画面ロック中"), "{}", page.body);
}

#[tokio::test]
async fn req_c35_the_code_for_the_command_line_wants_a_proof_of_the_last_five_minutes() {
    let house = House::open().await;
    let mut browser = house.logged_in(ADMIN).await;
    assert_eq!(browser.get(AUTH, "/cli").await.status, StatusCode::OK);
    for _ in 0..2 {
        house.clock.advance(Duration::from_secs(200));
        browser.get(AUTH, "/").await;
    }
    let got = browser.get(AUTH, "/cli").await;
    assert!(got.place().starts_with("/login?i="), "{} {}", got.status, got.place());
    let page = browser.get(AUTH, got.place()).await;
    assert!(page.body.contains("再認証") && page.body.contains("関 守"), "{}", page.body);
    assert!(!page.body.contains("by=name"), "nobody else can prove it");
}

#[tokio::test]
async fn a_lock_page_that_stands_open_gets_a_new_interaction_to_the_same_place() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let form = browser.get(AUTH, "/").await.form("/lock");
    browser.post(AUTH, "/lock", &[("t", &form)]).await;
    let refusal = model::Refusal::Locked { target: "/patients/7".to_owned() };
    let got = browser.refused(&house, CHART, refusal, model::Wants::Page, &Method::GET, None).await;
    let place = got.place().strip_prefix("https://auth.sekimori.localhost:8443").unwrap().to_owned();
    let page = browser.get(AUTH, &place).await;
    assert!(page.body.contains("again=1"), "{}", page.body);
    house.clock.advance(Duration::from_secs(4 * 60));
    let got = browser.get(AUTH, &format!("{place}&again=1")).await;
    assert!(got.place().starts_with("/lock?i=") && got.place() != place, "{}", got.place());
    assert_eq!(browser.get(AUTH, got.place()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_post_of_our_own_page_whose_session_is_over_goes_to_the_login() {
    let house = House::open().await;
    let mut browser = house.logged_in(NURSE).await;
    let form = browser.get(AUTH, "/").await.form("/logout");
    house.clock.advance(Duration::from_secs(13 * 3600));
    let got = browser.post(AUTH, "/logout", &[("t", &form)]).await;
    assert_eq!((got.status, got.place()), (StatusCode::SEE_OTHER, "/login"));
}
