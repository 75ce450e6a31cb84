-- Failures are counted for each place apart (A47), and a security key is an authenticator of its own kind.

-- SQLite changes no CHECK: the table is made anew. Dropping the old one fires no trigger.
CREATE TABLE authenticator_new (
    id            BLOB    NOT NULL PRIMARY KEY,
    account       BLOB    NOT NULL REFERENCES account (id),
    kind          TEXT    NOT NULL CHECK (kind IN ('password', 'totp', 'passkey', 'security-key')),
    label         TEXT    NOT NULL,
    data          BLOB    NOT NULL,
    credential_id BLOB    UNIQUE,
    last_step     INTEGER,
    failures      INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('active', 'off', 'ended')),
    bound_at      INTEGER NOT NULL,
    bound_by      TEXT    NOT NULL,
    ended_at      INTEGER,
    last_used_at  INTEGER
) STRICT;
INSERT INTO authenticator_new (id, account, kind, label, data, credential_id, last_step, failures, state, bound_at,
                               bound_by, ended_at, last_used_at)
SELECT id, account, kind, label, data, credential_id, last_step, failures, state, bound_at, bound_by, ended_at,
       last_used_at FROM authenticator;
DROP TABLE authenticator;
ALTER TABLE authenticator_new RENAME TO authenticator;
CREATE INDEX authenticator_account ON authenticator (account);
CREATE TRIGGER authenticator_stays BEFORE DELETE ON authenticator
BEGIN SELECT RAISE(ABORT, 'an authenticator is ended, never deleted'); END;

-- Where an account has logged in: a browser or an address, as a keyed hash.
CREATE TABLE known_place (
    account BLOB    NOT NULL REFERENCES account (id),
    mark    BLOB    NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (account, mark)
) STRICT;

-- Failures in a row at one known place, or at all others together. authenticator.failures is the sum, which any success
-- takes back.
CREATE TABLE failure (
    authenticator BLOB    NOT NULL REFERENCES authenticator (id),
    place         BLOB    NOT NULL,
    failures      INTEGER NOT NULL,
    closed_until  INTEGER,
    PRIMARY KEY (authenticator, place)
) STRICT;

-- Notices of any account, oldest first.
CREATE INDEX notice_at ON notice (at);
