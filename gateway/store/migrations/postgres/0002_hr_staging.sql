-- An HR plan on its way in (design.md §7): filled in short transactions, applied by a few set-based statements in
-- one. The rows of an import go when it is over; those of one that broke off go at the next start or import.

-- One row. It counts the imports that changed people: a plan is made in one turn and applied in it, or made anew.
CREATE TABLE hr_turn (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT  NOT NULL
);
INSERT INTO hr_turn (id, seq) VALUES (1, 0);

-- Goes last, so that rows without it never stay.
CREATE TABLE hr_staging (
    id   UUID             NOT NULL PRIMARY KEY,
    node TEXT COLLATE "C" NOT NULL REFERENCES node (name),
    at   BIGINT           NOT NULL
);

-- place counts the people of an import from 1; seen is the version that was planned against, NULL: a new person.
CREATE TABLE hr_staged_person (
    import         UUID             NOT NULL,
    place          BIGINT           NOT NULL,
    person         UUID             NOT NULL,
    seen           BIGINT,
    staff_no       TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    kana           TEXT COLLATE "C",
    birth_date     INTEGER,
    employment     TEXT COLLATE "C" NOT NULL,
    employed_from  INTEGER,
    employed_until INTEGER,
    PRIMARY KEY (import, place)
);

CREATE TABLE hr_staged_affiliation (
    import      UUID             NOT NULL,
    place       BIGINT           NOT NULL,
    id          UUID             NOT NULL,
    person      UUID             NOT NULL,
    department  TEXT COLLATE "C" NOT NULL,
    occupation  TEXT COLLATE "C" NOT NULL,
    position    TEXT COLLATE "C" NOT NULL,
    main        BOOLEAN          NOT NULL,
    valid_from  INTEGER,
    valid_until INTEGER,
    PRIMARY KEY (import, place, id)
);

CREATE TABLE hr_staged_qualification (
    import  UUID             NOT NULL,
    place   BIGINT           NOT NULL,
    id      UUID             NOT NULL,
    person  UUID             NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    number  TEXT COLLATE "C",
    expires INTEGER,
    PRIMARY KEY (import, place, id)
);

-- The record of each person.
CREATE TABLE hr_staged_record (
    import UUID             NOT NULL,
    place  BIGINT           NOT NULL,
    record TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (import, place)
);
