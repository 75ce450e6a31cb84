-- The schema of ../sqlite/0001_schema.sql, in PostgreSQL's types: ids are UUID, moments and counts BIGINT,
-- dates INTEGER, flags BOOLEAN. Texts compare by their bytes, as there: an index must not depend on a
-- system's idea of an alphabet, which changes with its upgrades.

-- Nodes and what they share -------------------------------------------------------------------------------

CREATE TABLE node (
    id         UUID             NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    outbox_seq BIGINT           NOT NULL,
    started_at BIGINT           NOT NULL
);

-- A periodic job runs on the node that holds its row.
CREATE TABLE lease (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    node  TEXT COLLATE "C" NOT NULL REFERENCES node (name),
    until BIGINT           NOT NULL
);

-- One row. Its update is what puts committing transactions in line, so that seq order is commit order.
CREATE TABLE change_head (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT  NOT NULL
);
INSERT INTO change_head (id, seq) VALUES (1, 0);

-- A hint for other nodes, delivered with the commit; they also poll.
CREATE FUNCTION tell_of_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('sekimori_change', NEW.seq::text); RETURN NULL; END $$;
CREATE TRIGGER change_told AFTER UPDATE ON change_head FOR EACH ROW EXECUTE FUNCTION tell_of_change();

CREATE TABLE change (
    seq  BIGINT           NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    key  UUID             NOT NULL,
    at   BIGINT           NOT NULL
);
CREATE INDEX change_at ON change (at);

CREATE TABLE outbox (
    node         TEXT COLLATE "C" NOT NULL REFERENCES node (name),
    seq          BIGINT           NOT NULL,
    record       TEXT COLLATE "C" NOT NULL,
    at           BIGINT           NOT NULL,
    journaled_at BIGINT,
    PRIMARY KEY (node, seq)
);
CREATE INDEX outbox_unsent ON outbox (node, seq) WHERE journaled_at IS NULL;
CREATE INDEX outbox_sent ON outbox (journaled_at) WHERE journaled_at IS NOT NULL;

-- People, as HR has them ----------------------------------------------------------------------------------

CREATE TABLE person (
    id             UUID             NOT NULL PRIMARY KEY,
    staff_no       TEXT COLLATE "C" NOT NULL UNIQUE,
    name           TEXT COLLATE "C" NOT NULL,
    kana           TEXT COLLATE "C",
    birth_date     INTEGER,
    employment     TEXT COLLATE "C" NOT NULL,
    employed_from  INTEGER,
    employed_until INTEGER,
    source         TEXT COLLATE "C" NOT NULL,
    version        BIGINT           NOT NULL,
    changed_at     BIGINT           NOT NULL
);

CREATE TABLE affiliation (
    id          UUID             NOT NULL PRIMARY KEY,
    person      UUID             NOT NULL REFERENCES person (id),
    department  TEXT COLLATE "C" NOT NULL,
    occupation  TEXT COLLATE "C" NOT NULL,
    position    TEXT COLLATE "C" NOT NULL,
    main        BOOLEAN          NOT NULL,
    valid_from  INTEGER,
    valid_until INTEGER
);
CREATE INDEX affiliation_person ON affiliation (person);

CREATE TABLE qualification (
    id      UUID             NOT NULL PRIMARY KEY,
    person  UUID             NOT NULL REFERENCES person (id),
    kind    TEXT COLLATE "C" NOT NULL,
    number  TEXT COLLATE "C",
    expires INTEGER
);
CREATE INDEX qualification_person ON qualification (person);

CREATE TABLE hr_import (
    id        UUID             NOT NULL PRIMARY KEY,
    at        BIGINT           NOT NULL,
    file_hash BYTEA            NOT NULL,
    actor     TEXT COLLATE "C" NOT NULL,
    counts    TEXT COLLATE "C" NOT NULL
);
CREATE INDEX hr_import_at ON hr_import (at);

-- Accounts and rights -------------------------------------------------------------------------------------

CREATE TABLE account (
    id         UUID             NOT NULL PRIMARY KEY,
    person     UUID             NOT NULL UNIQUE REFERENCES person (id),
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'active', 'suspended', 'disabled')),
    change_no  BIGINT           NOT NULL,
    version    BIGINT           NOT NULL,
    created_at BIGINT           NOT NULL
);

CREATE TABLE role_grant (
    id          UUID             NOT NULL PRIMARY KEY,
    account     UUID             NOT NULL REFERENCES account (id),
    role        TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    paper       TEXT COLLATE "C",
    valid_from  BIGINT           NOT NULL,
    valid_until BIGINT,
    created_at  BIGINT           NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX role_grant_account ON role_grant (account);

-- Proof of identity and authenticators --------------------------------------------------------------------

CREATE TABLE proofing (
    id       UUID             NOT NULL PRIMARY KEY,
    account  UUID             NOT NULL REFERENCES account (id),
    officer  TEXT COLLATE "C" NOT NULL,
    method   TEXT COLLATE "C" NOT NULL,
    evidence TEXT COLLATE "C" NOT NULL,
    at       BIGINT           NOT NULL
);
CREATE INDEX proofing_account ON proofing (account);

CREATE TABLE enrolment (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    account    UUID             NOT NULL REFERENCES account (id),
    proofing   UUID             NOT NULL REFERENCES proofing (id),
    kind       TEXT COLLATE "C" NOT NULL,
    issued_by  TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT           NOT NULL,
    used_at    BIGINT
);
CREATE INDEX enrolment_account ON enrolment (account);
CREATE INDEX enrolment_expires ON enrolment (expires_at);

CREATE TABLE authenticator (
    id            UUID             NOT NULL PRIMARY KEY,
    account       UUID             NOT NULL REFERENCES account (id),
    kind          TEXT COLLATE "C" NOT NULL CHECK (kind IN ('password', 'totp', 'passkey')),
    label         TEXT COLLATE "C" NOT NULL,
    data          BYTEA            NOT NULL,
    credential_id BYTEA            UNIQUE,
    last_step     BIGINT,
    failures      BIGINT           NOT NULL,
    closed_until  BIGINT,
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'off', 'ended')),
    bound_at      BIGINT           NOT NULL,
    bound_by      TEXT COLLATE "C" NOT NULL,
    ended_at      BIGINT,
    last_used_at  BIGINT
);
CREATE INDEX authenticator_account ON authenticator (account);

-- Who was bound and proofed stays on record for good (C-34).
CREATE FUNCTION it_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% rows are never deleted', TG_TABLE_NAME; END $$;
CREATE TRIGGER authenticator_stays BEFORE DELETE ON authenticator FOR EACH ROW EXECUTE FUNCTION it_stays();
CREATE TRIGGER proofing_stays BEFORE DELETE ON proofing FOR EACH ROW EXECUTE FUNCTION it_stays();
-- TRUNCATE fires no row's trigger.
CREATE TRIGGER authenticators_stay BEFORE TRUNCATE ON authenticator EXECUTE FUNCTION it_stays();
CREATE TRIGGER proofings_stay BEFORE TRUNCATE ON proofing EXECUTE FUNCTION it_stays();

-- Sessions and ceremonies ---------------------------------------------------------------------------------

CREATE TABLE session (
    id               UUID             NOT NULL PRIMARY KEY,
    account          UUID             NOT NULL REFERENCES account (id),
    slot             INTEGER          NOT NULL,
    state            TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'locked', 'ended')),
    station          TEXT COLLATE "C" NOT NULL,
    zone             TEXT COLLATE "C" NOT NULL,
    address          TEXT COLLATE "C" NOT NULL,
    user_agent       TEXT COLLATE "C" NOT NULL,
    methods          TEXT COLLATE "C" NOT NULL,
    aal              TEXT COLLATE "C" NOT NULL,
    authenticated_at BIGINT           NOT NULL,
    started_at       BIGINT           NOT NULL,
    last_act         BIGINT           NOT NULL,
    locked_at        BIGINT,
    lock_reason      TEXT COLLATE "C",
    ended_at         BIGINT,
    end_reason       TEXT COLLATE "C",
    absolute_until   BIGINT           NOT NULL,
    version          BIGINT           NOT NULL
);
-- One unlocked station per account.
CREATE UNIQUE INDEX session_one_active ON session (account, slot) WHERE state = 'active';
CREATE INDEX session_account ON session (account);
CREATE INDEX session_living ON session (last_act) WHERE state <> 'ended';
CREATE INDEX session_over ON session (ended_at) WHERE state = 'ended';

CREATE TABLE session_token (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    session    UUID             NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    kind       TEXT COLLATE "C" NOT NULL,
    host       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL
);
CREATE INDEX session_token_session ON session_token (session);

CREATE TABLE interaction (
    hash          BYTEA            NOT NULL PRIMARY KEY,
    kind          TEXT COLLATE "C" NOT NULL,
    host          TEXT COLLATE "C" NOT NULL,
    target        TEXT COLLATE "C" NOT NULL,
    app_binder    BYTEA,
    portal_binder BYTEA,
    state         BYTEA            NOT NULL,
    expires_at    BIGINT           NOT NULL
);
CREATE INDEX interaction_expires ON interaction (expires_at);

CREATE TABLE handshake (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    session    UUID             NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    host       TEXT COLLATE "C" NOT NULL,
    binder     BYTEA            NOT NULL,
    target     TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT           NOT NULL
);
CREATE INDEX handshake_session ON handshake (session);
CREATE INDEX handshake_expires ON handshake (expires_at);

CREATE TABLE cli_token (
    hash             BYTEA            NOT NULL PRIMARY KEY,
    session          UUID             NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    kind             TEXT COLLATE "C" NOT NULL CHECK (kind IN ('code', 'bearer')),
    authenticated_at BIGINT           NOT NULL,
    expires_at       BIGINT           NOT NULL
);
CREATE INDEX cli_token_session ON cli_token (session);
CREATE INDEX cli_token_expires ON cli_token (expires_at);

-- What a person is told -----------------------------------------------------------------------------------

CREATE TABLE notice (
    id      UUID             NOT NULL PRIMARY KEY,
    account UUID             NOT NULL REFERENCES account (id),
    kind    TEXT COLLATE "C" NOT NULL,
    body    TEXT COLLATE "C" NOT NULL,
    at      BIGINT           NOT NULL,
    seen_at BIGINT
);
CREATE INDEX notice_account ON notice (account, at);
