//! The options of the files in the policy folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::matching_form;
use policy::{ActionClass, Download, PathEncoding, Weekday};

use crate::apps::{HostHeader, Lasting, LogoutMethod, cookie_name, origin};
use crate::kinds::{
    Word, choice, duration, flag, group, groups, host, integer, list, name, optional, path, text, word,
};
use crate::schema::{default, empty, required, table};
use crate::settings::{TlsVersion, Words};
use crate::tls::{PROFILES, TlsProfile};
use crate::upstream::UpstreamAddress;
use crate::values;

table! {
    /// A file of the policy folder: `policy/*.toml` beside the main file. The files are one rule set;
    /// how it is spread over them is for the reader's sake.
    pub(crate) struct RulesFile {
        /// A protected system: its host, its upstream, and what can be done to it. The portal itself
        /// is the app `sekimori`, which is always there and isn't written; its actions are `hr`,
        /// `enrolment`, `session`, `policy` and `audit`, and roles refer to them as to any other.
        app: Vec<AppTable> = groups(), empty(), "";
        /// An upstream by name, for apps to refer to.
        upstream: Vec<UpstreamTable> = groups(), empty(), "";
        /// A named set of permits. Nothing is permitted that no role permits; a deny wins over
        /// every permit.
        role: Vec<RoleTable> = groups(), empty(), "";
        /// Which HR data gives which role. An empty list means any; occupation, department and
        /// position must match within one post that is effective today. Privileged roles are never
        /// given so.
        birthright: Vec<BirthrightTable> = groups(), empty(), "";
        /// When and from where a permit holds: in one of the zones and in one of the hours.
        condition: Vec<ConditionTable> = groups(), empty(), "";
    }
}

table! {
    /// `[[app]]`
    pub(crate) struct AppTable {
        /// The name that rules and records use.
        name: String = text(64), required(), "\"chart\"";
        /// What people read.
        title: Words = group(), required(), "{ ja = \"電子カルテ\", en = \"Chart\" }";
        /// Its host, inside `site.domain`; no other app's.
        host: Arc<str> = host(), required(), "\"chart.hospital.example\"";
        /// Its upstream: an address such as `http://10.0.5.10:8080`, or the name of an `[[upstream]]`.
        upstream: String = text(300), required(), "\"http://10.0.5.10:8080\"";
        /// How the gateway shows itself to the upstream, beside the signed assertion. The client's own
        /// `Authorization` is removed before; an answer 401 to `basic` or `bearer` becomes 502.
        upstream_auth: Option<UpstreamAuthTable> = optional(group()), empty(),
            "{ kind = \"basic\", user = \"sekimori\", secret_file = \"secrets/orthanc\" }";
        /// Where the launcher leads.
        start: String = word("path beginning with `/`", start), default("\"/\""), "\"/\"";
        /// The `Host` that the upstream sees: the client's, or the upstream's own.
        host_header: HostHeader = choice(&[("client", HostHeader::Client), ("upstream", HostHeader::Upstream)]),
            default("\"client\""), "\"client\"";
        /// An idle connection to the upstream is used again for this long; less than the upstream
        /// itself keeps it.
        keep_alive: Duration = duration("0s"..="10m"), default("\"4s\""), "\"4s\"";
        /// Send a request without body and of a safe or idempotent method once more, if the upstream
        /// closed the connection before answering.
        retry: bool = flag(), default("true"), "true";
        /// Cookies of the upstream that its scripts must read. All others are sealed and belong to
        /// the session; these don't, and are named in the open.
        client_cookies: Vec<String> = list(word("cookie name", cookie_name)), default("[]"), "[\"theme\"]";
        /// Send `Remote-User`, `Remote-Name` and `Remote-Groups` beside the signed assertion.
        identity_headers: bool = flag(), default("false"), "true";
        /// Let the client's own `Authorization` through to the upstream.
        allow_authorization: bool = flag(), default("false"), "false";
        /// What becomes of an answer that a browser would save as a file (S-22): it passes and is recorded as
        /// carried out (`allow`), is shown instead where browsers can show it and refused where not (`inline`), or
        /// is refused (`deny`). An action may say otherwise; the zone's own `download` holds beside it.
        download: Download = choice(&DOWNLOADS), default("\"allow\""), "\"inline\"";
        /// Let the app install service workers. They go on after the session (H-36).
        service_workers: bool = flag(), default("false"), "false";
        /// Response headers that are let through although they outlast the session (H-36).
        response_headers: Vec<Lasting> = list(choice(&LASTING)), default("[]"), "[\"clear-site-data\"]";
        /// The request that ends the app's own session, sent when the person's session ends here.
        logout: Option<LogoutTable> = optional(group()), empty(), "{ method = \"POST\", path = \"/logout\" }";
        /// Paths whose answers browsers may keep: pages of everybody, without any patient.
        cache_static: Vec<String> = list(word("path pattern", pattern)), default("[]"), "[\"/static/{*rest}\"]";
        /// Origins beside its own from which WebSockets may be opened.
        websocket_origins: Vec<String> = list(word("origin, as `https://viewer.hospital.example`", origin)),
            default("[]"), "[\"https://viewer.hospital.example\"]";
        /// Origins beside its own whose pages may ask the app things and read the answers (CORS). Preflights
        /// are answered by the gateway, and what the upstream says of other origins is left out.
        cors: Vec<String> = list(word("origin, as `https://viewer.hospital.example`", origin)),
            default("[]"), "[\"https://viewer.hospital.example\"]";
        /// What TLS asks of clients of this host; without it, what `profile` in `[tls]` says.
        tls_profile: Option<TlsProfile> = optional(choice(&PROFILES)), empty(), "\"open\"";
        /// What the bytes of its paths are: UTF-8 (`strict`), or any, such as CP932 (`opaque`).
        path_encoding: PathEncoding = choice(&[("strict", PathEncoding::Strict), ("opaque", PathEncoding::Opaque)]),
            default("\"strict\""), "\"strict\"";
        /// The `;name=value` parameters that its paths may carry.
        path_parameters: Vec<String> = list(text(64)), default("[]"), "[\"jsessionid\"]";
        /// What a request does. A request that is none of the actions is refused; where several
        /// patterns fit, the most specific one counts.
        action: Vec<ActionTable> = groups(), empty(), "";
    }
}

table! {
    /// `[[app.action]]`
    pub(crate) struct ActionTable {
        /// The action's name, unique in its app.
        name: String = text(64), required(), "\"view\"";
        /// What people read where they are refused it; the name, if left out.
        title: Option<Words> = optional(group()), empty(), "{ ja = \"カルテの閲覧\", en = \"View a chart\" }";
        /// Methods; `HEAD` goes where `GET` goes.
        methods: Vec<String> = list(text(32)), required(), "[\"GET\"]";
        /// Path patterns: `{name}` stands for one segment, `{*name}` for all that follows. They are
        /// compared byte for byte with the path as it was sent.
        paths: Vec<String> = list(text(1_024)), required(), "[\"/patients/{id}\", \"/static/{*rest}\"]";
        /// Where a request says which patient it is about.
        patient: Option<PatientTable> = optional(group()), empty(), "{ path = \"id\" }";
        /// A request of this action is a human act, which keeps a session from locking. Never set it
        /// for what a page does by itself.
        human: bool = flag(), default("false"), "false";
        /// What it is for: working (`use`), or carrying data out (`export`), which is recorded as that, with the
        /// SHA-256 of what went out (S-22).
        class: ActionClass = choice(&[("use", ActionClass::Use), ("export", ActionClass::Export)]),
            default("\"use\""), "\"export\"";
        /// What becomes of an answer that a browser would save as a file; without it, what the app says.
        download: Option<Download> = optional(choice(&DOWNLOADS)), empty(), "\"allow\"";
    }
}

/// What `download` may say.
pub(crate) static DOWNLOADS: [(&str, Download); 3] =
    [("deny", Download::Deny), ("inline", Download::Inline), ("allow", Download::Allow)];

static LASTING: [(&str, Lasting); 2] = [("clear-site-data", Lasting::ClearSiteData), ("nel", Lasting::Nel)];

table! {
    /// The request: its answer is recorded and otherwise of no account.
    pub(crate) struct LogoutTable {
        /// The method.
        method: LogoutMethod = choice(&[("GET", LogoutMethod::Get), ("POST", LogoutMethod::Post)]),
            default("\"POST\""), "\"POST\"";
        /// The path, perhaps with a query.
        path: String = word("path beginning with `/`", start), required(), "\"/logout\"";
    }
}

table! {
    /// `patient`: exactly one of these.
    pub(crate) struct PatientTable {
        /// The path parameter of this name.
        path: Option<String> = optional(text(64)), empty(), "\"id\"";
        /// The query parameter of this name.
        query: Option<String> = optional(text(256)), empty(), "\"patient\"";
        /// The field of this name in a form.
        form: Option<String> = optional(text(256)), empty(), "\"patient_id\"";
        /// The value at this JSON pointer (RFC 6901) in the request.
        json: Option<String> = optional(text(256)), empty(), "\"/patient/id\"";
        /// The response header of this name.
        response_header: Option<String> = optional(text(64)), empty(), "\"X-Patient-Id\"";
        /// The value at this JSON pointer (RFC 6901) in the response.
        response_json: Option<String> = optional(text(256)), empty(), "\"/PatientID\"";
        /// What the upstream says of an id in the path. The gateway asks it beforehand, and remembers for ten
        /// minutes.
        lookup: Option<LookupTable> = optional(group()), empty(),
            "{ path = \"/instances/{id}/patient\", json = \"/MainDicomTags/PatientID\" }";
    }
}

table! {
    /// A GET whose answer is JSON of at most 64 KiB.
    pub(crate) struct LookupTable {
        /// Path, perhaps with a query; `{id}` stands for the path parameter of that name.
        path: String = text(1_024), required(), "\"/instances/{id}/patient\"";
        /// Where the patient stands in the answer: a JSON pointer (RFC 6901).
        json: String = text(256), required(), "\"/MainDicomTags/PatientID\"";
    }
}

table! {
    /// `[[upstream]]`
    pub(crate) struct UpstreamTable {
        /// The name that apps use.
        name: String = name(), required(), "\"orthanc\"";
        /// Its members in order of preference, each `http://` or `https://`, host or address, and port. Requests
        /// go to the first one that is well.
        members: Vec<UpstreamAddress> = list(word("`http://host:port` or `https://host:port`", UpstreamAddress::parse)),
            required(), "[\"https://10.0.5.20:8043\", \"https://10.0.5.21:8043\"]";
        /// Certificates in PEM of the authorities that members' certificates are verified by; needed for
        /// `https://`. There is no way to leave the verification out. What is certified publicly is verified by
        /// the system's own file, `/etc/ssl/certs/ca-certificates.crt` on Debian.
        ca_file: Option<PathBuf> = optional(path()), empty(), "\"tls/internal-ca.pem\"";
        /// The name that members' certificates bear, where it isn't the one in their addresses.
        server_name: Option<Arc<str>> = optional(host()), empty(), "\"pacs.internal.example\"";
        /// The oldest TLS version spoken with members.
        minimum_version: TlsVersion = choice(&[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]),
            default("\"1.2\""), "\"1.3\"";
        /// Requests under way at once. Further ones wait for `limits.connect_timeout` and are then answered 503.
        requests_at_once: usize = integer(1..=65_536), default("1024"), "1024";
        /// How members are watched, where there are several.
        health: HealthSettings = group(), empty(), "";
    }
}

table! {
    /// `[upstream.health]`. Requests themselves notice a member that can't be connected to, and go to the next.
    pub struct HealthSettings {
        /// The path that is asked for: any answer below 500 means that the member is well. Without it, that it
        /// can be connected to.
        path: Option<String> = optional(word("path beginning with `/`", start)), empty(), "\"/health\"";
        /// How often.
        every: Duration = duration("100ms"..="10m"), default("\"5s\""), "\"5s\"";
        /// How long connecting and answering may take together.
        timeout: Duration = duration("10ms"..="1m"), default("\"2s\""), "\"2s\"";
        /// After so many failures in a row a member gets no more requests.
        down_after: u32 = integer(1..=100), default("2"), "2";
        /// After so many successes in a row it gets requests again.
        up_after: u32 = integer(1..=100), default("2"), "2";
    }
}

table! {
    /// How the gateway shows itself.
    pub(crate) struct UpstreamAuthTable {
        /// By what.
        kind: AuthKind = choice(&[("basic", AuthKind::Basic), ("bearer", AuthKind::Bearer), ("mtls", AuthKind::Mtls)]),
            required(), "\"basic\"";
        /// The user's name, for `basic`.
        user: Option<String> = optional(text(128)), empty(), "\"sekimori\"";
        /// The password, the token or the private key in PEM, sealed: a file that `sekimorictl secret seal` wrote.
        secret_file: PathBuf = path(), required(), "\"secrets/orthanc\"";
        /// The certificate chain of that key in PEM, for `mtls`.
        certificate: Option<PathBuf> = optional(path()), empty(), "\"tls/gateway.pem\"";
    }
}

/// By what the gateway shows itself to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthKind {
    Basic,
    Bearer,
    Mtls,
}

table! {
    /// `[[role]]`
    pub(crate) struct RoleTable {
        /// The role's name.
        name: String = text(64), required(), "\"nurse\"";
        /// What people read.
        title: Words = group(), required(), "{ ja = \"看護師\", en = \"Nurse\" }";
        /// Comes from grants only, never from HR data.
        privileged: bool = flag(), default("false"), "false";
        /// What holders may do.
        permit: Vec<PermitTable> = groups(), empty(), "";
        /// What holders may not do, whatever their other roles permit.
        deny: Vec<DenyTable> = groups(), empty(), "";
    }
}

table! {
    /// `[[role.permit]]`
    pub(crate) struct PermitTable {
        /// The app.
        app: String = text(64), required(), "\"chart\"";
        /// Its actions.
        actions: Vec<String> = list(text(64)), required(), "[\"view\", \"note\"]";
        /// The condition under which the permit holds; without one, in every known zone at any time.
        condition: Option<String> = optional(text(64)), empty(), "\"in-house\"";
    }
}

table! {
    /// `[[role.deny]]`
    pub(crate) struct DenyTable {
        /// The app.
        app: String = text(64), required(), "\"chart\"";
        /// Its actions.
        actions: Vec<String> = list(text(64)), required(), "[\"admin\"]";
    }
}

table! {
    /// `[[birthright]]`
    pub(crate) struct BirthrightTable {
        /// The rule's name, as records give it.
        name: String = text(64), required(), "\"ward-nurse\"";
        /// The role it gives.
        role: String = text(64), required(), "\"nurse\"";
        /// Occupations 職種.
        occupation: Vec<String> = list(hr_word()), default("[]"), "[\"看護師\", \"助産師\"]";
        /// Departments 部署.
        department: Vec<String> = list(hr_word()), default("[]"), "[\"3階東病棟\"]";
        /// Positions 役職.
        position: Vec<String> = list(hr_word()), default("[]"), "[\"師長\"]";
        /// Qualifications 資格, held and unexpired.
        qualification: Vec<String> = list(hr_word()), default("[]"), "[\"看護師\"]";
        /// Kinds of employment 雇用区分.
        employment: Vec<String> = list(hr_word()), default("[]"), "[\"常勤\", \"非常勤\"]";
    }
}

table! {
    /// `[[condition]]`
    pub(crate) struct ConditionTable {
        /// The condition's name.
        name: String = text(64), required(), "\"clerk-hours\"";
        /// Zones, one of which the client must be in; empty means any known zone.
        zones: Vec<String> = list(text(64)), default("[]"), "[\"ward\", \"office\"]";
        /// Hours in the site's time, one of which it must be; none means at any time.
        hours: Vec<HoursTable> = groups(), empty(), "";
        /// Why the condition is there (A13-10).
        note: Option<String> = optional(text(400)), empty(), "\"医事課の勤務時間\"";
    }
}

table! {
    /// `[[condition.hours]]`
    pub(crate) struct HoursTable {
        /// Days on which the hours begin; empty means every day.
        days: Vec<Weekday> = list(choice(&DAYS)), default("[]"), "[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]";
        /// The first minute inside.
        from: u16 = word("time of day, as `07:00`", values::minute_of_day), required(), "\"07:00\"";
        /// The first minute outside; not later than `from` means on the next day.
        to: u16 = word("time of day, as `20:00`", values::minute_of_day), required(), "\"20:00\"";
    }
}

static DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A word of the HR data, written in its matching form: HR files spell the same ward in two widths,
/// and a rule that could never match would be found out only at the bedside.
fn hr_word() -> Word<String> {
    word("word of the HR data, of 1 to 80 characters in their plain width", |word| {
        let plain = matching_form(word);
        match plain.chars().count() {
            1..=80 if plain == word => Ok(plain),
            1..=80 => Err(format!("`{word}`: write it as `{plain}`; HR data is compared in that form (NFKC)")),
            _ => Err("expected 1 to 80 characters".to_owned()),
        }
    })
}

/// A path that a link may lead to: printable ASCII, no second slash that would make it another host.
fn start(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && !text.starts_with("//") && text.len() <= 1_024;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'#'));
    (fits && plain)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("`{text}` is not a path: begin with one `/` and percent-encode what isn't plain"))
}

/// A path pattern as actions have them; `policy` says what is wrong with those, here the form is enough.
fn pattern(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.len() <= 1_024 && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is not a path pattern, as `/static/{{*rest}}`"))
}
