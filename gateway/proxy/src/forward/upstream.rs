//! An upstream: which of its members is asked, over which connection, and how often (H-21, H-22).
//!
//! Connections are ours: hyper drives each, and a request takes one for itself until the last byte of its
//! answer. What a request finds idle has come to a clean end; what was cut off, or framed doubtfully, is closed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use config::{AppSettings, Certificate, HealthSettings, LimitSettings, UpstreamAuth};
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::crypto::CryptoProvider;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::dial::Dialer;
use super::failure::Failure;
use super::health;
use super::member::{Line, Member};
use crate::body::Inward;

/// Connections that one request may find closed under its hands before it gives up.
const ATTEMPTS: usize = 8;

/// All that decides how connections to an upstream are made: apps that agree in it share them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Terms {
    upstream: config::Upstream,
    /// Ours, for mutual TLS.
    certificate: Option<Arc<Certificate>>,
    keep_alive: Duration,
    connect: Duration,
    answer: Duration,
    stall: Duration,
}

impl Terms {
    pub(crate) fn of(app: &AppSettings, limits: &LimitSettings) -> Self {
        let certificate = match &app.upstream_auth {
            UpstreamAuth::Certificate(certificate) => Some(Arc::clone(certificate)),
            UpstreamAuth::None | UpstreamAuth::Authorization(_) | UpstreamAuth::Unread => None,
        };
        Self {
            upstream: app.upstream.clone(),
            certificate,
            keep_alive: app.keep_alive,
            connect: limits.connect_timeout,
            answer: limits.upstream_timeout,
            stall: limits.idle_timeout,
        }
    }
}

/// One upstream: its members, its connections and how many requests it may have.
pub(crate) struct Upstream {
    terms: Terms,
    members: Vec<Arc<Member>>,
    dialer: Dialer,
    places: Arc<Semaphore>,
    /// How long it may take to begin an answer.
    pub(crate) answer: Duration,
    /// How long nothing may move in a finite body.
    pub(crate) stall: Duration,
}

impl Upstream {
    /// Its members are watched, and idle connections closed, as long as somebody holds it.
    ///
    /// # Errors
    /// [`rustls::Error`]: our certificate can't be used.
    pub(crate) fn new(terms: Terms, provider: &Arc<CryptoProvider>) -> Result<Arc<Self>, rustls::Error> {
        let Terms { upstream, certificate, keep_alive, connect, answer, stall } = &terms;
        let dialer = Dialer::new(upstream.tls.as_ref(), certificate.as_deref(), *connect, provider)?;
        let upstream = Arc::new(Self {
            members: upstream.members.iter().map(|address| Member::new(address.clone(), *keep_alive)).collect(),
            dialer,
            places: Arc::new(Semaphore::new(upstream.requests_at_once)),
            answer: *answer,
            stall: *stall,
            terms,
        });
        health::keep(&upstream);
        Ok(upstream)
    }

    /// Is it what these terms make?
    pub(crate) fn is_on(&self, terms: &Terms) -> bool {
        self.terms == *terms
    }

    /// A place among the requests under way, if one is free.
    pub(crate) fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place among the requests under way; `None` if there is none in time.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        timeout(self.terms.connect, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }

    /// Asks a member. A request that was never written goes to another connection; `again` is sent once if a
    /// connection broke without a byte of an answer (H-22).
    pub(crate) async fn ask(
        &self,
        mut request: Request<Inward>,
        mut again: Option<Parts>,
    ) -> Result<(Response<Incoming>, Line), Failure> {
        let (mut tried, mut fresh) = (Tried::default(), false);
        for _ in 0..ATTEMPTS {
            let mut line = self.line(&mut tried, fresh).await?;
            let mut error = match line.send(request).await {
                Ok(response) => return Ok((response, line)),
                Err(error) => error,
            };
            match (error.take_message(), again.take()) {
                (Some(unsent), head) => {
                    (request, again) = (unsent, head);
                    // Somebody accepts connections and closes them: once for each connection we had, and once more.
                    fresh |= !line.is_used();
                }
                (None, head) => {
                    let error = error.into_error();
                    tracing::warn!(upstream = %self.terms.upstream.name, ?error, "no answer from the upstream");
                    let head = head.filter(|_| Failure::asking(&error) == Failure::Broken);
                    let Some(head) = head else { return Err(Failure::asking(&error)) };
                    (request, fresh) = (Request::from_parts(head, Inward::Empty), true);
                }
            }
        }
        Err(Failure::Broken)
    }

    /// A connection to the first member that is well; to any, if none is.
    async fn line(&self, tried: &mut Tried, fresh: bool) -> Result<Line, Failure> {
        let mut failure = Failure::Unreachable;
        for only_well in [true, false] {
            for (i, member) in self.members.iter().enumerate() {
                if tried.has(i) || (only_well && !member.standing.is_well()) {
                    continue;
                }
                if let Some(line) = (!fresh).then(|| member.idle_line()).flatten() {
                    return Ok(line);
                }
                // Boxed: most requests find a connection, and each would carry the room for dialling one.
                match Box::pin(member.connect(&self.dialer)).await {
                    Ok(line) => return Ok(line),
                    Err(error) => failure = self.unreachable(member, &error),
                }
                tried.note(i);
            }
        }
        Err(failure)
    }

    fn unreachable(&self, member: &Member, error: &io::Error) -> Failure {
        if self.is_watched() {
            member.standing.bad(self.health(), member.address());
        }
        let (upstream, member) = (&self.terms.upstream.name, member.address());
        tracing::warn!(%upstream, %member, %error, "no answer from the upstream: not connected");
        Failure::connecting(error)
    }

    /// With one member there is no choice.
    pub(super) fn is_watched(&self) -> bool {
        self.members.len() > 1
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    pub(super) const fn health(&self) -> &HealthSettings {
        &self.terms.upstream.health
    }

    pub(super) const fn keep_alive(&self) -> Duration {
        self.terms.keep_alive
    }

    pub(super) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }
}

/// The members that a request could not be connected to.
#[derive(Clone, Copy, Debug, Default)]
struct Tried(u32);

impl Tried {
    fn has(self, member: usize) -> bool {
        self.0.checked_shr(u32::try_from(member).unwrap_or(u32::MAX)).is_some_and(|bits| bits & 1 == 1)
    }

    fn note(&mut self, member: usize) {
        self.0 |= 1_u32.checked_shl(u32::try_from(member).unwrap_or(u32::MAX)).unwrap_or(0);
    }
}
