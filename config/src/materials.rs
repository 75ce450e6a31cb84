//! What a configuration's upstreams need of files: authorities, client certificates, sealed secrets.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{MasterKey, Secret};
use rustls::pki_types::CertificateDer;
use zeroize::Zeroize as _;

use crate::certificates::{Certificate, Fault, read_chain};
use crate::expiry::Expiry;
use crate::report::Problem;
use crate::rules::{Located, Rules};
use crate::rules_file::{AppTable, AuthKind, UpstreamAuthTable};
use crate::sealed::{open_secret, open_secret_text};
use crate::tls::ClientAuthorities;
use crate::upstream::UpstreamAuth;

/// What was read; empty if no file was looked at.
#[derive(Default)]
pub(crate) struct Materials {
    /// The certificates of the hosts served here.
    pub(crate) certificates: Vec<Certificate>,
    /// Who may have signed client certificates.
    pub(crate) clients: ClientAuthorities,
    /// Until when the certificates of the named files are valid.
    pub(crate) expiries: Vec<Expiry>,
    roots: HashMap<PathBuf, Vec<CertificateDer<'static>>>,
    /// By the name of the app.
    auth: HashMap<String, UpstreamAuth>,
}

impl Materials {
    /// Reads what upstreams need. Without a master key (that it is missing has been told) no secret is opened.
    pub(crate) fn read(
        certificates: Vec<Certificate>,
        rules: &Rules,
        master: Option<&MasterKey>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut materials = Self { certificates, ..Self::default() };
        for upstream in &rules.upstreams {
            let Some(file) = &upstream.table.ca_file else { continue };
            match read_chain(file) {
                Ok(roots) => drop(materials.roots.insert(file.clone(), roots)),
                Err(why) => problems.push(rules.place(upstream, "ca_file").problem(why)),
            }
        }
        for app in &rules.apps {
            let (Some(table), Some(master)) = (&app.table.upstream_auth, master) else { continue };
            match auth(table, master) {
                Ok(auth) => drop(materials.auth.insert(app.table.name.clone(), auth)),
                Err((option, why)) => {
                    problems.push(rules.place(app, &format!("upstream_auth.{option}")).problem(why));
                }
            }
        }
        materials
    }

    /// With what the edge needs.
    pub(crate) fn at_the_edge(self, clients: ClientAuthorities, expiries: Vec<Expiry>) -> Self {
        Self { clients, expiries, ..self }
    }

    /// The authorities in a file.
    pub(crate) fn roots(&self, file: Option<&Path>) -> Vec<CertificateDer<'static>> {
        file.and_then(|file| self.roots.get(file)).cloned().unwrap_or_default()
    }

    /// How the gateway shows itself to an app's upstream.
    pub(crate) fn auth(&self, app: &Located<AppTable>) -> UpstreamAuth {
        match (&app.table.upstream_auth, self.auth.get(&app.table.name)) {
            (None, _) => UpstreamAuth::None,
            (Some(_), Some(auth)) => auth.clone(),
            (Some(_), None) => UpstreamAuth::Unread,
        }
    }
}

/// Which option is wrong, and why.
type Wrong = (&'static str, String);

fn auth(table: &UpstreamAuthTable, master: &MasterKey) -> Result<UpstreamAuth, Wrong> {
    let secret = |why| ("secret_file", why);
    match table.kind {
        AuthKind::Basic => {
            let user = table.user.as_deref().unwrap_or_default();
            let password = open_secret_text(master, &table.secret_file).map_err(secret)?;
            let mut both = format!("{user}:{}", password.expose());
            let header = format!("Basic {}", STANDARD.encode(&both));
            both.zeroize();
            Ok(UpstreamAuth::Authorization(Secret::new(header)))
        }
        AuthKind::Bearer => {
            let token = open_secret_text(master, &table.secret_file).map_err(secret)?;
            Ok(UpstreamAuth::Authorization(Secret::new(format!("Bearer {}", token.expose()))))
        }
        AuthKind::Mtls => {
            let key = open_secret(master, &table.secret_file).map_err(secret)?;
            let Some(chain) = &table.certificate else { return Ok(UpstreamAuth::Unread) };
            let certificate = Certificate::with_key(chain, key.expose()).map_err(|fault| match fault {
                Fault::Certificate(why) => ("certificate", why),
                Fault::Key(why) => ("secret_file", why),
            })?;
            Ok(UpstreamAuth::Certificate(Arc::new(certificate)))
        }
    }
}
