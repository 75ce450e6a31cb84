//! Stage 8: on record before anything happens.
//!
//! What can change something, and every privileged act, is in the journal before the first byte goes
//! upstream; a read before the first byte of its answer goes out. There is no way to [`forward`] around it.
//!
//! [`forward`]: crate::forward::forward

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audit::{Closing, Event, Outcome, Record, What, Why};
use http::Method;
use model::Refusal;
use policy::{Lookup, PatientRule};
use tokio::sync::OwnedSemaphorePermit;

use crate::Services;
use crate::body::{self, Held};
use crate::decide::{self, Permitted};
use crate::forward::Errand;
use crate::meters::Meters;
use crate::patient::{self, Found, Looked};
use crate::refuse::Refused;
use crate::websocket::Offer;

/// A permitted request that is on record, or whose answer can't be released before it is. Only
/// [`record`] makes it.
pub(crate) struct Recorded {
    permitted: Permitted,
    ledger: Ledger,
    held: Held,
    place: OwnedSemaphorePermit,
}

impl Recorded {
    /// With the place among the upstream's requests that it has.
    pub(crate) fn into_parts(self) -> (Permitted, Ledger, Held, OwnedSemaphorePermit) {
        (self.permitted, self.ledger, self.held, self.place)
    }
}

/// Where the record of a request stands.
pub(crate) enum Ledger {
    /// `request.open` is written; `request.close` follows.
    Open(audit::Open),
    /// A slot is kept; the one record is written before the head is released.
    Read(audit::Reserved),
}

/// Puts a permitted request on record. A body is held here if the app's rule looks for the patient in it, the
/// upstream asked if it is to say whose an id is, and a place among its requests awaited; others decide how long that
/// takes, so what was permitted before is asked again after.
///
/// What few requests do is boxed, so that the others don't carry the room for it.
pub(crate) async fn record(mut permitted: Permitted, services: &Services) -> Result<Recorded, Box<Refused>> {
    let Sought { found: patient, held, mut waited } = match find_patient(&mut permitted, services).await {
        Ok(sought) => sought,
        Err(refusal) => return Err(Box::new(permitted.refused(refusal))),
    };
    let upstream = &permitted.resolved().app().upstream;
    let place = match upstream.free_place() {
        Some(place) => Some(place),
        None => {
            waited = true;
            Box::pin(upstream.place()).await
        }
    };
    let Some(place) = place else { return Err(Box::new(permitted.refused(Refusal::Unavailable))) };
    if waited {
        permitted = Box::pin(decide::again(permitted, services)).await?;
    }
    let privileged = permitted.permit().privileged();
    let written = if changes(&permitted) || privileged {
        let record = describe(&permitted, Event::RequestOpen, Outcome::Pending, &patient);
        let opened =
            if privileged { services.journal.begin_synced(record).await } else { services.journal.begin(record) };
        opened.map(Ledger::Open)
    } else {
        let record = describe(&permitted, Event::RequestPermit, Outcome::Ok, &patient);
        services.journal.reserve(record).map(Ledger::Read)
    };
    match written {
        Ok(ledger) => {
            let app = permitted.permit().app();
            services.meters.permitted(app);
            if matches!(patient, Found::Unknown) {
                services.meters.unknown_patient(app);
            }
            Ok(Recorded { permitted, ledger, held, place })
        }
        Err(error) => {
            tracing::error!(%error, "a request could not be recorded");
            Err(Box::new(permitted.refused(Refusal::Unavailable)))
        }
    }
}

/// Unsafe methods, uploads by whatever method, and sockets.
fn changes(permitted: &Permitted) -> bool {
    let admitted = permitted.resolved().routed().admitted();
    !matches!(admitted.head().method, Method::GET | Method::HEAD | Method::OPTIONS)
        || !admitted.is_bodyless()
        || matches!(admitted.offer(), Offer::WebSocket(_))
}

/// What the search for the patient gave.
struct Sought {
    found: Found,
    held: Held,
    /// Somebody was waited for: what was permitted before is asked again.
    waited: bool,
}

async fn find_patient(permitted: &mut Permitted, services: &Services) -> Result<Sought, Refusal> {
    let Some(rule) = permitted.action().and_then(|action| action.patient.as_ref()) else {
        return Ok(Sought { found: Found::NotAsked, held: Held::Nothing, waited: false });
    };
    let uri = &permitted.resolved().routed().admitted().head().uri;
    let found = match rule {
        PatientRule::Path(name) => patient::in_path(permitted.param(name)),
        PatientRule::Query(name) => patient::in_form(uri.query().unwrap_or_default().as_bytes(), name),
        PatientRule::ResponseHeader(_) | PatientRule::ResponseJson(_) => Found::NotAsked,
        PatientRule::Form(_) | PatientRule::Json(_) => {
            let rule = rule.clone();
            return Box::pin(in_body(permitted, &rule, services)).await;
        }
        PatientRule::Lookup(lookup) => return Ok(Box::pin(look_up(permitted, lookup, services)).await),
    };
    Ok(Sought { found, held: Held::Nothing, waited: false })
}

/// Asks the upstream whose it is.
async fn look_up(permitted: &Permitted, lookup: &Lookup, services: &Services) -> Sought {
    let resolved = permitted.resolved();
    let admitted = resolved.routed().admitted();
    let errand =
        Errand { plane: admitted.plane(), app: resolved.app(), live: resolved.live(), roles: permitted.roles() };
    let id = admitted.id().clone();
    let Looked { found, waited } =
        services.lookups.find(lookup, |name| permitted.param(name), errand, id, services).await;
    Sought { found, held: Held::Nothing, waited }
}

/// Holds the body and looks into it. The same bytes go upstream later.
async fn in_body(permitted: &mut Permitted, rule: &PatientRule, services: &Services) -> Result<Sought, Refusal> {
    let limits = &permitted.snapshot().settings.limits;
    let (most, patience) = (limits.held_body, limits.idle_timeout);
    let body = permitted.take_body();
    let resolved = permitted.resolved();
    let still = || resolved.still(services.clock.now());
    let bytes = body::hold(body, most, patience, &services.clock, still).await?;
    let head = resolved.routed().admitted().head();
    let found = match rule {
        PatientRule::Form(name) if patient::is_form(&head.headers) => {
            patient::in_form_beside_query(&bytes, head.uri.query().unwrap_or_default(), name)
        }
        PatientRule::Json(pointer) if patient::is_json(&head.headers) => patient::in_json(&bytes, pointer),
        _ => Found::Unknown,
    };
    Ok(Sought { found, held: Held::Whole(bytes), waited: true })
}

fn describe(permitted: &Permitted, event: Event, outcome: Outcome, patient: &Found) -> Record {
    let (resolved, permit, roles) = (permitted.resolved(), permitted.permit(), permitted.roles());
    let admitted = resolved.routed().admitted();
    let (head, snapshot) = (admitted.head(), permitted.snapshot());
    let grant = roles.why(permit.role()).next().map(|why| match why {
        access::Why::Rule(name) => format!("rule:{name}"),
        access::Why::Grant { id, .. } => format!("grant:{id}"),
    });
    Record::new(event, outcome)
        .who(resolved.live().who().clone())
        .roles(Arc::clone(&roles.names))
        .from(admitted.edge())
        .what(What::request(
            permit.app(),
            Some(permit.action()),
            head.method.as_str(),
            head.uri.path(),
            patient.audited(),
        ))
        .why(Why {
            rule: Some(permit.rule()),
            grant: grant.as_deref(),
            policy: Some(&snapshot.policy_hash),
            generation: Some(snapshot.generation),
            ..Why::default()
        })
}

/// The end of a record that is open: closed when dropped, as aborted unless somebody said otherwise.
pub(crate) struct Closer {
    open: Option<audit::Open>,
    /// How it came out, so far.
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    bytes_in: Option<Arc<AtomicU64>>,
    pub(crate) bytes_out: u64,
    pub(crate) patient: Found,
    /// SHA-256 of what was carried out.
    pub(crate) exported: Option<String>,
    /// Who counts answers in which the app's rule found no patient.
    counted: Option<(Arc<Meters>, Arc<str>)>,
}

impl Closer {
    pub(crate) fn new(open: audit::Open, bytes_in: Option<Arc<AtomicU64>>) -> Self {
        let (outcome, status, bytes_out, patient) = (Outcome::Aborted, None, 0, Found::NotAsked);
        Self { open: Some(open), outcome, status, bytes_in, bytes_out, patient, exported: None, counted: None }
    }

    /// The patient is looked for in the answer of this app.
    pub(crate) fn looks_for_patient(&mut self, meters: &Arc<Meters>, app: &Arc<str>) {
        self.counted = Some((Arc::clone(meters), Arc::clone(app)));
    }

    /// What came in, where nobody counted along.
    pub(crate) fn bytes_in(&mut self, bytes: u64) {
        self.bytes_in = Some(Arc::new(AtomicU64::new(bytes)));
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        if let (Found::Unknown, Some((meters, app))) = (&self.patient, &self.counted) {
            meters.unknown_patient(app);
        }
        let closing = Closing {
            outcome: self.outcome,
            status: self.status,
            bytes_in: self.bytes_in.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed)),
            bytes_out: self.bytes_out,
            patient: self.patient.audited(),
            exported: self.exported.as_deref(),
            ..Closing::ABORTED
        };
        if let Err(error) = open.close(closing) {
            tracing::error!(%error, "the end of a request waits to be recorded");
        }
    }
}
