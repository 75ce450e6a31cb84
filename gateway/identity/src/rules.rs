//! What of the configuration this crate goes by, as plain data.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::{Current, PasswordProfile, Snapshot};
use model::{Limits, Timestamp};

use crate::Profile;

/// The settings of logins and sessions at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When a session locks and ends.
    pub limits: Limits,
    /// What a password must be like.
    pub profile: Profile,
    /// Memory of one argon2id computation, in KiB (C-21: at least 19 456).
    pub argon2_memory: u32,
    /// Passes of argon2id (at least 2).
    pub argon2_passes: u32,
    /// How many passwords are hashed at the same time; the others wait.
    pub hash_concurrency: usize,
    /// The domain that passkeys are bound to for life: `site.domain`.
    pub domain: String,
    /// The portal's origin, exactly: `https://auth.example.jp:8443`. No other origin is believed.
    pub origin: String,
    /// The portal's host, as it stands in requests, without port.
    pub portal_host: String,
    /// The hospital's name, as authenticator apps show it.
    pub site_name: String,
    /// Words that a password here must not be made of.
    pub hospital_words: Vec<String>,
    /// Seconds east of UTC at the site: where a day begins.
    pub utc_offset: i32,
}

impl Rules {
    /// The site's date at `now`, in days since 1970-01-01.
    pub fn today(&self, now: Timestamp) -> i32 {
        let day = now.seconds().saturating_add(i64::from(self.utc_offset)).div_euclid(24 * 3_600);
        i32::try_from(day).unwrap_or(i32::MAX)
    }
}

impl From<&Snapshot> for Rules {
    fn from(snapshot: &Snapshot) -> Self {
        let settings = &snapshot.settings;
        Self {
            limits: settings.session.limits(),
            profile: match settings.login.passwords {
                PasswordProfile::Mhlw7 => Profile::Mhlw7,
                PasswordProfile::Nist => Profile::Nist,
            },
            argon2_memory: u32::try_from(settings.login.argon2_memory / 1_024).unwrap_or(u32::MAX),
            argon2_passes: settings.login.argon2_passes,
            hash_concurrency: settings.login.hash_concurrency,
            domain: settings.site.domain.to_string(),
            origin: settings.portal_origin(),
            portal_host: settings.portal.host.to_string(),
            site_name: settings.site.name.ja.clone(),
            hospital_words: settings.site.hospital_words.clone(),
            utc_offset: settings.site.time_zone.offset_seconds(),
        }
    }
}

/// Where the rules in force come from; asked anew each time, so that a reload is heard.
#[derive(Clone)]
pub struct RulesSource(Arc<dyn Fn() -> Arc<Rules> + Send + Sync>);

impl RulesSource {
    /// Rules that never change.
    pub fn fixed(rules: Rules) -> Self {
        let rules = Arc::new(rules);
        Self(Arc::new(move || Arc::clone(&rules)))
    }

    /// The rules of the snapshot in force.
    pub fn of(current: Current) -> Self {
        let kept = Mutex::new(None::<(u64, Arc<Rules>)>);
        Self(Arc::new(move || {
            let snapshot = current.load();
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            match &*kept {
                Some((generation, rules)) if *generation == snapshot.generation => Arc::clone(rules),
                _ => Arc::clone(&kept.insert((snapshot.generation, Arc::new(Rules::from(&*snapshot)))).1),
            }
        }))
    }

    /// What holds now.
    pub fn load(&self) -> Arc<Rules> {
        (self.0)()
    }
}

impl fmt::Debug for RulesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RulesSource").field(&self.load()).finish()
    }
}

/// A code from the desk or an interaction of a login lives this long.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(10 * 60);
/// A passkey challenge lives this long (C-27); the library does not watch over it.
pub(crate) const CHALLENGE_LIFE: Duration = Duration::from_secs(5 * 60);
/// An authenticator may be added this long after a login at AAL2 (C-35).
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);
