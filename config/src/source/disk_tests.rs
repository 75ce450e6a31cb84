use std::os::unix::fs::PermissionsExt as _;

use model::MasterKey;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::*;
use crate::demo;
use crate::upstream::UpstreamAuth;

const HOSTS: [&str; 2] = ["auth.sekimori.localhost", "chart.sekimori.localhost"];

/// The demo's configuration on disk, with everything that it names.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(TempDir::new().unwrap());
        fs::create_dir_all(site.path("policy")).unwrap();
        fs::create_dir_all(site.path("var")).unwrap();
        site.write("sekimori.toml", demo::MAIN, 0o644);
        for (name, text) in demo::POLICY {
            site.write(&format!("policy/{name}"), text, 0o644);
        }
        site.write("var/master.key", &MasterKey::generate().unwrap().text(), 0o600);
        site.certify("var/tls.pem", "var/tls.key", &HOSTS);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn certify(&self, certificate: &str, key: &str, hosts: &[&str]) {
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        self.write(certificate, &cert.pem(), 0o644);
        self.write(key, &signing_key.serialize_pem(), 0o600);
    }

    fn load(&self) -> Result<Snapshot, Report> {
        load(&self.path("sekimori.toml"))
    }

    /// The one problem, without the site's own folder.
    fn problem(&self) -> String {
        let report = self.load().unwrap_err();
        let [problem] = report.problems.as_slice() else { panic!("{report}") };
        problem.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }
}

#[test]
fn a_whole_site_loads_with_its_certificates() {
    let site = Site::new();
    let snapshot = site.load().unwrap_or_else(|report| panic!("{report}"));
    let [certificate] = snapshot.certificates.as_slice() else { panic!() };
    assert!(HOSTS.iter().all(|host| certificate.covers(host)) && !certificate.covers("pacs.sekimori.localhost"));
    assert_eq!(snapshot.folder, site.0.path());
    assert_eq!(snapshot.policy_hash, Source::texts(Path::new("/"), "", demo::POLICY).policy_hash());
}

#[test]
fn hidden_and_foreign_files_of_the_policy_folder_are_not_rules() {
    let site = Site::new();
    let before = site.load().unwrap().policy_hash;
    site.write("policy/.#roles.toml", "broken", 0o644);
    site.write("policy/README.md", "broken", 0o644);
    assert_eq!(site.load().unwrap().policy_hash, before);
    site.write("policy/more.toml", "# one more\n", 0o644);
    assert_ne!(site.load().unwrap().policy_hash, before);
}

#[test]
fn a_missing_file_is_told_where_it_is_named() {
    let site = Site::new();
    for (file, place) in [
        ("var/master.key", "sekimori.toml:29:19: var/master.key: "),
        ("var/tls.pem", "sekimori.toml:19:15: can't read `var/tls.pem`: "),
        ("var/tls.key", "sekimori.toml:20:7: can't read `var/tls.key`: "),
    ] {
        fs::rename(site.path(file), site.path("aside")).unwrap();
        assert!(site.problem().starts_with(place), "{}", site.problem());
        fs::rename(site.path("aside"), site.path(file)).unwrap();
    }
    fs::remove_file(site.path("sekimori.toml")).unwrap();
    assert!(site.problem().starts_with("sekimori.toml:1:1: can't read `sekimori.toml`: "), "{}", site.problem());
}

#[test]
fn a_missing_policy_folder_is_one_problem_beside_the_others() {
    let site = Site::new();
    fs::remove_dir_all(site.path("policy")).unwrap();
    site.write("sekimori.toml", &demo::MAIN.replace("Asia/Tokyo", "Tokyo"), 0o644);
    let report = site.load().unwrap_err().to_string();
    assert_eq!(report.lines().count(), 2, "{report}");
    assert!(
        report.contains("can't read the policy folder") && report.contains("`Tokyo` is not a time zone"),
        "{report}"
    );
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let site = Site::new();
    let mode = |file: &str, mode| fs::set_permissions(site.path(file), fs::Permissions::from_mode(mode)).unwrap();
    mode("var/tls.key", 0o644);
    let problem = site.problem();
    assert!(problem.starts_with("sekimori.toml:20:7: ") && problem.contains("(mode 0644)"), "{problem}");
    // Servers commonly share a certificate's key by group.
    mode("var/tls.key", 0o640);
    assert!(site.load().is_ok());
    mode("var/master.key", 0o640);
    assert!(site.problem().starts_with("sekimori.toml:29:19: "), "{}", site.problem());
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let site = Site::new();
    site.certify("var/other.pem", "var/tls.key", &HOSTS);
    assert_eq!(site.problem(), "sekimori.toml:20:7: this key does not belong to the certificate");
}

#[test]
fn a_host_that_no_certificate_covers_is_told_where_it_is_named() {
    let site = Site::new();
    site.certify("var/tls.pem", "var/tls.key", &HOSTS[..1]);
    assert_eq!(site.problem(), "policy/chart.toml:6:8: no certificate covers `chart.sekimori.localhost`");
    site.certify("var/more.pem", "var/more.key", &["*.sekimori.localhost"]);
    let more = "[[tls.certificates]]\ncertificate = \"var/more.pem\"\nkey = \"var/more.key\"\n";
    site.write("sekimori.toml", &format!("{}\n{more}", demo::MAIN), 0o644);
    assert_eq!(site.load().unwrap().certificates.len(), 2);
}

#[test]
fn what_is_no_certificate_or_key_is_refused_by_each_file() {
    let site = Site::new();
    site.write("var/tls.pem", "not PEM", 0o644);
    site.write("var/tls.key", "not PEM", 0o600);
    let report = site.load().unwrap_err().to_string();
    assert!(
        report.contains("holds no certificate in PEM") && report.contains("holds no private key in PEM"),
        "{report}"
    );
    assert_eq!(report.lines().count(), 2, "{report}");
}

#[test]
fn a_journal_or_store_without_a_folder_is_told() {
    let site = Site::new();
    let main = demo::MAIN.replace("var/store.db", "gone/store.db").replace("var/checkpoints", "gone/checkpoints");
    site.write("sekimori.toml", &main, 0o644);
    let report = site.load().unwrap_err();
    assert_eq!(report.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [26, 34], "{report}");
}

#[test]
fn a_file_in_another_encoding_is_told_with_the_place_of_the_first_foreign_byte() {
    let site = Site::new();
    fs::write(site.path("policy/x.toml"), b"# \x8a\xc5\x8c\xec\x8et\n").unwrap();
    assert_eq!(site.problem(), "policy/x.toml:1:3: not UTF-8: save the file in that encoding");
    fs::write(site.path("policy/x.toml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(site.problem().contains("longer than 1 MiB"));
}

#[test]
fn what_a_store_on_a_server_needs_is_read_when_the_configuration_is_checked() {
    let site = Site::new();
    let path = "path = \"var/store.db\"";
    let url = "url = \"postgres://sekimori@db.hospital.example/sekimori\"";
    let lines = format!("{path}\n{url}\npassword_file = \"var/password\"\nca_file = \"var/tls.pem\"");
    site.write("sekimori.toml", &demo::MAIN.replace(path, &lines), 0o644);
    assert!(site.problem().contains("can't read `var/password`"), "{}", site.problem());
    site.write("var/password", "geheim\n", 0o604);
    assert!(site.problem().contains("is open to others"), "{}", site.problem());
    site.write("var/password", "\n", 0o600);
    assert!(site.problem().contains("holds no password"), "{}", site.problem());
    site.write("var/password", "geheim\r\n", 0o600);
    let place = site.load().unwrap().settings.store.place().unwrap();
    let model::StorePlace::Server(server) = &place else { panic!("{place}") };
    assert_eq!(server.password.as_ref().unwrap().expose(), "geheim");
    assert!(!format!("{place:?}").contains("geheim"));
    site.write("var/tls.pem", "no certificate", 0o644);
    let report = site.load().unwrap_err().to_string();
    assert!(report.contains("sekimori.toml:") && report.contains("holds no certificates in PEM"), "{report}");
}

#[test]
fn what_upstreams_need_of_files_is_read_when_the_configuration_is_checked() {
    let site = Site::new();
    let chart = demo::POLICY.iter().find(|(name, _)| *name == "chart.toml").unwrap().1;
    let chart = chart.replace("\"http://127.0.0.1:9101\"", "\"ward\"");
    let app = |auth: &str| {
        let chart = chart.replacen("identity_headers", &format!("upstream_auth = {auth}\nidentity_headers"), 1);
        let members = "members = [\"https://127.0.0.1:9101\"]\nca_file = \"var/internal.pem\"";
        site.write("policy/chart.toml", &format!("{chart}\n[[upstream]]\nname = \"ward\"\n{members}\n"), 0o644);
    };
    app("{ kind = \"basic\", user = \"gate\", secret_file = \"var/ward\" }");
    let report = site.load().unwrap_err().to_string();
    assert!(report.contains("chart.toml:9:64: ") && report.contains("sekimorictl secret seal"), "{report}");
    assert!(
        report.contains("can't read") && report.contains("internal.pem") && report.lines().count() == 2,
        "{report}"
    );

    site.certify("var/internal.pem", "var/internal.key", &["ward.internal.example"]);
    let master = master_key(&site.path("var/master.key")).unwrap();
    let seal = |name: &str, secret: &[u8]| {
        crate::seal_secret(&master, &site.path(name), &model::Secret::new(secret.to_vec())).unwrap();
    };
    seal("var/ward", b"open sesame");
    let snapshot = site.load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(snapshot.apps[0].upstream.tls.as_ref().unwrap().roots.len(), 1);
    let UpstreamAuth::Authorization(header) = &snapshot.apps[0].upstream_auth else { panic!() };
    assert_eq!(header.expose(), "Basic Z2F0ZTpvcGVuIHNlc2FtZQ==");
    assert!(!format!("{snapshot:?}").contains("Z2F0ZTpvcGVu"), "a secret doesn't print");

    app("{ kind = \"mtls\", certificate = \"var/internal.pem\", secret_file = \"var/key\" }");
    seal("var/key", &fs::read(site.path("var/internal.key")).unwrap());
    assert!(matches!(site.load().unwrap().apps[0].upstream_auth, UpstreamAuth::Certificate(_)));
    seal("var/key", &fs::read(site.path("var/tls.key")).unwrap());
    assert!(site.problem().ends_with("this key does not belong to the certificate"), "{}", site.problem());
    seal("var/key", b"not PEM");
    assert!(site.problem().ends_with("no private key in PEM"), "{}", site.problem());
}
