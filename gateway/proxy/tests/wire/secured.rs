//! Upstreams over TLS: their certificates are verified, ours is shown, credentials are put in (design.md §3).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use config::{Certificate, Snapshot, UpstreamAuth};
use model::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::upstream::Reply;
use crate::world::World;

/// An authority and the certificates it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    fn sign(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        Certificate { chain: vec![signed.der().clone()], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }
}

/// What a TLS front saw: the name it was asked for, and whether the client showed a certificate.
type Shown = Arc<Mutex<Vec<(Option<String>, bool)>>>;

/// TLS in front of a plain upstream; with `clients`, only for those whom they certify.
async fn front(plain: SocketAddr, own: Certificate, clients: Option<&Authority>) -> (SocketAddr, Shown) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.root()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(own.chain, own.key).unwrap();
    let (listener, shown) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Shown::default());
    let (address, told) = (listener.local_addr().unwrap(), Arc::clone(&shown));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(stream).await else { continue };
            let session = tls.get_ref().1;
            let certified = session.peer_certificates().is_some();
            told.lock().unwrap().push((session.server_name().map(str::to_owned), certified));
            tokio::spawn(async move {
                let mut plain = TcpStream::connect(plain).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
            });
        }
    });
    (address, shown)
}

/// Puts the chart behind TLS at `address`, with what files would have held put in by `fill`.
fn secure(world: &World, address: &str, more: &str, fill: impl FnOnce(&mut Snapshot)) {
    let table = format!(
        "\n[[upstream]]\nname = \"ward\"\nmembers = [\"https://{address}\"]\nca_file = \"internal.pem\"\n{more}"
    );
    world.reload_with(|rules| rules.replacen("\"http://UPSTREAM\"", "\"ward\"", 1) + table.as_str(), fill);
}

fn trust(authority: &Authority) -> impl FnOnce(&mut Snapshot) {
    let root = authority.root();
    |snapshot| snapshot.apps[0].upstream.tls.as_mut().unwrap().roots = vec![root]
}

#[tokio::test]
async fn an_upstreams_certificate_is_verified_by_its_authority_and_name() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (address, shown) = front(world.upstream.address, authority.sign("localhost"), None).await;
    let named = format!("localhost:{}", address.port());

    secure(&world, &named, "", trust(&authority));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    assert_eq!(shown.lock().unwrap()[..], [(Some("localhost".to_owned()), false)]);

    for (address, more, fill) in [
        (named.clone(), "", &stranger),
        (address.to_string(), "", &authority),
        (named.clone(), "server_name = \"pacs.internal.example\"\n", &authority),
    ] {
        secure(&world, &address, more, trust(fill));
        assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502, "{address} {more}");
    }
    secure(&world, &named, "", |_| {});
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502, "nobody is believed without an authority");
    assert_eq!(world.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_member_at_an_address_is_verified_by_the_name_that_the_upstream_gives_it() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let authority = Authority::new();
    let (address, shown) = front(world.upstream.address, authority.sign("pacs.internal.example"), None).await;
    let more = "server_name = \"pacs.internal.example\"\nminimum_version = \"1.3\"\n";
    secure(&world, &address.to_string(), more, trust(&authority));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    assert_eq!(shown.lock().unwrap()[0].0.as_deref(), Some("pacs.internal.example"));
}

#[tokio::test]
async fn an_upstream_that_wants_a_client_certificate_gets_the_gateways() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let authority = Authority::new();
    let own = authority.sign("localhost");
    let (address, shown) = front(world.upstream.address, own, Some(&authority)).await;
    let named = format!("localhost:{}", address.port());
    secure(&world, &named, "", trust(&authority));
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 502);
    let ours = Arc::new(authority.sign("gateway.internal.example"));
    secure(&world, &named, "", |snapshot| {
        trust(&authority)(snapshot);
        snapshot.apps[0].upstream_auth = UpstreamAuth::Certificate(ours);
    });
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.status, 200);
    assert!(shown.lock().unwrap().last().unwrap().1, "it was shown");
}

fn shows(credentials: &'static str) -> impl FnOnce(&mut Snapshot) {
    |snapshot| {
        snapshot.apps[0].upstream_auth = UpstreamAuth::Authorization(Secret::new(credentials.to_owned()));
    }
}

#[tokio::test]
async fn the_gateway_shows_its_own_credentials_and_never_the_clients() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.reload_with(|rules| rules, shows("Basic Z2F0ZTp3YXk="));
    let answer = world.ask("GET /page", &format!("{}Authorization: Basic bWU6bWU=\r\n", nurse.cookie)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.upstream.only().header("authorization"), ["Basic Z2F0ZTp3YXk="]);
    assert!(!world.records().concat().contains("Z2F0ZTp3YXk="), "no secret in the journal");
}

#[tokio::test]
async fn a_401_to_the_gateways_own_credentials_is_a_502_on_record_and_no_login_prompt() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| {
        Reply::Bytes(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 6\r\n\r\nsecret"
                .to_vec(),
        )
    });
    let answer = world.ask("GET /page", &nurse.cookie).await;
    assert_eq!(answer.status, 401, "without credentials of ours it is the app's own answer");
    assert!(answer.header("www-authenticate").is_empty(), "which asks for nothing that would be passed on");
    world.reload_with(|rules| rules, shows("Bearer xyz"));
    let answer = world.ask("GET /page", &nurse.cookie).await;
    assert_eq!(answer.status, 502);
    assert!(answer.header("www-authenticate").is_empty() && !answer.text().contains("secret"), "{}", answer.head);
    let record = world.records_of("request.permit").pop().unwrap();
    assert!(record.contains("\"outcome\":\"failed\"") && record.contains("\"fault\":\"upstream-auth\""), "{record}");
    world.reload(|rules| rules.replacen("identity_headers", "allow_authorization = true\nidentity_headers", 1));
    let answer = world.ask("GET /page", &nurse.cookie).await;
    assert_eq!(
        answer.header("www-authenticate"),
        ["Basic realm=\"x\""],
        "where the client's own go through, so does this"
    );
}
