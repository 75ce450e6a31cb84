use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// A running chart, as a client sees it.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<io::Result<()>>,
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, async { stopped.await.unwrap_or_default() }));
        Self { address, stop: Some(stop), served }
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: chart\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Answer::parse(&answer)
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], b"").await
    }

    async fn stop(mut self) -> io::Result<()> {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap()
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[at + 4..].to_vec() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[tokio::test]
async fn every_patient_is_listed_and_opens() {
    let chart = Running::start().await;
    let list = chart.get("/").await.text();
    for patient in ward::PATIENTS {
        assert!(list.contains(&format!("/patients/{}\"", patient.id)), "{}", patient.id);
    }
    let page = chart.get("/patients/DEMO-0007").await;
    assert_eq!((page.status, page.header("x-patient-id")), (200, Some("demo-0007")));
    assert_eq!(chart.get("/patients/DEMO-9999").await.status, 404);
    assert_eq!(chart.ask("DELETE", "/", &[], b"").await.status, 405);
}

#[tokio::test]
async fn atk_a43_what_people_write_and_are_called_is_text_and_never_markup() {
    let chart = Running::start().await;
    let hostile = "<img src=x onerror=alert(1)>\"'&";
    let name = model::percent_encoded(hostile);
    let who = [("Remote-User", "000123"), ("Remote-Name", name.as_str())];
    let note = serde_json::json!({ "text": hostile }).to_string();
    assert_eq!(chart.ask("POST", "/patients/DEMO-0001/notes", &who, note.as_bytes()).await.status, 201);
    let order = format!("item={name}");
    assert_eq!(chart.ask("POST", "/patients/DEMO-0001/orders", &who, order.as_bytes()).await.status, 303);
    let upload = [who[0], who[1], ("X-File-Name", name.as_str())];
    assert_eq!(chart.ask("POST", "/patients/DEMO-0001/files", &upload, b"x").await.status, 201);
    chart.ask("POST", "/admin/notice", &who, format!("notice={name}").as_bytes()).await;
    let payload = serde_json::json!({ "sub": hostile, hostile: "x" }).to_string();
    let payload = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload);
    let assertion = [("Sekimori-Assertion", format!("e30.{payload}.e30"))];
    let assertion = assertion.each_ref().map(|(n, v)| (*n, v.as_str()));
    for (target, headers) in [
        ("/patients/DEMO-0001", &who[..]),
        ("/admin", &who),
        ("/whoami", &who),
        ("/whoami", &assertion),
        ("/%3Cimg%20src=x%3E?<img src=x", &who),
    ] {
        let target = target.replace(' ', "%20");
        let page = chart.ask("GET", &target, headers, b"").await.text();
        assert!(!page.contains("<img"), "{target}");
    }
    let page = chart.get("/patients/DEMO-0001").await.text();
    assert_eq!(page.matches("&#60;img src=x onerror=alert(1)&#62;").count(), 7, "{page}");
}

#[tokio::test]
async fn the_page_shows_whom_it_believes_and_whose_session_it_is() {
    let chart = Running::start().await;
    let name = [("Remote-User", "000123"), ("Remote-Name", "%E5%B1%B1%EF%A8%91")];
    let first = chart.ask("GET", "/", &name, b"").await;
    assert!(first.text().contains("山﨑") && first.text().contains("000123"));
    let cookie = first.header("set-cookie").unwrap();
    assert!(cookie.contains("; httponly") && cookie.contains("; path=/") && !cookie.contains("domain"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().replace("jsessionid", "JSESSIONID").to_owned();
    let again = chart.ask("GET", "/", &[name[0], name[1], ("Cookie", &pair)], b"").await;
    assert!(!again.text().contains("id=\"anothers\"") && again.header("set-cookie").is_none());
    let other = chart.ask("GET", "/", &[("Remote-User", "000124"), ("Cookie", &pair)], b"").await;
    assert!(other.text().contains("id=\"anothers\""));
    chart.ask("POST", "/logout", &[("Cookie", &pair)], b"").await;
    assert!(chart.ask("GET", "/", &[("Cookie", &pair)], b"").await.header("set-cookie").is_some());
    assert!(chart.get("/").await.text().contains("id=\"believed-nobody\""));
}

#[tokio::test]
async fn each_place_that_can_name_a_patient_does() {
    let chart = Running::start().await;
    let vitals = chart.get("/api/patients/DEMO-0003/vitals").await;
    assert_eq!(vitals.json()["patient"], "DEMO-0003");
    assert_eq!(chart.get("/print?patient=DEMO-0003").await.status, 200);
    assert_eq!(chart.get("/print?patient=nobody").await.status, 404);
    let form = chart.ask("POST", "/orders", &[], b"patient=DEMO-0003&item=CBC").await;
    assert_eq!(form.header("location"), Some("/patients/demo-0003"));
    let note = chart.ask("POST", "/notes", &[], br#"{"patient":"DEMO-0003","text":"ok"}"#).await;
    assert_eq!(note.status, 201);
    assert!(chart.get("/rounds/next").await.header("x-patient-id").is_some());
    assert!(chart.get("/api/bedside").await.json()["patient"]["id"].is_string());
    for nonsense in [&b"{}"[..], b"[1", br#"{"patient":"x","text":"y"}"#, br#"{"patient":"DEMO-0003","text":" "}"#] {
        assert_eq!(chart.ask("POST", "/notes", &[], nonsense).await.status, 422);
    }
}

#[tokio::test]
async fn files_stream_in_and_out_and_the_largest_leave_only_their_hash() {
    let chart = Running::start().await;
    let put = chart.ask("PUT", "/patients/DEMO-0001/files/scan%201.pdf", &[], b"%PDF-1.7").await;
    assert_eq!((put.status, put.json()["kept"].as_bool()), (201, Some(true)));
    let got = chart.get("/patients/DEMO-0001/files/1").await;
    assert_eq!(got.body, b"%PDF-1.7");
    assert_eq!(got.header("content-disposition"), Some("attachment; filename*=utf-8''scan%201.pdf"));
    assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(chart.get("/patients/DEMO-0002/files/1").await.status, 404);
    let large = chart.ask("POST", "/patients/DEMO-0001/files", &[], &vec![7; 5 << 20]).await.json();
    assert_eq!((large["bytes"].as_u64(), large["kept"].as_bool()), (Some(5 << 20), Some(false)));
    let blank = chart.get("/patients/DEMO-0001/files/blank.bin?bytes=200000").await;
    assert_eq!((blank.header("content-length"), blank.body.len()), (Some("200000"), 200_000));
    assert_eq!(chart.get("/patients/DEMO-0001/files/blank.bin?bytes=x").await.status, 422);
    assert!(chart.get("/patients/DEMO-0001/files/summary.csv").await.text().contains("DEMO-0001"));
}

#[tokio::test]
async fn a_form_beyond_its_bound_is_refused() {
    let chart = Running::start().await;
    let answer = chart.ask("POST", "/orders", &[], &vec![b'a'; 70 * 1024]).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn the_ward_socket_speaks_listens_and_says_goodbye_when_the_chart_stops() {
    let chart = Running::start().await;
    let mut stream = TcpStream::connect(chart.address).await.unwrap();
    let handshake = "GET /ws/ward HTTP/1.1\r\nHost: chart\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nRemote-User: 000123\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    until(&mut stream, &mut got, "\"hello\"").await;
    let head = String::from_utf8_lossy(&got).to_lowercase();
    assert!(head.starts_with("http/1.1 101") && String::from_utf8_lossy(&got).contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // Masked with zeros: "hi".
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']).await.unwrap();
    until(&mut stream, &mut got, "\"text\":\"hi\"").await;
    chart.stop().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(&[0x88, 2, 0x03, 0xE9]), "{rest:?}");
    assert!(!got.is_empty());
}

#[tokio::test]
async fn a_request_that_is_no_handshake_gets_426() {
    let chart = Running::start().await;
    let answer = chart.get("/ws/ward").await;
    assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")));
}

#[tokio::test]
async fn events_stream_until_the_chart_stops() {
    let chart = Running::start().await;
    let mut stream = TcpStream::connect(chart.address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: chart\r\n\r\n").await.unwrap();
    let mut got = Vec::new();
    until(&mut stream, &mut got, "ward feed").await;
    chart.stop().await.unwrap();
    stream.read_to_end(&mut got).await.unwrap();
    assert!(got.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&got));
}

#[tokio::test]
async fn what_arrived_can_be_joined_with_the_gateways_journal() {
    let chart = Running::start().await;
    chart.ask("GET", "/patients/DEMO-0001?x=1", &[("X-Request-Id", "r-1"), ("Remote-User", "000123")], b"").await;
    let seen = chart.get("/internal/requests").await.json();
    let (first, path) = (&seen[0], "/patients/DEMO-0001?x=1");
    assert_eq!((first["request"].as_str(), first["target"].as_str()), (Some("r-1"), Some(path)));
    assert_eq!((first["user"].as_str(), first["method"].as_str()), (Some("000123"), Some("GET")));
}

async fn until(stream: &mut TcpStream, got: &mut Vec<u8>, wanted: &str) {
    let mut buffer = [0; 4_096];
    while !String::from_utf8_lossy(got).contains(wanted) {
        let length = time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(length > 0, "ended before {wanted}: {}", String::from_utf8_lossy(got));
        got.extend_from_slice(&buffer[..length]);
    }
}

/// What a page makes a browser ask for: method and path.
fn asked_by(page: &str) -> Vec<(&'static str, String)> {
    let of = |attribute: &str| {
        let begin = format!("{attribute}=\"");
        page.match_indices(&begin)
            .map(|(at, _)| page[at + begin.len()..].split(['"', '?']).next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let gets = ["href", "src", "data-source", "data-socket"].into_iter().flat_map(of).map(|path| ("GET", path));
    let posts = ["action", "data-target"].into_iter().flat_map(of).map(|path| ("POST", path));
    gets.chain(posts).collect()
}

#[tokio::test]
async fn whatever_a_page_asks_for_is_an_action_of_the_demos_policy_and_is_answered() {
    let chart = Running::start().await;
    chart.ask("PUT", "/patients/DEMO-0001/files/x", &[], b"x").await;
    let folder = std::path::Path::new(".");
    let snapshot = config::load_texts(folder, config::demo::MAIN, config::demo::POLICY).unwrap();
    let app = snapshot.policy.app("chart").unwrap();
    let mut asked = vec![
        ("GET", "/api/bedside".to_owned()),
        ("POST", "/orders".to_owned()),
        ("POST", "/notes".to_owned()),
        ("GET", "/events".to_owned()),
    ];
    for page in ["/", "/patients/DEMO-0001", "/rounds/next", "/admin", "/whoami", "/print?patient=DEMO-0001"] {
        asked.extend(asked_by(&chart.get(page).await.text()));
    }
    assert!(asked.len() > 60, "{asked:?}");
    for (method, path) in asked {
        assert!(matches!(snapshot.policy.route(app, method, &path), policy::Routing::Action(_)), "{method} {path}");
        if method == "GET" && path != "/events" {
            assert!(!matches!(chart.get(&path).await.status, 404 | 405) || path == "/print", "{path}");
        }
    }
}
