//! argon2id on a bounded pool, with a pepper that the store doesn't know (C-21).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use aws_lc_rs::rand;
use model::{MasterKey, Secret};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::normalise;
use crate::Rules;

const SALT_BYTES: usize = 16;
/// Lanes; one, so that the pool's size is the number of cores in use.
const LANES: u32 = 1;
/// A password waits this long for its turn; one that would have to wait longer is not let into the queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// More passwords than this never wait, however fast the machine.
const LONGEST_QUEUE: usize = 1_024;
/// What a hash takes, until some have been measured: little, so that nobody is sent away on a guess.
const GUESSED: Duration = Duration::from_millis(20);
/// Nobody is told to come back later than this.
const LATEST: Duration = Duration::from_secs(60);
/// The pepper in use; a row names the one it was made with.
const PEPPER: u32 = 1;

/// Why a password could not be hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many passwords wait")]
    Busy { retry_after: Duration },
    #[error("the hash could not be computed")]
    Failed,
}

/// A password as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    phc: String,
    /// The normal form that was hashed (C-14).
    form: String,
    /// Which pepper.
    pepper: u32,
}

/// What a check found.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) matches: bool,
    /// The password under today's parameters, where it matched and the kept ones are weaker.
    pub(crate) renewed: Option<Kept>,
}

/// A place in the pool.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// How full the pool of password hashes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPool {
    /// Hashes that may be computed at the same time.
    pub places: usize,
    /// Hashes that are being computed.
    pub busy: usize,
    /// Passwords that wait for their turn.
    pub waiting: usize,
}

/// Counts one who waits, for as long as it lives: whoever leaves early waits no more.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn counted(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Computes hashes, a bounded number at a time.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    pepper: Arc<Secret<Vec<u8>>>,
    turns: Arc<Semaphore>,
    places: usize,
    waiting: Arc<AtomicUsize>,
    /// What one hash takes, in microseconds: a moving average.
    takes: Arc<AtomicU64>,
    #[cfg(test)]
    computed: Arc<std::sync::atomic::AtomicUsize>,
}

impl Hasher {
    pub(crate) fn new(master: &MasterKey, concurrency: usize) -> Result<Self, HashError> {
        let pepper = master.derive("password-pepper", &PEPPER.to_be_bytes()).map_err(|_| HashError::Failed)?;
        Ok(Self {
            pepper: Arc::new(Secret::new(pepper.to_vec())),
            turns: Arc::new(Semaphore::new(concurrency.max(1))),
            places: concurrency.max(1),
            waiting: Arc::default(),
            takes: Arc::new(AtomicU64::new(micros(GUESSED))),
            #[cfg(test)]
            computed: Arc::default(),
        })
    }

    /// A place in the pool, before anything is counted or written: whoever gets none has tried nothing.
    pub(crate) async fn turn(&self) -> Result<Turn, HashError> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(Turn(turn));
        }
        let (before, wait) = (self.waiting.load(Ordering::Relaxed), self.wait());
        if wait > PATIENCE || before >= LONGEST_QUEUE {
            return Err(busy(wait));
        }
        let _waiting = Waiting::counted(&self.waiting);
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| busy(self.wait()))?.map(Turn).map_err(|_| HashError::Failed)
    }

    /// How long whoever comes now would wait, by what hashes have taken lately.
    fn wait(&self) -> Duration {
        let before = self.waiting.load(Ordering::Relaxed).saturating_add(1);
        let rounds = u64::try_from(before.div_ceil(self.places)).unwrap_or(u64::MAX);
        Duration::from_micros(self.takes.load(Ordering::Relaxed).saturating_mul(rounds))
    }

    /// How full the pool is.
    pub(crate) fn pool(&self) -> PasswordPool {
        let busy = self.places.saturating_sub(self.turns.available_permits());
        PasswordPool { places: self.places, busy, waiting: self.waiting.load(Ordering::Relaxed) }
    }

    /// Hashes a new password under the rules' parameters.
    pub(crate) async fn keep(&self, turn: Turn, password: Secret<String>, rules: &Rules) -> Result<Kept, HashError> {
        let params = params(rules)?;
        self.run(turn, move |pepper| {
            let normal = Secret::new(normalise(password.expose()).ok_or(HashError::Failed)?);
            kept(pepper, normal.expose(), params)
        })
        .await?
    }

    /// Checks a password; without a kept one it takes the same time and never matches (A40).
    pub(crate) async fn check(
        &self,
        turn: Turn,
        password: Secret<String>,
        kept: Option<Kept>,
        rules: &Rules,
    ) -> Result<Checked, HashError> {
        let params = params(rules)?;
        self.run(turn, move |pepper| {
            let normal = normalise(password.expose()).map(Secret::new);
            let (Some(normal), Some(kept)) = (normal, kept) else {
                self::kept(pepper, "", params)?;
                return Ok(Checked { matches: false, renewed: None });
            };
            verify(pepper, normal.expose(), &kept, params)
        })
        .await?
    }

    async fn run<T, F>(&self, turn: Turn, work: F) -> Result<T, HashError>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> T + Send + 'static,
    {
        let pepper = Arc::clone(&self.pepper);
        #[cfg(test)]
        self.computed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let takes = Arc::clone(&self.takes);
        let task = tokio::task::spawn_blocking(move || {
            // The turn goes with the work: a client that leaves does not make room for another.
            let _turn = turn;
            let begun = Instant::now();
            let done = work(pepper.expose());
            let (average, this) = (takes.load(Ordering::Relaxed), micros(begun.elapsed()));
            takes.store(average.saturating_mul(7).saturating_add(this) / 8, Ordering::Relaxed);
            done
        });
        task.await.map_err(|_| HashError::Failed)
    }

    /// How many computations were begun.
    #[cfg(test)]
    pub(crate) fn computed(&self) -> usize {
        self.computed.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Come back when those who wait now are done.
fn busy(wait: Duration) -> HashError {
    HashError::Busy { retry_after: wait.clamp(Duration::from_secs(1), LATEST) }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn params(rules: &Rules) -> Result<Params, HashError> {
    Params::new(rules.argon2_memory, rules.argon2_passes, LANES, None).map_err(|_| HashError::Failed)
}

fn argon2(pepper: &[u8], params: Params) -> Result<Argon2<'_>, HashError> {
    Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params).map_err(|_| HashError::Failed)
}

fn kept(pepper: &[u8], normal: &str, params: Params) -> Result<Kept, HashError> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| HashError::Failed)?;
    let hash = argon2(pepper, params)?.hash_password_with_salt(normal.as_bytes(), &salt);
    let phc = hash.map_err(|_| HashError::Failed)?.to_string();
    Ok(Kept { phc, form: "nfkc".to_owned(), pepper: PEPPER })
}

fn verify(pepper: &[u8], normal: &str, row: &Kept, params: Params) -> Result<Checked, HashError> {
    let hash = PasswordHash::new(&row.phc).map_err(|_| HashError::Failed)?;
    let theirs = Params::try_from(&hash).map_err(|_| HashError::Failed)?;
    let matches = argon2(pepper, theirs.clone())?.verify_password(normal.as_bytes(), &hash).is_ok();
    let same =
        (theirs.m_cost(), theirs.t_cost(), theirs.p_cost()) == (params.m_cost(), params.t_cost(), params.p_cost());
    let renewed = if matches && !same { Some(kept(pepper, normal, params)?) } else { None };
    Ok(Checked { matches, renewed })
}
