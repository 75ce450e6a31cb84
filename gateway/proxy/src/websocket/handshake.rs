//! The opening handshake, from both sides (RFC 6455 4, H-25).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Method, StatusCode, Version};

use crate::headers::has_token;

const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Offer {
    /// No WebSocket. Another `Upgrade` (h2c, H-24) is never forwarded and the request is an ordinary one.
    None,
    /// A well-formed handshake.
    WebSocket(Handshake),
    /// A handshake that is none; the name of the rule it breaks.
    Malformed(&'static str),
}

/// A client's handshake, kept until the upstream has answered.
#[derive(Debug)]
pub(crate) struct Handshake {
    key: HeaderValue,
    protocols: Vec<String>,
}

/// Looks for a handshake, before hop-by-hop fields are stripped.
pub(crate) fn offered(method: &Method, version: Version, headers: &HeaderMap) -> Offer {
    if !has_token(headers, &UPGRADE, "websocket") {
        return Offer::None;
    }
    let rule = if method != Method::GET || version != Version::HTTP_11 {
        Some("websocket-method")
    } else if !has_token(headers, &CONNECTION, "upgrade") {
        Some("websocket-connection")
    } else if only(headers, &UPGRADE).is_none() {
        Some("websocket-upgrade")
    } else if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|v| v != "13") {
        Some("websocket-version")
    } else if has_body(headers) {
        Some("websocket-body")
    } else {
        None
    };
    let key = only(headers, &SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key.as_bytes()).is_ok_and(|nonce| nonce.len() == 16));
    match (rule, key) {
        (Some(rule), _) => Offer::Malformed(rule),
        (None, None) => Offer::Malformed("websocket-key"),
        (None, Some(key)) => {
            Offer::WebSocket(Handshake { key: key.clone(), protocols: tokens(headers, &SEC_WEBSOCKET_PROTOCOL) })
        }
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// The value of a field that must be there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn tokens(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty())
        .collect()
}

impl Handshake {
    /// May a page of this origin open a socket here (A22)? Without `Origin` the client is no browser.
    pub(crate) fn is_from(headers: &HeaderMap, own: &str, listed: &[String]) -> bool {
        let allowed = |origin: &HeaderValue| {
            origin.as_bytes() == own.as_bytes() || listed.iter().any(|l| l.as_bytes() == origin.as_bytes())
        };
        let mut origins = headers.get_all(ORIGIN).iter().peekable();
        origins.peek().is_some() && origins.all(allowed)
    }

    /// Puts the fields of the handshake back that stripping took.
    pub(crate) fn ask(headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }

    /// Is this answer of the upstream the right 101 to this handshake?
    pub(crate) fn is_answered(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let chosen = headers.get(SEC_WEBSOCKET_PROTOCOL);
        let known = chosen.is_none_or(|chosen| self.protocols.iter().any(|p| p.as_bytes() == chosen.as_bytes()));
        status == StatusCode::SWITCHING_PROTOCOLS
            && has_token(headers, &UPGRADE, "websocket")
            && has_token(headers, &CONNECTION, "upgrade")
            && only(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|a| a.as_bytes() == self.accept().as_bytes())
            && known
    }

    /// The header fields of our 101: the upstream's own choice of protocol and extensions, nothing else.
    pub(crate) fn answer(&self, upstream: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(6);
        Self::ask(&mut headers);
        if let Ok(accept) = HeaderValue::from_str(&self.accept()) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        for name in [SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS] {
            for value in upstream.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers
    }

    fn accept(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(self.key.as_bytes());
        context.update(MAGIC);
        STANDARD.encode(context.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        fields.iter().map(|(n, v)| (HeaderName::from_bytes(n.as_bytes()).unwrap(), v.parse().unwrap())).collect()
    }

    const GOOD: [(&str, &str); 4] = [
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn handshake(extra: &[(&str, &str)]) -> Handshake {
        match offered(&Method::GET, Version::HTTP_11, &map(&[&GOOD[..], extra].concat())) {
            Offer::WebSocket(handshake) => handshake,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn req_h25_a_handshake_with_anything_wrong_is_refused() {
        let rule = |at: usize, field: (&str, &str)| {
            let mut fields = GOOD.to_vec();
            fields[at] = field;
            match offered(&Method::GET, Version::HTTP_11, &map(&fields)) {
                Offer::Malformed(rule) => rule,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(rule(1, ("Connection", "keep-alive")), "websocket-connection");
        assert_eq!(rule(2, ("Sec-WebSocket-Version", "8")), "websocket-version");
        assert_eq!(rule(2, ("X", "13")), "websocket-version");
        assert_eq!(rule(3, ("Sec-WebSocket-Key", "short")), "websocket-key");
        assert_eq!(rule(3, ("X", "1")), "websocket-key");
        let post = offered(&Method::POST, Version::HTTP_11, &map(&GOOD));
        assert!(matches!(post, Offer::Malformed("websocket-method")));
        let body = offered(&Method::GET, Version::HTTP_11, &map(&[&GOOD[..], &[("Content-Length", "5")]].concat()));
        assert!(matches!(body, Offer::Malformed("websocket-body")));
    }

    #[test]
    fn req_h24_h2c_is_no_websocket() {
        let headers = map(&[("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings")]);
        assert!(matches!(offered(&Method::GET, Version::HTTP_11, &headers), Offer::None));
    }

    #[test]
    fn atk_a22_only_pages_of_the_app_or_of_listed_origins_may_connect() {
        let (own, listed) = ("https://chart.example", ["https://board.example".to_owned()]);
        let is_from = |fields: &[(&str, &str)]| Handshake::is_from(&map(fields), own, &listed);
        assert!(is_from(&[("Origin", own)]) && is_from(&[("Origin", "https://board.example")]));
        for bad in ["https://evil.example", "null", "http://chart.example", "https://chart.example.evil", ""] {
            assert!(!is_from(&[("Origin", bad)]), "{bad}");
        }
        assert!(!is_from(&[]));
        assert!(!is_from(&[("Origin", own), ("Origin", "https://evil.example")]));
    }

    #[test]
    fn only_the_right_101_is_an_answer() {
        let good = [
            ("Upgrade", "WebSocket"),
            ("Connection", "upgrade"),
            ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        let handshake = handshake(&[("Sec-WebSocket-Protocol", "chart.v1, chart.v2")]);
        let right = |fields: &[(&str, &str)]| handshake.is_answered(StatusCode::SWITCHING_PROTOCOLS, &map(fields));
        assert!(right(&good));
        assert!(right(&[&good[..], &[("Sec-WebSocket-Protocol", "chart.v2")]].concat()));
        assert!(!right(&[&good[..], &[("Sec-WebSocket-Protocol", "other")]].concat()));
        assert!(!right(&good[..2]) && !right(&good[1..]));
        assert!(!right(&[good[0], good[1], ("Sec-WebSocket-Accept", "AAAA")]));
        assert!(!handshake.is_answered(StatusCode::OK, &map(&good)));
    }
}
