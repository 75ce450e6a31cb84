//! The options of the files in the policy folder.

use std::sync::Arc;
use std::time::Duration;

use model::matching_form;
use policy::{PathEncoding, Weekday};

use crate::apps::{HostHeader, cookie_name, origin, upstream_address};
use crate::kinds::{Word, choice, duration, flag, group, groups, host, list, name, optional, text, word};
use crate::schema::{default, empty, required, table};
use crate::settings::Words;
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
        /// Paths whose answers browsers may keep: pages of everybody, without any patient.
        cache_static: Vec<String> = list(word("path pattern", pattern)), default("[]"), "[\"/static/{*rest}\"]";
        /// Origins beside its own from which WebSockets may be opened.
        websocket_origins: Vec<String> = list(word("origin, as `https://viewer.hospital.example`", origin)),
            default("[]"), "[\"https://viewer.hospital.example\"]";
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
    }
}

table! {
    /// `[[upstream]]`
    pub(crate) struct UpstreamTable {
        /// The name that apps use.
        name: String = name(), required(), "\"orthanc\"";
        /// `http://`, host or address, port.
        address: crate::Upstream = word("`http://host:port`", upstream_address), required(), "\"http://10.0.5.20:8042\"";
    }
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
