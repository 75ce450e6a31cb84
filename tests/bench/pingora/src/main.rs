//! Pingora as a reverse proxy, as it comes: TLS with HTTP/2 and HTTP/1.1 to clients, kept connections to one upstream, one
//! thread, nothing asked. A peer of the benchmark (docs/performance.md).
//!
//! `bench-pingora LISTEN UPSTREAM CERTIFICATE KEY`

use async_trait::async_trait;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::{http_proxy_service, HttpPeer, ProxyHttp, Server, Session};
use pingora::server::configuration::ServerConf;
use pingora::Result;

struct Forward {
    upstream: String,
}

#[async_trait]
impl ProxyHttp for Forward {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream.as_str(), false, String::new())))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [listen, upstream, certificate, key]: [String; 4] =
        std::env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| "LISTEN UPSTREAM CERTIFICATE KEY")?;
    let settings = ServerConf { threads: 1, upstream_keepalive_pool_size: 256, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Forward { upstream });
    let mut tls = TlsSettings::intermediate(&certificate, &key)?;
    tls.enable_h2();
    service.add_tls_with_settings(&listen, None, tls);
    server.add_service(service);
    server.run_forever()
}
