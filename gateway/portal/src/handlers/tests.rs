use std::time::Duration;

use http::{Method, StatusCode};
use identity::{Officer, Proofing};
use model::FetchMetadata;

use crate::house::{AUTH, Browser, CHART, HOSTILE, House, NEWCOMER, NURSE, Otp, navigation_from_elsewhere};
use crate::{BINDER, SESSION};

mod enrolment;
mod login;
mod sessions;

/// A password that no list knows.
const PASSWORD: &str = "kitsune-hashi 47 wataru";

/// Issues a desk code as the registrar would.
async fn desk_code(house: &House, number: &str) -> String {
    let proofing = Proofing { method: "face-to-face", evidence: "staff card" };
    let issued = house.enrolment.issue(Officer::Host("test"), &number.parse().unwrap(), proofing).await.unwrap();
    issued.code.expose().clone()
}

/// Goes through enrolment with password and verification code; the seed of the app.
async fn enrol(house: &House, browser: &mut Browser<'_>, number: &str) -> Otp {
    let code = desk_code(house, number).await;
    let start = browser.get(AUTH, "/enrol").await;
    let form = start.form("/enrol/start");
    let got = browser.post(AUTH, "/enrol/start", &[("t", &form), ("staff_no", number), ("code", &code)]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    let place = got.place().to_owned();
    let page = browser.get(AUTH, &format!("{place}&by=password")).await;
    let form = page.form("/enrol/password");
    let i = place.split("i=").nth(1).unwrap();
    let fields = [("t", form.as_str()), ("secret", PASSWORD), ("again", PASSWORD)];
    let got = browser.post(AUTH, &format!("/enrol/password?i={i}"), &fields).await;
    let page = browser.get(AUTH, got.place()).await;
    let otp = Otp::from_page(&page.body);
    let form = page.form("/enrol/totp");
    let code = otp.code(house.clock.now());
    let got = browser.post(AUTH, &format!("/enrol/totp?i={i}"), &[("t", &form), ("secret", &code)]).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    assert!(got.body.contains("登録が終わりました"), "{}", got.body);
    otp
}

/// Logs in at `place` with password and verification code; the last answer.
async fn log_in(house: &House, browser: &mut Browser<'_>, place: &str, number: &str, otp: &Otp) -> crate::house::Got {
    // A code is good once: the next step of the app.
    house.clock.advance(Duration::from_secs(30));
    let page = browser.open(place).await;
    let form = page.form("/login/name");
    let i = page.body.split("/login/name?i=").nth(1).unwrap().split('"').next().unwrap();
    let got = browser.post(AUTH, &format!("/login/name?i={i}"), &[("t", &form), ("name", number)]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    let place = got.place().to_owned();
    let i = place.split("i=").nth(1).unwrap();
    let page = browser.get(AUTH, &format!("{place}&by=password")).await;
    let form = page.form("/login/password");
    let got = browser.post(AUTH, &format!("/login/password?i={i}"), &[("t", &form), ("secret", PASSWORD)]).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    let page = browser.get(AUTH, got.place()).await;
    let form = page.form("/login/totp");
    let code = otp.code(house.clock.now());
    browser.post(AUTH, &format!("/login/totp?i={i}"), &[("t", &form), ("secret", &code)]).await
}

/// What the data plane says to a navigation without a session, and where the browser is sent.
async fn sent_to_login(house: &House, browser: &mut Browser<'_>, target: &str) -> String {
    let refusal = model::Refusal::LoginRequired { target: target.to_owned() };
    let got = browser.refused(house, CHART, refusal, model::Wants::Page, &Method::GET, None).await;
    assert_eq!(got.status, StatusCode::SEE_OTHER, "{}", got.body);
    got.place().strip_prefix("https://auth.sekimori.localhost:8443").unwrap().to_owned()
}

/// The address that a page moves on to by itself.
fn moves_to(got: &crate::house::Got) -> &str {
    got.header("refresh").strip_prefix("0;url=").unwrap_or_else(|| panic!("no refresh: {got:?}"))
}

/// Enters the app's host with the code of `place`.
async fn enter(browser: &mut Browser<'_>, place: &str) -> crate::house::Got {
    let path = place.strip_prefix("https://chart.sekimori.localhost:8443").unwrap();
    let fetch = navigation_from_elsewhere();
    browser.send(CHART, Method::GET, path, fetch, &[], "").await
}

#[test]
fn a_code_typed_with_a_japanese_keyboard_is_the_code() {
    assert_eq!(super::typed_code(" １２3 4５6　"), "123456");
}
