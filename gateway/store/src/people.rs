//! People, affiliations, qualifications and imports, as HR has them.
//!
//! Days are `i32`: days since 1970-01-01. Texts stand as HR wrote them.

pub mod staging;

use std::collections::HashMap;

use model::{AccountId, Person, PersonId, StaffNo, Timestamp, matching_form};
use policy::HrFacts;
use sqlx::FromRow;
use uuid::Uuid;

use crate::statements::statements;
use crate::value::args;
use crate::{Reader, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO person (id, staff_no, name, kana, birth_date, employment, employed_from, employed_until, \
              source, version, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10)";
    UPDATE = "UPDATE person SET name = $1, kana = $2, birth_date = $3, employment = $4, employed_from = $5, \
              employed_until = $6, source = $7, changed_at = $8, version = version + 1 WHERE id = $9 AND version = $10";
    INSERT_AFFILIATION = "INSERT INTO affiliation (id, person, department, occupation, position, main, valid_from, \
                          valid_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    INSERT_QUALIFICATION = "INSERT INTO qualification (id, person, kind, number, expires) VALUES ($1, $2, $3, $4, $5)";
    DELETE_AFFILIATIONS = "DELETE FROM affiliation WHERE person = $1";
    DELETE_QUALIFICATIONS = "DELETE FROM qualification WHERE person = $1";
    INSERT_IMPORT = "INSERT INTO hr_import (id, at, file_hash, actor, counts) VALUES ($1, $2, $3, $4, $5)";
    BY_ID = "SELECT id, staff_no, name, kana, birth_date, employment, employed_from, employed_until, source, version, \
             changed_at FROM person WHERE id = $1";
    BY_STAFF_NO = "SELECT id, staff_no, name, kana, birth_date, employment, employed_from, employed_until, source, \
                   version, changed_at FROM person WHERE staff_no = $1";
    ALL = "SELECT id, staff_no, name, kana, birth_date, employment, employed_from, employed_until, source, version, \
           changed_at FROM person ORDER BY staff_no LIMIT $1";
    AFFILIATIONS_OF = "SELECT person, department, occupation, position, main, valid_from, valid_until \
                       FROM affiliation WHERE person = $1";
    ALL_AFFILIATIONS = "SELECT person, department, occupation, position, main, valid_from, valid_until \
                        FROM affiliation LIMIT $1";
    QUALIFICATIONS_OF = "SELECT person, kind, number, expires FROM qualification WHERE person = $1";
    ALL_QUALIFICATIONS = "SELECT person, kind, number, expires FROM qualification LIMIT $1";
}

/// The most people a store is read whole for.
pub const PEOPLE_BOUND: usize = 200_000;
/// The most posts or qualifications of all of them.
const ROWS_BOUND: usize = 1_000_000;

/// What HR says about one person. Equal values mean that nothing has changed, so posts and
/// qualifications are [sorted](Self::sorted).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonFacts {
    /// The number that never changes.
    pub staff_no: StaffNo,
    /// Name.
    pub name: String,
    /// Its reading.
    pub kana: Option<String>,
    /// Day of birth.
    pub birth_date: Option<i32>,
    /// Kind of employment; empty if HR doesn't say.
    pub employment: String,
    /// First day of employment; `None`: HR doesn't say.
    pub employed_from: Option<i32>,
    /// Last day of employment; `None`: open.
    pub employed_until: Option<i32>,
    /// Posts, former and future ones too.
    pub affiliations: Vec<Affiliation>,
    /// Licences.
    pub qualifications: Vec<Qualification>,
}

/// A post.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Affiliation {
    /// Department.
    pub department: String,
    /// Occupation.
    pub occupation: String,
    /// Position; empty if none.
    pub position: String,
    /// The main post, not a concurrent one.
    pub main: bool,
    /// First day; `None`: since ever.
    pub from: Option<i32>,
    /// Last day; `None`: open.
    pub until: Option<i32>,
}

impl Affiliation {
    /// Does the person hold the post on that day?
    pub fn holds_on(&self, day: i32) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }
}

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Qualification {
    /// Which.
    pub kind: String,
    /// Its number.
    pub number: Option<String>,
    /// The last day it is valid; `None`: open.
    pub expires: Option<i32>,
}

impl PersonFacts {
    /// The same facts with posts and qualifications in the one order, repetitions gone.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.affiliations.sort();
        self.affiliations.dedup();
        self.qualifications.sort();
        self.qualifications.dedup();
        self
    }

    /// What birthright rules look at: every text in its [matching form](matching_form), so that
    /// `３階東病棟` and `3階東病棟` are one department.
    pub fn hr_facts(&self) -> HrFacts {
        let affiliations = self.affiliations.iter().map(|post| policy::Affiliation {
            department: matching_form(&post.department),
            occupation: matching_form(&post.occupation),
            position: matching_form(&post.position),
            main: post.main,
            from: post.from,
            until: post.until,
        });
        let qualifications = self.qualifications.iter();
        HrFacts {
            employment: matching_form(&self.employment),
            employed_from: self.employed_from,
            employed_until: self.employed_until,
            affiliations: affiliations.collect(),
            qualifications: qualifications
                .map(|licence| policy::Qualification { kind: matching_form(&licence.kind), expires: licence.expires })
                .collect(),
        }
    }

    /// Employed on that day? A person without days of employment is.
    pub fn employed_on(&self, day: i32) -> bool {
        self.employed_from.is_none_or(|from| from <= day) && self.employed_until.is_none_or(|until| day <= until)
    }

    /// The post that stands for the person on that day: the main one, else any held, else none.
    pub fn post_on(&self, day: i32) -> Option<&Affiliation> {
        let held = || self.affiliations.iter().filter(|post| post.holds_on(day));
        held().find(|post| post.main).or_else(|| held().next())
    }
}

/// A person as the store has him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPerson {
    /// Its id.
    pub id: PersonId,
    /// What HR says.
    pub facts: PersonFacts,
    /// Where it says so: `csv`, `bootstrap`.
    pub source: String,
    /// Grows with each change; a writer names the one he saw.
    pub version: i64,
    /// When it last changed.
    pub changed_at: Timestamp,
}

impl StoredPerson {
    /// The person as requests and records need him, on that day.
    pub fn person(&self, account: AccountId, today: i32) -> Person {
        Person {
            id: self.id,
            account,
            staff_no: self.facts.staff_no.clone(),
            name: self.facts.name.clone(),
            kana: self.facts.kana.clone(),
            department: self.facts.post_on(today).map_or_else(String::new, |post| post.department.clone()),
        }
    }
}

/// One import, as the store remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import<'a> {
    /// SHA-256 of the file.
    pub file_hash: [u8; 32],
    /// Who did it: a staff number, or `operating system user NAME`.
    pub actor: &'a str,
    /// What it did, JSON.
    pub counts: &'a str,
}

/// Adds a person; announce it with [`Changed::person`](crate::Changed::person).
///
/// # Errors
/// [`StoreError::Duplicate`] if the staff number is there, [`StoreError::Engine`].
pub async fn insert(tx: &mut Tx, facts: &PersonFacts, source: &str) -> Result<PersonId, StoreError> {
    let (id, now) = (PersonId::generate(), tx.now());
    let values = args![
        id,
        &facts.staff_no,
        &facts.name,
        facts.kana.as_deref(),
        facts.birth_date,
        &facts.employment,
        facts.employed_from,
        facts.employed_until,
        source,
        now,
    ];
    tx.run(INSERT, values).await?;
    insert_posts(tx, id, facts).await?;
    Ok(id)
}

/// Makes the person as the caller saw him into what `facts` says; announce it with
/// [`Changed::person`](crate::Changed::person). The staff number never changes.
///
/// # Errors
/// [`StoreError::Conflict`] if somebody else was faster, [`StoreError::Engine`].
pub async fn update(
    tx: &mut Tx,
    id: PersonId,
    version: i64,
    facts: &PersonFacts,
    source: &str,
) -> Result<(), StoreError> {
    let now = tx.now();
    let values = args![
        &facts.name,
        facts.kana.as_deref(),
        facts.birth_date,
        &facts.employment,
        facts.employed_from,
        facts.employed_until,
        source,
        now,
        id,
        version,
    ];
    if tx.run(UPDATE, values).await? != 1 {
        return Err(StoreError::Conflict { what: "person" });
    }
    tx.run(DELETE_AFFILIATIONS, args![id]).await?;
    tx.run(DELETE_QUALIFICATIONS, args![id]).await?;
    insert_posts(tx, id, facts).await
}

/// Remembers an import.
///
/// # Errors
/// [`StoreError::Engine`].
pub async fn insert_import(tx: &mut Tx, import: &Import<'_>) -> Result<(), StoreError> {
    let now = tx.now();
    let values = args![Uuid::now_v7(), now, import.file_hash.as_slice(), import.actor, import.counts];
    tx.run(INSERT_IMPORT, values).await.map(drop)
}

/// The person with this id.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_id<'a>(db: impl Into<Reader<'a>>, id: PersonId) -> Result<Option<StoredPerson>, StoreError> {
    let mut db = db.into();
    let row = db.one::<PersonRow>(BY_ID, args![id]).await?;
    whole(&mut db, row).await
}

/// The person with this staff number.
///
/// # Errors
/// [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn by_staff_no<'a>(
    db: impl Into<Reader<'a>>,
    staff_no: &StaffNo,
) -> Result<Option<StoredPerson>, StoreError> {
    let mut db = db.into();
    let row = db.one::<PersonRow>(BY_STAFF_NO, args![staff_no]).await?;
    whole(&mut db, row).await
}

/// Everybody, by staff number. Give it a [`View`](crate::View) or a [`Tx`], so that all is of one state.
///
/// # Errors
/// [`StoreError::TooLarge`] beyond [`PEOPLE_BOUND`], [`StoreError::Engine`], [`StoreError::Corrupt`].
pub async fn all<'a>(db: impl Into<Reader<'a>>) -> Result<HashMap<StaffNo, StoredPerson>, StoreError> {
    let mut db = db.into();
    let rows = bounded(db.all::<PersonRow>(ALL, args![limit(PEOPLE_BOUND)]).await?, "people", PEOPLE_BOUND)?;
    let mut posts: HashMap<Uuid, Vec<Affiliation>> = HashMap::new();
    let rows_of_posts = db.all::<AffiliationRow>(ALL_AFFILIATIONS, args![limit(ROWS_BOUND)]).await?;
    for row in bounded(rows_of_posts, "posts", ROWS_BOUND)? {
        posts.entry(row.person).or_default().push(row.into());
    }
    let mut licences: HashMap<Uuid, Vec<Qualification>> = HashMap::new();
    let rows_of_licences = db.all::<QualificationRow>(ALL_QUALIFICATIONS, args![limit(ROWS_BOUND)]).await?;
    for row in bounded(rows_of_licences, "qualifications", ROWS_BOUND)? {
        licences.entry(row.person).or_default().push(row.into());
    }
    rows.into_iter()
        .map(|row| {
            let (posts, licences) = (posts.remove(&row.id), licences.remove(&row.id));
            let person = row.with(posts.unwrap_or_default(), licences.unwrap_or_default())?;
            Ok((person.facts.staff_no.clone(), person))
        })
        .collect()
}

/// One row more than allowed, so that too many are seen.
fn limit(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX).saturating_add(1)
}

/// Part of the people would look like people without posts: rather none.
fn bounded<T>(rows: Vec<T>, what: &'static str, bound: usize) -> Result<Vec<T>, StoreError> {
    if rows.len() > bound { Err(StoreError::TooLarge { what, limit: bound }) } else { Ok(rows) }
}

async fn insert_posts(tx: &mut Tx, id: PersonId, facts: &PersonFacts) -> Result<(), StoreError> {
    for post in &facts.affiliations {
        let Affiliation { department, occupation, position, main, from, until } = post;
        let values = args![Uuid::now_v7(), id, department, occupation, position, *main, *from, *until];
        tx.run(INSERT_AFFILIATION, values).await?;
    }
    for licence in &facts.qualifications {
        let values = args![Uuid::now_v7(), id, &licence.kind, licence.number.as_deref(), licence.expires];
        tx.run(INSERT_QUALIFICATION, values).await?;
    }
    Ok(())
}

async fn whole(db: &mut Reader<'_>, row: Option<PersonRow>) -> Result<Option<StoredPerson>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let posts = db.all::<AffiliationRow>(AFFILIATIONS_OF, args![row.id]).await?;
    let licences = db.all::<QualificationRow>(QUALIFICATIONS_OF, args![row.id]).await?;
    let posts = posts.into_iter().map(Affiliation::from).collect();
    row.with(posts, licences.into_iter().map(Qualification::from).collect()).map(Some)
}

#[derive(FromRow)]
struct PersonRow {
    id: Uuid,
    staff_no: String,
    name: String,
    kana: Option<String>,
    birth_date: Option<i32>,
    employment: String,
    employed_from: Option<i32>,
    employed_until: Option<i32>,
    source: String,
    version: i64,
    changed_at: i64,
}

impl PersonRow {
    fn with(
        self,
        affiliations: Vec<Affiliation>,
        qualifications: Vec<Qualification>,
    ) -> Result<StoredPerson, StoreError> {
        let facts = PersonFacts {
            staff_no: self.staff_no.try_into().map_err(|_| StoreError::Corrupt { what: "person.staff_no" })?,
            name: self.name,
            kana: self.kana,
            birth_date: self.birth_date,
            employment: self.employment,
            employed_from: self.employed_from,
            employed_until: self.employed_until,
            affiliations,
            qualifications,
        };
        Ok(StoredPerson {
            id: self.id.into(),
            facts: facts.sorted(),
            source: self.source,
            version: self.version,
            changed_at: Timestamp::from_micros(self.changed_at),
        })
    }
}

#[derive(FromRow)]
struct AffiliationRow {
    person: Uuid,
    department: String,
    occupation: String,
    position: String,
    main: bool,
    valid_from: Option<i32>,
    valid_until: Option<i32>,
}

impl From<AffiliationRow> for Affiliation {
    fn from(row: AffiliationRow) -> Self {
        Self {
            department: row.department,
            occupation: row.occupation,
            position: row.position,
            main: row.main,
            from: row.valid_from,
            until: row.valid_until,
        }
    }
}

#[derive(FromRow)]
struct QualificationRow {
    person: Uuid,
    kind: String,
    number: Option<String>,
    expires: Option<i32>,
}

impl From<QualificationRow> for Qualification {
    fn from(row: QualificationRow) -> Self {
        Self { kind: row.kind, number: row.number, expires: row.expires }
    }
}

#[cfg(test)]
mod tests;
