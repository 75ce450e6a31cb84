//! The prepared requests, read from the file that wrk is given too.

use std::collections::HashMap;
use std::fs;

use http::{Request, Version};

use crate::Result;

/// The requests as their bytes for HTTP/1.1.
pub(crate) fn texts(file: &str) -> Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(file)?;
    let found: Vec<Vec<u8>> =
        text.split_terminator("\r\n\r\n").map(|head| format!("{head}\r\n\r\n").into_bytes()).collect();
    if found.is_empty() { Err(format!("{file} has no request").into()) } else { Ok(found) }
}

/// A request for HTTP/2, and whose it is: sessions are numbered in the order in which they come.
pub(crate) struct Asked {
    pub(crate) session: usize,
    pub(crate) request: Request<()>,
}

/// The same requests for HTTP/2, and how many sessions they are of.
pub(crate) fn streams(file: &str) -> Result<(Vec<Asked>, usize)> {
    let (mut sessions, mut found) = (HashMap::new(), Vec::new());
    for text in texts(file)? {
        let (session, request) = stream(std::str::from_utf8(&text)?)?;
        let next = sessions.len();
        let session = *sessions.entry(session).or_insert(next);
        found.push(Asked { session, request });
    }
    Ok((found, sessions.len()))
}

/// The session's cookie and the request. A browser sends each cookie in a field of its own (RFC 9113 8.2.3), so that
/// the other side's table of fields keeps them.
fn stream(text: &str) -> Result<(String, Request<()>)> {
    let mut lines = text.trim_end().split("\r\n");
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("a request line")?;
    let (mut host, mut session, mut request) = ("", None, Request::get("/").version(Version::HTTP_2));
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a field")?;
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value,
            "connection" => {}
            "cookie" => {
                for cookie in value.split("; ") {
                    if cookie.starts_with("__Host-sk=") {
                        session = Some(cookie.to_owned());
                    }
                    request = request.header("cookie", cookie);
                }
            }
            name => request = request.header(name, value),
        }
    }
    let request = request.uri(format!("https://{host}{target}")).body(())?;
    Ok((session.ok_or("a request without a session")?, request))
}

#[test]
fn a_request_for_http2_has_its_cookies_apart_and_nothing_of_the_connection() {
    let text = "GET /patients/P1 HTTP/1.1\r\nHost: a.b:1\r\nConnection: keep-alive\r\nAccept: x\r\nCookie: __Host-sk=k; c=d\r\n\r\n";
    let (session, request) = stream(text).unwrap();
    assert_eq!((session.as_str(), request.uri().to_string().as_str()), ("__Host-sk=k", "https://a.b:1/patients/P1"));
    assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["__Host-sk=k", "c=d"]);
    assert!(!request.headers().contains_key("connection") && !request.headers().contains_key("host"));
}
