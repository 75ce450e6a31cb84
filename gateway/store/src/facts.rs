use audit::Record;
use model::{AccountId, PersonId, SessionId};
use uuid::Uuid;

use crate::people::staging::StagedRecords;

/// What a transaction says about itself when it commits: at least one record (there is no other
/// constructor), what others must hear, and what a person must be told. All of it commits with the rows.
#[derive(Debug)]
#[must_use]
pub struct Facts {
    pub(crate) records: Vec<Record>,
    pub(crate) changed: Vec<Changed>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) staged: Option<StagedRecords>,
}

impl Facts {
    /// The act, as it will stand in the journal.
    pub fn recorded(record: Record) -> Self {
        Self { records: vec![record], changed: Vec::new(), notices: Vec::new(), staged: None }
    }

    /// One more record of the same transaction, after those before.
    pub fn and(mut self, record: Record) -> Self {
        self.records.push(record);
        self
    }

    /// One more thing that has changed.
    pub fn changed(mut self, changed: Changed) -> Self {
        self.changed.push(changed);
        self
    }

    /// Several things that have changed.
    pub fn all_changed(mut self, changed: impl IntoIterator<Item = Changed>) -> Self {
        self.changed.extend(changed);
        self
    }

    /// Something a person will be told.
    pub fn notice(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }

    /// The records that an import staged, after all others.
    pub(crate) fn staged(mut self, records: StagedRecords) -> Self {
        self.staged = Some(records);
        self
    }
}

/// Something that caches of this and other nodes must forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What kind of thing.
    pub kind: ChangeKind,
    /// Which one; see [`ChangeKind`].
    pub key: Uuid,
}

impl Changed {
    /// HR data of a person: name, employment, posts, qualifications.
    pub fn person(id: PersonId) -> Self {
        Self { kind: ChangeKind::Person, key: id.uuid() }
    }

    /// An account's state or number.
    pub fn account(id: AccountId) -> Self {
        Self { kind: ChangeKind::Account, key: id.uuid() }
    }

    /// The grants of an account.
    pub fn grants(of: AccountId) -> Self {
        Self { kind: ChangeKind::Grant, key: of.uuid() }
    }

    /// The authenticators of an account.
    pub fn authenticators(of: AccountId) -> Self {
        Self { kind: ChangeKind::Authenticator, key: of.uuid() }
    }

    /// A session's state or tokens.
    pub fn session(id: SessionId) -> Self {
        Self { kind: ChangeKind::Session, key: id.uuid() }
    }
}

/// What a change is about, and what its key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A person's HR data; the person's id.
    Person,
    /// An account; its id.
    Account,
    /// Grants; the id of the account that holds them.
    Grant,
    /// Authenticators; the id of the account they are bound to.
    Authenticator,
    /// A session; its id.
    Session,
    /// A notice was queued; the account's id.
    Notice,
}

impl ChangeKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Person, Self::Account, Self::Grant, Self::Authenticator, Self::Session, Self::Notice];

    /// As the store writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Account => "account",
            Self::Grant => "grant",
            Self::Authenticator => "authenticator",
            Self::Session => "session",
            Self::Notice => "notice",
        }
    }

    /// Reads [`Self::name`] back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Something a person is told in the portal (and later by mail).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whom.
    pub account: AccountId,
    /// What about: the name of a message the pages know.
    pub kind: &'static str,
    /// The message's arguments, as JSON.
    pub body: String,
}

/// Why rows change without a record: they carry no act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// A login, step-up or handshake on its way; its outcome is recorded.
    Ceremony,
    /// When sessions last saw a human act, in batches.
    LastAct,
    /// The count of wrong proofs; each wrong proof is recorded by who saw it.
    Failures,
    /// A plan on its way in, which nobody sees; applying it is recorded.
    Staging,
    /// A person has seen what he was told.
    Seen,
    /// Rows whose time is over.
    Housekeeping,
}

impl Unrecorded {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ceremony => "ceremony",
            Self::LastAct => "last act",
            Self::Failures => "failures",
            Self::Staging => "staging",
            Self::Seen => "seen",
            Self::Housekeeping => "housekeeping",
        }
    }
}
