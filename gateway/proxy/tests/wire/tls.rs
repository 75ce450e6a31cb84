//! Certificates, versions, and the plain port (A13N-3; design.md §3).

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::browser::Browser;
use crate::world::{CHART, World};

fn config(world: &World, alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(world.ca.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

#[tokio::test]
async fn tls_1_3_with_http_2_where_the_client_speaks_it() {
    let world = World::new().await;
    for (offered, chosen) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"h2"], Some(b"h2")),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let browser = Browser::connect_with(world.address, config(&world, offered), CHART).await.unwrap();
        let session = browser.stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(session.alpn_protocol(), chosen);
    }
}

#[tokio::test]
async fn a_name_that_is_not_ours_gets_no_certificate_and_another_protocol_no_connection() {
    let world = World::new().await;
    assert!(Browser::connect_with(world.address, config(&world, &[]), "other.hospital.example").await.is_err());
    assert!(Browser::connect_with(world.address, config(&world, &[b"h3"]), CHART).await.is_err());
}

async fn plain(world: &World, request: &str) -> String {
    let mut stream = TcpStream::connect(world.plain).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_plain_port_sends_a_get_to_https_and_does_nothing_else() {
    let world = World::new().await;
    let answer = plain(&world, &format!("GET /a%2F?b=c HTTP/1.1\r\nHost: {CHART}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.to_lowercase().contains(&format!("location: https://{CHART}/a%2f?b=c\r\n")), "{answer}");
    for (request, status) in [
        (format!("POST / HTTP/1.1\r\nHost: {CHART}\r\nContent-Length: 0\r\n\r\n"), 405),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET http://evil.example/ HTTP/1.1\r\nHost: {CHART}\r\n\r\n"), 400),
    ] {
        let answer = plain(&world, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(!answer.to_lowercase().contains("location"), "{answer}");
    }
    assert!(world.upstream.seen().is_empty());
}
