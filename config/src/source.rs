//! The texts of a configuration, read from disk or given, and the way from them to a snapshot.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use model::hex;

use crate::certificates::{Certificate, Fault};
use crate::checks::{self, Main};
use crate::database;
use crate::expiry::expiries;
use crate::files;
use crate::master_key::master_key;
use crate::materials::Materials;
use crate::report::{Place, Problem, Report};
use crate::rules::Rules;
use crate::schema::{self, Document};
use crate::sealed;
use crate::settings::Draft;
use crate::snapshot::{Parts, Snapshot};
use crate::tls;

/// No policy folder has more files.
const MAX_FILES: usize = 256;

/// The name under which given texts are reported.
const MAIN: &str = "sekimori.toml";

/// Reads the main file at `path` and the folder `policy/` beside it, and checks everything, the
/// files that the configuration names included. This is what start-up, reload and
/// `sekimorictl config check` run.
///
/// # Errors
/// Everything that is wrong, with file, line and column.
pub fn load(path: &Path) -> Result<Snapshot, Report> {
    Source::read(path).load()
}

/// Checks given texts in the place of files: `main` is the main file, `policy` the files of the
/// policy folder by name. Relative paths are relative to `folder`. The files that the configuration
/// names (certificates, keys) are not looked at, and [`Snapshot::certificates`] is empty.
///
/// # Errors
/// Everything that is wrong, with file, line and column.
pub fn load_texts(folder: &Path, main: &str, policy: &[(&str, &str)]) -> Result<Snapshot, Report> {
    Source::texts(folder, main, policy).parse()
}

/// The texts of a configuration before anything is made of them.
#[derive(Clone, Debug)]
pub struct Source {
    pub(crate) folder: PathBuf,
    pub(crate) main: Text,
    /// Sorted by name.
    pub(crate) policy: Vec<Text>,
    unreadable: Vec<Problem>,
}

#[derive(Clone, Debug)]
pub(crate) struct Text {
    /// As problems name it.
    pub(crate) file: Arc<str>,
    /// As the policy's hash names it.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Source {
    /// Reads the main file and the `*.toml` of the folder `policy/` beside it. A file that can't be
    /// read is a problem like any other, told by [`Source::load`].
    pub fn read(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut unreadable = Vec::new();
        let main = read_text(path, &mut unreadable).unwrap_or_else(|| Text::new(path, Vec::new()));
        let policy = policy_files(&folder.join("policy"), &mut unreadable)
            .iter()
            .filter_map(|path| read_text(path, &mut unreadable))
            .collect();
        Self { folder, main, policy, unreadable }
    }

    /// Takes texts in the place of files. Relative paths are relative to `folder`.
    pub fn texts(folder: &Path, main: &str, policy: &[(&str, &str)]) -> Self {
        let text = |(name, text): &(&str, &str)| Text {
            file: Arc::from(format!("policy/{name}")),
            name: (*name).to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        let mut policy: Vec<Text> = policy.iter().map(text).collect();
        policy.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            folder: folder.to_owned(),
            main: Text { file: Arc::from(MAIN), name: MAIN.to_owned(), bytes: main.as_bytes().to_vec() },
            policy,
            unreadable: Vec::new(),
        }
    }

    /// Checks the texts and the files they name.
    ///
    /// # Errors
    /// Everything that is wrong, with file, line and column.
    pub fn load(&self) -> Result<Snapshot, Report> {
        self.build(true)
    }

    /// Checks the texts alone; no file that they name is looked at.
    ///
    /// # Errors
    /// Everything that is wrong, with file, line and column.
    pub fn parse(&self) -> Result<Snapshot, Report> {
        self.build(false)
    }

    fn build(&self, look_at_files: bool) -> Result<Snapshot, Report> {
        let mut problems = self.unreadable.clone();
        let main_lost = problems.iter().any(|problem| problem.file == self.main.file);
        let document = self.main_document(main_lost, &mut problems);
        let Some(draft) = document.value else { return Err(report(problems)) };
        let main = Main {
            file: &self.main.file,
            draft: &draft,
            places: &document.places,
            complete: document.complete && !main_lost,
        };
        let rules = self.rules(&mut problems);
        checks::check(&main, &rules, &mut problems);
        let materials = if look_at_files { check_files(&main, &rules, &mut problems) } else { Materials::default() };
        // Half a rule set would only complain of what its other half defines.
        let policy = if rules.complete { rules.compile(&mut problems) } else { None };
        let parts =
            policy.zip(draft.whole()).and_then(|(policy, settings)| Parts::new(settings, policy, &rules, materials));
        match parts {
            Some(parts) if problems.is_empty() => Ok(Snapshot::new(parts, self.policy_hash(), self.folder.clone())),
            _ => {
                if problems.is_empty() {
                    problems.push(Place::start(&self.main.file).problem("the configuration can't be used"));
                }
                Err(report(problems))
            }
        }
    }

    fn main_document(&self, lost: bool, problems: &mut Vec<Problem>) -> Document<Draft> {
        let text = utf8(&self.main, problems).unwrap_or("");
        let mut document = schema::read::<Draft>(&self.main.file, text, &self.folder);
        if !lost && problems.iter().all(|problem| problem.file != self.main.file) {
            problems.append(&mut document.problems);
        }
        document
    }

    fn rules(&self, problems: &mut Vec<Problem>) -> Rules {
        let mut rules = Rules::new();
        rules.complete = self.unreadable.is_empty();
        if self.policy.is_empty() && rules.complete {
            let place = Place::start(&Arc::from(self.folder.join("policy").display().to_string()));
            problems.push(place.problem("the policy folder holds no `*.toml`: nothing could be permitted"));
            rules.complete = false;
        }
        for file in &self.policy {
            match utf8(file, problems) {
                Some(text) => rules.read(&file.file, text, &self.folder, problems),
                None => rules.complete = false,
            }
        }
        rules
    }

    /// SHA-256 in hexadecimal over the policy files sorted by name: of each its name, a zero byte,
    /// its length as eight bytes (big-endian) and its bytes.
    fn policy_hash(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for file in &self.policy {
            let length = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
            context.update(file.name.as_bytes());
            context.update(&[0]);
            context.update(&length.to_be_bytes());
            context.update(&file.bytes);
        }
        hex::of(context.finish().as_ref())
    }
}

impl Text {
    fn new(path: &Path, bytes: Vec<u8>) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { file: Arc::from(path.display().to_string()), name, bytes }
    }
}

fn report(mut problems: Vec<Problem>) -> Report {
    problems.sort();
    problems.dedup();
    Report { problems }
}

fn read_text(path: &Path, unreadable: &mut Vec<Problem>) -> Option<Text> {
    let text = Text::new(path, Vec::new());
    match files::read(path) {
        Ok(bytes) => Some(Text { bytes, ..text }),
        Err(why) => {
            unreadable.push(Place::start(&text.file).problem(why));
            None
        }
    }
}

/// The `*.toml` of the policy folder by name; hidden ones and other files are not looked at.
fn policy_files(folder: &Path, unreadable: &mut Vec<Problem>) -> Vec<PathBuf> {
    let place = Place::start(&Arc::from(folder.display().to_string()));
    let failed = |error: std::io::Error| format!("can't read the policy folder: {error}");
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut found: Vec<PathBuf> = match entries {
        Ok(entries) => entries.iter().map(fs::DirEntry::path).filter(|path| is_rules_file(path)).collect(),
        Err(error) => {
            unreadable.push(place.problem(failed(error)));
            Vec::new()
        }
    };
    if found.len() > MAX_FILES {
        unreadable.push(place.problem(format!("more than {MAX_FILES} policy files")));
        found.clear();
    }
    found.sort();
    found
}

fn is_rules_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension == "toml")
}

fn utf8<'t>(text: &'t Text, problems: &mut Vec<Problem>) -> Option<&'t str> {
    match std::str::from_utf8(&text.bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let before = text.bytes.get(..error.valid_up_to()).unwrap_or_default();
            let before = String::from_utf8_lossy(before);
            let place = Place::of(&text.file, &before, before.len());
            problems.push(place.problem("not UTF-8: save the file in that encoding"));
            None
        }
    }
}

/// Looks at every file that the configuration names.
fn check_files(main: &Main<'_>, rules: &Rules, problems: &mut Vec<Problem>) -> Materials {
    let mut tell = |path: &str, checked: Result<(), String>| {
        if let Err(why) = checked {
            problems.push(main.place(path).problem(why));
        }
    };
    if let Some(store) = &main.draft.store {
        tell("store.path", files::check_folder_of(&store.path));
        tell("store.password_file", store.password_file.as_deref().map_or(Ok(()), |f| database::password(f).map(drop)));
        tell("store.ca_file", store.ca_file.as_deref().map_or(Ok(()), database::check_authorities));
    }
    let master = main.draft.keys.as_ref().and_then(|keys| {
        let read = master_key(&keys.master_key_file);
        read.map_err(|error| tell("keys.master_key_file", Err(error.to_string()))).ok()
    });
    if let Some(journal) = &main.draft.journal {
        tell("journal.directory", files::check_directory(&journal.directory));
        tell("journal.checkpoint_directory", files::check_directory(&journal.checkpoint_directory));
    }
    let acme = main.draft.tls.as_ref().and_then(|tls| Some((tls, tls.acme.as_ref()?)));
    if let Some((tls, acme)) = acme {
        tell("tls.certificate", files::check_folder_of(&tls.certificate));
        tell("tls.key", files::check_folder_of(&tls.key).and_then(|()| sealed::refuse_in_the_clear(&tls.key)));
        tell("tls.acme.ca_file", database::check_authorities(&acme.ca_file));
    }
    let before = problems.len();
    let certificates = read_certificates(main, problems);
    // A certificate that wasn't read covers nothing; that is said already.
    if problems.len() == before && main.complete && acme.is_none() {
        check_cover(main, rules, &certificates, problems);
    }
    let clients = tls::read(main, problems);
    let expiries = expiries(certificate_files(main, rules));
    Materials::read(certificates, rules, master.as_ref(), problems).at_the_edge(clients, expiries)
}

/// Every file that holds certificates.
fn certificate_files<'c>(main: &'c Main<'_>, rules: &'c Rules) -> impl Iterator<Item = &'c Path> {
    let tls = main.draft.tls.as_ref();
    let own = tls.into_iter().flat_map(|tls| tls.pairs().into_iter().map(|(certificate, _)| certificate));
    let clients = tls.and_then(|tls| tls.client_ca.as_deref());
    let upstreams = rules.upstreams.iter().filter_map(|upstream| upstream.table.ca_file.as_deref());
    let shown = rules.apps.iter().filter_map(|app| app.table.upstream_auth.as_ref()?.certificate.as_deref());
    own.chain(clients).chain(upstreams).chain(shown)
}

fn read_certificates(main: &Main<'_>, problems: &mut Vec<Problem>) -> Vec<Certificate> {
    let Some(tls) = &main.draft.tls else { return Vec::new() };
    let path = |i: usize| match i.checked_sub(1) {
        None => "tls".to_owned(),
        Some(more) => format!("tls.certificates[{more}]"),
    };
    let mut certificates = Vec::new();
    for (i, (certificate, key)) in tls.given() {
        let path = path(i);
        match Certificate::read(certificate, key) {
            Ok(certificate) => certificates.push(certificate),
            Err(faults) => problems.extend(faults.into_iter().map(|fault| match fault {
                Fault::Certificate(why) => main.place(&format!("{path}.certificate")).problem(why),
                Fault::Key(why) => main.place(&format!("{path}.key")).problem(why),
            })),
        }
    }
    certificates
}

fn check_cover(main: &Main<'_>, rules: &Rules, certificates: &[Certificate], problems: &mut Vec<Problem>) {
    let mut check = |host: &str, place: Place| {
        if !certificates.iter().any(|certificate| certificate.covers(host)) {
            problems.push(place.problem(format!("no certificate covers `{host}`")));
        }
    };
    if let Some(portal) = &main.draft.portal {
        check(&portal.host, main.place("portal.host"));
    }
    for app in &rules.apps {
        check(&app.table.host, rules.place(app, "host"));
    }
}

#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upstream_tests;
