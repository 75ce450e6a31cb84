//! Method and path to action: a tree of segments, where what is written literally goes before a
//! parameter and a parameter before a rest, from the left; the most specific pattern wins.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::{ActionId, AppId};
use crate::path::{Path, fold};
use crate::pattern::{Pattern, Segment};

/// What a method and a path are to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// An action.
    Action(Routed),
    /// No pattern holds the path, or the path is ambiguous.
    NoPath,
    /// The most specific pattern of the path has other methods: these, sorted.
    MethodNotAllowed(Vec<String>),
}

/// An action and what its pattern caught of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The action.
    pub action: ActionId,
    /// Parameter names and the raw text of each, percent-encoded as it came, without `;` parameters
    /// (those of a `{*rest}` are left in).
    pub params: Vec<(Arc<str>, String)>,
}

impl Routed {
    /// The raw text of a path parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| &**n == name).map(|(_, text)| text.as_str())
    }
}

/// One action's claim of a method on a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Index of the action in its app.
    pub(crate) action: usize,
    /// Index of the pattern in the action's paths.
    pub(crate) path: usize,
    names: Arc<[Arc<str>]>,
}

/// All patterns of one app.
#[derive(Debug, Default)]
pub(crate) struct Router {
    raw: Tree,
    /// The same patterns [`fold`]ed; its ends are lists of the ends of `raw`.
    folded: Tree,
    ends: Vec<End>,
    folded_ends: Vec<Vec<usize>>,
}

/// Where a pattern ends: its shape's specificity and who claims which method.
#[derive(Debug)]
struct End {
    rank: Vec<Rank>,
    claims: HashMap<String, Claim>,
}

/// How specific a segment is; less is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Literal,
    Parameter,
    Rest,
}

impl Router {
    /// Adds an action's pattern; those methods come back that another action (or this one, by another
    /// spelling of the same pattern) already claims, with its claim.
    pub(crate) fn insert(
        &mut self,
        pattern: &Pattern,
        methods: &[String],
        action: usize,
        path: usize,
    ) -> Vec<(String, Claim)> {
        let at = self.end_of(pattern);
        let claim = Claim { action, path, names: pattern.parameters().cloned().collect::<Vec<_>>().into() };
        let mut conflicts = Vec::new();
        let Some(end) = self.ends.get_mut(at) else { return conflicts };
        // HEAD is GET without a body: whoever may GET, and nobody else, may ask for it.
        let implied = methods.iter().any(|m| m == "GET") && !methods.iter().any(|m| m == "HEAD");
        let head = "HEAD".to_owned();
        for method in methods.iter().chain(implied.then_some(&head)) {
            match end.claims.get(method) {
                Some(other) => conflicts.push((method.clone(), other.clone())),
                None => drop(end.claims.insert(method.clone(), claim.clone())),
            }
        }
        conflicts
    }

    /// The index of the pattern's end, made where there is none.
    fn end_of(&mut self, pattern: &Pattern) -> usize {
        let fresh = self.ends.len();
        let at = self.raw.insert(pattern, |text| text.as_bytes().into(), fresh);
        if at == fresh {
            let rank = pattern.segments.iter().map(Rank::of).collect();
            self.ends.push(End { rank, claims: HashMap::new() });
        }
        let fresh = self.folded_ends.len();
        let folded = self.folded.insert(pattern, |text| fold(text).into_owned().into(), fresh);
        if folded == fresh {
            self.folded_ends.push(Vec::new());
        }
        if let Some(ends) = self.folded_ends.get_mut(folded)
            && !ends.contains(&at)
        {
            ends.push(at);
        }
        at
    }

    pub(crate) fn route(&self, app: AppId, method: &str, path: &Path<'_>) -> Routing {
        let mut caught = Vec::new();
        let Some(at) = self.raw.find(&path.segments, &mut caught) else { return Routing::NoPath };
        let Some(end) = self.ends.get(at) else { return Routing::NoPath };
        let claim = end.claims.get(method);
        if self.reads_otherwise(at, end, claim, method, path) {
            return Routing::NoPath;
        }
        match claim {
            Some(claim) => Routing::Action(Routed {
                action: ActionId { app, action: claim.action },
                params: claim.names.iter().cloned().zip(caught.iter().map(|c| c.text(path))).collect(),
            }),
            None => {
                let mut methods: Vec<_> = end.claims.keys().cloned().collect();
                methods.sort_unstable();
                Routing::MethodNotAllowed(methods)
            }
        }
    }

    /// Whether an upstream that decodes, ignores case or adds or drops a final slash would be at a more
    /// specific pattern than the raw path is, and one of another action (A1: `/%61dmin` must not pass
    /// as `/{*rest}` where there is an `/admin`).
    fn reads_otherwise(&self, at: usize, end: &End, claim: Option<&Claim>, method: &str, path: &Path<'_>) -> bool {
        if end.rank.iter().all(|rank| *rank == Rank::Literal) {
            return false;
        }
        let final_slash = path.segments.last().is_some_and(|segment| segment.is_empty());
        // A segment of which nothing is left is as good as none: `/.../admin`.
        let mut segments: Vec<Cow<'_, [u8]>> =
            path.segments.iter().map(|s| fold(s)).filter(|s| !s.is_empty()).collect();
        segments.extend(final_slash.then_some(Cow::Borrowed(&b""[..])));
        if self.leads_elsewhere(&segments, at, end, claim, method) {
            return true;
        }
        if segments.len() > 1 && segments.last().is_some_and(|s| s.is_empty()) {
            segments.pop();
        } else {
            segments.push(Cow::Borrowed(b""));
        }
        self.leads_elsewhere(&segments, at, end, claim, method)
    }

    fn leads_elsewhere(
        &self,
        segments: &[Cow<'_, [u8]>],
        at: usize,
        end: &End,
        claim: Option<&Claim>,
        method: &str,
    ) -> bool {
        let Some(folded) = self.folded.find(segments, &mut Vec::new()) else { return false };
        let Some(ends) = self.folded_ends.get(folded) else { return true };
        if ends.contains(&at) {
            return false;
        }
        let action = claim.map(|claim| claim.action);
        ends.iter().filter_map(|end| self.ends.get(*end)).any(|other| {
            let more_specific = other.rank.iter().zip(&end.rank).find(|(a, b)| a != b).is_some_and(|(a, b)| a < b);
            more_specific && other.claims.get(method).map(|claim| claim.action) != action
        })
    }
}

impl Rank {
    const fn of(segment: &Segment) -> Self {
        match segment {
            Segment::Literal(_) => Self::Literal,
            Segment::Parameter(_) => Self::Parameter,
            Segment::Rest(_) => Self::Rest,
        }
    }
}

/// A parameter's place in the path.
#[derive(Clone, Copy, Debug)]
enum Caught {
    Segment(usize),
    From(usize),
}

impl Caught {
    fn text(self, path: &Path<'_>) -> String {
        match self {
            Self::Segment(at) => path.segments.get(at).copied().unwrap_or_default().to_owned(),
            Self::From(at) => path.tail_at(at).to_owned(),
        }
    }
}

/// Patterns by their segments; an end is the caller's index.
#[derive(Debug, Default)]
struct Tree {
    literals: HashMap<Box<[u8]>, Tree>,
    parameter: Option<Box<Tree>>,
    rest: Option<usize>,
    end: Option<usize>,
}

impl Tree {
    /// The end of this shape: the one that is there, else `fresh`.
    fn insert(&mut self, pattern: &Pattern, literal: impl Fn(&str) -> Box<[u8]>, fresh: usize) -> usize {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(literal(text)).or_default(),
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Rest(_) => return *node.rest.get_or_insert(fresh),
            };
        }
        *node.end.get_or_insert(fresh)
    }

    /// The most specific end that holds the segments. Each node is looked at once at most and the depth is
    /// that of the patterns, so that no path makes it slow.
    fn find<S: AsRef<[u8]>>(&self, segments: &[S], caught: &mut Vec<Caught>) -> Option<usize> {
        self.find_from(0, segments, caught)
    }

    fn find_from<S: AsRef<[u8]>>(&self, at: usize, segments: &[S], caught: &mut Vec<Caught>) -> Option<usize> {
        let Some(segment) = segments.get(at).map(AsRef::as_ref) else { return self.end };
        if let Some(found) = self.literals.get(segment).and_then(|node| node.find_from(at + 1, segments, caught)) {
            return Some(found);
        }
        if let Some(node) = self.parameter.as_deref().filter(|_| !segment.is_empty()) {
            let before = caught.len();
            caught.push(Caught::Segment(at));
            if let Some(found) = node.find_from(at + 1, segments, caught) {
                return Some(found);
            }
            caught.truncate(before);
        }
        if self.rest.is_some() {
            caught.push(Caught::From(at));
        }
        self.rest
    }
}

#[cfg(test)]
mod tests;
