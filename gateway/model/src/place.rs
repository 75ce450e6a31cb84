use std::fmt;
use std::path::PathBuf;

use crate::Secret;

/// Where the store is.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// A file of the gateway's own (SQLite).
    File(PathBuf),
    /// A database server that several nodes may share (PostgreSQL).
    Server(DatabaseServer),
}

/// A database on a server, and how to come in.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    /// Where it listens, and how the way there is guarded.
    pub host: DatabaseHost,
    /// Its port; beside a socket the number in the socket's name.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role to come as.
    pub user: String,
    /// Its password, where it has one.
    pub password: Option<Secret<String>>,
}

/// Where a database server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseHost {
    /// The folder of a Unix socket on this machine.
    Socket(PathBuf),
    /// Over TCP without TLS: on this machine only.
    Plain(String),
    /// Over TLS; the certificate must name the host and come from an authority in the file.
    Tls {
        /// The name or address.
        name: String,
        /// The authorities' certificates in PEM.
        authorities: PathBuf,
    },
}

impl From<PathBuf> for StorePlace {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for StorePlace {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&std::path::Path> for StorePlace {
    fn from(path: &std::path::Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(server) => write!(f, "{server}"),
        }
    }
}

impl fmt::Display for DatabaseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, database, .. } = self;
        match &self.host {
            DatabaseHost::Socket(folder) => write!(f, "database {database} at {}", folder.display()),
            DatabaseHost::Plain(name) | DatabaseHost::Tls { name, .. } => {
                write!(f, "database {database} at {name}:{port}")
            }
        }
    }
}
