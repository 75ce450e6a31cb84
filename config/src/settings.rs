//! The options of the main file. Each stands here once; the parser, the reference page and the
//! sample follow.

mod clock;
mod log;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::NodeId;
use policy::Download;

use crate::database::{self, DatabaseUrl};
use crate::kinds::{
    choice, dictionary, duration, group, groups, host, integer, list, name, optional, path, size, text, word,
};
use crate::listener::{Health, HealthListener, socket};
use crate::network::Network;
use crate::rules_file::DOWNLOADS;
use crate::schema::{default, document, empty, required, table};
use crate::time_zone::TimeZone;
use crate::tls::{PROFILES, TlsProfile};

pub use clock::ClockSettings;
pub use log::{LogFormat, LogLevel, LogSettings};

document! {
    /// The main file, `sekimori.toml`.
    pub struct Settings, Draft {
        /// Who and where the hospital is.
        site: SiteSettings = group();
        /// Where the gateway listens.
        server: ServerSettings = group();
        /// Certificates and keys for the hosts served here. Every host must be covered by one of them.
        tls: TlsSettings = group();
        /// The host on which people log in.
        portal: PortalSettings = group();
        /// People, accounts and sessions.
        store: StoreSettings = group();
        /// The key under which secrets at rest are sealed.
        keys: KeySettings = group();
        /// The audit journal.
        journal: JournalSettings = group();
        /// What the gateway writes to standard error about its own running. Nothing of a request's content
        /// or of a person stands there; who did what is in the journal.
        log: LogSettings = group();
        /// Against what the clock is checked. The gateway never sets it.
        clock: ClockSettings = group();
        /// How long a session may stay unattended, and how long it may last.
        session: SessionSettings = group();
        /// Passwords and the pace of attempts.
        login: LoginSettings = group();
        /// What one client and one request may take.
        limits: LimitSettings = group();
        /// Where clients are. Zones must not overlap; an address in none of them is in zone
        /// `unknown`, where everything is denied.
        zones: Vec<ZoneSettings> = groups();
        /// How the hospital's HR file is read.
        hr: HrSettings = group();
    }
}

table! {
    /// A text in both languages.
    pub struct Words {
        /// In Japanese.
        ja: String = text(80), required(), "\"関守病院\"";
        /// In English.
        en: String = text(80), required(), "\"Sekimori Hospital\"";
    }
}

table! {
    /// `[site]`
    pub struct SiteSettings {
        /// The hospital's name, shown on every page.
        name: Words = group(), required(), "{ ja = \"関守病院\", en = \"Sekimori Hospital\" }";
        /// The domain that all hosts are in. Passkeys are bound to it for life, so choose it well;
        /// a public suffix such as `co.jp` is refused.
        domain: Arc<str> = host(), required().restart(), "\"hospital.example\"";
        /// The zone of every time of day in rules and on pages.
        time_zone: TimeZone = word("`Asia/Tokyo` or a distance from UTC such as `+09:00`", TimeZone::parse),
            default("\"Asia/Tokyo\""), "\"Asia/Tokyo\"";
        /// Whom to call, as error and lock pages show it.
        help_extension: Option<String> = optional(text(80)), empty(), "\"内線 1234\"";
        /// Words that no password may contain beside the built-in list: the hospital's names,
        /// nicknames, systems (C-19).
        hospital_words: Vec<String> = list(text(80)), default("[]"), "[\"sekimori\", \"関守\"]";
    }
}

table! {
    /// `[server]`
    pub struct ServerSettings {
        /// Address and port for HTTPS.
        https: SocketAddr = socket(), default("\"0.0.0.0:443\"").restart(), "\"0.0.0.0:443\"";
        /// Address and port that answer plain HTTP with a redirect to HTTPS and nothing else.
        http: Option<SocketAddr> = optional(socket()), empty().restart(), "\"0.0.0.0:80\"";
        /// Load balancers in front that say whom a connection is from by a header of the PROXY protocol,
        /// version 1 or 2. From these networks every connection must begin with one, and what it says is the
        /// client's address for zones, limits and records; from anywhere else none is believed.
        proxy_protocol_from: Vec<Network> = list(word("network: address, `/`, length of the prefix", Network::parse)),
            default("[]"), "[\"10.0.0.4/31\"]";
        /// Where `/healthz`, `/readyz` and `/metrics` answer, in plain HTTP and to anybody who gets there:
        /// nothing they tell is secret or about a person.
        health: HealthListener = Health, default("\"127.0.0.1:9464\"").restart(), "\"unix:/run/sekimori/health.sock\"";
        /// How long the gateway goes on taking connections after a stop was asked for, while `/readyz` says
        /// `draining`, so that whatever sends it traffic can turn away first.
        stop_delay: Duration = duration("0s"..="5m"), default("\"0s\""), "\"5s\"";
        /// How long requests under way may take to finish after that.
        drain: Duration = duration("0s"..="10m"), default("\"20s\"").restart(), "\"20s\"";
        /// The port that browsers see, where something in front maps it; without it, the port of `https`.
        public_port: Option<u16> = optional(integer(1..=65_535)), empty().restart(), "443";
        /// The name of this gateway among several. It stands in records and must never change.
        node: NodeId = word("node name: `a-z`, digits and `-`, at most 32", node), default("\"n1\"").restart(), "\"n1\"";
        /// Threads that serve requests; 0 means one for each processor.
        workers: usize = integer(0..=256), default("0").restart(), "0";
    }
}

table! {
    /// `[tls]`
    pub struct TlsSettings {
        /// Certificate chain in PEM, the host's own certificate first.
        certificate: PathBuf = path(), required(), "\"tls/hospital.pem\"";
        /// Its private key in PEM; not readable by others.
        key: PathBuf = path(), required(), "\"tls/hospital.key\"";
        /// Asks a certificate authority for the certificate instead, and again when a third of its life is left:
        /// `certificate` and `key` are then the files that the gateway keeps it in, the key sealed, the account's
        /// beside it. Until the first one is issued no host that needs it is served.
        acme: Option<AcmeSettings> = optional(group()), empty(),
            "{ directory = \"https://ca.hospital.example/acme/directory\", contact = \"mailto:it@hospital.example\", ca_file = \"tls/ca.pem\" }";
        /// More certificates; each host is served with the first that covers it.
        certificates: Vec<CertificateFiles> = groups(), empty(), "";
        /// The oldest TLS version spoken to hosts of the profile `house`.
        minimum_version: TlsVersion = choice(&[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]),
            default("\"1.2\""), "\"1.3\"";
        /// What is asked of clients, of the portal's host and of every app's that doesn't say otherwise:
        /// `house`, nothing more; `open`, for what is reached over open networks without a VPN, TLS 1.3 alone
        /// and a client certificate (A13N-2); `open-legacy`, the same with TLS 1.2, where that can't be avoided.
        profile: TlsProfile = choice(&PROFILES), default("\"house\""), "\"open\"";
        /// Who may have signed client certificates, in PEM: the hospital's own authority, never a public one.
        client_ca: Option<PathBuf> = optional(path()), empty(), "\"tls/clients.pem\"";
        /// The list of client certificates taken back, in PEM, from every authority in `client_ca`. Once it is
        /// named it must be kept fresh: after its own date no client comes in.
        client_crl: Option<PathBuf> = optional(path()), empty(), "\"tls/clients.crl\"";
    }
}

table! {
    /// `[tls] acme`. The authority looks at port 443 of each host whether it is ours (TLS-ALPN-01, RFC 8737): no
    /// other port and no DNS record is needed. To name it here is to agree to its terms of service.
    pub struct AcmeSettings {
        /// Its directory (RFC 8555). No other host than this one's is ever asked.
        directory: String = word("https address of an ACME directory", https), required(),
            "\"https://ca.hospital.example/acme/directory\"";
        /// Whom it may write to.
        contact: String = word("address such as `mailto:it@hospital.example`", mailbox), required(),
            "\"mailto:it@hospital.example\"";
        /// Who may have signed its own certificate, in PEM.
        ca_file: PathBuf = path(), required(), "\"tls/ca.pem\"";
    }
}

table! {
    /// `[[tls.certificates]]`
    pub struct CertificateFiles {
        /// Certificate chain in PEM.
        certificate: PathBuf = path(), required(), "\"tls/pacs.pem\"";
        /// Its private key in PEM.
        key: PathBuf = path(), required(), "\"tls/pacs.key\"";
    }
}

/// The oldest TLS version spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 with ECDHE and AEAD suites only (A13N-3), and 1.3.
    Tls12,
    /// TLS 1.3 alone (A13N-2).
    Tls13,
}

table! {
    /// `[portal]`
    pub struct PortalSettings {
        /// The portal's host: login, lock, unlock, enrolment, console and API live here alone.
        host: Arc<str> = host(), required().restart(), "\"auth.hospital.example\"";
    }
}

table! {
    /// `[store]`
    pub struct StoreSettings {
        /// The database file. Its folder must be there; this node's sealed signing keys stand in it too.
        path: PathBuf = path(), required().restart(), "\"/var/lib/sekimori/store.db\"";
        /// A PostgreSQL database in the place of the file, for a site that has such a server: user, host and
        /// database, never a password. Over the network its certificate is always verified
        /// (`sslmode=verify-full`); `sslmode=disable` is for this machine, `?host=/run/postgresql` for its
        /// socket. Connect to the server itself, not to a pooler.
        url: Option<DatabaseUrl> = optional(word(database::FORM, DatabaseUrl::parse)), empty().restart(),
            "\"postgres://sekimori@db.hospital.example/sekimori\"";
        /// The file with that user's password as its first line; not readable by others.
        password_file: Option<PathBuf> = optional(crate::kinds::path()), empty().restart(), "\"/etc/sekimori/store.password\"";
        /// Who may have signed that server's certificate, in PEM; the public authorities may as well.
        ca_file: Option<PathBuf> = optional(crate::kinds::path()), empty().restart(), "\"/etc/sekimori/store-ca.pem\"";
    }
}

table! {
    /// `[keys]`
    pub struct KeySettings {
        /// The file that `sekimorictl key init` wrote; not readable by others. Keep a copy in a safe:
        /// without it no sealed secret opens again.
        master_key_file: PathBuf = path(), required().restart(), "\"/var/lib/sekimori/master.key\"";
    }
}

table! {
    /// `[journal]`
    pub struct JournalSettings {
        /// Where the journal's segments are.
        directory: PathBuf = path(), required().restart(), "\"/var/lib/sekimori/journal\"";
        /// Where the signed checkpoints go: another disk or a share, so that a rollback of the first
        /// shows.
        checkpoint_directory: PathBuf = path(), required().restart(), "\"/mnt/audit/sekimori\"";
        /// A segment is closed when it is this long.
        segment_size: usize = size("1MiB"..="1GiB"), default("\"64MiB\"").restart(), "\"64MiB\"";
        /// A checkpoint is signed this often.
        checkpoint_every: Duration = duration("1s"..="1h"), default("\"60s\"").restart(), "\"60s\"";
    }
}

table! {
    /// `[session]`. `lock_after` and `end_after` together must not exceed one hour (C-07).
    pub struct SessionSettings {
        /// A session without a human act for this long is locked (S-01).
        lock_after: Duration = duration("1s"..="15m"), default("\"5m\""), "\"5m\"";
        /// A session locked for this long ends (C-07).
        end_after: Duration = duration("1s"..="60m"), default("\"30m\""), "\"30m\"";
        /// A session ends this long after login, whatever happens (C-06).
        absolute: Duration = duration("1s"..="24h"), default("\"12h\""), "\"12h\"";
    }
}

impl SessionSettings {
    /// The limits as sessions keep them.
    pub const fn limits(&self) -> model::Limits {
        model::Limits { lock_after: self.lock_after, end_after: self.end_after, absolute: self.absolute }
    }
}

table! {
    /// `[login]`
    pub struct LoginSettings {
        /// Which rules a new password must meet: `mhlw7` (13 characters, letters and digits, blocklist)
        /// or `nist` (15 characters, blocklist).
        passwords: PasswordProfile = choice(&[("mhlw7", PasswordProfile::Mhlw7), ("nist", PasswordProfile::Nist)]),
            default("\"mhlw7\""), "\"mhlw7\"";
        /// Memory of one password hash (argon2id; C-21).
        argon2_memory: usize = size("19MiB"..="1GiB"), default("\"64MiB\""), "\"64MiB\"";
        /// Passes of one password hash.
        argon2_passes: u32 = integer(2..=16), default("3"), "3";
        /// Password hashes computed at the same time; times `argon2_memory` is what logins take at most.
        hash_concurrency: usize = integer(1..=64), default("2").restart(), "2";
        /// Login steps a minute from one address (IPv6: one /64), and, counted apart, unlocks and confirmations a
        /// minute in one session; further ones are answered 429.
        attempts_per_minute: u32 = integer(1..=10_000), default("60"), "60";
    }
}

/// Which rules a new password must meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordProfile {
    /// MHLW guideline 7.0: at least 13 characters, letters and digits, blocklist.
    Mhlw7,
    /// NIST SP 800-63B-4: at least 15 characters, no composition rule, blocklist.
    Nist,
}

table! {
    /// `[limits]`
    pub struct LimitSettings {
        /// Bytes of a request's head.
        header_bytes: usize = size("8KiB"..="1MiB"), default("\"32KiB\"").restart(), "\"32KiB\"";
        /// Header fields of a request.
        headers: usize = integer(16..=1_000), default("100").restart(), "100";
        /// Bytes of a request's path and query.
        uri_bytes: usize = size("256B"..="64KiB"), default("\"8KiB\""), "\"8KiB\"";
        /// Bytes of a body that is held to find a patient in it, before the upstream sees any.
        held_body: usize = size("1KiB"..="64KiB"), default("\"64KiB\""), "\"64KiB\"";
        /// Open connections.
        connections: usize = integer(16..=1_000_000), default("16384").restart(), "16384";
        /// Open connections from one address (IPv6: one /64).
        connections_per_address: usize = integer(1..=1_000_000), default("512").restart(), "512";
        /// Requests a second from one address (IPv6: one /64); further ones are answered 429.
        requests_per_second: u32 = integer(1..=1_000_000), default("500"), "500";
        /// A client must have sent a request's whole head after this long.
        header_timeout: Duration = duration("1s"..="5m"), default("\"10s\"").restart(), "\"10s\"";
        /// A connection without a request is closed after this long.
        idle_timeout: Duration = duration("1s"..="1h"), default("\"60s\"").restart(), "\"60s\"";
        /// An upstream must have accepted a connection after this long.
        connect_timeout: Duration = duration("10ms"..="1m"), default("\"5s\""), "\"5s\"";
        /// An upstream must have begun to answer after this long, counted from the end of the request.
        upstream_timeout: Duration = duration("100ms"..="1h"), default("\"60s\""), "\"60s\"";
    }
}

table! {
    /// `[[zones]]`
    pub struct ZoneSettings {
        /// The name that conditions and records use.
        name: String = name(), required(), "\"ward\"";
        /// What people read; the name, if left out.
        title: Option<Words> = optional(group()), empty(), "{ ja = \"病棟\", en = \"Ward\" }";
        /// Its networks.
        networks: Vec<Network> = list(word("network: address, `/`, length of the prefix", Network::parse)),
            required(), "[\"10.1.0.0/16\", \"2001:db8:1::/48\"]";
        /// What becomes here of answers that a browser would save as files, whatever app and action allow
        /// (S-22): `allow`, `inline` or `deny`. The strictest of the three holds.
        download: Download = choice(&DOWNLOADS), default("\"allow\""), "\"deny\"";
    }
}

table! {
    /// `[hr]`
    pub struct HrSettings {
        /// The file's encoding. `utf-8` may have a byte order mark.
        encoding: Encoding = choice(&[("cp932", Encoding::Cp932), ("utf-8", Encoding::Utf8)]),
            default("\"cp932\""), "\"cp932\"";
        /// What the file calls its columns.
        columns: HrColumns = group(), empty(), "";
        /// What the column `main` says of a main post. A word that is neither here nor in
        /// `concurrent_words` is an error of its row.
        main_words: Vec<String> = list(text(40)), default("[\"主務\", \"本務\"]"), "[\"主務\", \"本務\"]";
        /// What the column `main` says of a concurrent post.
        concurrent_words: Vec<String> = list(text(40)), default("[\"兼務\"]"), "[\"兼務\"]";
        /// What the file's codes mean. Rules are written in the meanings; a word without an entry means itself.
        codes: HrCodes = group(), empty(), "";
    }
}

/// The encoding of an HR file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Windows code page 932, the usual one of Japanese Windows.
    Cp932,
    /// UTF-8, with or without a byte order mark.
    Utf8,
}

table! {
    /// `[hr.columns]`
    pub struct HrColumns {
        /// Staff number; text, leading zeros count (G-19).
        staff_no: String = text(80), default("\"職員番号\""), "\"職員番号\"";
        /// Name.
        name: String = text(80), default("\"氏名\""), "\"氏名\"";
        /// Reading of the name.
        kana: String = text(80), default("\"フリガナ\""), "\"フリガナ\"";
        /// Date of birth.
        birth_date: String = text(80), default("\"生年月日\""), "\"生年月日\"";
        /// Kind of employment, which rules call `employment`.
        employment: String = text(80), default("\"雇用区分\""), "\"雇用区分\"";
        /// Department of a post.
        department: String = text(80), default("\"部署\""), "\"部署\"";
        /// Occupation of a post.
        occupation: String = text(80), default("\"職種\""), "\"職種\"";
        /// Position of a post.
        position: String = text(80), default("\"役職\""), "\"役職\"";
        /// Main or concurrent post.
        main: String = text(80), default("\"主務区分\""), "\"主務区分\"";
        /// First day of a post.
        post_from: String = text(80), default("\"発令日\""), "\"発令日\"";
        /// Last day of a post.
        post_until: String = text(80), default("\"終了日\""), "\"終了日\"";
        /// First day of employment.
        employed_from: String = text(80), default("\"入職日\""), "\"入職日\"";
        /// Last day of employment.
        employed_until: String = text(80), default("\"退職日\""), "\"退職日\"";
        /// National licence.
        qualification: String = text(80), default("\"資格\""), "\"資格\"";
        /// Its number.
        qualification_number: String = text(80), default("\"資格番号\""), "\"資格番号\"";
        /// The last day it is valid.
        qualification_until: String = text(80), default("\"資格期限\""), "\"資格期限\"";
    }
}

table! {
    /// `[hr.codes]`
    pub struct HrCodes {
        /// Codes of the column `employment`.
        employment: BTreeMap<String, String> = dictionary(), empty(), "{ \"1\" = \"常勤\", \"2\" = \"非常勤\" }";
        /// Codes of the column `department`.
        department: BTreeMap<String, String> = dictionary(), empty(), "{ \"310\" = \"3階東病棟\" }";
        /// Codes of the column `occupation`.
        occupation: BTreeMap<String, String> = dictionary(), empty(), "{ \"01\" = \"医師\" }";
        /// Codes of the column `position`.
        position: BTreeMap<String, String> = dictionary(), empty(), "{ \"20\" = \"師長\" }";
        /// Codes of the column `qualification`.
        qualification: BTreeMap<String, String> = dictionary(), empty(), "{ \"N\" = \"看護師\" }";
    }
}

impl Settings {
    /// The sealed key that signs the journal; sealed keys stand in the store's folder.
    pub fn journal_key(&self) -> PathBuf {
        self.store.path.with_file_name("journal.key")
    }

    /// The sealed key that signs what upstreams are told.
    pub fn assertion_key(&self) -> PathBuf {
        self.store.path.with_file_name("assertion.key")
    }

    /// The port that browsers see.
    pub fn public_port(&self) -> u16 {
        self.server.public_port.unwrap_or(self.server.https.port())
    }

    /// The origin of a host (RFC 6454): `https://chart.hospital.example:8443`, without the port where it is 443.
    pub fn origin_of(&self, host: &str) -> String {
        match self.public_port() {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        }
    }

    /// The origin of the portal host.
    pub fn portal_origin(&self) -> String {
        self.origin_of(&self.portal.host)
    }
}

impl HrColumns {
    /// Each option of the group with the column it names.
    pub fn named(&self) -> [(&'static str, &str); 16] {
        [
            ("staff_no", &self.staff_no),
            ("name", &self.name),
            ("kana", &self.kana),
            ("birth_date", &self.birth_date),
            ("employment", &self.employment),
            ("department", &self.department),
            ("occupation", &self.occupation),
            ("position", &self.position),
            ("main", &self.main),
            ("post_from", &self.post_from),
            ("post_until", &self.post_until),
            ("employed_from", &self.employed_from),
            ("employed_until", &self.employed_until),
            ("qualification", &self.qualification),
            ("qualification_number", &self.qualification_number),
            ("qualification_until", &self.qualification_until),
        ]
    }
}

fn https(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let plain = text.bytes().all(|b| matches!(b, b'!'..=b'~')) && !text.contains(['#', '@', '\\']);
    let fits = plain && text.len() <= 300 && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    fits.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is no https address"))
}

fn mailbox(text: &str) -> Result<String, String> {
    let address = text.strip_prefix("mailto:").unwrap_or_default();
    let (name, host) = address.split_once('@').unwrap_or_default();
    let plain = address.bytes().all(|b| matches!(b, b'!'..=b'~') && !matches!(b, b',' | b'?' | b'<' | b'>'));
    let fits = plain && !name.is_empty() && !host.is_empty() && text.len() <= 200;
    fits.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is no address such as `mailto:it@hospital.example`"))
}

impl TlsSettings {
    /// All certificate and key files in order of preference.
    pub fn pairs(&self) -> Vec<(&Path, &Path)> {
        let first = (self.certificate.as_path(), self.key.as_path());
        let more = self.certificates.iter().map(|pair| (pair.certificate.as_path(), pair.key.as_path()));
        std::iter::once(first).chain(more).collect()
    }

    /// The files that hold certificates which the site itself has put there, by their place among all.
    pub(crate) fn given(&self) -> impl Iterator<Item = (usize, (&Path, &Path))> {
        let kept_here = usize::from(self.acme.is_some());
        self.pairs().into_iter().enumerate().skip(kept_here)
    }
}

fn node(text: &str) -> Result<NodeId, String> {
    NodeId::try_from(text.to_owned())
        .map_err(|_| format!("`{text}` is not a node name: use `a-z`, digits and `-`, at most 32"))
}
