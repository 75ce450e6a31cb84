//! A client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No answer takes longer; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Browser {
    pub(crate) stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Browser {
    pub(crate) async fn connect(address: SocketAddr, ca: &CertificateDer<'static>, sni: &str) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::connect_with(address, config, sni).await
    }

    pub(crate) async fn connect_with(address: SocketAddr, config: ClientConfig, sni: &str) -> std::io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Self { stream, unread: Vec::new() })
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        let head_only = bytes.as_ref().starts_with(b"HEAD ");
        self.send(bytes).await;
        self.answer_of(head_only).await.expect("an answer")
    }

    /// The next answer; `None` if the connection is closed instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        self.answer_of(false).await
    }

    async fn answer_of(&mut self, head_only: bool) -> Option<Answer> {
        let mut answer = self.head().await?;
        let length = answer.header("content-length").first().map(|v| v.parse::<usize>().unwrap());
        let bodyless = head_only || matches!(answer.status, 101 | 204 | 304);
        answer.body = if bodyless {
            Vec::new()
        } else if !answer.header("transfer-encoding").is_empty() {
            self.chunked().await
        } else {
            self.exactly(length.unwrap_or(0)).await
        };
        Some(answer)
    }

    /// Only the head of the next answer.
    pub(crate) async fn head(&mut self) -> Option<Answer> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.unread.split_off(at + 4);
                let head = String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                if status == 100 {
                    continue;
                }
                return Some(Answer { status, head, body: Vec::new() });
            }
            if !self.more().await {
                assert!(self.unread.is_empty(), "cut off: {:?}", String::from_utf8_lossy(&self.unread));
                return None;
            }
        }
    }

    async fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await;
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            body.extend(self.exactly(size).await);
            self.line().await;
            if size == 0 {
                return body;
            }
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.unread.windows(2).position(|w| w == b"\r\n") {
                let rest = self.unread.split_off(at + 2);
                return String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
            }
            assert!(self.more().await, "closed within a line");
        }
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.more().await, "closed after {} of {count} bytes", self.unread.len());
        }
        let rest = self.unread.split_off(count);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Everything until the connection is closed.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await.expect("something within 10 s");
        // A connection cut without TLS's own farewell counts as closed.
        read.is_ok_and(|read| read > 0)
    }
}
