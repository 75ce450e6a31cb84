-- Failures are counted for each place apart (A47), and a security key is an authenticator of its own kind.

ALTER TABLE authenticator
    DROP CONSTRAINT authenticator_kind_check,
    ADD CONSTRAINT authenticator_kind_check CHECK (kind IN ('password', 'totp', 'passkey', 'security-key')),
    DROP COLUMN closed_until;

-- Where an account has logged in: a browser or an address, as a keyed hash.
CREATE TABLE known_place (
    account UUID   NOT NULL REFERENCES account (id),
    mark    BYTEA  NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (account, mark)
);

-- Failures in a row at one known place, or at all others together. authenticator.failures is the sum, which any success
-- takes back.
CREATE TABLE failure (
    authenticator UUID   NOT NULL REFERENCES authenticator (id),
    place         BYTEA  NOT NULL,
    failures      BIGINT NOT NULL,
    closed_until  BIGINT,
    PRIMARY KEY (authenticator, place)
);

-- Notices of any account, oldest first.
CREATE INDEX notice_at ON notice (at);
