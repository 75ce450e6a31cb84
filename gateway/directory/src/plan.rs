use std::collections::{BTreeMap, HashMap};

use model::{PersonId, StaffNo, matching_form};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use store::people::{Affiliation, PersonFacts, Qualification, StoredPerson};

use crate::day;
use crate::problem::RowProblem;
use crate::roster::Roster;

/// What applying a roster would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// New people.
    pub added: Vec<PersonFacts>,
    /// People about whom the file says something else than the store.
    pub changed: Vec<Change>,
    /// How many are as they were.
    pub unchanged: usize,
    /// How many are in the store and not in the file; a delta leaves them alone.
    pub absent: usize,
    /// What a person must look at first; nothing is applied while there is any (C6).
    pub doubts: Vec<Doubt>,
    /// The [turn](store::people::staging::turn) it was made in. New people are compared with everybody, so
    /// that they are applied in no later one; a plan without it is only held against the people it changes.
    pub turn: Option<i64>,
}

/// One person, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub id: PersonId,
    /// The version that was compared; applying refuses any other.
    pub version: i64,
    /// As the store has it.
    pub before: PersonFacts,
    /// As the file has it.
    pub after: PersonFacts,
}

/// A match that may join two people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The same number, but another name, and another day of birth or none known to compare with.
    #[error(
        "staff number {staff_no} is {known} in the store and {new} in the file, and no day of birth says that they are \
         one person; a number is never given to somebody else. If it is the same person, correct birth date and name \
         in two imports"
    )]
    AnotherPerson {
        /// The number.
        staff_no: StaffNo,
        /// Whom the store knows by it.
        known: String,
        /// Whom the file means by it.
        new: String,
    },
    /// A new number that is a known one without its zeros, and the same name or day of birth.
    #[error(
        "staff number {staff_no} ({name}) is new, but {known} is known and looks like the same person; \
         did a spreadsheet drop the zeros? Write the number as HR has it"
    )]
    LostZeros {
        /// The number in the file.
        staff_no: StaffNo,
        /// The person's name in the file.
        name: String,
        /// The number in the store.
        known: StaffNo,
    },
}

impl Serialize for Doubt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Compares a roster with the people the store has. Pure.
pub fn plan(roster: &Roster, existing: &HashMap<StaffNo, StoredPerson>) -> Plan {
    let bare: HashMap<&str, &StoredPerson> =
        existing.values().map(|p| (p.facts.staff_no.as_str().trim_start_matches('0'), p)).collect();
    let mut plan = Plan::default();
    for (staff_no, facts) in &roster.people {
        match existing.get(staff_no) {
            Some(known) if known.facts == *facts => plan.unchanged += 1,
            Some(known) => {
                plan.doubts.extend(another_person(&known.facts, facts));
                let (before, after) = (known.facts.clone(), facts.clone());
                plan.changed.push(Change { id: known.id, version: known.version, before, after });
            }
            None => {
                let twin = bare.get(staff_no.as_str().trim_start_matches('0'));
                plan.doubts.extend(twin.and_then(|known| lost_zeros(&known.facts, facts)));
                plan.added.push(facts.clone());
            }
        }
    }
    plan.absent = existing.keys().filter(|staff_no| !roster.people.contains_key(*staff_no)).count();
    plan
}

fn another_person(known: &PersonFacts, new: &PersonFacts) -> Option<Doubt> {
    // Whoever was made on the host has no day of birth: a file must not rename him (C6).
    let apart = known.birth_date.is_none_or(|known| new.birth_date.is_some_and(|new| known != new));
    (apart && !same_name(known, new)).then(|| Doubt::AnotherPerson {
        staff_no: new.staff_no.clone(),
        known: known.name.clone(),
        new: new.name.clone(),
    })
}

fn lost_zeros(known: &PersonFacts, new: &PersonFacts) -> Option<Doubt> {
    let born_alike = known.birth_date.is_some() && known.birth_date == new.birth_date;
    (born_alike || same_name(known, new)).then(|| Doubt::LostZeros {
        staff_no: new.staff_no.clone(),
        name: new.name.clone(),
        known: known.staff_no.clone(),
    })
}

fn same_name(a: &PersonFacts, b: &PersonFacts) -> bool {
    let form = |name: &str| matching_form(name).chars().filter(|c| !c.is_whitespace()).collect::<String>();
    form(&a.name) == form(&b.name)
}

impl Plan {
    /// The numbers of it.
    pub fn counts(&self) -> Counts {
        Counts { added: self.added.len(), changed: self.changed.len(), unchanged: self.unchanged, absent: self.absent }
    }

    /// Nothing to do?
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty()
    }

    /// Everybody who is touched, in the order of [`Self::people`]: who, and the version that was planned
    /// against, if he is known; and what he will be.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (Option<(PersonId, i64)>, &PersonFacts)> {
        let added = self.added.iter().map(|facts| (None, facts));
        added.chain(self.changed.iter().map(|change| (Some((change.id, change.version)), &change.after)))
    }

    /// Who is touched and how: added people first, then changed ones, each by staff number.
    pub fn people(&self) -> impl Iterator<Item = PersonReport> {
        let added = self.added.iter().map(|facts| PersonReport::of(None, facts));
        added.chain(self.changed.iter().map(|change| PersonReport::of(Some(&change.before), &change.after)))
    }
}

/// How many people an import touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// New.
    pub added: usize,
    /// Changed.
    pub changed: usize,
    /// As they were.
    pub unchanged: usize,
    /// In the store and not in the file: left alone.
    pub absent: usize,
}

/// One person of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersonReport {
    /// Who.
    pub staff_no: StaffNo,
    /// The name as the file has it.
    pub name: String,
    /// New, not changed.
    pub added: bool,
    /// What is different; everything, if new.
    pub fields: Vec<FieldChange>,
}

/// One thing HR says, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Which: a field of [`PersonFacts`].
    pub field: &'static str,
    /// Before; `null` if there was nothing. Days are ISO dates.
    pub before: Value,
    /// After.
    pub after: Value,
}

impl PersonReport {
    fn of(before: Option<&PersonFacts>, after: &PersonFacts) -> Self {
        let was: BTreeMap<_, _> = before.map(shown).unwrap_or_default().into_iter().collect();
        let differing = shown(after).into_iter().filter_map(|(field, after)| {
            let before = was.get(field).cloned().unwrap_or(Value::Null);
            (before != after).then_some(FieldChange { field, before, after })
        });
        Self {
            staff_no: after.staff_no.clone(),
            name: after.name.clone(),
            added: before.is_none(),
            fields: differing.collect(),
        }
    }

    /// The fields before and after, as a record's change has them; before is `null` for new people.
    pub fn change(&self) -> (Value, Value) {
        let side = |of: fn(&FieldChange) -> &Value| {
            Value::Object(self.fields.iter().map(|f| (f.field.to_owned(), of(f).clone())).collect::<Map<_, _>>())
        };
        let before = if self.added { Value::Null } else { side(|f| &f.before) };
        (before, side(|f| &f.after))
    }
}

fn shown(facts: &PersonFacts) -> [(&'static str, Value); 8] {
    let date = |day: Option<i32>| day.map_or(Value::Null, |day| day::iso(day).into());
    let post = |post: &Affiliation| {
        json!({
            "department": post.department, "occupation": post.occupation, "position": post.position,
            "main": post.main, "from": date(post.from), "until": date(post.until),
        })
    };
    let licence = |l: &Qualification| json!({ "kind": l.kind, "number": l.number, "expires": date(l.expires) });
    [
        ("name", facts.name.as_str().into()),
        ("kana", facts.kana.as_deref().into()),
        ("birth_date", date(facts.birth_date)),
        ("employment", facts.employment.as_str().into()),
        ("employed_from", date(facts.employed_from)),
        ("employed_until", date(facts.employed_until)),
        ("affiliations", facts.affiliations.iter().map(post).collect()),
        ("qualifications", facts.qualifications.iter().map(licence).collect()),
    ]
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Rows read.
    pub rows: usize,
    /// People by kind. The absent were left alone: the file is a delta.
    pub counts: Counts,
    /// Who was touched and how.
    pub people: Vec<PersonReport>,
    /// What deserves a look.
    pub warnings: Vec<RowProblem>,
    /// Columns of the file that the configuration doesn't name.
    pub ignored_columns: Vec<String>,
}

#[cfg(test)]
mod tests;
