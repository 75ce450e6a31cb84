//! An authenticator in software that does as it is told, wrong things too: ES256, attestation `none`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const UP: u8 = 0x01;
const UV: u8 = 0x04;
const AT: u8 = 0x40;

pub(crate) struct SoftKey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    counter: u32,
}

/// How an assertion is made; [`Forgery::default`] makes a right one.
#[derive(Clone, Debug)]
pub(crate) struct Forgery {
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    pub(crate) present: bool,
    pub(crate) verified: bool,
    pub(crate) counter: Option<u32>,
    pub(crate) challenge: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) cross_origin: bool,
    pub(crate) break_signature: bool,
    pub(crate) user_handle: Option<Vec<u8>>,
}

impl Default for Forgery {
    fn default() -> Self {
        Self {
            origin: super::ORIGIN.to_owned(),
            rp_id: super::DOMAIN.to_owned(),
            present: true,
            verified: true,
            counter: None,
            challenge: None,
            kind: "webauthn.get",
            cross_origin: false,
            break_signature: false,
            user_handle: None,
        }
    }
}

impl SoftKey {
    pub(crate) fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let mut id = vec![0; 32];
        rand::fill(&mut id).unwrap();
        Self { key, id, counter: 0 }
    }

    /// How often it has signed.
    pub(crate) fn counter(&self) -> u32 {
        self.counter
    }

    /// Answers `navigator.credentials.create` options.
    pub(crate) fn create(&mut self, options: &str, how: &Forgery) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let challenge = options["publicKey"]["challenge"].as_str().unwrap();
        let challenge = how.challenge.clone().unwrap_or_else(|| challenge.to_owned());
        let client = client_data("webauthn.create", &challenge, how);
        self.counter += 1;
        let mut auth = self.auth_data(how, AT);
        auth.extend_from_slice(&[0; 16]);
        auth.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        auth.extend_from_slice(&self.id);
        auth.extend_from_slice(&self.cose_key());
        let mut object = vec![0xa3];
        text(&mut object, "fmt");
        text(&mut object, "none");
        text(&mut object, "attStmt");
        object.push(0xa0);
        text(&mut object, "authData");
        bytes(&mut object, &auth);
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key",
            "response": { "attestationObject": encode(&object), "clientDataJSON": encode(client.as_bytes()), "transports": ["usb"] },
            "clientExtensionResults": {},
        })
        .to_string()
    }

    /// Answers `navigator.credentials.get` options.
    pub(crate) fn get(&mut self, options: &str, how: &Forgery) -> String {
        let options: Value = serde_json::from_str(options).unwrap();
        let challenge = options["publicKey"]["challenge"].as_str().unwrap();
        let challenge = how.challenge.clone().unwrap_or_else(|| challenge.to_owned());
        let client = client_data(how.kind, &challenge, how);
        self.counter += 1;
        let auth = self.auth_data(how, 0);
        let signed = [auth.as_slice(), digest(&SHA256, client.as_bytes()).as_ref()].concat();
        let mut signature = self.key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
        if how.break_signature {
            let last = signature.len() - 1;
            signature[last] ^= 1;
        }
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key",
            "response": {
                "authenticatorData": encode(&auth), "clientDataJSON": encode(client.as_bytes()), "signature": encode(&signature),
                "userHandle": how.user_handle.as_deref().map(encode),
            },
            "clientExtensionResults": {},
        })
        .to_string()
    }

    fn auth_data(&self, how: &Forgery, more: u8) -> Vec<u8> {
        let mut auth = digest(&SHA256, how.rp_id.as_bytes()).as_ref().to_vec();
        auth.push(more | if how.present { UP } else { 0 } | if how.verified { UV } else { 0 });
        auth.extend_from_slice(&how.counter.unwrap_or(self.counter).to_be_bytes());
        auth
    }

    /// COSE_Key (RFC 9053): kty 2, alg -7, crv 1, x, y.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut out = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21];
        bytes(&mut out, &point[1..33]);
        out.push(0x22);
        bytes(&mut out, &point[33..65]);
        out
    }
}

fn client_data(kind: &str, challenge: &str, how: &Forgery) -> String {
    json!({ "type": kind, "challenge": challenge, "origin": how.origin, "crossOrigin": how.cross_origin }).to_string()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn text(out: &mut Vec<u8>, value: &str) {
    assert!(value.len() < 24);
    out.push(0x60 | u8::try_from(value.len()).unwrap());
    out.extend_from_slice(value.as_bytes());
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    if value.len() < 256 {
        out.extend_from_slice(&[0x58, u8::try_from(value.len()).unwrap()]);
    } else {
        out.push(0x59);
        out.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
    }
    out.extend_from_slice(value);
}
