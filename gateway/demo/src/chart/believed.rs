use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use model::percent_decoded;
use serde_json::Value;

/// Longest assertion that is looked at.
const ASSERTION_BOUND: usize = 16 * 1024;

/// Whom the chart takes its user for, from the headers that the gateway sets. It believes them because
/// only the gateway can reach it; an app on an open network verifies the assertion's signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Believed {
    /// `Remote-User`, else the assertion's `sub`.
    pub(super) user: Option<String>,
    /// `Remote-Name`, percent-decoded, else the assertion's `name`.
    pub(super) name: Option<String>,
    /// `Remote-Groups` as it came.
    pub(super) groups: Option<String>,
    /// The claims of `Sekimori-Assertion`, name and value, in the order of their names.
    pub(super) claims: Vec<(String, String)>,
}

impl Believed {
    /// Reads the identity headers; what can't be read is not believed.
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let claims = text("sekimori-assertion").and_then(|jwt| claims(&jwt)).unwrap_or_default();
        let claim = |name: &str| claims.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        Self {
            user: text("remote-user").or_else(|| claim("sub")),
            name: text("remote-name")
                .map(|n| String::from_utf8_lossy(&percent_decoded(&n)).into_owned())
                .or_else(|| claim("name")),
            groups: text("remote-groups"),
            claims,
        }
    }

    /// One line for lists: who, or nobody.
    pub(super) fn signature(&self) -> String {
        match (&self.name, &self.user) {
            (Some(name), Some(user)) => format!("{name} ({user})"),
            (None, Some(user)) => user.clone(),
            _ => "名乗りなし (nobody)".to_owned(),
        }
    }
}

fn claims(jwt: &str) -> Option<Vec<(String, String)>> {
    if jwt.len() > ASSERTION_BOUND {
        return None;
    }
    let mut parts = jwt.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let Ok(Value::Object(claims)) = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?) else {
        return None;
    };
    let shown = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut claims: Vec<_> = claims.into_iter().map(|(name, value)| (name, shown(value))).collect();
    claims.sort();
    Some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap())).collect()
    }

    #[test]
    fn the_gateways_headers_name_the_user() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"000123","name":"山﨑　美咲","roles":["nurse"]}"#);
        let assertion = format!("e30.{payload}.c2ln");
        let believed = Believed::from_headers(&headers(&[
            ("sekimori-assertion", &assertion),
            ("remote-user", "000123"),
            ("remote-name", "%E5%B1%B1%EF%A8%91"),
        ]));
        assert_eq!(believed.signature(), "山﨑 (000123)");
        assert!(believed.claims.contains(&("roles".to_owned(), r#"["nurse"]"#.to_owned())));
        let alone = Believed::from_headers(&headers(&[("sekimori-assertion", &assertion)]));
        assert_eq!(alone.signature(), "山﨑　美咲 (000123)");
    }

    #[test]
    fn without_the_headers_or_with_nonsense_nobody_is_believed() {
        for nonsense in ["", "a.b", "a.!!.c", "a.W10.c", "a.e30"] {
            let believed = Believed::from_headers(&headers(&[("sekimori-assertion", nonsense)]));
            assert_eq!((believed.user, believed.claims.len()), (None, 0), "{nonsense}");
        }
    }
}
