//! argon2id on a bounded pool, with a pepper that the store doesn't know (C-21).

use std::sync::Arc;
use std::time::Duration;

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
/// A password waits this long for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pepper in use; a row names the one it was made with.
const PEPPER: u32 = 1;

/// Why a password could not be hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many passwords wait")]
    Busy,
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

/// Computes hashes, a bounded number at a time.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    pepper: Arc<Secret<Vec<u8>>>,
    turns: Arc<Semaphore>,
    #[cfg(test)]
    computed: Arc<std::sync::atomic::AtomicUsize>,
}

impl Hasher {
    pub(crate) fn new(master: &MasterKey, concurrency: usize) -> Result<Self, HashError> {
        let pepper = master.derive("password-pepper", &PEPPER.to_be_bytes()).map_err(|_| HashError::Failed)?;
        Ok(Self {
            pepper: Arc::new(Secret::new(pepper.to_vec())),
            turns: Arc::new(Semaphore::new(concurrency.max(1))),
            #[cfg(test)]
            computed: Arc::default(),
        })
    }

    /// A place in the pool, before anything is counted or written: whoever gets none has tried nothing.
    pub(crate) async fn turn(&self) -> Result<Turn, HashError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| HashError::Busy)?.map(Turn).map_err(|_| HashError::Failed)
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
        let task = tokio::task::spawn_blocking(move || {
            // The turn goes with the work: a client that leaves does not make room for another.
            let _turn = turn;
            work(pepper.expose())
        });
        task.await.map_err(|_| HashError::Failed)
    }

    /// How many computations were begun.
    #[cfg(test)]
    pub(crate) fn computed(&self) -> usize {
        self.computed.load(std::sync::atomic::Ordering::SeqCst)
    }
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
