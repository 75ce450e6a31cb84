//! What a configuration consists of on disk: for whoever copies it.

use std::path::{Path, PathBuf};

use crate::rules_file::RulesFile;
use crate::schema::{self, Document, Table};
use crate::settings::Draft;
use crate::source::{Source, Text};

/// A file or directory that an option names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The option's place in its file, as `tls.key` or `app[0].upstream_auth.secret_file`.
    pub option: String,
    /// The path, relative ones from the main file's folder.
    pub path: PathBuf,
}

impl Source {
    /// The folder that relative paths are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The main file and the policy's, relative to [`Self::folder`], with what was read.
    pub fn texts_by_path(&self) -> impl Iterator<Item = (PathBuf, &[u8])> {
        let main = std::iter::once((PathBuf::from(&self.main.name), self.main.bytes.as_slice()));
        let policy = self.policy.iter().map(|text| (Path::new("policy").join(&text.name), text.bytes.as_slice()));
        main.chain(policy)
    }

    /// The files and directories that the texts name, as far as they can be read.
    pub fn named(&self) -> Vec<NamedFile> {
        let policy = self.policy.iter().flat_map(|text| self.named_in::<RulesFile>(text));
        self.named_in::<Draft>(&self.main).into_iter().chain(policy).collect()
    }

    fn named_in<T: Table>(&self, text: &Text) -> Vec<NamedFile> {
        let words = String::from_utf8_lossy(&text.bytes);
        let document: Document<T> = schema::read(&text.file, &words, &self.folder);
        document.files.into_iter().map(|(option, path)| NamedFile { option, path }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    #[test]
    fn every_file_that_a_configuration_names_is_known_by_its_option() {
        let source = Source::texts(Path::new("/srv"), demo::MAIN, demo::POLICY);
        let named = source.named();
        let path = |option: &str| named.iter().find(|file| file.option == option).map(|file| file.path.clone());
        assert_eq!(path("keys.master_key_file"), Some("/srv/var/master.key".into()));
        assert_eq!(path("tls.key"), Some("/srv/var/tls.key".into()));
        assert_eq!(path("store.path"), Some("/srv/var/store.db".into()));
        assert_eq!(named.len(), 6, "{named:?}");
        let texts: Vec<PathBuf> = source.texts_by_path().map(|(path, _)| path).collect();
        assert!(texts.contains(&"sekimori.toml".into()) && texts.contains(&"policy/chart.toml".into()));
    }
}
