//! The option table's own grammar: what an option is, and how a document is read by it.
//!
//! [`table!`] declares a group of options once: the struct's field, its documentation, its kind and
//! bounds, what holds when it is absent, and an example. The parser, the reference page and the
//! sample file are all made from that declaration.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::{Place, Problem};
use crate::suggest;

/// A group of options as the reference page shows it.
pub(crate) struct TableSpec {
    pub(crate) about: &'static [&'static str],
    pub(crate) options: Vec<OptionSpec>,
}

/// One option as the reference page shows it.
pub(crate) struct OptionSpec {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) form: Form,
    pub(crate) presence: Presence,
    /// A value in TOML; empty for groups.
    pub(crate) example: &'static str,
}

/// What may stand behind an option's name.
pub(crate) enum Form {
    /// A value, described in words with its bounds.
    Value(String),
    /// `[name]`
    Table(TableSpec),
    /// `[[name]]`, any number
    Tables(TableSpec),
}

/// What holds when the option isn't there, and whether a change of it needs a restart.
#[derive(Clone, Copy)]
pub(crate) struct Presence {
    pub(crate) absent: Absent,
    pub(crate) restart: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It must be there.
    Required,
    /// This TOML value is read in its place.
    Default(&'static str),
    /// The kind knows what none means: nothing, no entries, a group of defaults.
    Empty,
}

impl Presence {
    /// A reload that changes this option is refused.
    pub(crate) const fn restart(self) -> Self {
        Self { restart: true, ..self }
    }

    pub(crate) const fn needs_restart(self) -> bool {
        self.restart
    }
}

pub(crate) const fn required() -> Presence {
    Presence { absent: Absent::Required, restart: false }
}

pub(crate) const fn default(toml: &'static str) -> Presence {
    Presence { absent: Absent::Default(toml), restart: false }
}

pub(crate) const fn empty() -> Presence {
    Presence { absent: Absent::Empty, restart: false }
}

/// A kind of value: how it is read, and how the reference page describes it.
pub(crate) trait Kind {
    type Out;

    /// Reads a value; what is wrong with it goes to the reader.
    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self::Out>;

    fn form(&self) -> Form;

    /// What [`Absent::Empty`] stands for.
    fn none(&self, _path: &str, _place: &Place, _reader: &mut Reader<'_>) -> Option<Self::Out> {
        None
    }
}

/// The form of a kind that yields `T`.
pub(crate) fn form_of<T>(kind: &impl Kind<Out = T>) -> Form {
    kind.form()
}

/// A group of options declared by [`table!`].
pub(crate) trait Table: Sized {
    fn spec() -> TableSpec;

    fn read(table: &DeTable<'_>, path: &str, place: &Place, reader: &mut Reader<'_>) -> Option<Self>;
}

/// Which options that need a restart differ between two configurations.
pub(crate) trait Restarts {
    fn restarts(&self, next: &Self, path: &str, found: &mut Vec<String>);
}

/// Lists of groups are read anew on each reload.
impl<T> Restarts for Vec<T> {
    fn restarts(&self, _next: &Self, _path: &str, _found: &mut Vec<String>) {}
}

/// Declares a group of options: `field: Type = kind, presence, example;`.
macro_rules! table {
    ($(#[doc = $about:literal])+ $vis:vis struct $name:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $kind:expr, $presence:expr, $example:literal;)*
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name { $($(#[doc = $doc])+ $vis $field: $type,)* }

        impl $crate::schema::Restarts for $name {
            fn restarts(&self, next: &Self, path: &str, found: &mut Vec<String>) {
                $(if $crate::schema::Presence::needs_restart($presence) && self.$field != next.$field {
                    found.push($crate::schema::join(path, stringify!($field)));
                })*
            }
        }

        impl $crate::schema::Table for $name {
            fn spec() -> $crate::schema::TableSpec {
                $crate::schema::TableSpec {
                    about: &[$($about),+],
                    options: vec![$($crate::schema::OptionSpec {
                        name: stringify!($field),
                        doc: &[$($doc),+],
                        form: $crate::schema::form_of::<$type>(&$kind),
                        presence: $presence,
                        example: $example,
                    }),*],
                }
            }

            fn read(
                table: &toml::de::DeTable<'_>,
                path: &str,
                place: &$crate::report::Place,
                reader: &mut $crate::schema::Reader<'_>,
            ) -> Option<Self> {
                reader.refuse_unknown(table, &[$(stringify!($field)),*]);
                $(let $field: Option<$type> =
                    reader.option(table, path, place, stringify!($field), &$kind, $presence);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
pub(crate) use table;

/// Declares the groups of a whole document, and a draft of it in which a group that can't be read
/// is left out, so that the checks across groups still see the others.
macro_rules! document {
    ($(#[doc = $about:literal])+ pub struct $name:ident, $draft:ident {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $kind:expr;)*
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $type,)* }

        #[derive(Debug)]
        pub(crate) struct $draft { $(pub(crate) $field: Option<$type>,)* }

        impl $draft {
            /// The document, if every group of it was read.
            pub(crate) fn whole(self) -> Option<$name> {
                Some($name { $($field: self.$field?,)* })
            }
        }

        impl $name {
            /// Options that differ in `next` and can't change while the gateway runs.
            pub(crate) fn restarts(&self, next: &Self) -> Vec<String> {
                let mut found = Vec::new();
                $($crate::schema::Restarts::restarts(&self.$field, &next.$field, stringify!($field), &mut found);)*
                found
            }
        }

        impl $crate::schema::Table for $draft {
            fn spec() -> $crate::schema::TableSpec {
                $crate::schema::TableSpec {
                    about: &[$($about),+],
                    options: vec![$($crate::schema::OptionSpec {
                        name: stringify!($field),
                        doc: &[$($doc),+],
                        form: $crate::schema::form_of::<$type>(&$kind),
                        presence: $crate::schema::empty(),
                        example: "",
                    }),*],
                }
            }

            fn read(
                table: &toml::de::DeTable<'_>,
                path: &str,
                place: &$crate::report::Place,
                reader: &mut $crate::schema::Reader<'_>,
            ) -> Option<Self> {
                reader.refuse_unknown(table, &[$(stringify!($field)),*]);
                Some(Self { $($field: reader.option(
                    table, path, place, stringify!($field), &$kind, $crate::schema::empty(),
                ),)* })
            }
        }
    };
}
pub(crate) use document;

/// One file on its way to typed options: collects what is wrong, and where everything stood.
pub(crate) struct Reader<'t> {
    file: Arc<str>,
    text: &'t str,
    folder: PathBuf,
    problems: Vec<Problem>,
    places: Places,
    files: Vec<(String, PathBuf)>,
    /// Something required is missing or wrong, so that what was read isn't the whole file.
    incomplete: bool,
}

/// Where each option of a file stood, by its path (`session.lock_after`, `zones[1].networks[0]`).
#[derive(Default)]
pub(crate) struct Places(HashMap<String, Place>);

impl Places {
    /// The place of `path`, else of the nearest thing around it, else the fallback.
    pub(crate) fn of(&self, path: &str, fallback: &Place) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return place.clone();
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = path.get(..at).unwrap_or(""),
                None => return fallback.clone(),
            }
        }
    }
}

/// What reading one file gave.
pub(crate) struct Document<T> {
    pub(crate) value: Option<T>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) places: Places,
    /// The files and directories that it names, by option.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// Nothing of the file was lost on the way.
    pub(crate) complete: bool,
}

/// Reads `text` as a document whose top is the table `T`.
pub(crate) fn read<T: Table>(file: &Arc<str>, text: &str, folder: &Path) -> Document<T> {
    let (top, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(file, text, folder);
    let syntax: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let offset = error.span().map_or(text.len(), |span| span.start);
            Place::of(file, text, offset).problem(error.message())
        })
        .collect();
    let value = T::read(top.get_ref(), "", &Place::start(file), &mut reader);
    let mut problems = reader.problems;
    if !syntax.is_empty() {
        // What the parser skipped isn't missing, and a broken line is told once.
        problems.retain(|p| !p.message.starts_with(MISSING) && syntax.iter().all(|s| s.line != p.line));
    }
    let complete = !reader.incomplete && syntax.is_empty();
    problems.extend(syntax);
    Document { value, problems, places: reader.places, files: reader.files, complete }
}

const MISSING: &str = "missing ";

impl<'t> Reader<'t> {
    fn new(file: &Arc<str>, text: &'t str, folder: &Path) -> Self {
        Self {
            file: Arc::clone(file),
            text,
            folder: folder.to_owned(),
            problems: Vec::new(),
            places: Places::default(),
            files: Vec::new(),
            incomplete: false,
        }
    }

    /// Notes a problem at a place of the text.
    pub(crate) fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        let place = self.place(span);
        self.problems.push(place.problem(message));
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place::of(&self.file, self.text, span.start)
    }

    /// Remembers where the thing at `path` stands.
    pub(crate) fn remember(&mut self, path: &str, span: Range<usize>) {
        let place = self.place(span);
        self.places.0.insert(path.to_owned(), place);
    }

    /// Remembers that the option at `path` names a file.
    pub(crate) fn names_file(&mut self, path: &str, file: &Path) {
        self.files.push((path.to_owned(), file.to_owned()));
    }

    /// What relative paths are relative to.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Something was left out of a list of tables.
    pub(crate) fn lost(&mut self) {
        self.incomplete = true;
    }

    pub(crate) fn refuse_unknown(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let hint =
                    suggest::closest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                self.problem(key.span(), format!("unknown key `{name}`{hint}"));
            }
        }
    }

    /// Reads one option of a table. A wrong value with a default goes on as the default, so that
    /// the checks behind it still run; the problem is noted either way.
    pub(crate) fn option<K: Kind>(
        &mut self,
        table: &DeTable<'_>,
        path: &str,
        place: &Place,
        name: &str,
        kind: &K,
        presence: Presence,
    ) -> Option<K::Out> {
        let path = join(path, name);
        if let Some(value) = table.get(name) {
            self.remember(&path, value.span());
            return match kind.read(value, &path, self) {
                Some(read) => Some(read),
                None => self.in_place_of_a_wrong_one(kind, presence, &path),
            };
        }
        match presence.absent {
            Absent::Default(toml) => self.default_value(kind, toml, &path),
            Absent::Empty => kind.none(&path, place, self),
            Absent::Required => {
                self.problems.push(place.problem(format!("{MISSING}`{path}`")));
                self.incomplete = true;
                None
            }
        }
    }

    /// What the checks behind go on with; that the value is wrong has been told.
    fn in_place_of_a_wrong_one<K: Kind>(&mut self, kind: &K, presence: Presence, path: &str) -> Option<K::Out> {
        self.incomplete = true;
        match presence.absent {
            Absent::Default(toml) => self.default_value(kind, toml, path),
            Absent::Empty => {
                let mut aside = Reader::new(&self.file, "", &self.folder);
                kind.none(path, &Place::start(&self.file), &mut aside)
            }
            Absent::Required => None,
        }
    }

    /// Reads a default by the same rules as a written value; it stands nowhere in the file.
    fn default_value<K: Kind>(&mut self, kind: &K, toml: &str, path: &str) -> Option<K::Out> {
        let value = DeValue::parse(toml).ok()?;
        let mut aside = Reader::new(&self.file, toml, &self.folder);
        let read = kind.read(&value, path, &mut aside);
        self.problems.append(&mut aside.problems);
        read
    }
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
