//! The hospital that doesn't exist, embedded: its configuration, its policy, its personnel file.

use std::io;
use std::path::{Path, PathBuf};

use config::demo::{MAIN, POLICY};

/// The personnel file (CP932, CRLF), as `config/examples/demo/make_hr.py` writes it.
pub const HR_CSV: &[u8] = include_bytes!("../../../config/examples/demo/hr.csv");

/// The domain of all hosts; `*.localhost` leads to this machine in every browser.
pub const DOMAIN: &str = "sekimori.localhost";

/// Somebody of the personnel file whom a visitor can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Character {
    /// The staff number.
    pub staff_no: &'static str,
    /// The name, as the personnel file has it.
    pub name: &'static str,
    /// What he does there: Japanese, English.
    pub work: (&'static str, &'static str),
}

/// A nurse, a physician and a clerk: three people with different roles from HR data alone.
pub const VISITORS: [Character; 3] = [
    Character {
        staff_no: "000123", name: "山﨑　美咲", work: ("看護師・3階東病棟", "nurse on the ward 3F East")
    },
    Character {
        staff_no: "000102", name: "九十九　真理", work: ("医師・内科", "physician, internal medicine")
    },
    Character { staff_no: "000302", name: "浅葱　真帆", work: ("事務・医事課", "clerk, medical affairs") },
];

/// The two who may enrol others; their roles are grants.
pub const REGISTRARS: [Character; 2] = [
    Character { staff_no: "000901", name: "倉橋　仁", work: ("情報システム課 課長", "head of IT") },
    Character { staff_no: "000902", name: "間宮　沙織", work: ("情報システム課 主任", "IT") },
];

/// Loopback ports of one running demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// HTTPS: 8443, unless it is taken.
    pub https: u16,
    /// Plain HTTP, which redirects: 8080, unless it is taken.
    pub http: u16,
    /// The ward chart's own.
    pub chart: u16,
}

/// Why the configuration was not written.
#[derive(Debug, thiserror::Error)]
pub enum HospitalError {
    /// The embedded text and this module disagree.
    #[error("the embedded configuration has no single place for {what}")]
    Template {
        /// What was to be filled in.
        what: &'static str,
    },
    /// A file can't be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

const HEAD: &str = "# Written anew at each start of the demo. Copy the folder to make it yours.\n";

/// Writes `sekimori.toml`, `policy/` and `hr.csv` into `folder`, with these ports and with every path
/// relative to it; files of the same names are replaced. Returns the path of `sekimori.toml`. Store,
/// keys, journal and certificates are made by others; the folders that the configuration names are made here.
///
/// # Errors
/// [`HospitalError`].
pub fn write(folder: &Path, ports: Ports) -> Result<PathBuf, HospitalError> {
    let policy = folder.join("policy");
    for made in [policy.as_path(), &folder.join("journal"), &folder.join("checkpoints")] {
        std::fs::create_dir_all(made).map_err(|source| HospitalError::Write { path: made.to_owned(), source })?;
    }
    let main = folder.join("sekimori.toml");
    put(&main, format!("{HEAD}{}", main_file(ports)?).as_bytes())?;
    for (name, text) in POLICY {
        put(&policy.join(name), format!("{HEAD}{}", policy_file(name, text, ports)?).as_bytes())?;
    }
    put(&folder.join("hr.csv"), HR_CSV)?;
    Ok(main)
}

/// The main file for a folder that is itself what the example calls `var/`.
fn main_file(ports: Ports) -> Result<String, HospitalError> {
    let text = filled(MAIN, "the HTTPS port", "\"127.0.0.1:8443\"", &format!("\"127.0.0.1:{}\"", ports.https))?;
    let text = filled(&text, "the HTTP port", "\"127.0.0.1:8080\"", &format!("\"127.0.0.1:{}\"", ports.http))?;
    Ok(text.replace("\"var/", "\"").replace("unix:var/", "unix:"))
}

fn policy_file(name: &str, text: &str, ports: Ports) -> Result<String, HospitalError> {
    if name != "chart.toml" {
        return Ok(text.to_owned());
    }
    filled(text, "the chart's port", "\"http://127.0.0.1:9101\"", &format!("\"http://127.0.0.1:{}\"", ports.chart))
}

fn filled(text: &str, what: &'static str, from: &str, to: &str) -> Result<String, HospitalError> {
    if text.matches(from).count() == 1 { Ok(text.replace(from, to)) } else { Err(HospitalError::Template { what }) }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), HospitalError> {
    std::fs::write(path, bytes).map_err(|source| HospitalError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use model::{Clock, MasterKey};

    use super::*;
    use crate::certificates;

    #[test]
    fn the_written_folder_is_a_configuration_that_loads() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), Ports { https: 18443, http: 18080, chart: 19101 }).unwrap();
        let hosts = ["auth.sekimori.localhost", "chart.sekimori.localhost"];
        certificates::issue(folder.path(), DOMAIN, &hosts, Clock::system().now()).unwrap();
        let key = folder.path().join("master.key");
        std::fs::write(&key, MasterKey::generate().unwrap().text()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let snapshot = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(snapshot.settings.portal_origin(), "https://auth.sekimori.localhost:18443");
        assert!(snapshot.settings.store.path.starts_with(folder.path()));
        assert!(!snapshot.settings.store.path.starts_with(folder.path().join("var")));
    }
}
