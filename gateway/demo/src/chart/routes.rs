use std::sync::Arc;
use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    SEC_WEBSOCKET_ACCEPT, SET_COOKIE, UPGRADE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use model::{Clock, percent_decoded, percent_encoded};
use serde::Deserialize;
use serde_json::json;

use super::believed::Believed;
use super::body::{Body, answer, full, json, see_other, words};
use super::entries::{Entries, Entry, Kind, fitting};
use super::feed::Feed;
use super::files::{self, Blank, Files, Upload};
use super::pages::{self, Frame, page};
use super::requests::{Requests, Seen};
use super::socket;
use super::visits::{Arrival, COOKIE_NAME, Visits};
use super::ward::{self, Patient};

const PATIENT_HEADER: HeaderName = HeaderName::from_static("x-patient-id");
/// Largest form or JSON body, in bytes.
const FORM_BOUND: usize = 64 * 1024;
const CONTENT_POLICY: &str = "default-src 'self'; frame-ancestors 'self'; form-action 'self'; base-uri 'none'";
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// The whole chart: what it knows, in bounded memory.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) clock: Clock,
    pub(super) feed: Feed,
    pub(super) visits: Visits,
    pub(super) entries: Entries,
    pub(super) files: Files,
    pub(super) requests: Requests,
}

/// A request, with whom the chart takes its user for.
struct Call {
    request: Request<Incoming>,
    believed: Believed,
    arrival: Arrival,
}

impl Chart {
    /// Answers one request. Never fails: what goes wrong is an answer too.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let believed = Believed::from_headers(request.headers());
        self.note(&request, &believed);
        let arrival = self.visits.arrive(request.headers(), believed.user.as_deref());
        let set_cookie = arrival.set_cookie.clone();
        let mut response = self.route(Call { request, believed, arrival }).await;
        let headers = response.headers_mut();
        if let Some(cookie) = set_cookie.and_then(|c| HeaderValue::from_str(&c).ok()) {
            headers.append(SET_COOKIE, cookie);
        }
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn route(&self, call: Call) -> Response<Body> {
        let path = call.request.uri().path().to_owned();
        let method = call.request.method().clone();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (read_or_write(&method), segments.as_slice()) {
            (Some(Read), [""]) => self.patients(call),
            (Some(Read), ["patients"]) => see_other("/"),
            (Some(Read), ["patients", id]) => self.patient(call, id),
            (Some(Read), ["api", "patients", id, "vitals"]) => self.vitals(id),
            (Some(Write), ["patients", id, "orders"]) => self.order(call, Some(id)).await,
            (Some(Write), ["orders"]) => self.order(call, None).await,
            (Some(Write), ["patients", id, "notes"]) => self.note_down(call, Some(id)).await,
            (Some(Write), ["notes"]) => self.note_down(call, None).await,
            (Some(Write), ["patients", id, "files"]) => self.upload(call, id, None).await,
            (Some(Write), ["patients", id, "files", name]) => self.upload(call, id, Some(name)).await,
            (Some(Read), ["patients", id, "files"]) => self.list(id),
            (Some(Read), ["patients", id, "files", "summary.csv"]) => summary(id),
            (Some(Read), ["patients", _, "files", "blank.bin"]) => blank(call.request.uri().query()),
            (Some(Read), ["patients", id, "files", number]) => self.download(id, number),
            (Some(Read), ["print"]) => self.print(call),
            (Some(Read), ["rounds", "next"]) => self.round(call),
            (Some(Read), ["api", "bedside"]) => self.bedside(),
            (Some(Read), ["events"]) => self.events(),
            (Some(Read), ["ws", "ward"]) => self.ward(call),
            (Some(Read), ["whoami"]) => page(StatusCode::OK, &pages::Whoami { frame: self.frame(&call) }),
            (Some(Read), ["admin"]) => self.admin(call),
            (Some(Write), ["admin", "notice"]) => self.set_notice(call).await,
            (Some(_), ["logout"]) => self.logout(call),
            (Some(Read), ["static", "chart.css"]) => {
                asset("text/css; charset=utf-8", include_str!("../../assets/chart.css"))
            }
            (Some(Read), ["static", "chart.js"]) => {
                asset("text/javascript; charset=utf-8", include_str!("../../assets/chart.js"))
            }
            (Some(Read), ["static", "mark.svg"]) => asset("image/svg+xml", include_str!("../../assets/mark.svg")),
            (Some(Read), ["internal", "requests"]) => self.internal_requests(),
            (None, _) => words(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST and PUT only"),
            _ => self.nothing(call),
        }
    }

    fn note(&self, request: &Request<Incoming>, believed: &Believed) {
        let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let target: String = request.uri().to_string().chars().take(2_048).collect();
        self.requests.note(Seen {
            at: self.clock.now().to_string(),
            request: id,
            method: request.method().to_string(),
            target,
            user: believed.user.clone(),
            headers: request.headers().keys().map(|name| name.as_str().to_owned()).collect(),
        });
    }

    fn frame(&self, call: &Call) -> Frame {
        let visit = &call.arrival.visit;
        Frame {
            believed: call.believed.clone(),
            visit: visit.number,
            pages: visit.pages,
            anothers: call.arrival.is_anothers(call.believed.user.as_deref()),
            notice: self.entries.notice(),
        }
    }

    fn patients(&self, call: Call) -> Response<Body> {
        page(StatusCode::OK, &pages::Patients { frame: self.frame(&call), patients: ward::PATIENTS })
    }

    fn patient(&self, call: Call, id: &str) -> Response<Body> {
        let Some(patient) = ward::patient(id) else { return self.nothing(call) };
        self.chart_of(patient, &call)
    }

    fn chart_of(&self, patient: &'static Patient, call: &Call) -> Response<Body> {
        let mut response = page(
            StatusCode::OK,
            &pages::OnePatient {
                frame: self.frame(call),
                patient,
                orders: self.entries.of(patient, Kind::Order),
                notes: self.entries.of(patient, Kind::Note),
                files: self.files.of(patient.id),
            },
        );
        response.headers_mut().insert(PATIENT_HEADER, HeaderValue::from_static(patient.id));
        response
    }

    fn print(&self, call: Call) -> Response<Body> {
        let id = field(call.request.uri().query().unwrap_or("").as_bytes(), "patient");
        let Some(patient) = id.and_then(|id| ward::patient(&id)) else { return self.nothing(call) };
        page(StatusCode::OK, &pages::Print { frame: self.frame(&call), patient })
    }

    /// The ward picks the patient: only the answer's header says whom.
    fn round(&self, call: Call) -> Response<Body> {
        match ward::on_round(self.clock.now()) {
            Some(patient) => self.chart_of(patient, &call),
            None => self.nothing(call),
        }
    }

    /// As [`Self::round`], but the answer's body says whom.
    fn bedside(&self) -> Response<Body> {
        let now = self.clock.now();
        let patient = ward::on_round(now);
        let told = patient.map(
            |p| json!({ "patient": { "id": p.id, "name": p.name, "bed": p.bed }, "vitals": ward::vitals(p, now) }),
        );
        json(StatusCode::OK, &told.unwrap_or_else(|| json!({ "patient": null })))
    }

    fn vitals(&self, id: &str) -> Response<Body> {
        match ward::patient(id) {
            Some(patient) => json(StatusCode::OK, &ward::vitals(patient, self.clock.now())),
            None => json(StatusCode::NOT_FOUND, &json!({ "error": "no such patient" })),
        }
    }

    /// A form: the order, and the patient where the address doesn't say whom.
    async fn order(&self, call: Call, id: Option<&str>) -> Response<Body> {
        let (by, now) = (call.believed.signature(), self.clock.now());
        let Some(form) = small(call.request).await else { return too_much() };
        let named = field(&form, "patient");
        let patient = id.or(named.as_deref()).and_then(ward::patient);
        let Some((patient, text)) = patient.zip(field(&form, "item").as_deref().and_then(fitting)) else {
            return words(StatusCode::UNPROCESSABLE_ENTITY, "an order names a patient and an item");
        };
        self.entries.add(Entry { kind: Kind::Order, patient: patient.id, text, by, at: ward::clock_time(now) });
        see_other(&format!("/patients/{}", patient.id))
    }

    /// JSON: the text, and the patient where the address doesn't say whom.
    async fn note_down(&self, call: Call, id: Option<&str>) -> Response<Body> {
        #[derive(Deserialize)]
        struct Note {
            patient: Option<String>,
            text: String,
        }
        let (by, now) = (call.believed.signature(), self.clock.now());
        let Some(body) = small(call.request).await else { return too_much() };
        let note = serde_json::from_slice::<Note>(&body).ok();
        let entry =
            note.and_then(|note| id.or(note.patient.as_deref()).and_then(ward::patient).zip(fitting(&note.text)));
        let Some((patient, text)) = entry else {
            return json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": "a note names a patient and a text" }));
        };
        self.entries.add(Entry { kind: Kind::Note, patient: patient.id, text, by, at: ward::clock_time(now) });
        json(StatusCode::CREATED, &json!({ "patient": patient.id, "at": now.to_string() }))
    }

    /// The body is the file; its name stands in the address or in `X-File-Name`, percent-encoded.
    async fn upload(&self, call: Call, id: &str, named: Option<&str>) -> Response<Body> {
        let Some(patient) = ward::patient(id) else { return self.nothing(call) };
        let header = call.request.headers().get("x-file-name").and_then(|v| v.to_str().ok());
        let named = named.or(header).unwrap_or("document");
        let name: String = String::from_utf8_lossy(&percent_decoded(named)).chars().take(200).collect();
        let by = call.believed.signature();
        let Ok(received) = files::receive(call.request.into_body()).await else {
            return words(StatusCode::BAD_REQUEST, "the upload broke off");
        };
        let (length, hash, kept) = (received.length, received.hash.clone(), received.content.is_some());
        let number = self.files.add(Upload {
            number: 0,
            patient: patient.id,
            name,
            length,
            hash: received.hash,
            by,
            at: ward::clock_time(self.clock.now()),
            content: received.content,
        });
        json(StatusCode::CREATED, &json!({ "number": number, "bytes": length, "sha256": hash, "kept": kept }))
    }

    fn list(&self, id: &str) -> Response<Body> {
        let shown = |f: Upload| json!({ "number": f.number, "name": f.name, "bytes": f.length, "sha256": f.hash });
        json(StatusCode::OK, &self.files.of(id).into_iter().map(shown).collect())
    }

    fn download(&self, id: &str, number: &str) -> Response<Body> {
        let file = number.parse().ok().and_then(|number| self.files.find(number)).filter(|f| f.patient == id);
        let Some((name, content)) = file.and_then(|f| Some((f.name, f.content?))) else {
            return words(StatusCode::NOT_FOUND, "no such file, or too large to keep");
        };
        attachment(&name, full(content))
    }

    fn events(&self) -> Response<Body> {
        let mut response = answer(StatusCode::OK, "text/event-stream", "");
        *response.body_mut() = self.feed.events().boxed_unsync();
        response
    }

    fn ward(&self, mut call: Call) -> Response<Body> {
        let Some(accept) = socket::accept(call.request.method(), call.request.headers()) else {
            let mut response = words(StatusCode::UPGRADE_REQUIRED, "this is the ward's WebSocket");
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            return response;
        };
        let Ok(accept) = HeaderValue::from_str(&accept) else { return words(StatusCode::BAD_REQUEST, "bad key") };
        let upgrade = hyper::upgrade::on(&mut call.request);
        let (feed, from) = (self.feed.clone(), call.believed.signature());
        tokio::spawn(async move {
            if let Err(error) = feed.converse(upgrade, from).await {
                tracing::debug!(%error, "ward socket");
            }
        });
        let mut response = Response::new(full(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
        response
    }

    fn admin(&self, call: Call) -> Response<Body> {
        let requests = self.requests.newest(20).into_iter().rev().collect();
        page(StatusCode::OK, &pages::Admin { frame: self.frame(&call), requests })
    }

    async fn set_notice(&self, call: Call) -> Response<Body> {
        let Some(form) = small(call.request).await else { return too_much() };
        self.entries.set_notice(field(&form, "notice").as_deref().and_then(fitting));
        see_other("/admin")
    }

    fn logout(&self, call: Call) -> Response<Body> {
        self.visits.leave(call.request.headers());
        let mut frame = self.frame(&call);
        frame.anothers = false;
        let (title, text, english) =
            ("カルテを閉じました", "このカルテのセッションは終わりました。", "This chart session is over.");
        let mut response = page(StatusCode::OK, &pages::Message { frame, title, text, english });
        if let Ok(gone) = HeaderValue::from_str(&format!("{COOKIE_NAME}=; Path=/; HttpOnly; Max-Age=0")) {
            response.headers_mut().append(SET_COOKIE, gone);
        }
        response
    }

    fn nothing(&self, call: Call) -> Response<Body> {
        let (title, text, english) =
            ("見つかりません", "その患者や画面はありません。", "There is no such patient or page.");
        page(StatusCode::NOT_FOUND, &pages::Message { frame: self.frame(&call), title, text, english })
    }

    fn internal_requests(&self) -> Response<Body> {
        json(StatusCode::OK, &json!(self.requests.newest(usize::MAX)))
    }
}

use Manner::{Read, Write};

enum Manner {
    Read,
    Write,
}

fn read_or_write(method: &Method) -> Option<Manner> {
    match *method {
        Method::GET | Method::HEAD => Some(Read),
        Method::POST | Method::PUT => Some(Write),
        _ => None,
    }
}

/// A field of an `application/x-www-form-urlencoded` text.
fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// The whole body, if it is small and comes in time.
async fn small(request: Request<Incoming>) -> Option<Vec<u8>> {
    let body = Limited::new(request.into_body(), FORM_BOUND).collect();
    Some(tokio::time::timeout(FORM_WITHIN, body).await.ok()?.ok()?.to_bytes().to_vec())
}

fn too_much() -> Response<Body> {
    words(StatusCode::PAYLOAD_TOO_LARGE, "too large or too slow")
}

fn asset(kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = answer(StatusCode::OK, kind, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    response
}

fn blank(query: Option<&str>) -> Response<Body> {
    let length = field(query.unwrap_or("").as_bytes(), "bytes").and_then(|n| n.parse::<u64>().ok());
    let Some(length) = length.filter(|length| *length <= files::BLANK_BOUND) else {
        return words(StatusCode::UNPROCESSABLE_ENTITY, "say how many bytes, at most 16 GiB");
    };
    let mut response = attachment("blank.bin", Blank::of(length).boxed_unsync());
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn summary(id: &str) -> Response<Body> {
    let Some(patient) = ward::patient(id) else { return words(StatusCode::NOT_FOUND, "no such patient") };
    let text = format!(
        "\u{FEFF}患者番号,氏名,生年月日,病床,入院理由,アレルギー\r\n{},{},{},{},{},{}\r\n",
        patient.id, patient.name, patient.birth, patient.bed, patient.reason, patient.allergy
    );
    let mut response = attachment(&format!("{}.csv", patient.id), full(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    response
}

/// A download that no browser takes for a page (RFC 6266).
fn attachment(name: &str, body: Body) -> Response<Body> {
    let mut response = answer(StatusCode::OK, "application/octet-stream", "");
    let value = format!("attachment; filename*=UTF-8''{}", percent_encoded(name));
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    *response.body_mut() = body;
    response
}
