//! Whose an id in the path is, by asking the upstream itself: archives name studies and images by numbers of
//! their own, and a journal that held only those would not say whose images were seen.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use policy::Lookup;
use tokio::time::timeout;

use super::{Found, in_json, is_json, unescape_path};
use crate::Services;
use crate::forward::Errand;

/// Answers kept: one is 100 to 200 bytes.
const KEPT: u64 = 65_536;
/// How long: what an archive once gave an id for stays that patient's, but corrections happen.
const FRESH: Duration = Duration::from_secs(600);
/// Bytes of an answer.
const MOST: usize = 64 * 1_024;
/// How long a request may wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What upstreams said. What they couldn't say is asked again.
pub(crate) struct Lookups(moka::sync::Cache<Key, Box<str>>);

/// The configuration's generation, the app, and what was asked.
type Key = (u64, Arc<str>, String);

/// What a look-up found, and whether it had to wait for it.
pub(crate) struct Looked {
    pub(crate) found: Found,
    pub(crate) waited: bool,
}

impl Default for Lookups {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build())
    }
}

impl Lookups {
    /// Finds the patient of what the path names; `parameter` gives what the path's pattern caught.
    pub(crate) async fn find<'p>(
        &self,
        lookup: &Lookup,
        parameter: impl Fn(&str) -> Option<&'p str>,
        errand: Errand<'_>,
        request_id: HeaderValue,
        services: &Services,
    ) -> Looked {
        let Some(target) = target(lookup, parameter) else { return Looked { found: Found::Unknown, waited: false } };
        let key = (errand.plane.snapshot().generation, Arc::clone(&errand.app.name), target);
        if let Some(number) = self.0.get(&key) {
            return Looked { found: Found::Known(number), waited: false };
        }
        let asked = ask(&key.2, &lookup.pointer, errand, request_id, services);
        let found = timeout(PATIENCE, asked).await.ok().flatten().unwrap_or(Found::Unknown);
        match &found {
            Found::Known(number) => self.0.insert(key, number.clone()),
            Found::NotAsked | Found::Unknown => {
                tracing::warn!(app = %errand.app.name, target = key.2, "the upstream did not say whose this is");
            }
        }
        Looked { found, waited: true }
    }
}

/// The path with its parameters put in, each of unreserved characters alone (RFC 3986 2.3), so that none can
/// ask for something else.
fn target<'p>(lookup: &Lookup, parameter: impl Fn(&str) -> Option<&'p str>) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let mut target = String::with_capacity(lookup.path.len() + 64);
    for (i, piece) in lookup.pieces()?.into_iter().enumerate() {
        if i % 2 == 0 {
            target.push_str(piece);
            continue;
        }
        // As the upstream reads it: a letter in disguise is that letter.
        let value = unescape_path(parameter(piece)?);
        target.push_str(Some(&*value).filter(|value| !value.is_empty() && value.bytes().all(plain))?);
    }
    Some(target)
}

async fn ask(
    target: &str,
    pointer: &str,
    errand: Errand<'_>,
    request_id: HeaderValue,
    services: &Services,
) -> Option<Found> {
    let target = PathAndQuery::try_from(target).ok()?;
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json, application/dicom+json")),
        (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    ]);
    let reply = errand.ask((Method::GET, target), headers, request_id, MOST, services).await.ok()?;
    let body = reply.body.filter(|_| reply.status == StatusCode::OK && is_json(&reply.headers))?;
    Some(in_json(&body, pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_a52_a_parameter_asks_for_itself_and_for_nothing_else() {
        let lookup = Lookup { path: "/studies?uid={id}&limit=1".into(), pointer: "/x".into() };
        let asked = |value: &'static str| target(&lookup, |name| (name == "id").then_some(value));
        assert_eq!(asked("1.2.840").as_deref(), Some("/studies?uid=1.2.840&limit=1"));
        assert_eq!(asked("%31.2.8%340").as_deref(), Some("/studies?uid=1.2.840&limit=1"), "the same in disguise");
        for odd in ["", "1&uid=2", "1/2", "1%262", "1#2", "山", "1;2", "1?2"] {
            assert_eq!(asked(odd), None, "{odd}");
        }
        assert_eq!(target(&lookup, |_| None), None);
    }
}
