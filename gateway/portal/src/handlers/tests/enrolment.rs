use super::*;

#[tokio::test]
async fn a_newcomer_enrols_and_logs_in_and_his_hostile_name_stays_text_everywhere() {
    let house = House::open().await;
    let mut browser = house.browser();
    let otp = enrol(&house, &mut browser, NEWCOMER).await;
    let got = log_in(&house, &mut browser, "/login", NEWCOMER, &otp).await;
    assert_eq!((got.status, got.place()), (StatusCode::SEE_OTHER, "/"));
    for path in ["/", "/sessions", "/cli", "/lock"] {
        let page = browser.open(path).await;
        assert!(!page.body.contains("<img"), "{path}: {}", page.body);
        assert!(!page.body.contains('\u{202e}'), "{path}");
        assert!(page.body.contains("&#60;img src=x onerror=alert(1)&#62;花子"), "{path}: {}", page.body);
    }
    assert!(HOSTILE.contains("<img"));
}

#[tokio::test]
async fn a_desk_code_works_once_and_its_failure_says_no_more_than_that() {
    let house = House::open().await;
    let mut browser = house.browser();
    let code = desk_code(&house, NEWCOMER).await;
    let form = browser.get(AUTH, "/enrol").await.form("/enrol/start");
    let attempt = |number: &'static str, code: String| (number, code);
    let mut words = Vec::new();
    for (number, code) in
        [attempt(NEWCOMER, "AAAAA-AAAAA".to_owned()), attempt("999999", code.clone()), attempt("", String::new())]
    {
        let got = browser.post(AUTH, "/enrol/start", &[("t", &form), ("staff_no", number), ("code", &code)]).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
        words.push(got.body.split("role=\"alert\">").nth(1).unwrap().split('<').next().unwrap().to_owned());
    }
    assert!(words.iter().all(|w| *w == words[0]), "{words:?}");
    let fields = [("t", form.as_str()), ("staff_no", NEWCOMER), ("code", code.as_str())];
    assert_eq!(browser.post(AUTH, "/enrol/start", &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.post(AUTH, "/enrol/start", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn enrolment_says_what_is_wrong_with_a_password_and_keeps_the_page() {
    let house = House::open().await;
    let mut browser = house.browser();
    let code = desk_code(&house, NEWCOMER).await;
    let form = browser.get(AUTH, "/enrol").await.form("/enrol/start");
    let got = browser.post(AUTH, "/enrol/start", &[("t", &form), ("staff_no", NEWCOMER), ("code", &code)]).await;
    let i = got.place().split("i=").nth(1).unwrap().to_owned();
    let person = browser.get(AUTH, &format!("/enrol?i={i}")).await;
    assert!(person.body.contains("ご本人ですか") && person.body.contains(NEWCOMER));
    let passkey = browser.get(AUTH, &format!("/enrol?i={i}&by=passkey")).await;
    assert!(
        passkey.body.contains("data-kind=\"create\"") && passkey.body.contains("&#34;challenge&#34;"),
        "{}",
        passkey.body
    );
    let page = browser.get(AUTH, &format!("/enrol?i={i}&by=password")).await;
    assert!(page.body.contains("13 文字以上"));
    let form = page.form("/enrol/password");
    for (secret, again, words) in [
        ("short1", "short1", "13 文字以上にしてください"),
        ("kitsune-hashi-wataru", "kitsune-hashi-wataru", "英字と数字を両方"),
        (PASSWORD, "another", "2 回の入力が違います"),
    ] {
        let fields = [("t", form.as_str()), ("secret", secret), ("again", again)];
        let got = browser.post(AUTH, &format!("/enrol/password?i={i}"), &fields).await;
        assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY, "{secret}");
        assert!(got.body.contains(words), "{secret}: {}", got.body);
        assert!(!got.body.contains(&format!("value=\"{secret}\"")), "the password stands in the page");
    }
    let other = house.browser().get(AUTH, &format!("/enrol?i={i}")).await;
    assert_eq!(other.status, StatusCode::GONE, "an enrolment belongs to its browser (A36)");
}

#[tokio::test]
async fn a_wrong_verification_code_does_not_ask_to_scan_again() {
    let house = House::open().await;
    let mut browser = house.browser();
    let code = desk_code(&house, NEWCOMER).await;
    let form = browser.get(AUTH, "/enrol").await.form("/enrol/start");
    let got = browser.post(AUTH, "/enrol/start", &[("t", &form), ("staff_no", NEWCOMER), ("code", &code)]).await;
    let i = got.place().split("i=").nth(1).unwrap().to_owned();
    let form = browser.get(AUTH, &format!("/enrol?i={i}&by=password")).await.form("/enrol/password");
    let fields = [("t", form.as_str()), ("secret", PASSWORD), ("again", PASSWORD)];
    browser.post(AUTH, &format!("/enrol/password?i={i}"), &fields).await;
    let page = browser.get(AUTH, &format!("/enrol?i={i}&by=totp")).await;
    let otp = Otp::from_page(&page.body);
    let form = page.form("/enrol/totp");
    let wrong = browser.post(AUTH, &format!("/enrol/totp?i={i}"), &[("t", &form), ("secret", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!wrong.body.contains("<svg"), "a new picture would make the scanned one worthless");
    let code = otp.code(house.clock.now());
    let got = browser.post(AUTH, &format!("/enrol/totp?i={i}"), &[("t", &form), ("secret", &code)]).await;
    assert!(got.body.contains("登録が終わりました"), "{}", got.body);
}
