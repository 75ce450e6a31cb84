//! Connections that have asked once and are kept: as many as each of `counts` says, with a stop at each.

use rustls::crypto::aws_lc_rs::kx_group::X25519;

use crate::paced::ask;
use crate::tls::Peer;
use crate::{Options, Result, requests, tell, wait_for_word};

pub(crate) fn run(options: &Options) -> Result<()> {
    let peer = Peer::new(options, &[], X25519)?;
    let (texts, least) = (requests::texts(options.text("requests")?)?, options.number("body")?);
    let (mut texts, mut held) = (texts.iter().cycle(), Vec::new());
    for count in options.text("counts")?.split(',') {
        let count: usize = count.parse()?;
        while held.len() < count {
            let mut stream = peer.connect()?;
            ask(&mut stream, texts.next().ok_or("a request")?, least)?;
            held.push(stream);
        }
        wait_for_word()?;
    }
    // Whoever was closed meanwhile was not held.
    for stream in &mut held {
        ask(stream, texts.next().ok_or("a request")?, least)?;
    }
    tell(&format!(r#"{{"connections":{}}}"#, held.len()))
}
