//! Certificates of the site's hosts by ACME (RFC 8555), proved by TLS-ALPN-01 (RFC 8737): plain HTTP answers
//! nothing but a redirect here, so no other challenge could be met.
//!
//! A certificate is asked for when there is none, when a host isn't covered, and when a third of its life is
//! left. A failure changes nothing of what is served: it is told in the log, on record and in a metric, and tried again
//! later. Until the first certificate is there nobody is served: a certificate of our own would teach people to
//! click warnings away.
//!
//! The crate never listens: whoever shakes hands implements [`Edge`].

mod challenge;
mod files;
mod order;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Journal, Outcome, Record, What, Who, Why};
use config::{AcmeSettings, Certificate, Current, Snapshot};
use model::{Clock, MasterKey, Timestamp};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use self::files::FileError;
use self::files::Files;
pub use self::order::OrderError;

/// How soon a changed configuration or clock is heeded.
const TICK: Duration = Duration::from_secs(1);
/// An order that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(180);
/// From one failure to the next attempt: doubled each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// Where handshakes are made.
pub trait Edge: Send + Sync + 'static {
    /// Shows `certificate` to whoever asks for `host` by the challenge's protocol, and to nobody else.
    ///
    /// # Errors
    /// Why it can't be shown.
    fn challenge(&self, host: &str, certificate: &Certificate) -> Result<(), String>;

    /// The challenges are over.
    fn withdraw(&self);

    /// Serves these hosts with `certificate` from the next handshake on.
    ///
    /// # Errors
    /// Why it can't be served; what was before stays.
    fn install(&self, certificate: &Certificate, hosts: &[Arc<str>]) -> Result<(), String>;
}

/// What a keeper is made of.
pub struct Parts {
    /// The configuration in force.
    pub current: Current,
    /// Where what happened is written down.
    pub journal: Journal,
    /// The time.
    pub clock: Clock,
    /// Seals the keys.
    pub master: Arc<MasterKey>,
    /// Where certificates are served.
    pub edge: Arc<dyn Edge>,
}

/// How the certificate stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last second of what is served; `None`, there is none.
    pub until: Option<Timestamp>,
    /// Attempts that have failed since the last that didn't.
    pub failures: u32,
}

/// Keeps the certificate fresh for as long as the gateway runs.
pub struct Keeper {
    parts: Parts,
    held: Option<Held>,
    /// What was kept has been looked at; a reload may be the first to ask for it.
    begun: bool,
    /// Not before.
    again: Option<Timestamp>,
    standing: watch::Sender<Standing>,
}

/// The certificate that is served.
struct Held {
    certificate: Certificate,
    renew: Timestamp,
    until: Timestamp,
    /// Whom it is served to.
    hosts: Vec<Arc<str>>,
}

impl Keeper {
    /// Serves what is kept from before, if there is something that still fits.
    pub fn new(parts: Parts) -> Self {
        let mut keeper = Self { parts, held: None, begun: false, again: None, standing: watch::Sender::default() };
        let snapshot = keeper.parts.current.load();
        if snapshot.settings.tls.acme.is_some() {
            keeper.begin(&snapshot);
        }
        keeper
    }

    fn begin(&mut self, snapshot: &Snapshot) {
        self.begun = true;
        match Files::of(&snapshot.settings.tls).certificate(&self.parts.master) {
            Ok(None) => tracing::warn!("there is no certificate yet: nobody is served until one is issued"),
            Ok(Some(certificate)) => {
                if let Err(why) = self.serve(certificate, snapshot) {
                    tracing::error!(why, "the kept certificate can't be served; another is asked for");
                }
            }
            Err(error) => tracing::error!(%error, "the kept certificate can't be read; another is asked for"),
        }
    }

    /// How the certificate stands, as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Asks for certificates whenever one is due.
    pub async fn run(mut self) {
        loop {
            let snapshot = self.parts.current.load();
            if let Some(settings) = &snapshot.settings.tls.acme {
                if !self.begun {
                    self.begin(&snapshot);
                }
                self.follow(&snapshot);
                if self.is_due(&snapshot) {
                    self.renew(settings, &snapshot).await;
                }
            }
            sleep(TICK).await;
        }
    }

    /// A reload may have brought a host that the certificate covers already.
    fn follow(&mut self, snapshot: &Snapshot) {
        let Some(held) = &mut self.held else { return };
        let covered = covered(&held.certificate, snapshot);
        if covered != held.hosts && self.parts.edge.install(&held.certificate, &covered).is_ok() {
            held.hosts = covered;
        }
    }

    fn is_due(&self, snapshot: &Snapshot) -> bool {
        let now = self.parts.clock.now();
        if self.again.is_some_and(|again| now < again) {
            return false;
        }
        let fits = |held: &Held| now < held.renew && hosts(snapshot).all(|host| held.certificate.covers(host));
        !self.held.as_ref().is_some_and(fits) && hosts(snapshot).next().is_some()
    }

    async fn renew(&mut self, settings: &AcmeSettings, snapshot: &Snapshot) {
        let asked: Vec<Arc<str>> = hosts(snapshot).map(Arc::clone).collect();
        let files = Files::of(&snapshot.settings.tls);
        let order = order::certificate(settings, &files, &self.parts.master, &*self.parts.edge, &asked);
        let ordered = timeout(PATIENCE, order).await.unwrap_or(Err(OrderError::Slow));
        self.parts.edge.withdraw();
        let outcome = ordered.and_then(|issued| self.take(issued, &files, snapshot, &asked));
        let names = asked.iter().map(|host| &**host).collect::<Vec<_>>().join(" ");
        let mut record = Record::new(Event::CertificateIssue, Outcome::Ok);
        match &outcome {
            Ok(until) => {
                self.again = None;
                self.standing.send_modify(|standing| standing.failures = 0);
                tracing::info!(hosts = names, %until, "a certificate was issued and is served");
                record = record.detail("until", until.to_string().as_str());
            }
            Err(error) => {
                let failures = self.standing.borrow().failures.saturating_add(1);
                self.standing.send_modify(|standing| standing.failures = failures);
                let wait = wait_after(failures);
                self.again = Some(self.parts.clock.now().after(wait));
                tracing::error!(hosts = names, %error, failures, wait_s = wait.as_secs(), "no certificate was issued");
                record = Record::new(Event::CertificateIssue, Outcome::Failed)
                    .why(Why::reason(error.word()))
                    .detail("said", error.to_string().chars().take(300).collect::<String>().as_str());
            }
        }
        let record = record
            .who(Who::system("acme"))
            .what(What::thing("certificate", &settings.directory))
            .detail("hosts", names.as_str());
        if let Err(error) = self.parts.journal.append_synced(&record).await {
            tracing::error!(%error, "the certificate is not on record");
        }
    }

    /// Keeps and serves what was issued; until when it is good.
    fn take(
        &mut self,
        issued: order::Issued,
        files: &Files,
        snapshot: &Snapshot,
        asked: &[Arc<str>],
    ) -> Result<Timestamp, OrderError> {
        let certificate = Certificate::new(issued.chain, issued.key.clone_key()).map_err(OrderError::Unusable)?;
        if let Some(missing) = asked.iter().find(|host| !certificate.covers(host)) {
            return Err(OrderError::Unusable(format!("it doesn't cover {missing}")));
        }
        if span(&certificate).is_none_or(|(_, until)| until <= self.parts.clock.now()) {
            return Err(OrderError::Unusable("its days are over".to_owned()));
        }
        files.keep(&self.parts.master, &issued.chain_pem, &issued.key_pem)?;
        self.serve(certificate, snapshot).map_err(OrderError::Unusable)
    }

    fn serve(&mut self, certificate: Certificate, snapshot: &Snapshot) -> Result<Timestamp, String> {
        let (from, until) = span(&certificate).ok_or("its days can't be read")?;
        let hosts = covered(&certificate, snapshot);
        self.parts.edge.install(&certificate, &hosts)?;
        self.held = Some(Held { certificate, renew: renewal(from, until), until, hosts });
        self.standing.send_modify(|standing| standing.until = self.held.as_ref().map(|held| held.until));
        Ok(until)
    }
}

/// The hosts that no certificate of a file covers.
fn hosts(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<str>> {
    let apps = snapshot.apps.iter().map(|app| &app.host);
    let all = std::iter::once(&snapshot.settings.portal.host).chain(apps);
    all.filter(|host| !snapshot.certificates.iter().any(|certificate| certificate.covers(host)))
}

fn covered(certificate: &Certificate, snapshot: &Snapshot) -> Vec<Arc<str>> {
    hosts(snapshot).filter(|host| certificate.covers(host)).map(Arc::clone).collect()
}

/// From when to when the host's own certificate is good.
fn span(certificate: &Certificate) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate.chain.first()?).ok()?;
    let validity = parsed.validity();
    let [from, until] = [validity.not_before, validity.not_after].map(|time| Timestamp::from_seconds(time.timestamp()));
    Some((from, until))
}

/// When a certificate is to be renewed: with a third of its life left.
fn renewal(from: Timestamp, until: Timestamp) -> Timestamp {
    until.before(until.since(from) / 3)
}

/// How long nothing is asked after so many failures in a row.
fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_with_a_third_of_its_life_left() {
        let day = |n: i64| Timestamp::from_seconds(n * 86_400);
        assert_eq!(renewal(day(10), day(100)), day(70));
        assert_eq!(renewal(day(0), day(6)), day(4), "short ones too");
    }

    #[test]
    fn a_failure_is_followed_by_a_wait_that_doubles_up_to_six_hours() {
        let minutes = [1, 2, 3, 9, 10, u32::MAX].map(|failures| wait_after(failures).as_secs() / 60);
        assert_eq!(minutes, [1, 2, 4, 256, 360, 360]);
    }
}
