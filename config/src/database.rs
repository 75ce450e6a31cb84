//! The store's place: the node's own file, or a database that several nodes share.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use model::{DatabaseHost, DatabaseServer, Secret, StorePlace, percent_decoded};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroize as _;

use crate::files;
use crate::settings::StoreSettings;
use crate::values;

pub(crate) const FORM: &str = "`postgres://USER@HOST:PORT/DATABASE`";
const PORT: u16 = 5_432;
const MAX_PASSWORD: usize = 1_024;

/// A database on a PostgreSQL server, without secrets: `postgres://USER@HOST:PORT/DATABASE`, or
/// `postgres://USER@/DATABASE?host=/run/postgresql` for a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// Where the server is.
    pub host: UrlHost,
    /// Its port.
    pub port: u16,
    /// The role to come as.
    pub user: String,
    /// The database.
    pub database: String,
}

/// Where a [`DatabaseUrl`]'s server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlHost {
    /// The folder of a Unix socket.
    Socket(PathBuf),
    /// On this machine, by `sslmode=disable`.
    Plain(String),
    /// A name or address; it must prove itself by a certificate.
    Tls(String),
}

impl DatabaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a database: write {FORM}");
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let (rest, query) = rest.map(|rest| rest.split_once('?').unwrap_or((rest, ""))).ok_or_else(wrong)?;
        let (authority, database) = rest.split_once('/').ok_or_else(wrong)?;
        let (user, address) = authority.rsplit_once('@').ok_or_else(wrong)?;
        if user.contains(':') {
            return Err("a password has no place here: write it to a file of its own, `password_file`".to_owned());
        }
        let (user, database) = (decoded(user).ok_or_else(wrong)?, decoded(database).ok_or_else(wrong)?);
        let (name, port) = address_of(address).ok_or_else(wrong)?;
        let Query { socket, plain } = Query::parse(query)?;
        let host = match (socket, name, plain) {
            (Some(folder), "", _) => UrlHost::Socket(folder),
            (Some(_), ..) | (None, "", _) => return Err(wrong()),
            (None, name, true) if here(name) => UrlHost::Plain(name.to_owned()),
            (None, name, true) => {
                return Err(format!(
                    "`{name}` is not this machine: the way there must be guarded, `sslmode=verify-full`"
                ));
            }
            (None, name, false) => UrlHost::Tls(name.to_owned()),
        };
        Ok(Self { host, port, user, database })
    }
}

struct Query {
    socket: Option<PathBuf>,
    plain: bool,
}

impl Query {
    fn parse(query: &str) -> Result<Self, String> {
        let mut parsed = Self { socket: None, plain: false };
        for (key, value) in
            query.split('&').filter(|pair| !pair.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")))
        {
            match (key, value) {
                ("host", value) => match decoded(value) {
                    Some(folder) if folder.starts_with('/') => parsed.socket = Some(folder.into()),
                    _ => {
                        return Err(format!("`host={value}` is not the folder of a socket, as `host=/run/postgresql`"));
                    }
                },
                ("sslmode", "verify-full") => parsed.plain = false,
                ("sslmode", "disable") => parsed.plain = true,
                ("sslmode", other) => {
                    return Err(format!(
                        "`sslmode={other}` would not know the server: `verify-full`, or `disable` on this machine"
                    ));
                }
                ("password", _) => {
                    return Err(
                        "a password has no place here: write it to a file of its own, `password_file`".to_owned()
                    );
                }
                ("sslrootcert", _) => return Err("the server's authorities are named by `ca_file`".to_owned()),
                (other, _) => return Err(format!("`{other}` can't be set here")),
            }
        }
        Ok(parsed)
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = String::from_utf8(percent_decoded(text)).ok()?;
    let fits = (1..=255).contains(&text.len()) && !text.contains(|c: char| c.is_control());
    fits.then_some(text)
}

/// Name or address, and port.
fn address_of(text: &str) -> Option<(&str, u16)> {
    let (name, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => text.split_once(':').map_or((text, ""), |(name, _)| (name, text.get(name.len()..).unwrap_or(""))),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => PORT,
        None => return None,
    };
    let known =
        name.is_empty() || name.parse::<IpAddr>().is_ok() || values::host(name).is_ok() || values::host_label(name);
    known.then_some((name, port))
}

fn here(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl StoreSettings {
    /// Where the store is; reads the password's file.
    ///
    /// # Errors
    /// [`PasswordError`]: the file is missing, open to others, or holds no password.
    pub fn place(&self) -> Result<StorePlace, PasswordError> {
        let Some(url) = &self.url else { return Ok(StorePlace::File(self.path.clone())) };
        let host = match (&url.host, &self.ca_file) {
            (UrlHost::Socket(folder), _) => DatabaseHost::Socket(folder.clone()),
            (UrlHost::Plain(name), _) => DatabaseHost::Plain(name.clone()),
            // Without a file nobody vouches for the server, and it is not spoken to.
            (UrlHost::Tls(name), authorities) => {
                DatabaseHost::Tls { name: name.clone(), authorities: authorities.clone().unwrap_or_default() }
            }
        };
        let password = self.password_file.as_deref().map(password).transpose().map_err(PasswordError)?;
        let (port, database, user) = (url.port, url.database.clone(), url.user.clone());
        Ok(StorePlace::Server(DatabaseServer { host, port, database, user, password }))
    }
}

/// There is no usable password for the store's server.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PasswordError(String);

/// The first line of a file that is not open to others.
pub(crate) fn password(path: &Path) -> Result<Secret<String>, String> {
    files::refuse_readable_by_others(path)?;
    let mut bytes = files::read(path)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let read = std::str::from_utf8(line).ok().filter(|line| (1..=MAX_PASSWORD).contains(&line.len()));
    let password = read.map(|line| Secret::new(line.to_owned()));
    bytes.zeroize();
    password.ok_or_else(|| format!("`{}` holds no password: write it as the first line", path.display()))
}

/// A file of certificates in PEM, with at least one in it.
pub(crate) fn check_authorities(path: &Path) -> Result<(), String> {
    let bytes = files::read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(()),
        _ => Err(format!("`{}` holds no certificates in PEM", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_user_host_and_database() {
        let url = DatabaseUrl::parse("postgres://sekimori@db.hospital.example/front%20door").unwrap();
        let host = UrlHost::Tls("db.hospital.example".to_owned());
        assert_eq!((url.host, url.port), (host, 5_432));
        assert_eq!((url.user.as_str(), url.database.as_str()), ("sekimori", "front door"));
        let host = |text: &str| DatabaseUrl::parse(text).map(|url| (url.host, url.port));
        let tls = |name: &str| UrlHost::Tls(name.to_owned());
        assert_eq!(host("postgresql://s@[2001:db8::5]:6432/s?sslmode=verify-full"), Ok((tls("2001:db8::5"), 6_432)));
        assert_eq!(host("postgres://s@127.0.0.1/s"), Ok((tls("127.0.0.1"), 5_432)));
        let socket = UrlHost::Socket("/run/postgresql".into());
        assert_eq!(host("postgres://s@/s?host=/run/postgresql"), Ok((socket.clone(), 5_432)));
        assert_eq!(host("postgres://s@:5433/s?host=%2Frun%2Fpostgresql"), Ok((socket, 5_433)));
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            let plain = host(&format!("postgres://s@{here}/s?sslmode=disable"));
            assert!(matches!(plain, Ok((UrlHost::Plain(_), 5_432))), "{plain:?}");
        }
    }

    #[test]
    fn a_password_in_the_file_and_an_unguarded_way_are_refused_with_words() {
        for (text, word) in [
            ("postgres://s:secret@db/s", "password_file"),
            ("postgres://s@db/s?password=secret", "password_file"),
            ("postgres://s@db.hospital.example/s?sslmode=disable", "not this machine"),
            ("postgres://s@db/s?sslmode=require", "verify-full"),
            ("postgres://s@db/s?sslmode=prefer", "verify-full"),
            ("postgres://s@db/s?sslrootcert=/x", "ca_file"),
            ("postgres://s@db/s?options=-c", "`options` can't be set"),
            ("postgres://s@/s?host=run", "folder of a socket"),
        ] {
            let why = DatabaseUrl::parse(text).unwrap_err();
            assert!(why.contains(word) && !why.contains("secret"), "{text}: {why}");
        }
        for text in [
            "",
            "mysql://s@db/s",
            "postgres://db/s",
            "postgres://s@db",
            "postgres://s@db/",
            "postgres://@db/s",
            "postgres://s@/s",
            "postgres://s@db:0/s",
            "postgres://s@db:x/s",
            "postgres://s@db1,db2/s",
            "postgres://s@[::1/s",
            "postgres://s@db/s?host=/run/postgresql",
        ] {
            let why = DatabaseUrl::parse(text).unwrap_err();
            assert!(why.contains(FORM), "{text}: {why}");
        }
    }
}
