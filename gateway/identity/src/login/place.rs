use std::hash::BuildHasher as _;
use std::sync::PoisonError;

use audit::{Event, Outcome, Record, Who};
use model::{AccountId, Edge, Token, TokenKind, client_network};
use store::places::{self, Mark, Place};
use store::{Notice, Reader, Tx};

use super::sweep::{Alarm, Sweeps};
use super::{Entry, LoginError, Logins};

/// Marks that an account keeps: half browsers, half addresses of a person who works all over the house.
const MOST: i64 = 64;

/// Where a try comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whence<'a> {
    /// The browser's binder on the portal host.
    pub(crate) binder: &'a Token,
    /// The request.
    pub(crate) edge: &'a Edge,
}

impl<'a> From<Entry<'a>> for Whence<'a> {
    fn from(entry: Entry<'a>) -> Self {
        Self { binder: entry.binder, edge: entry.edge }
    }
}

/// The same as accounts remember it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    browser: Mark,
    address: Mark,
}

impl Logins {
    /// The marks of this browser and its address. Keyed: the store alone doesn't tell who was where.
    pub(super) fn marks(&self, whence: Whence<'_>) -> Result<Marks, LoginError> {
        let mark = |kind: &[u8], what: &[u8]| {
            let context = [kind, what].concat();
            self.0.master.derive("known-place", &context).map_err(|_| LoginError::Broken("place key"))
        };
        let address = client_network(whence.edge.address).to_string();
        Ok(Marks {
            browser: mark(b"browser\0", whence.binder.hash(TokenKind::Binder).bytes())?,
            address: mark(b"address\0", address.as_bytes())?,
        })
    }

    /// Lets a try through, or holds it up because a sweep comes from there. Behind an address that many share
    /// a browser that the account knows is not held up for what another does.
    pub(super) async fn unhurried(&self, whence: Whence<'_>, account: Option<AccountId>) -> Result<(), LoginError> {
        let (marks, now) = (self.marks(whence)?, self.now());
        let [browser, address] = {
            let sweeps = self.sweeps();
            [marks.browser, marks.address].map(|mark| sweeps.slows(&mark, now))
        };
        let source = match (browser, address) {
            (false, false) => return Ok(()),
            (true, _) => marks.browser,
            (false, true) => marks.address,
        };
        if !browser && let Some(account) = account {
            let place = marks.place(&self.0.store, account).await?;
            if place == Place::Known(marks.browser) {
                return Ok(());
            }
        }
        self.sweeps().turn(&source, now).map_err(|retry_after| LoginError::Slow { retry_after })
    }

    /// Notes a failed try; the record of a sweep, if that is what it has shown.
    pub(super) fn sweeping(&self, whence: Whence<'_>, name: &str) -> Result<Option<Record>, LoginError> {
        let marks = self.marks(whence)?;
        let alarm = self.sweeps().failed(self.0.names.hash_one(name), [marks.browser, marks.address], self.now());
        Ok(alarm.map(|Alarm { names, sources }| {
            tracing::error!(names, sources, "somebody tries name after name: the sources are slowed");
            let record = Record::new(Event::LoginSweep, Outcome::Denied).who(Who::system("login")).from(whence.edge);
            record.detail("names", names).detail("sources", sources)
        }))
    }

    fn sweeps(&self) -> std::sync::MutexGuard<'_, Sweeps> {
        self.0.sweeps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    /// The account's place that this is, for its failures.
    pub(super) async fn place<'a>(&self, db: impl Into<Reader<'a>>, account: AccountId) -> Result<Place, LoginError> {
        Ok(places::of(db, account, &self.browser, &self.address).await?)
    }

    /// The account has logged in here. What its person is told, if it was never here but elsewhere.
    pub(super) async fn logged_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        whence: Whence<'_>,
    ) -> Result<Option<Notice>, LoginError> {
        let new = self.place(&mut *tx, account).await? == Place::Elsewhere && places::any(&mut *tx, account).await?;
        places::seen(tx, account, &[self.browser, self.address], MOST).await?;
        let edge = whence.edge;
        let body = serde_json::json!({ "zone": edge.zone.name(), "address": edge.address.to_string() });
        Ok(new.then(|| Notice { account, kind: "login-elsewhere", body: body.to_string() }))
    }
}
