-- An HR plan on its way in (design.md §7): filled in short transactions, applied by a few set-based statements in
-- one. The rows of an import go when it is over; those of one that broke off go at the next start or import.

-- One row. It counts the imports that changed people: a plan is made in one turn and applied in it, or made anew.
CREATE TABLE hr_turn (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO hr_turn (id, seq) VALUES (1, 0);

-- Goes last, so that rows without it never stay.
CREATE TABLE hr_staging (
    id   BLOB    NOT NULL PRIMARY KEY,
    node TEXT    NOT NULL REFERENCES node (name),
    at   INTEGER NOT NULL
) STRICT;

-- place counts the people of an import from 1; seen is the version that was planned against, NULL: a new person.
CREATE TABLE hr_staged_person (
    import         BLOB    NOT NULL,
    place          INTEGER NOT NULL,
    person         BLOB    NOT NULL,
    seen           INTEGER,
    staff_no       TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    kana           TEXT,
    birth_date     INTEGER,
    employment     TEXT    NOT NULL,
    employed_from  INTEGER,
    employed_until INTEGER,
    PRIMARY KEY (import, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE hr_staged_affiliation (
    import      BLOB    NOT NULL,
    place       INTEGER NOT NULL,
    id          BLOB    NOT NULL,
    person      BLOB    NOT NULL,
    department  TEXT    NOT NULL,
    occupation  TEXT    NOT NULL,
    position    TEXT    NOT NULL,
    main        INTEGER NOT NULL CHECK (main IN (0, 1)),
    valid_from  INTEGER,
    valid_until INTEGER,
    PRIMARY KEY (import, place, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE hr_staged_qualification (
    import  BLOB    NOT NULL,
    place   INTEGER NOT NULL,
    id      BLOB    NOT NULL,
    person  BLOB    NOT NULL,
    kind    TEXT    NOT NULL,
    number  TEXT,
    expires INTEGER,
    PRIMARY KEY (import, place, id)
) STRICT, WITHOUT ROWID;

-- The record of each person: too long for a row without a rowid.
CREATE TABLE hr_staged_record (
    import BLOB    NOT NULL,
    place  INTEGER NOT NULL,
    record TEXT    NOT NULL,
    PRIMARY KEY (import, place)
) STRICT;
