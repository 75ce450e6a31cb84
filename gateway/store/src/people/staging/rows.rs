//! A plan's people as rows of the staging tables.

use model::PersonId;
use uuid::Uuid;

use super::Entry;
use super::text::{self, MANY, Text};
use crate::statements::{Statement, statements};
use crate::value::{Value, args};
use crate::{StoreError, Tx};

const INTO_PERSON: &str = "INSERT INTO hr_staged_person (import, place, person, seen, staff_no, name, kana, \
                           birth_date, employment, employed_from, employed_until)";
const INTO_AFFILIATION: &str = "INSERT INTO hr_staged_affiliation (import, place, id, person, department, occupation, \
                                position, main, valid_from, valid_until)";
const INTO_QUALIFICATION: &str =
    "INSERT INTO hr_staged_qualification (import, place, id, person, kind, number, expires)";
const INTO_RECORD: &str = "INSERT INTO hr_staged_record (import, place, record)";

const PERSON: [Text; 2] = text::one_and_many(INTO_PERSON, 11);
const AFFILIATION: [Text; 2] = text::one_and_many(INTO_AFFILIATION, 10);
const QUALIFICATION: [Text; 2] = text::one_and_many(INTO_QUALIFICATION, 7);
const RECORD: [Text; 2] = text::one_and_many(INTO_RECORD, 3);

statements! {
    STAGE_PERSON = PERSON[0].as_str();
    STAGE_PEOPLE = PERSON[1].as_str();
    STAGE_AFFILIATION = AFFILIATION[0].as_str();
    STAGE_AFFILIATIONS = AFFILIATION[1].as_str();
    STAGE_QUALIFICATION = QUALIFICATION[0].as_str();
    STAGE_QUALIFICATIONS = QUALIFICATION[1].as_str();
    STAGE_RECORD = RECORD[0].as_str();
    STAGE_RECORDS = RECORD[1].as_str();
}

/// How many rows of each kind an import has staged: what its set-based statements must touch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    /// Everybody; the place of the last one.
    pub(super) people: i64,
    pub(super) known: u64,
    pub(super) new: u64,
    pub(super) affiliations: u64,
    pub(super) qualifications: u64,
}

/// The rows of one batch.
pub(super) struct Rows {
    import: Uuid,
    people: Vec<Vec<Value>>,
    affiliations: Vec<Vec<Value>>,
    qualifications: Vec<Vec<Value>>,
    records: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn new(import: Uuid) -> Self {
        Self { import, people: Vec::new(), affiliations: Vec::new(), qualifications: Vec::new(), records: Vec::new() }
    }

    /// Adds a person in the next place and counts the rows; who it is, or will be.
    pub(super) fn add(&mut self, entry: &Entry<'_>, expected: &mut Expected) -> PersonId {
        let (import, facts) = (self.import, entry.facts);
        let (person, seen) = match entry.known {
            Some((person, version)) => (person, Some(version)),
            None => (PersonId::generate(), None),
        };
        expected.people += 1;
        *(if seen.is_some() { &mut expected.known } else { &mut expected.new }) += 1;
        let place = expected.people;
        self.people.push(args![
            import,
            place,
            person,
            seen,
            &facts.staff_no,
            &facts.name,
            facts.kana.as_deref(),
            facts.birth_date,
            &facts.employment,
            facts.employed_from,
            facts.employed_until,
        ]);
        for post in &facts.affiliations {
            expected.affiliations += 1;
            self.affiliations.push(args![
                import,
                place,
                Uuid::now_v7(),
                person,
                &post.department,
                &post.occupation,
                &post.position,
                post.main,
                post.from,
                post.until,
            ]);
        }
        for licence in &facts.qualifications {
            expected.qualifications += 1;
            let (number, expires) = (licence.number.as_deref(), licence.expires);
            self.qualifications.push(args![import, place, Uuid::now_v7(), person, &licence.kind, number, expires]);
        }
        self.records.push(args![import, place, entry.record.store().as_str()]);
        person
    }

    pub(super) async fn write(self, tx: &mut Tx) -> Result<(), StoreError> {
        write(tx, STAGE_PERSON, STAGE_PEOPLE, self.people).await?;
        write(tx, STAGE_AFFILIATION, STAGE_AFFILIATIONS, self.affiliations).await?;
        write(tx, STAGE_QUALIFICATION, STAGE_QUALIFICATIONS, self.qualifications).await?;
        write(tx, STAGE_RECORD, STAGE_RECORDS, self.records).await
    }
}

async fn write(tx: &mut Tx, one: Statement, many: Statement, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    while rows.len() >= MANY {
        let values = rows.by_ref().take(MANY).flatten().collect();
        tx.run(many, values).await?;
    }
    for row in rows {
        tx.run(one, row).await?;
    }
    Ok(())
}
