//! Fuzz target (`tests/fuzz`): whatever an administrator's program sends, the answer is what was described, or a problem
//! that says so; never a failure, and never somebody's secret.
//!
//! The first line of an input is method and path below the API, as `POST enrolment`; the rest is the body.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Uri};
use model::FetchMetadata;
use serde_json::{Map, Value};

use super::tests::bearer;
use crate::form::Form;
use crate::house::{ADMIN, AUTH, Got, House};

const V1: &str = "/.sekimori/api/v1/";

async fn send(house: &House, token: &str, method: &Method, path: &str, body: &[u8]) -> Got {
    let authority = format!("Bearer {token}");
    let headers = [(AUTHORIZATION, authority.as_str()), (CONTENT_TYPE, "application/json")];
    let mut browser = house.browser();
    browser.send_bytes(AUTH, method.clone(), path, FetchMetadata::default(), &headers, body.to_vec()).await
}

/// An answer is JSON of the right kind.
fn answered(got: &Got, token: &str) {
    assert!(got.status.is_success() || got.status.is_client_error(), "{} {}", got.status, got.body);
    assert!(!got.body.contains(token), "the token is told");
    let said = got.json();
    if got.status.is_success() {
        assert_eq!(got.header("content-type"), "application/json");
    } else {
        assert_eq!(got.header("content-type"), "application/problem+json");
        assert_eq!(said["status"], got.status.as_u16());
        assert!(said["type"].as_str().is_some_and(|kind| kind.starts_with("urn:sekimori:problem:")), "{said}");
    }
}

/// The fields of a form are there once, and there are few.
fn form(body: &[u8]) {
    let Some(form) = Form::parse(body) else { return };
    let pairs: Vec<_> = form_urlencoded::parse(body).collect();
    assert!(pairs.len() <= 16);
    assert!(pairs.iter().all(|(name, value)| form.field(name) == value));
}

#[test]
fn atk_a41_any_call_of_the_api_is_answered_as_described_or_with_a_problem() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (house, token) = runtime.block_on(async {
        let house = House::open().await;
        let token = bearer(&house, ADMIN).await;
        (house, token)
    });
    ::fuzz::run("api", |input| {
        let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
        let (first, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
        form(body);
        let Some((method, path)) = std::str::from_utf8(first).ok().and_then(|line| line.split_once(' ')) else {
            return;
        };
        let (Ok(method), Ok(uri)) = (method.parse::<Method>(), format!("{V1}{path}").parse::<Uri>()) else { return };
        let ask = |body: &[u8]| runtime.block_on(send(&house, &token, &method, &uri.to_string(), body));
        let got = ask(body);
        // Nothing is said in an answer to HEAD.
        if method == Method::HEAD {
            return;
        }
        answered(&got, &token);
        let described = ["enrolment", "policy/test", "session/token"].map(|path| format!("{V1}{path}"));
        if got.status.is_success() && described.iter().any(|path| path == uri.path()) {
            let mut members: Map<String, Value> = serde_json::from_slice(body).unwrap();
            members.insert("nobody_knows".to_owned(), Value::Null);
            let got = ask(Value::Object(members).to_string().as_bytes());
            assert!(got.status.is_client_error(), "an unknown member is refused: {}", got.body);
        }
    });
}
