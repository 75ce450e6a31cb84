//! HR data to roles. Days are counted from 1970-01-01 in the site's time zone.

use std::collections::HashMap;

use crate::rules::Birthright;

/// What HR says of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HrFacts {
    /// The kind of employment 雇用区分.
    pub employment: String,
    /// First day of employment; `None`: long ago.
    pub employed_from: Option<i32>,
    /// Last day of employment, itself included; `None`: no end known.
    pub employed_until: Option<i32>,
    /// Posts, main and concurrent.
    pub affiliations: Vec<Affiliation>,
    /// National licences.
    pub qualifications: Vec<Qualification>,
}

/// A person's post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affiliation {
    /// Department 部署.
    pub department: String,
    /// Occupation 職種.
    pub occupation: String,
    /// Position 役職; empty: none.
    pub position: String,
    /// The main one; the others are concurrent 兼務.
    pub main: bool,
    /// First day; `None`: long ago.
    pub from: Option<i32>,
    /// Last day, itself included; `None`: no end known.
    pub until: Option<i32>,
}

/// A national licence 資格.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qualification {
    /// Which.
    pub kind: String,
    /// Last day on which it is valid; `None`: it doesn't expire.
    pub expires: Option<i32>,
}

/// The roles that HR data gives on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Birthrights {
    /// Each rule that holds, in the order of the rule set; a role may stand there more than once.
    pub held: Vec<Held>,
    /// The first day after today on which the answer may be another; `None`: not until the data change.
    pub valid_until_day: Option<i32>,
}

/// A role and the birthright rule that gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The role.
    pub role: String,
    /// The rule's name.
    pub rule: String,
}

/// The rules by what must be true for each, so that a look-up doesn't grow with all rules of a site.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_key: HashMap<Key, Vec<usize>>,
    /// Rules that ask for none of the keys.
    any: Vec<usize>,
}

/// One value of the first list that a rule fills.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Department(String),
    Occupation(String),
    Position(String),
    Qualification(String),
}

impl Index {
    pub(crate) fn new(rules: &[Birthright]) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            let (values, key): (_, fn(String) -> Key) = if !rule.department.is_empty() {
                (&rule.department, Key::Department)
            } else if !rule.occupation.is_empty() {
                (&rule.occupation, Key::Occupation)
            } else if !rule.position.is_empty() {
                (&rule.position, Key::Position)
            } else if !rule.qualification.is_empty() {
                (&rule.qualification, Key::Qualification)
            } else {
                index.any.push(at);
                continue;
            };
            for value in values {
                index.by_key.entry(key(value.clone())).or_default().push(at);
            }
        }
        index
    }

    pub(crate) fn held(&self, rules: &[Birthright], facts: &HrFacts, today: i32) -> Birthrights {
        let valid_until_day = next_change(facts, today);
        if !within(facts.employed_from, facts.employed_until, today) {
            return Birthrights { held: Vec::new(), valid_until_day };
        }
        let posts: Vec<_> = facts.affiliations.iter().filter(|a| within(a.from, a.until, today)).collect();
        let licences: Vec<_> = facts.qualifications.iter().filter(|q| within(None, q.expires, today)).collect();
        let keys = posts.iter().flat_map(|post| {
            [
                Key::Department(post.department.clone()),
                Key::Occupation(post.occupation.clone()),
                Key::Position(post.position.clone()),
            ]
        });
        let keys = keys.chain(licences.iter().map(|licence| Key::Qualification(licence.kind.clone())));
        let mut candidates = self.any.clone();
        candidates.extend(keys.filter_map(|key| self.by_key.get(&key)).flatten());
        candidates.sort_unstable();
        candidates.dedup();
        let held = candidates
            .into_iter()
            .filter_map(|at| rules.get(at))
            .filter(|rule| holds(rule, facts, &posts, &licences))
            .map(|rule| Held { role: rule.role.clone(), rule: rule.name.clone() })
            .collect();
        Birthrights { held, valid_until_day }
    }
}

/// `posts` and `licences` are those effective on the day. Who has no post that day has no birthright.
fn holds(rule: &Birthright, facts: &HrFacts, posts: &[&Affiliation], licences: &[&Qualification]) -> bool {
    let any_or = |list: &[String], value: &String| list.is_empty() || list.contains(value);
    any_or(&rule.employment, &facts.employment)
        && (rule.qualification.is_empty() || licences.iter().any(|licence| rule.qualification.contains(&licence.kind)))
        && posts.iter().any(|post| {
            any_or(&rule.occupation, &post.occupation)
                && any_or(&rule.department, &post.department)
                && any_or(&rule.position, &post.position)
        })
}

fn within(from: Option<i32>, until: Option<i32>, day: i32) -> bool {
    from.is_none_or(|from| from <= day) && until.is_none_or(|until| day <= until)
}

/// The first day after today on which anything begins or has ended.
fn next_change(facts: &HrFacts, today: i32) -> Option<i32> {
    let begins = facts.affiliations.iter().map(|a| a.from).chain([facts.employed_from]).flatten();
    let ends = facts.affiliations.iter().map(|a| a.until).chain([facts.employed_until]);
    let ends = ends.chain(facts.qualifications.iter().map(|q| q.expires)).flatten();
    // A last day that no calendar follows never ends.
    begins.chain(ends.filter_map(|last| last.checked_add(1))).filter(|day| *day > today).min()
}

#[cfg(test)]
mod tests;
