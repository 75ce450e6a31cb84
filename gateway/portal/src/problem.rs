//! Refusals for programs: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::headers;

/// A problem document. Nothing in it tells what lies behind the gateway (H-30).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The request's id, as in records and on pages.
    request: String,
    /// Whom to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    /// Row by row, for files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<serde_json::Value>,
}

impl Problem {
    /// A problem of our catalogue; `name` is a word such as `denied`.
    pub(crate) fn new(status: StatusCode, name: &str, title: impl Into<String>, request: impl ToString) -> Self {
        Self {
            kind: format!("urn:sekimori:problem:{name}"),
            title: title.into(),
            status: status.as_u16(),
            detail: None,
            request: request.to_string(),
            help: None,
            reason: None,
            missing: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn help(mut self, extension: Option<&str>) -> Self {
        self.help = extension.map(str::to_owned);
        self
    }

    pub(crate) fn reason(mut self, reason: &str, missing: Vec<String>) -> Self {
        self.reason = Some(reason.to_owned());
        self.missing = missing;
        self
    }

    pub(crate) fn rows(mut self, problems: Vec<serde_json::Value>) -> Self {
        self.problems = problems;
        self
    }

    pub(crate) fn answer(&self) -> Response {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        headers::guard_data(answer.headers_mut());
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        answer
    }
}

/// `value` as an ordinary JSON answer.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        Err(error) => {
            tracing::error!(%error, "an answer did not serialise");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    };
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    headers::guard_data(answer.headers_mut());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
