-- The whole schema for one node or several (design.md §10).
--
-- Ids are UUIDv7 in BLOBs (UUID in PostgreSQL), moments are microseconds since 1970 (BIGINT), dates are
-- days since 1970, booleans are 0 and 1 (BOOLEAN). Names of tables and columns are the same on every engine.

-- Nodes and what they share -------------------------------------------------------------------------------

CREATE TABLE node (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    outbox_seq INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

-- A periodic job runs on the node that holds its row.
CREATE TABLE lease (
    name  TEXT    NOT NULL PRIMARY KEY,
    node  TEXT    NOT NULL REFERENCES node (name),
    until INTEGER NOT NULL
) STRICT;

-- One row. Its update is what puts committing transactions in line, so that seq order is commit order.
CREATE TABLE change_head (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO change_head (id, seq) VALUES (1, 0);

CREATE TABLE change (
    seq  INTEGER NOT NULL PRIMARY KEY,
    kind TEXT    NOT NULL,
    key  BLOB    NOT NULL,
    at   INTEGER NOT NULL
) STRICT;
CREATE INDEX change_at ON change (at);

CREATE TABLE outbox (
    node         TEXT    NOT NULL REFERENCES node (name),
    seq          INTEGER NOT NULL,
    record       TEXT    NOT NULL,
    at           INTEGER NOT NULL,
    journaled_at INTEGER,
    PRIMARY KEY (node, seq)
) STRICT;
CREATE INDEX outbox_unsent ON outbox (node, seq) WHERE journaled_at IS NULL;
CREATE INDEX outbox_sent ON outbox (journaled_at) WHERE journaled_at IS NOT NULL;

-- People, as HR has them ----------------------------------------------------------------------------------

CREATE TABLE person (
    id             BLOB    NOT NULL PRIMARY KEY,
    staff_no       TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    kana           TEXT,
    birth_date     INTEGER,
    employment     TEXT    NOT NULL,
    employed_from  INTEGER,
    employed_until INTEGER,
    source         TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE affiliation (
    id          BLOB    NOT NULL PRIMARY KEY,
    person      BLOB    NOT NULL REFERENCES person (id),
    department  TEXT    NOT NULL,
    occupation  TEXT    NOT NULL,
    position    TEXT    NOT NULL,
    main        INTEGER NOT NULL CHECK (main IN (0, 1)),
    valid_from  INTEGER,
    valid_until INTEGER
) STRICT;
CREATE INDEX affiliation_person ON affiliation (person);

CREATE TABLE qualification (
    id      BLOB    NOT NULL PRIMARY KEY,
    person  BLOB    NOT NULL REFERENCES person (id),
    kind    TEXT    NOT NULL,
    number  TEXT,
    expires INTEGER
) STRICT;
CREATE INDEX qualification_person ON qualification (person);

CREATE TABLE hr_import (
    id        BLOB    NOT NULL PRIMARY KEY,
    at        INTEGER NOT NULL,
    file_hash BLOB    NOT NULL,
    actor     TEXT    NOT NULL,
    counts    TEXT    NOT NULL
) STRICT;
CREATE INDEX hr_import_at ON hr_import (at);

-- Accounts and rights -------------------------------------------------------------------------------------

CREATE TABLE account (
    id         BLOB    NOT NULL PRIMARY KEY,
    person     BLOB    NOT NULL UNIQUE REFERENCES person (id),
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'suspended', 'disabled')),
    change_no  INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE role_grant (
    id          BLOB    NOT NULL PRIMARY KEY,
    account     BLOB    NOT NULL REFERENCES account (id),
    role        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    paper       TEXT,
    valid_from  INTEGER NOT NULL,
    valid_until INTEGER,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER
) STRICT;
CREATE INDEX role_grant_account ON role_grant (account);

-- Proof of identity and authenticators --------------------------------------------------------------------

CREATE TABLE proofing (
    id       BLOB    NOT NULL PRIMARY KEY,
    account  BLOB    NOT NULL REFERENCES account (id),
    officer  TEXT    NOT NULL,
    method   TEXT    NOT NULL,
    evidence TEXT    NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX proofing_account ON proofing (account);

CREATE TABLE enrolment (
    hash       BLOB    NOT NULL PRIMARY KEY,
    account    BLOB    NOT NULL REFERENCES account (id),
    proofing   BLOB    NOT NULL REFERENCES proofing (id),
    kind       TEXT    NOT NULL,
    issued_by  TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;
CREATE INDEX enrolment_account ON enrolment (account);
CREATE INDEX enrolment_expires ON enrolment (expires_at);

CREATE TABLE authenticator (
    id            BLOB    NOT NULL PRIMARY KEY,
    account       BLOB    NOT NULL REFERENCES account (id),
    kind          TEXT    NOT NULL CHECK (kind IN ('password', 'totp', 'passkey')),
    label         TEXT    NOT NULL,
    data          BLOB    NOT NULL,
    credential_id BLOB    UNIQUE,
    last_step     INTEGER,
    failures      INTEGER NOT NULL,
    closed_until  INTEGER,
    state         TEXT    NOT NULL CHECK (state IN ('active', 'off', 'ended')),
    bound_at      INTEGER NOT NULL,
    bound_by      TEXT    NOT NULL,
    ended_at      INTEGER,
    last_used_at  INTEGER
) STRICT;
CREATE INDEX authenticator_account ON authenticator (account);

-- Who was bound and proofed stays on record for good (C-34).
CREATE TRIGGER authenticator_stays BEFORE DELETE ON authenticator
BEGIN SELECT RAISE(ABORT, 'an authenticator is ended, never deleted'); END;
CREATE TRIGGER proofing_stays BEFORE DELETE ON proofing
BEGIN SELECT RAISE(ABORT, 'a proofing record is never deleted'); END;

-- Sessions and ceremonies ---------------------------------------------------------------------------------

CREATE TABLE session (
    id               BLOB    NOT NULL PRIMARY KEY,
    account          BLOB    NOT NULL REFERENCES account (id),
    slot             INTEGER NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('active', 'locked', 'ended')),
    station          TEXT    NOT NULL,
    zone             TEXT    NOT NULL,
    address          TEXT    NOT NULL,
    user_agent       TEXT    NOT NULL,
    methods          TEXT    NOT NULL,
    aal              TEXT    NOT NULL,
    authenticated_at INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    last_act         INTEGER NOT NULL,
    locked_at        INTEGER,
    lock_reason      TEXT,
    ended_at         INTEGER,
    end_reason       TEXT,
    absolute_until   INTEGER NOT NULL,
    version          INTEGER NOT NULL
) STRICT;
-- One unlocked station per account.
CREATE UNIQUE INDEX session_one_active ON session (account, slot) WHERE state = 'active';
CREATE INDEX session_account ON session (account);
CREATE INDEX session_living ON session (last_act) WHERE state <> 'ended';
CREATE INDEX session_over ON session (ended_at) WHERE state = 'ended';

CREATE TABLE session_token (
    hash       BLOB    NOT NULL PRIMARY KEY,
    session    BLOB    NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_token_session ON session_token (session);

CREATE TABLE interaction (
    hash          BLOB    NOT NULL PRIMARY KEY,
    kind          TEXT    NOT NULL,
    host          TEXT    NOT NULL,
    target        TEXT    NOT NULL,
    app_binder    BLOB,
    portal_binder BLOB,
    state         BLOB    NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX interaction_expires ON interaction (expires_at);

CREATE TABLE handshake (
    hash       BLOB    NOT NULL PRIMARY KEY,
    session    BLOB    NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    host       TEXT    NOT NULL,
    binder     BLOB    NOT NULL,
    target     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX handshake_session ON handshake (session);
CREATE INDEX handshake_expires ON handshake (expires_at);

CREATE TABLE cli_token (
    hash             BLOB    NOT NULL PRIMARY KEY,
    session          BLOB    NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    kind             TEXT    NOT NULL CHECK (kind IN ('code', 'bearer')),
    authenticated_at INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX cli_token_session ON cli_token (session);
CREATE INDEX cli_token_expires ON cli_token (expires_at);

-- What a person is told -----------------------------------------------------------------------------------

CREATE TABLE notice (
    id      BLOB    NOT NULL PRIMARY KEY,
    account BLOB    NOT NULL REFERENCES account (id),
    kind    TEXT    NOT NULL,
    body    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    seen_at INTEGER
) STRICT;
CREATE INDEX notice_account ON notice (account, at);
