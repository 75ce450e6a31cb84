//! Until when the certificates of a configuration are valid.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Timestamp;
use x509_parser::parse_x509_certificate;

use crate::certificates::read_chain;

/// Whoever is told so late has missed the month before.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// The certificate of a file that ends first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub file: PathBuf,
    /// Whose it is, as it says itself.
    pub subject: String,
    /// The last second it is valid.
    pub until: Timestamp,
}

/// How a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// More than thirty days are left.
    Fine,
    /// So many whole days are left.
    Soon(u64),
    /// It is over.
    Over,
}

impl Expiry {
    /// How it stands at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if now > self.until {
            return Standing::Over;
        }
        match self.until.since(now) {
            left if left > SOON => Standing::Fine,
            left => Standing::Soon(left.as_secs() / 86_400),
        }
    }

    /// In words, if there is something to be said.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let (file, subject, until) = (self.file.display(), &self.subject, self.until);
        match self.standing(now) {
            Standing::Fine => None,
            Standing::Soon(days) => {
                Some(format!("`{file}`: the certificate of `{subject}` ends in {days} days, at {until}"))
            }
            Standing::Over => Some(format!("`{file}`: the certificate of `{subject}` has ended, at {until}")),
        }
    }
}

/// Of each file the certificate that ends first; the files in that order. What can't be read is told elsewhere.
pub(crate) fn expiries<'f>(files: impl IntoIterator<Item = &'f Path>) -> Vec<Expiry> {
    let mut found: Vec<Expiry> = files.into_iter().filter_map(first_to_end).collect();
    found.sort_by(|a, b| a.until.cmp(&b.until).then_with(|| a.file.cmp(&b.file)));
    found.dedup();
    found
}

fn first_to_end(file: &Path) -> Option<Expiry> {
    let chain = read_chain(file).ok()?;
    let ends = chain.iter().filter_map(|certificate| {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        let until = Timestamp::from_seconds(parsed.validity().not_after.timestamp());
        Some(Expiry { file: file.to_owned(), subject: parsed.subject().to_string(), until })
    });
    ends.min_by_key(|expiry| expiry.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_spoken_of_thirty_days_before_its_end() {
        let day = |n: i64| Timestamp::from_seconds(n * 86_400);
        let expiry = Expiry { file: "tls.pem".into(), subject: "CN=x".into(), until: day(100) };
        assert_eq!(expiry.standing(day(69)), Standing::Fine);
        assert_eq!(expiry.standing(day(70)), Standing::Soon(30));
        assert_eq!(expiry.standing(day(100)), Standing::Soon(0));
        assert_eq!(expiry.standing(Timestamp::from_seconds(100 * 86_400 + 1)), Standing::Over);
        assert_eq!(expiry.warning(day(69)), None);
        assert!(expiry.warning(day(99)).unwrap().contains("`tls.pem`"));
    }

    #[test]
    fn the_certificate_that_ends_first_speaks_for_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = |year: i32| -> String {
            let mut parameters = rcgen::CertificateParams::new(vec!["chart.example".to_owned()]).unwrap();
            parameters.not_after = rcgen::date_time_ymd(year, 3, 1);
            parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
        };
        let (late, both) = (folder.path().join("late.pem"), folder.path().join("both.pem"));
        std::fs::write(&late, certificate(2050)).unwrap();
        std::fs::write(&both, format!("{}{}", certificate(2049), certificate(2031))).unwrap();
        let none = folder.path().join("none.pem");
        let found = expiries([late.as_path(), &both, &none, &late]);
        assert_eq!(found.iter().map(|e| e.file.clone()).collect::<Vec<_>>(), [both, late]);
        assert_eq!(found[0].until.to_string(), "2031-03-01T00:00:00.000000Z");
    }
}
