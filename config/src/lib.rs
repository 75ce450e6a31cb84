//! The configuration: one TOML file and the policy folder beside it, checked whole.
//!
//! [`load`] reads and checks everything and either gives a [`Snapshot`] or a [`Report`] with every
//! problem at once, each with file, line and column. [`Current`] holds the snapshot in force.
//!
//! Each option stands once in the code (`settings.rs`, `rules_file.rs`): the parser, the reference
//! page ([`reference_page`]) and the sample file ([`sample_file`]) follow from it.
//!
//! The crate never listens, connects, writes a file or reads the clock. It holds plain data: who needs
//! a TLS configuration, a client or a cache derives it from a snapshot. Every crate above row 2 may
//! use it.

mod apps;
mod certificates;
mod checks;
mod current;
mod database;
pub mod demo;
mod expiry;
mod files;
mod kinds;
mod listener;
mod master_key;
mod materials;
mod named;
mod network;
mod portal_app;
mod reference;
mod report;
mod rules;
mod rules_file;
mod schema;
mod sealed;
mod settings;
mod snapshot;
mod source;
mod suggest;
mod time_server;
mod time_zone;
mod tls;
mod upstream;
mod values;

pub use apps::{AppSettings, HostHeader, Lasting, Logout, LogoutMethod};
pub use certificates::Certificate;
pub use current::{Current, NeedsRestart};
pub use database::{DatabaseUrl, PasswordError, UrlHost};
pub use expiry::{Expiry, Standing};
pub use listener::HealthListener;
pub use master_key::{MasterKeyError, master_key, new_master_key};
pub use named::NamedFile;
pub use network::Network;
pub use reference::{reference_page, sample_file};
pub use report::{Problem, Report};
pub use rules_file::HealthSettings;
pub use sealed::{SealedError, open_secret, seal_secret};
pub use settings::{
    AcmeSettings, CertificateFiles, ClockSettings, Encoding, HrCodes, HrColumns, HrSettings, JournalSettings,
    KeySettings, LimitSettings, LogFormat, LogLevel, LogSettings, LoginSettings, PasswordProfile, PortalSettings,
    ServerSettings, SessionSettings, Settings, SiteSettings, StoreSettings, TlsSettings, TlsVersion, Words,
    ZoneSettings,
};
pub use snapshot::Snapshot;
pub use source::{Source, load, load_texts};
pub use time_server::TimeServer;
pub use time_zone::TimeZone;
pub use tls::{ClientAuthorities, TlsProfile};
pub use upstream::{Upstream, UpstreamAddress, UpstreamAuth, UpstreamTls};
