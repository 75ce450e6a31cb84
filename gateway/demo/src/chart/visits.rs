use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use http::HeaderMap;
use http::header::COOKIE;
use model::hex;

/// Visits that are kept; the oldest goes when one more comes.
const BOUND: usize = 2_000;
/// The chart's own cookie, as application servers name it.
pub(super) const COOKIE_NAME: &str = "JSESSIONID";

/// One browser's visit by the chart's own account: the kind of server-side session that a hospital app
/// keeps, and that must not pass from one person at a terminal to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    id: String,
    /// Counted from the server's start.
    pub(super) number: u64,
    /// Whom the chart took the user for when the visit began.
    pub(super) begun_by: Option<String>,
    /// Pages seen in this visit.
    pub(super) pages: u64,
}

/// What a request's cookie led to.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) visit: Visit,
    /// The cookie to set, when the visit is new.
    pub(super) set_cookie: Option<String>,
}

impl Arrival {
    /// The visit was begun by somebody else: between two people at one terminal something was left over.
    pub(super) fn is_anothers(&self, user: Option<&str>) -> bool {
        self.visit.begun_by.as_deref() != user
    }
}

#[derive(Debug, Default)]
pub(super) struct Visits(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    begun: u64,
    visits: VecDeque<Visit>,
}

impl Visits {
    /// Finds the visit of the request's cookie or begins one.
    pub(super) fn arrive(&self, headers: &HeaderMap, user: Option<&str>) -> Arrival {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visit) = cookie(headers).and_then(|id| kept.visits.iter_mut().find(|v| v.id == id)) {
            visit.pages += 1;
            return Arrival { visit: visit.clone(), set_cookie: None };
        }
        kept.begun += 1;
        let visit = Visit { id: new_id(), number: kept.begun, begun_by: user.map(str::to_owned), pages: 1 };
        if kept.visits.len() >= BOUND {
            kept.visits.pop_front();
        }
        kept.visits.push_back(visit.clone());
        let set_cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly", visit.id);
        Arrival { visit, set_cookie: Some(set_cookie) }
    }

    /// Forgets the visit of the request's cookie.
    pub(super) fn leave(&self, headers: &HeaderMap) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = cookie(headers) {
            kept.visits.retain(|visit| visit.id != id);
        }
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME && !value.is_empty()).then_some(value))
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness the visit has the empty id, which no cookie matches.
    match rand::fill(&mut bytes) {
        Ok(()) => hex::of(&bytes),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        [(COOKIE, cookie.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_visit_is_found_by_its_cookie_and_tells_when_another_person_comes() {
        let visits = Visits::default();
        let first = visits.arrive(&HeaderMap::new(), Some("000123"));
        let set = first.set_cookie.unwrap();
        let pair = set.split(';').next().unwrap();
        let again = visits.arrive(&with(&format!("a=b; {pair}")), Some("000124"));
        assert_eq!((again.visit.number, again.visit.pages), (1, 2));
        assert!(again.set_cookie.is_none() && again.is_anothers(Some("000124")) && !again.is_anothers(Some("000123")));
        visits.leave(&with(pair));
        assert_eq!(visits.arrive(&with(pair), None).visit.number, 2);
    }

    #[test]
    fn the_number_of_visits_is_bounded() {
        let visits = Visits::default();
        for _ in 0..BOUND + 10 {
            visits.arrive(&HeaderMap::new(), None);
        }
        assert_eq!(visits.0.lock().unwrap().visits.len(), BOUND);
    }
}
