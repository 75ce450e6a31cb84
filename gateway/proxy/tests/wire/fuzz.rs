//! Fuzz target (`tests/fuzz`): whatever bytes a client sends, an upstream gets whole requests with one reading, each
//! with the gateway's word on who asks, and none that the person may not make.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::upstream::{Seen, ok};
use crate::world::{CHART, PACS, World};

/// Stands for the session's cookie in an input.
const COOKIE: &str = "{cookie}";
/// Said last, so that an answer or the end of the connection comes at once.
const LAST: &str = "\r\n\r\nGET /page HTTP/1.1\r\nHost: chart.hospital.example\r\nConnection: close\r\n\r\n";
/// A connection that is silent so long waits for more than it gets.
const SILENCE: Duration = Duration::from_millis(25);

/// Fields that only the gateway may send, each exactly once.
const OURS: [&str; 8] = [
    "sekimori-assertion",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "x-request-id",
    "remote-user",
    "remote-groups",
];

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn replaced(input: &[u8], cookie: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(COOKIE.len()).position(|part| part == COOKIE.as_bytes()) {
        out.extend(&rest[..at]);
        out.extend(cookie.as_bytes());
        rest = &rest[at + COOKIE.len()..];
    }
    out.extend(rest);
    out
}

/// The fields of a head, if it is one to the strictest reader (RFC 9112 3 and 5).
fn read(head: &str) -> Option<(&str, BTreeMap<String, Vec<&str>>)> {
    let mut lines = head.strip_suffix("\r\n\r\n")?.split("\r\n");
    let [_, target, "HTTP/1.1"] = *lines.next()?.split(' ').collect::<Vec<_>>() else { return None };
    let mut fields: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let plain = !value.contains(|c: char| c.is_control() && c != '\t');
        (token && plain).then_some(())?;
        fields.entry(name.to_ascii_lowercase()).or_default().push(value.trim());
    }
    Some((target, fields))
}

/// What an upstream got.
fn arrived(seen: &Seen, sent: &[u8]) {
    let (target, fields) = read(&seen.head).unwrap_or_else(|| panic!("{:?}", seen.head));
    let only = |name: &str| match fields.get(name).map(Vec::as_slice) {
        Some([value]) => *value,
        other => panic!("{name}: {other:?} in {:?}", seen.head),
    };
    assert!(target.starts_with('/') && !target.starts_with("//"), "{target}");
    assert!(sent.windows(target.len()).any(|part| part == target.as_bytes()), "{target} was never sent");
    let path = target.split('?').next().unwrap().to_ascii_lowercase();
    assert!(!path.starts_with("/admin") && !path.starts_with("/.sekimori"), "{target}");
    assert!(only("host") == CHART || only("host") == PACS);
    OURS.iter().for_each(|name| assert!(!only(name).is_empty()));
    assert_eq!((only("x-forwarded-for"), only("x-forwarded-proto")), ("127.0.0.1", "https"));
    assert_eq!(
        (only("remote-user"), only("remote-groups"), only("x-forwarded-host")),
        ("000101", "nurse", only("host"))
    );
    assert_eq!(only("sekimori-assertion").split('.').count(), 3);
    for name in fields.keys().filter(|name| !OURS.contains(&name.as_str())) {
        let forged = ["x-forwarded", "x-original", "x-real-ip", "remote-", "sekimori-", "x-remote", "proxy", "x-ssl"];
        assert!(!forged.iter().any(|start| name.starts_with(start)) || name == "remote-name", "{name}");
    }
    assert!(
        fields
            .get("content-length")
            .is_none_or(|lengths| lengths.len() == 1 && !fields.contains_key("transfer-encoding"))
    );
    assert!(fields.get("transfer-encoding").is_none_or(|codings| codings == &["chunked"]));
    assert!(fields.get("cookie").is_none_or(|lines| lines.len() == 1 && !lines[0].contains("__Host-sk")));
}

/// Sends the bytes over a connection of their own and reads what comes back; and whether it came to an end.
async fn converse(world: &World, sent: &[u8]) -> (Vec<u8>, bool) {
    let mut browser = world.connect().await;
    // A gateway that has heard enough closes before it has heard all.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut browser.stream, sent).await;
    let mut back = Vec::new();
    while let Ok(Ok(read)) = timeout(SILENCE, browser.stream.read_buf(&mut back)).await {
        if read == 0 {
            return (back, true);
        }
    }
    (back, false)
}

#[test]
fn atk_a13_whatever_is_sent_upstreams_get_whole_requests_of_the_one_who_asks() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |why| {
        let ours = why.location().is_some_and(|place| !place.file().contains("tests/"));
        PANICS.fetch_add(usize::from(ours), Ordering::SeqCst);
        before(why);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (world, cookie, seen) = runtime.block_on(async {
        let world =
            World::with(|main| main.replace("requests_per_second = 1000", "requests_per_second = 100000")).await;
        let nurse = world.login("000101", &["nurse"]).await;
        let cookie = nurse.cookie.trim().trim_start_matches("Cookie: ").to_owned();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let record = Arc::clone(&seen);
        world.upstream.answers(move |request| {
            record.lock().unwrap().push(request.clone());
            ok("ok")
        });
        (world, cookie, seen)
    });
    // What was on its way when a connection fell silent arrives with the next one's.
    let before = Mutex::new((Vec::new(), true));
    ::fuzz::run("requests", |input| {
        let sent = replaced(&[input, LAST.as_bytes()].concat(), &cookie);
        let (back, ended) = runtime.block_on(converse(&world, &sent));
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let (before, calm) = std::mem::replace(&mut *before.lock().unwrap(), (sent.clone(), ended));
        seen.iter().for_each(|request| arrived(request, &[&sent[..], b"\n", &before].concat()));
        assert!(back.is_empty() || back.starts_with(b"HTTP/1."), "{}", back.escape_ascii());
        let answers = back.windows(7).filter(|part| *part == b"HTTP/1.").count();
        assert!(seen.len() <= answers || !(ended && calm), "{} got through, {answers} were answered", seen.len());
        assert_eq!(PANICS.load(Ordering::SeqCst), 0, "the gateway panicked");
    });
}
