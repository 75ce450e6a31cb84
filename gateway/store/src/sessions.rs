//! Sessions, their tokens, handshake codes and CLI tokens.
//!
//! Every change of a session's state is a compare-and-set on the state it had, so that two nodes, or a
//! sweeper and a person, can't both believe they did it.

use std::collections::BTreeSet;

use model::{
    Aal, AccountId, EndReason, LockReason, Method, SessionId, SessionState, StaffNo, Timestamp, TokenHash, TokenKind,
};
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO session (id, account, slot, state, station, zone, address, user_agent, methods, aal, \
              authenticated_at, started_at, last_act, absolute_until, version) \
              VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10, $10, $10, $11, 1)";
    BY_ID = "SELECT id, account, state, station, zone, address, user_agent, methods, aal, authenticated_at, started_at, \
             last_act, locked_at, lock_reason, absolute_until FROM session WHERE id = $1";
    BY_TOKEN = "SELECT s.id, s.account, s.state, s.station, s.zone, s.address, s.user_agent, s.methods, s.aal, \
                s.authenticated_at, s.started_at, s.last_act, s.locked_at, s.lock_reason, s.absolute_until \
                FROM session s JOIN session_token t ON t.session = s.id \
                WHERE t.hash = $1 AND t.kind = $2 AND t.host = $3";
    LIVING = "SELECT id, account, state, station, zone, address, user_agent, methods, aal, authenticated_at, started_at, \
              last_act, locked_at, lock_reason, absolute_until FROM session \
              WHERE account = $1 AND state <> 'ended' ORDER BY started_at DESC LIMIT 64";
    EVERYBODYS = "SELECT s.id, s.account, s.state, s.station, s.zone, s.address, s.user_agent, s.methods, s.aal, \
                  s.authenticated_at, s.started_at, s.last_act, s.locked_at, s.lock_reason, s.absolute_until, \
                  p.staff_no, p.name FROM session s JOIN account a ON a.id = s.account JOIN person p ON p.id = a.person \
                  WHERE s.state <> 'ended' AND ($1 = '' OR p.staff_no = $1) ORDER BY s.started_at DESC LIMIT $2";
    OVERDUE = "SELECT id, account, state, station, zone, address, user_agent, methods, aal, authenticated_at, started_at, \
               last_act, locked_at, lock_reason, absolute_until FROM session \
               WHERE state <> 'ended' AND (absolute_until <= $1 OR started_at <= $2 \
               OR (state = 'active' AND last_act <= $3) OR (state = 'locked' AND locked_at <= $4)) \
               ORDER BY last_act LIMIT $5";
    LOCK = "UPDATE session SET state = 'locked', locked_at = $1, lock_reason = $2, version = version + 1 \
            WHERE id = $3 AND state = 'active'";
    LOCK_IDLE = "UPDATE session SET state = 'locked', locked_at = $1, lock_reason = 'idle', version = version + 1 \
                 WHERE id = $2 AND state = 'active' AND last_act <= $3";
    UNLOCK = "UPDATE session SET state = 'active', last_act = $1, locked_at = NULL, lock_reason = NULL, \
              authenticated_at = CASE WHEN $2 THEN $1 ELSE authenticated_at END, version = version + 1 \
              WHERE id = $3 AND state = 'locked' AND locked_at > $4 AND absolute_until > $1";
    CONFIRM = "UPDATE session SET authenticated_at = $1, last_act = $1, version = version + 1 \
               WHERE id = $2 AND state = 'active' AND absolute_until > $1";
    END = "UPDATE session SET state = 'ended', ended_at = $1, end_reason = $2, version = version + 1 \
           WHERE id = $3 AND state <> 'ended'";
    ACTED = "UPDATE session SET last_act = $1 WHERE id = $2 AND state = 'active' AND last_act < $1";
    FORGET = "DELETE FROM session WHERE id IN \
              (SELECT id FROM session WHERE state = 'ended' AND ended_at < $1 ORDER BY ended_at LIMIT $2)";
    INSERT_TOKEN = "INSERT INTO session_token (hash, session, kind, host, created_at) VALUES ($1, $2, $3, $4, $5)";
    DELETE_TOKENS = "DELETE FROM session_token WHERE session = $1";
    DELETE_TOKENS_OF = "DELETE FROM session_token WHERE session = $1 AND kind = $2 AND host = $3 AND created_at <= $4";
    INSERT_HANDSHAKE = "INSERT INTO handshake (hash, session, host, binder, target, expires_at) \
                        VALUES ($1, $2, $3, $4, $5, $6)";
    HANDSHAKE_WAITS = "SELECT hash FROM handshake WHERE hash = $1";
    TAKE_HANDSHAKE = "DELETE FROM handshake WHERE hash = $1 RETURNING session, host, binder, target, expires_at";
    DELETE_HANDSHAKES = "DELETE FROM handshake WHERE session = $1";
    PURGE_HANDSHAKES = "DELETE FROM handshake WHERE hash IN \
                        (SELECT hash FROM handshake WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    INSERT_CLI = "INSERT INTO cli_token (hash, session, kind, authenticated_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
    TAKE_CLI_CODE = "DELETE FROM cli_token WHERE hash = $1 AND kind = 'code' \
                     RETURNING session, authenticated_at, expires_at";
    CLI_BEARER = "SELECT session, authenticated_at, expires_at FROM cli_token WHERE hash = $1 AND kind = 'bearer'";
    DELETE_CLI = "DELETE FROM cli_token WHERE session = $1";
    PURGE_CLI = "DELETE FROM cli_token WHERE hash IN \
                 (SELECT hash FROM cli_token WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
}

/// The one unlocked place of an account, until roles may have more.
const SLOT: i32 = 0;

/// A session as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its line.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// As written; by the clock it may be further.
    pub state: SessionState,
    /// The terminal.
    pub station: String,
    /// The zone it began in.
    pub zone: String,
    /// The address it began at.
    pub address: String,
    /// The browser, as it names itself.
    pub user_agent: String,
    /// What the login verified.
    pub methods: BTreeSet<Method>,
    /// What that added up to.
    pub aal: Aal,
    /// The last proof at AAL2.
    pub authenticated_at: Timestamp,
    /// When it began.
    pub started_at: Timestamp,
    /// The last human act that was written.
    pub last_act: Timestamp,
    /// Since when it is locked.
    pub locked_at: Option<Timestamp>,
    /// Why it is locked.
    pub lock_reason: Option<LockReason>,
    /// When it ends whatever happens.
    pub absolute_until: Timestamp,
}

/// Begins a session. Another active one of the account must have been locked before in `tx`.
///
/// # Errors
/// [`StoreError::Duplicate`] if the account has an active session, [`StoreError::Engine`].
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<(), StoreError> {
    let methods: Vec<&str> = session.methods.iter().map(|m| m.amr()).collect();
    let args = args![
        session.id,
        session.account,
        SLOT,
        &session.station,
        &session.zone,
        &session.address,
        &session.user_agent,
        methods.join(" "),
        session.aal.name(),
        session.started_at,
        session.absolute_until,
    ];
    tx.run(INSERT, args).await.map(drop)
}

/// The session with this id, ended ones too.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_id<'a>(db: impl Into<Reader<'a>>, id: SessionId) -> Result<Option<Session>, StoreError> {
    db.into().one::<SessionRow>(BY_ID, args![id]).await?.map(Session::try_from).transpose()
}

/// The session of a token of `kind` for `host`.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_token<'a>(
    db: impl Into<Reader<'a>>,
    hash: &TokenHash,
    kind: TokenKind,
    host: &str,
) -> Result<Option<Session>, StoreError> {
    let row = db.into().one::<SessionRow>(BY_TOKEN, args![hash, token_kind(kind), host]).await?;
    row.map(Session::try_from).transpose()
}

/// The sessions of an account that have not ended, newest first, at most 64.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn living<'a>(db: impl Into<Reader<'a>>, account: AccountId) -> Result<Vec<Session>, StoreError> {
    let rows = db.into().all::<SessionRow>(LIVING, args![account]).await?;
    rows.into_iter().map(Session::try_from).collect()
}

/// A session and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attended {
    /// The session.
    pub session: Session,
    /// The person's staff number.
    pub staff_no: String,
    /// The person's name as HR writes it.
    pub name: String,
}

/// The sessions of everybody, or of one staff number, that have not ended: newest first, at most `limit`.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn everybodys<'a>(
    db: impl Into<Reader<'a>>,
    staff_no: Option<&StaffNo>,
    limit: i64,
) -> Result<Vec<Attended>, StoreError> {
    let staff_no = staff_no.map_or("", StaffNo::as_str);
    let rows = db.into().all::<AttendedRow>(EVERYBODYS, args![staff_no, limit]).await?;
    let attended =
        |row: AttendedRow| Ok(Attended { session: row.session.try_into()?, staff_no: row.staff_no, name: row.name });
    rows.into_iter().map(attended).collect()
}

/// What makes a session overdue.
#[derive(Clone, Copy, Debug)]
pub struct Overdue {
    /// Absolute limit reached at.
    pub now: Timestamp,
    /// Begun at or before.
    pub started: Timestamp,
    /// Active, and no act since.
    pub acted: Timestamp,
    /// Locked at or before.
    pub locked: Timestamp,
}

/// Sessions that should be locked or ended by now, at most `limit`.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn overdue<'a>(db: impl Into<Reader<'a>>, due: Overdue, limit: i64) -> Result<Vec<Session>, StoreError> {
    let args = args![due.now, due.started, due.acted, due.locked, limit];
    let rows = db.into().all::<SessionRow>(OVERDUE, args).await?;
    rows.into_iter().map(Session::try_from).collect()
}

/// Locks an active session; false if it was not active.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn lock(tx: &mut Tx, id: SessionId, reason: LockReason, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.run(LOCK, args![at, reason.name(), id]).await? == 1)
}

/// Locks an active session as of `at` if nobody has acted in it after `last_act`; false if it was not
/// active, or another node knows of a later act.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn lock_idle(tx: &mut Tx, id: SessionId, last_act: Timestamp, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.run(LOCK_IDLE, args![at, id, last_act]).await? == 1)
}

/// Opens a session that was locked after `locked_after`; false if it was not locked or is over. With
/// `authenticated` the proof was one at AAL2.
///
/// # Errors
/// [`StoreError::Duplicate`] if the account has another active session, [`StoreError::Engine`].
pub async fn unlock(
    tx: &mut Tx,
    id: SessionId,
    locked_after: Timestamp,
    authenticated: bool,
    at: Timestamp,
) -> Result<bool, StoreError> {
    Ok(tx.run(UNLOCK, args![at, authenticated, id, locked_after]).await? == 1)
}

/// Notes a new proof at AAL2 in an active session; false if it is not active.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn confirm(tx: &mut Tx, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.run(CONFIRM, args![at, id]).await? == 1)
}

/// Ends a session with all its tokens and codes; false if it was over.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn end(tx: &mut Tx, id: SessionId, reason: EndReason, at: Timestamp) -> Result<bool, StoreError> {
    let ended = tx.run(END, args![at, reason.name(), id]).await? == 1;
    delete_tokens(tx, id).await?;
    tx.run(DELETE_CLI, args![id]).await?;
    Ok(ended)
}

/// Writes the last human act of a session, if it is later than what stands there.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn acted(tx: &mut Tx, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.run(ACTED, args![at, id]).await? == 1)
}

/// Adds a token.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert_token(
    tx: &mut Tx,
    session: SessionId,
    hash: &TokenHash,
    kind: TokenKind,
    host: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.run(INSERT_TOKEN, args![hash, session, token_kind(kind), host, at]).await.map(drop)
}

/// Deletes all browser tokens and handshake codes of a session, whatever their host.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn delete_tokens(tx: &mut Tx, session: SessionId) -> Result<(), StoreError> {
    tx.run(DELETE_TOKENS, args![session]).await?;
    tx.run(DELETE_HANDSHAKES, args![session]).await.map(drop)
}

/// Deletes a session's tokens of one kind and host that were made at or before `until`.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn delete_tokens_of(
    tx: &mut Tx,
    session: SessionId,
    kind: TokenKind,
    host: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    tx.run(DELETE_TOKENS_OF, args![session, token_kind(kind), host, until]).await.map(drop)
}

/// A handshake code's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The portal's session.
    pub session: SessionId,
    /// The app host it is for.
    pub host: String,
    /// The browser it is for.
    pub binder: TokenHash,
    /// Where the browser wanted to go.
    pub target: String,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
}

/// Keeps a handshake code.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert_handshake(tx: &mut Tx, hash: &TokenHash, handshake: &Handshake) -> Result<(), StoreError> {
    let args =
        args![hash, handshake.session, &handshake.host, handshake.binder, &handshake.target, handshake.expires_at,];
    tx.run(INSERT_HANDSHAKE, args).await.map(drop)
}

/// Is there such a code, used by nobody yet?
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn handshake_waits<'a>(db: impl Into<Reader<'a>>, code: &TokenHash) -> Result<bool, StoreError> {
    Ok(db.into().one::<HashRow>(HANDSHAKE_WAITS, args![code]).await?.is_some())
}

/// Takes a handshake code out, so that it is used once whoever comes with it; expired ones too.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn take_handshake(tx: &mut Tx, code: &TokenHash) -> Result<Option<Handshake>, StoreError> {
    let row = tx.one::<HandshakeRow>(TAKE_HANDSHAKE, args![code]).await?;
    row.map(Handshake::try_from).transpose()
}

/// A program's code or bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CliToken {
    /// The session it was made from.
    pub session: SessionId,
    /// The proof at AAL2 it rests on.
    pub authenticated_at: Timestamp,
    /// When it is worth nothing any more.
    pub expires_at: Timestamp,
}

/// Keeps the code that a person copies into a terminal.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert_cli_code(tx: &mut Tx, hash: &TokenHash, token: &CliToken) -> Result<(), StoreError> {
    insert_cli(tx, hash, "code", token).await
}

/// Keeps a bearer token.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert_cli_bearer(tx: &mut Tx, hash: &TokenHash, token: &CliToken) -> Result<(), StoreError> {
    insert_cli(tx, hash, "bearer", token).await
}

async fn insert_cli(tx: &mut Tx, hash: &TokenHash, kind: &str, token: &CliToken) -> Result<(), StoreError> {
    let args = args![hash, token.session, kind, token.authenticated_at, token.expires_at];
    tx.run(INSERT_CLI, args).await.map(drop)
}

/// Takes a CLI code out, so that it is used once; expired ones too.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn take_cli_code(tx: &mut Tx, code: &TokenHash) -> Result<Option<CliToken>, StoreError> {
    Ok(tx.one::<CliRow>(TAKE_CLI_CODE, args![code]).await?.map(CliToken::from))
}

/// The row of a bearer token; expired ones too.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn cli_bearer<'a>(db: impl Into<Reader<'a>>, token: &TokenHash) -> Result<Option<CliToken>, StoreError> {
    Ok(db.into().one::<CliRow>(CLI_BEARER, args![token]).await?.map(CliToken::from))
}

/// Forgets expired codes and tokens, and sessions that ended before `ended_before`; at most `limit` of
/// each kind. How many.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn purge(tx: &mut Tx, now: Timestamp, ended_before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    Ok(tx.run(PURGE_HANDSHAKES, args![now, limit]).await?
        + tx.run(PURGE_CLI, args![now, limit]).await?
        + tx.run(FORGET, args![ended_before, limit]).await?)
}

fn token_kind(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::PortalSession => "portal",
        TokenKind::AppSession => "app",
        // No other kind names a session; the look-up finds nothing.
        _ => "none",
    }
}

pub(crate) fn hash(bytes: &[u8], what: &'static str) -> Result<TokenHash, StoreError> {
    TokenHash::from_stored(bytes).map_err(|_| StoreError::Corrupt { what })
}

fn methods(text: &str) -> Option<BTreeSet<Method>> {
    const ALL: [Method; 4] = [Method::Password, Method::Totp, Method::PasskeyVerified, Method::SecurityKey];
    text.split(' ').map(|amr| ALL.into_iter().find(|method| method.amr() == amr)).collect()
}

#[derive(FromRow)]
struct SessionRow {
    id: Uuid,
    account: Uuid,
    state: String,
    station: String,
    zone: String,
    address: String,
    user_agent: String,
    methods: String,
    aal: String,
    authenticated_at: i64,
    started_at: i64,
    last_act: i64,
    locked_at: Option<i64>,
    lock_reason: Option<String>,
    absolute_until: i64,
}

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { what };
        let aal = [Aal::Aal1, Aal::Aal2].into_iter().find(|aal| aal.name() == row.aal);
        let lock_reason =
            row.lock_reason.map(|name| LockReason::from_name(&name).ok_or(corrupt("session.lock_reason")));
        Ok(Self {
            id: row.id.into(),
            account: row.account.into(),
            state: SessionState::from_name(&row.state).ok_or(corrupt("session.state"))?,
            station: row.station,
            zone: row.zone,
            address: row.address,
            user_agent: row.user_agent,
            methods: methods(&row.methods).ok_or(corrupt("session.methods"))?,
            aal: aal.ok_or(corrupt("session.aal"))?,
            authenticated_at: Timestamp::from_micros(row.authenticated_at),
            started_at: Timestamp::from_micros(row.started_at),
            last_act: Timestamp::from_micros(row.last_act),
            locked_at: row.locked_at.map(Timestamp::from_micros),
            lock_reason: lock_reason.transpose()?,
            absolute_until: Timestamp::from_micros(row.absolute_until),
        })
    }
}

#[derive(FromRow)]
struct AttendedRow {
    #[sqlx(flatten)]
    session: SessionRow,
    staff_no: String,
    name: String,
}

#[derive(FromRow)]
struct HashRow {
    #[sqlx(rename = "hash")]
    _hash: Vec<u8>,
}

#[derive(FromRow)]
struct HandshakeRow {
    session: Uuid,
    host: String,
    binder: Vec<u8>,
    target: String,
    expires_at: i64,
}

impl TryFrom<HandshakeRow> for Handshake {
    type Error = StoreError;

    fn try_from(row: HandshakeRow) -> Result<Self, StoreError> {
        Ok(Self {
            session: row.session.into(),
            host: row.host,
            binder: hash(&row.binder, "handshake.binder")?,
            target: row.target,
            expires_at: Timestamp::from_micros(row.expires_at),
        })
    }
}

#[derive(FromRow)]
struct CliRow {
    session: Uuid,
    authenticated_at: i64,
    expires_at: i64,
}

impl From<CliRow> for CliToken {
    fn from(row: CliRow) -> Self {
        Self {
            session: row.session.into(),
            authenticated_at: Timestamp::from_micros(row.authenticated_at),
            expires_at: Timestamp::from_micros(row.expires_at),
        }
    }
}
