use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

use super::*;
use crate::testing::{Browser, ORIGIN, PORTAL, World, rules};

struct Signing {
    world: World,
    assertions: Assertions,
    live: Arc<Live>,
    roles: Arc<[String]>,
}

async fn signing() -> Signing {
    let world = World::new().await;
    let mut who = world.enrol("000123").await;
    let live = world.log_in(&mut who, &Browser::new(PORTAL), None).await.live;
    let path = world.folder.path().join("assertion.key");
    let assertions = Assertions::load_or_create(&path, &world.master, RulesSource::fixed(rules())).unwrap();
    Signing { world, assertions, live, roles: vec!["nurse".to_owned()].into() }
}

/// As an upstream checks it, from the published key alone.
fn verified(token: &str, jwks: &str, audience: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let keys: JwkSet = serde_json::from_str(jwks).unwrap();
    let header = jsonwebtoken::decode_header(token)?;
    let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap())?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[ORIGIN]);
    rules.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &key, &rules).map(|data| data.claims)
}

#[tokio::test]
async fn an_assertion_says_who_asks_and_verifies_with_the_published_key() {
    let s = signing().await;
    let now = s.world.now();
    let token = s.assertions.sign(&s.live, Audience { app: "chart", roles: &s.roles }, now).unwrap();
    let claims = verified(&token, s.assertions.jwks(), "chart").unwrap();
    assert_eq!(claims["sub"], "000123");
    assert_eq!(claims["name"], "山田 花子");
    assert_eq!(claims["roles"], serde_json::json!(["nurse"]));
    assert_eq!(claims["acr"], "aal2");
    assert_eq!(claims["amr"], serde_json::json!(["pop"]));
    assert_eq!(claims["sid"], s.live.session_hash());
    assert_eq!(claims["exp"].as_i64().unwrap() - now.seconds(), 60);
    assert_eq!(claims["auth_time"], s.live.authenticated_at().seconds());
}

#[tokio::test]
async fn atk_a34_an_assertion_for_one_app_is_none_for_another_and_a_changed_one_is_none() {
    let s = signing().await;
    let token = s.assertions.sign(&s.live, Audience { app: "chart", roles: &s.roles }, s.world.now()).unwrap();
    assert!(verified(&token, s.assertions.jwks(), "pacs").is_err());
    let parts: Vec<&str> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let claims = String::from_utf8(claims).unwrap().replace("nurse", "admin");
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims), parts[2]);
    assert!(verified(&forged, s.assertions.jwks(), "chart").is_err());
}

#[tokio::test]
async fn atk_a32_a_kept_assertion_serves_its_own_app_roles_and_half_minute() {
    let s = signing().await;
    let sign = |app: &str, roles: &Arc<[String]>, at| s.assertions.sign(&s.live, Audience { app, roles }, at).unwrap();
    let now = s.world.now();
    let first = sign("chart", &s.roles, now);
    let same: Arc<[String]> = vec!["nurse".to_owned()].into();
    assert!(Arc::ptr_eq(&first, &sign("chart", &same, now.after(Duration::from_secs(30)))));
    assert!(!Arc::ptr_eq(&first, &sign("pacs", &s.roles, now)));
    let less: Arc<[String]> = Vec::new().into();
    assert!(!Arc::ptr_eq(&first, &sign("chart", &less, now)));
    assert!(!Arc::ptr_eq(&first, &sign("chart", &s.roles, now.after(Duration::from_secs(31)))));
    let later = sign("chart", &s.roles, now.after(Duration::from_secs(600)));
    assert!(!Arc::ptr_eq(&later, &sign("chart", &s.roles, now)), "a clock set back");
}

#[tokio::test]
async fn the_key_is_the_same_after_a_restart_and_opens_under_its_master_key_alone() {
    let s = signing().await;
    let path = s.world.folder.path().join("assertion.key");
    let source = RulesSource::fixed(rules());
    let again = Assertions::load_or_create(&path, &s.world.master, source.clone()).unwrap();
    assert_eq!(again.jwks(), s.assertions.jwks());
    assert!(!s.assertions.jwks().contains("\"d\""), "the private part");
    let other = MasterKey::generate().unwrap();
    assert!(matches!(Assertions::load_or_create(&path, &other, source), Err(AssertionError::Sealed)));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
