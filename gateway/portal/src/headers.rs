//! What every answer of ours carries so that a browser keeps to our rules (C-46, D-3.4, D-14).

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

/// Nothing but our own files, no inline script or style, forms only to ourselves, in nobody's frame.
const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// An answer that is no page shows nothing and runs nothing.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'none'";

const YEARS: &str = "max-age=63072000; includeSubDomains";

/// Headers of a page.
pub(crate) fn guard_page(headers: &mut HeaderMap) {
    guard(headers, HeaderValue::from_static(PAGE));
}

/// Headers of the small page inside a frame of one of `origins` (the site's own, a CSP source list).
pub(crate) fn guard_framed(headers: &mut HeaderMap, origins: &str) {
    let policy = PAGE.replace("frame-ancestors 'none'", &format!("frame-ancestors 'self' {origins}"));
    guard(headers, HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(PAGE)));
    // It would win over the policy in browsers that know no `frame-ancestors`.
    headers.remove(X_FRAME_OPTIONS);
}

/// Headers of JSON, redirects and empty answers.
pub(crate) fn guard_data(headers: &mut HeaderMap) {
    guard(headers, HeaderValue::from_static(DATA));
}

/// Headers of an asset; its caching is said where it is served.
pub(crate) fn guard_asset(headers: &mut HeaderMap) {
    guard_data(headers);
    headers.remove(CACHE_CONTROL);
    set(headers, "cross-origin-resource-policy", "same-origin");
}

fn guard(headers: &mut HeaderMap, policy: HeaderValue) {
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(YEARS));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set(headers, "cross-origin-opener-policy", "same-origin");
    set(headers, "cross-origin-resource-policy", "same-origin");
    set(
        headers,
        "permissions-policy",
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    );
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}
