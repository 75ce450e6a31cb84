use std::collections::BTreeSet;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{Method, StatusCode};
use model::FetchMetadata;
use serde_json::{Value, json};

use crate::house::{ADMIN, AUTH, Browser, Got, House, NEWCOMER, NURSE};

const V1: &str = "/.sekimori/api/v1/";

/// `sekimorictl login`: a code from the portal becomes a bearer token.
pub(super) async fn bearer(house: &House, number: &str) -> String {
    let mut browser = house.logged_in(number).await;
    let form = browser.get(AUTH, "/cli").await.form("/cli");
    let page = browser.post(AUTH, "/cli", &[("t", &form)]).await;
    let code = page.body.split("<output class=\"code long\">").nth(1).unwrap().split('<').next().unwrap();
    let got = call(house, None, Method::POST, "session/token", &json!({ "code": code }).to_string()).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let again = call(house, None, Method::POST, "session/token", &json!({ "code": code }).to_string()).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "a code works once");
    got.json()["bearer"].as_str().unwrap().to_owned()
}

async fn call(house: &House, bearer: Option<&str>, method: Method, path: &str, body: &str) -> Got {
    let token = bearer.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(HeaderName, &str)> = vec![(CONTENT_TYPE, "application/json")];
    headers.extend(token.iter().map(|token| (AUTHORIZATION, token.as_str())));
    house.browser().send(AUTH, method, &format!("{V1}{path}"), FetchMetadata::default(), &headers, body).await
}

async fn get(house: &House, bearer: &str, path: &str) -> Got {
    call(house, Some(bearer), Method::GET, path, "").await
}

async fn post(house: &House, bearer: &str, path: &str, body: &Value) -> Got {
    call(house, Some(bearer), Method::POST, path, &body.to_string()).await
}

#[tokio::test]
async fn a_program_learns_who_it_speaks_for_and_no_secret() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let got = get(&house, &token, "session").await;
    assert_eq!(got.status, StatusCode::OK);
    let own = got.json();
    assert_eq!((own["staff_no"].as_str(), own["aal"].as_str()), (Some(ADMIN), Some("aal2")));
    assert_eq!(own["roles"], json!(["keeper"]));
    // A35, A38: nothing in the answer is or hashes a token.
    let members: BTreeSet<&str> = own.as_object().unwrap().keys().map(String::as_str).collect();
    let meant = ["staff_no", "name", "department", "station", "zone", "aal", "roles", "authenticated_at", "until"];
    assert_eq!(members, BTreeSet::from(meant));
    assert!(!got.body.contains(&token));
}

#[tokio::test]
async fn whoever_lacks_the_role_is_refused_and_the_refusal_is_on_record() {
    let house = House::open().await;
    let token = bearer(&house, NURSE).await;
    for (method, path, body) in [
        (Method::GET, "audit/tail", ""),
        (Method::GET, "audit/records/1", ""),
        (Method::GET, "audit/search?event=login", ""),
        (Method::POST, "enrolment", "{}"),
        (Method::POST, "hr/import", ""),
        (Method::POST, "policy/test", "{}"),
        (Method::POST, "session/0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77/end", ""),
    ] {
        let before = house.records("request.deny").len();
        let got = call(&house, Some(&token), method, path, body).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(got.json()["reason"], "no-role", "{path}");
        let records = house.records("request.deny");
        assert_eq!(records.len(), before + 1, "{path}");
        let record = &records.last().unwrap().record;
        assert_eq!(record["who"]["staff_no"], NURSE);
        assert_eq!(record["what"]["app"], "sekimori");
    }
}

#[tokio::test]
async fn atk_a28_changes_want_a_proof_of_the_last_five_minutes_and_reading_does_not() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let asked = json!({ "staff_no": NEWCOMER, "method": "face-to-face", "evidence": "staff card" });
    assert_eq!(post(&house, &token, "enrolment", &asked).await.status, StatusCode::CREATED);
    house.clock.advance(Duration::from_secs(5 * 60 + 1));
    let got = post(&house, &token, "enrolment", &asked).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert_eq!(got.json()["type"], "urn:sekimori:problem:stale-authentication");
    assert!(got.header("www-authenticate").contains("max_age=300"));
    assert_eq!(get(&house, &token, "audit/tail").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_enrolment_code_is_issued_for_somebody_else_who_exists() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let asked = |number: &str, method: &str| json!({ "staff_no": number, "method": method, "evidence": "staff card" });
    let got = post(&house, &token, "enrolment", &asked(NEWCOMER, "face-to-face")).await;
    let code = got.json()["code"].as_str().unwrap().to_owned();
    assert!(code.len() >= 11, "{code}");
    for (number, method) in [("999999", "face-to-face"), (ADMIN, "face-to-face"), (NEWCOMER, "")] {
        let got = post(&house, &token, "enrolment", &asked(number, method)).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{number} {method}");
    }
    let records = house.records("enrolment.issue");
    assert!(!records.last().unwrap().text.contains(&code), "the code is in nobody's record");
    let form = house.browser().get(AUTH, "/enrol").await;
    assert_eq!(form.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_is_not_as_described_is_a_problem() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "{",
        "[]",
        "{\"staff_no\":\"1\"}",
        "{\"staff_no\":\"1\",\"method\":\"a\",\"evidence\":\"b\",\"more\":1}",
        &deep,
    ] {
        let got = call(&house, Some(&token), Method::POST, "enrolment", body).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{body:.40}");
        assert_eq!(got.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn an_hr_file_is_applied_whole_or_every_bad_row_is_named() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let head = "職員番号,氏名,フリガナ,生年月日,雇用区分,部署,職種,役職,主務区分,発令日,終了日,入職日,退職日,資格,資格番号,資格期限";
    let good = format!(
        "{head}\n000555,山田 太郎,ヤマダ タロウ,1980-01-02,常勤,医事課,事務職,,主務,2020-04-01,,2020-04-01,,,,\n"
    );
    let bad = format!("{head}\n000556,山田 次郎,ヤマダ,1980-13-02,常勤,医事課,事務職,,主務,x,,2020-04-01,,,,\n");
    let import = |text: String| {
        let bytes = cp932(&text);
        let token = format!("Bearer {token}");
        let house = &house;
        async move {
            let headers = [(AUTHORIZATION, token.as_str()), (CONTENT_TYPE, "text/csv")];
            house
                .browser()
                .send_bytes(AUTH, Method::POST, &format!("{V1}hr/import"), FetchMetadata::default(), &headers, bytes)
                .await
        }
    };
    let got = import(good).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    assert_eq!(got.json()["counts"]["added"], 1);
    let got = import(bad).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = got.json();
    let rows = problem["problems"].as_array().unwrap();
    assert!(rows.len() >= 2 && rows.iter().all(|row| row["line"] == 2), "{problem}");
}

#[tokio::test]
async fn a_policy_question_is_answered_by_the_data_planes_own_decision_and_recorded() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let ask = |url: &str, at: Option<&str>| json!({ "staff_no": NURSE, "url": url, "method": "get", "at": at, "zone": "office" });
    let got = post(&house, &token, "policy/test", &ask("https://chart.sekimori.localhost/open", None)).await;
    assert_eq!((got.status, got.json()["decision"].as_str()), (StatusCode::OK, Some("permit")), "{}", got.body);
    assert_eq!(got.json()["roles"], json!(["nurse"]));
    let got = post(
        &house,
        &token,
        "policy/test",
        &ask("https://chart.sekimori.localhost/x?secret=1", Some("2026-11-21T09:00:00+09:00")),
    )
    .await;
    assert_eq!((got.json()["decision"].as_str(), got.json()["reason"].as_str()), (Some("deny"), Some("no-role")));
    assert_eq!(got.json()["at"], "2026-11-21T00:00:00.000000Z");
    let members: Vec<String> = got.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        members,
        ["app", "at", "decision", "generation", "missing", "policy", "reason", "roles", "zone"],
        "the shape of docs/openapi.yaml"
    );
    let records = house.records("policy.test");
    assert_eq!(records.len(), 2);
    assert!(!records.last().unwrap().text.contains("secret=1"), "no query in a record");
    for bad in [
        json!({ "staff_no": "999999", "url": "/", "method": "GET" }),
        ask("/", Some("yesterday")),
        json!({ "staff_no": NURSE, "url": "/", "method": "G T" }),
    ] {
        assert_eq!(post(&house, &token, "policy/test", &bad).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    let long = format!("https://chart.sekimori.localhost/{}", "x".repeat(8 * 1024));
    let got = post(&house, &token, "policy/test", &ask(&long, None)).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["title"], "`url` is longer than 8192 bytes");
}

#[tokio::test]
async fn reading_the_journal_is_on_record_before_anything_is_shown() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let got = get(&house, &token, "audit/tail?limit=5").await;
    let lines = got.json()["records"].as_array().unwrap().clone();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line["intact"] == true));
    // What the store still held of the login may have followed it into the journal.
    let reading = |line: &Value| line["record"]["event"] == "audit.read" && line["record"]["who"]["staff_no"] == ADMIN;
    assert!(lines.iter().any(reading), "{lines:?}");
    let seq = lines[0]["seq"].as_u64().unwrap();
    let one = get(&house, &token, &format!("audit/records/{seq}")).await;
    assert_eq!(one.json()["seq"], seq);
    let found = get(&house, &token, &format!("audit/search?event=audit.read&staff_no={ADMIN}&limit=2")).await;
    assert_eq!(found.json()["records"].as_array().unwrap().len(), 2, "{}", found.body);
    assert_eq!(house.records("audit.read").len(), 3);
    for path in ["audit/records/0", "audit/records/999999", "audit/records/x"] {
        assert_eq!(get(&house, &token, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["audit/tail?limit=x", "audit/tail?after=-1", "audit/search?since=today"] {
        assert_eq!(get(&house, &token, path).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    let all = get(&house, &token, "audit/tail?limit=99999").await;
    assert!(all.json()["records"].as_array().unwrap().len() <= 500);
}

#[tokio::test]
async fn whatever_a_role_permits_is_on_record_with_the_rule_before_it_is_answered() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    for (method, path, body, action) in
        [(Method::GET, "session/all", "", "session"), (Method::POST, "enrolment", "{}", "enrolment")]
    {
        let before = house.records("request.permit").len();
        call(&house, Some(&token), method.clone(), path, body).await;
        let records = house.records("request.permit");
        assert_eq!(records.len(), before + 1, "{path}");
        let record = &records.last().unwrap().record;
        let what = &record["what"];
        assert_eq!((what["app"].as_str(), what["action"].as_str()), (Some("sekimori"), Some(action)));
        assert_eq!(what["method"], method.as_str());
        let path = format!("{V1}{}", path.split('?').next().unwrap());
        assert!(what.as_object().unwrap().values().any(|value| *value == path), "{what}");
        assert_eq!((&record["who"]["staff_no"], &record["who"]["roles"]), (&json!(ADMIN), &json!(["keeper"])));
        assert!(record["why"]["rule"].as_str().is_some_and(|rule| rule.starts_with("keeper permits")), "{record}");
    }
    // Reading the journal is one record, which says what was read.
    let before = house.records("request.permit").len();
    get(&house, &token, "audit/tail?limit=2").await;
    assert_eq!((house.records("audit.read").len(), house.records("request.permit").len()), (1, before));
    // What wants a fresh proof and has none was not permitted.
    house.clock.advance(Duration::from_secs(5 * 60 + 1));
    let before = house.records("request.permit").len();
    assert_eq!(post(&house, &token, "enrolment", &json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.records("request.permit").len(), before);
}

#[tokio::test]
async fn atk_a28_a_registrar_gets_no_code_for_another_who_holds_granted_rights() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    house.person("000901", "別 管理", "事務職", true).await;
    let account = house.account("000901").await;
    house.grant(account).await;
    let asked = json!({ "staff_no": "000901", "method": "face-to-face", "evidence": "staff card" });
    let got = post(&house, &token, "enrolment", &asked).await;
    assert_eq!((got.status, &got.json()["type"]), (StatusCode::FORBIDDEN, &json!("urn:sekimori:problem:privileged")));
    assert!(got.body.contains("sekimorictl bootstrap"), "{}", got.body);
}

#[tokio::test]
async fn a_session_ended_by_an_administrator_is_over() {
    let house = House::open().await;
    let mut nurse = house.logged_in(NURSE).await;
    let page = nurse.get(AUTH, "/sessions").await;
    let id = page.body.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let token = bearer(&house, ADMIN).await;
    let got = post(&house, &token, &format!("session/{id}/end"), &json!({})).await;
    assert_eq!(got.json()["ended"], true, "{}", got.body);
    assert!(nurse.get(AUTH, "/").await.place().starts_with("/login"));
    let got = post(&house, &token, &format!("session/{id}/end"), &json!({})).await;
    assert_eq!(got.json()["ended"], false);
    for nobody in ["0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77", "x"] {
        let got = post(&house, &token, &format!("session/{nobody}/end"), &json!({})).await;
        let known = got.status == StatusCode::OK && got.json()["ended"] == false;
        assert!(known || got.status == StatusCode::NOT_FOUND, "{nobody}: {} {}", got.status, got.body);
    }
}

#[tokio::test]
async fn a_bearer_dies_with_its_session_and_is_no_cookie() {
    let house = House::open().await;
    let token = bearer(&house, ADMIN).await;
    let mut browser: Browser<'_> = house.browser();
    browser.keep(AUTH, crate::SESSION, &token);
    assert!(browser.get(AUTH, "/").await.place().starts_with("/login"), "a bearer opens no page (A33)");
    // The bearer's browser logs out.
    let account = house.account(ADMIN).await;
    let session = house.sessions.list(account).await.unwrap()[0].id;
    house.sessions.end(session, model::EndReason::Logout, identity::By::Gateway).await.unwrap();
    assert_eq!(get(&house, &token, "session").await.status, StatusCode::UNAUTHORIZED);
    for odd in ["Basic dTpw", "Bearer", "Bearer x", "bearer  "] {
        let headers = [(AUTHORIZATION, odd)];
        let got = house
            .browser()
            .send(AUTH, Method::GET, &format!("{V1}session"), FetchMetadata::default(), &headers, "")
            .await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{odd}");
    }
}

#[tokio::test]
async fn the_api_by_cookie_answers_the_same_origin_only_even_for_reading() {
    let house = House::open().await;
    let mut browser = house.logged_in(ADMIN).await;
    let path = format!("{V1}audit/tail");
    let same = FetchMetadata { present: true, same_origin: true, ..FetchMetadata::default() };
    assert_eq!(browser.send(AUTH, Method::GET, &path, same, &[], "").await.status, StatusCode::OK);
    for fetch in [FetchMetadata { present: true, ..FetchMetadata::default() }, FetchMetadata::default()] {
        assert_eq!(browser.send(AUTH, Method::GET, &path, fetch, &[], "").await.status, StatusCode::FORBIDDEN);
    }
}

#[test]
fn the_published_description_has_exactly_the_routes_of_the_table() {
    let page = include_str!("../../../../docs/openapi.yaml");
    let mut described = BTreeSet::new();
    let mut path = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("  /") {
            path = format!("/{}", rest.trim_end_matches(':'));
        }
        for verb in ["get", "post", "put", "delete", "patch"] {
            if line == format!("    {verb}:") {
                described.insert(format!("{} {path}", verb.to_uppercase()));
            }
        }
    }
    let routes = crate::routes::ROUTES.iter().filter_map(|route| {
        let path = route.path.strip_prefix("/.sekimori/api/v1")?;
        let verb = if route.verb == crate::routes::Verb::Get { "GET" } else { "POST" };
        let name = if path.contains("records") { "{seq}" } else { "{id}" };
        Some(format!("{verb} {}", path.replace("{part}", name)))
    });
    assert_eq!(described, routes.collect());
}

/// Text as the hospital's Windows writes it.
fn cp932(text: &str) -> Vec<u8> {
    encoding_rs::SHIFT_JIS.encode(text).0.into_owned()
}
