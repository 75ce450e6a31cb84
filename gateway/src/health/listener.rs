use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::HealthListener;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::failure::Failure;

/// After a failed accept: there are no more descriptors just now.
const PAUSE: Duration = Duration::from_millis(100);
/// The folder decides who gets here; of those who do, the group may ask.
const MODE: u32 = 0o660;

/// A bound socket. Dropped, the file of a Unix socket goes too.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held, not read")] File),
}

/// The file of a Unix socket.
pub(crate) struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        // The next start would take it away too.
        let _ = fs::remove_file(&self.0);
    }
}

/// One connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Binds the place, if it is one.
    pub(crate) async fn bind(place: &HealthListener) -> Result<Option<Self>, Failure> {
        match place {
            HealthListener::Off => Ok(None),
            HealthListener::Address(address) => match TcpListener::bind(address).await {
                Ok(listener) => Ok(Some(Self::Tcp(listener))),
                Err(source) => Err(Failure::Listen { place: address.to_string(), source }),
            },
            HealthListener::Socket(path) => match unix(path).await {
                Ok(listener) => Ok(Some(Self::Unix(listener, File(path.clone())))),
                Err(source) => Err(Failure::Listen { place: path.display().to_string(), source }),
            },
        }
    }

    pub(super) async fn accept(&self) -> Stream {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
                Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
            };
            match accepted {
                Ok(stream) => return stream,
                Err(error) => {
                    tracing::warn!(%error, "a health connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A socket that a killed process left behind is taken away; one that answers is somebody's.
async fn unix(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind");
        let place = HealthListener::Socket(path.clone());
        let first = Listener::bind(&place).await.unwrap();
        assert!(matches!(Listener::bind(&place).await, Err(Failure::Listen { .. })));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        drop(first);
        assert!(!path.exists(), "taken away");
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health.sock");
        fs::write(&path, "somebody's").unwrap();
        assert!(Listener::bind(&HealthListener::Socket(path.clone())).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
    }
}
