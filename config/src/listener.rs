use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::kinds::{text, word};
use crate::schema::{Form, Kind, Reader};

/// Where health, readiness and metrics are told: never where people's requests arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthListener {
    /// Nowhere.
    Off,
    /// Plain HTTP at an address.
    Address(SocketAddr),
    /// Plain HTTP on a Unix socket.
    Socket(PathBuf),
}

const FORM: &str = "address and port as `127.0.0.1:9464`, `unix:` and a path relative to this file's folder, or `off`";
const UNIX: &str = "unix:";

/// A place for [`HealthListener`].
pub(crate) struct Health;

impl Kind for Health {
    type Out = HealthListener;

    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<HealthListener> {
        let place = text(1_024).read(value, path, reader)?;
        if place == "off" {
            return Some(HealthListener::Off);
        }
        if let Some(socket) = place.strip_prefix(UNIX).filter(|socket| !socket.is_empty()) {
            return Some(HealthListener::Socket(reader.folder().join(socket)));
        }
        match place.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Some(HealthListener::Address(address)),
            _ => {
                reader.problem(value.span(), format!("`{place}` is none of: {FORM}"));
                None
            }
        }
    }

    fn form(&self) -> Form {
        Form::Value(FORM.to_owned())
    }
}

/// Address and port to listen on.
pub(crate) fn socket() -> crate::kinds::Word<SocketAddr> {
    word("address and port, as `0.0.0.0:443` or `[::]:443`", |text| {
        let wrong = || format!("`{text}` is not an address and port, as `0.0.0.0:443` or `[::]:443`");
        let address: SocketAddr = text.parse().map_err(|_| wrong())?;
        if address.port() == 0 {
            return Err(format!("`{text}`: port 0 is no place to be found at"));
        }
        Ok(address)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::HealthListener;
    use crate::{Report, Settings, demo, load_texts};

    fn with(health: &str) -> Result<Settings, Report> {
        let line = "health = \"unix:var/health.sock\"";
        assert!(demo::MAIN.contains(line));
        let main = demo::MAIN.replace(line, health);
        load_texts(Path::new("/srv"), &main, demo::POLICY).map(|snapshot| snapshot.settings)
    }

    #[test]
    fn health_is_told_on_loopback_unless_another_place_or_none_is_given() {
        let place = |health: &str| with(health).unwrap().server.health;
        assert_eq!(place(""), HealthListener::Address("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(place("health = \"off\""), HealthListener::Off);
        assert_eq!(place("health = \"unix:h.sock\""), HealthListener::Socket("/srv/h.sock".into()));
        assert_eq!(place("health = \"unix:/run/h.sock\""), HealthListener::Socket("/run/h.sock".into()));
    }

    #[test]
    fn health_is_never_told_where_peoples_requests_arrive() {
        for wrong in ["unix:", "on", "127.0.0.1", "127.0.0.1:0"] {
            let report = with(&format!("health = \"{wrong}\"")).unwrap_err().to_string();
            assert!(report.contains("is none of"), "{report}");
        }
        for taken in ["127.0.0.1:8443", "127.0.0.1:8080"] {
            let report = with(&format!("health = \"{taken}\"")).unwrap_err().to_string();
            assert!(report.contains("a port of its own"), "{report}");
        }
    }

    #[test]
    fn req_a17_3_the_clocks_alarm_is_not_milder_than_its_warning() {
        let defaults = with("").unwrap().clock;
        assert_eq!((defaults.warn_after.as_secs(), defaults.alarm_after.as_secs()), (1, 5));
        let main = format!("{}\n[clock]\nalarm_after = \"500ms\"\n", demo::MAIN);
        let report = load_texts(Path::new("/srv"), &main, demo::POLICY).unwrap_err().to_string();
        assert!(report.contains("`alarm_after` is less than `warn_after`"), "{report}");
    }
}
