//! The kinds of values an option may have.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::Place;
use crate::schema::{Form, Kind, Reader, Table, join};
use crate::values;

/// No list in a file is longer.
const MAX_ENTRIES: usize = 4_096;

/// A string that means something: `parse` says what, or why not.
pub(crate) struct Word<T> {
    form: String,
    parse: Parse<T>,
}

/// What the string means, or why nothing.
type Parse<T> = Box<dyn Fn(&str) -> Result<T, String>>;

/// A string with a meaning of its own.
pub(crate) fn word<T>(form: impl Into<String>, parse: impl Fn(&str) -> Result<T, String> + 'static) -> Word<T> {
    Word { form: form.into(), parse: Box::new(parse) }
}

impl<T> Kind for Word<T> {
    type Out = T;

    fn read(&self, value: &Spanned<DeValue<'_>>, _path: &str, reader: &mut Reader<'_>) -> Option<T> {
        let Some(text) = value.get_ref().as_str() else {
            return mistyped(&self.form, value, reader);
        };
        (self.parse)(text).map_err(|why| reader.problem(value.span(), why)).ok()
    }

    fn form(&self) -> Form {
        Form::Value(self.form.clone())
    }
}

fn mistyped<T>(wanted: &str, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<T> {
    let found = value.get_ref().type_str();
    reader.problem(value.span(), format!("expected {wanted}, found {} {found}", article(found)));
    None
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Any text of 1 to `max` characters without control characters.
pub(crate) fn text(max: usize) -> Word<String> {
    word(format!("text of 1 to {max} characters"), move |text| {
        let length = text.chars().count();
        if length == 0 || length > max || text.trim() != text {
            return Err(format!("expected 1 to {max} characters without spaces around them"));
        }
        if text.chars().any(char::is_control) {
            return Err("control characters are not allowed".to_owned());
        }
        Ok(text.to_owned())
    })
}

/// A name that rules and records use: lower case, digits, `-`, beginning with a letter.
pub(crate) fn name() -> Word<String> {
    word("name: `a-z`, digits and `-`, at most 32, beginning with a letter", |text| {
        values::name(text).map(str::to_owned)
    })
}

/// A DNS host name in lower case.
pub(crate) fn host() -> Word<Arc<str>> {
    word("host name in lower case, without port", |text| values::host(text).map(Arc::from))
}

/// A duration within bounds (themselves durations).
pub(crate) fn duration(bounds: RangeInclusive<&'static str>) -> Word<Duration> {
    let form = format!("duration from `{}` to `{}`", bounds.start(), bounds.end());
    word(form, move |text| {
        let span = values::duration(text)?;
        let low = values::duration(bounds.start())?;
        let high = values::duration(bounds.end())?;
        if (low..=high).contains(&span) {
            Ok(span)
        } else {
            Err(format!("`{text}` is outside `{}` to `{}`", bounds.start(), bounds.end()))
        }
    })
}

/// A file or directory; relative to the configuration file's folder.
pub(crate) struct FilePath;

pub(crate) fn path() -> FilePath {
    FilePath
}

impl Kind for FilePath {
    type Out = PathBuf;

    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<PathBuf> {
        let relative = text(1_024).read(value, path, reader)?;
        let file = reader.folder().join(relative);
        reader.names_file(path, &file);
        Some(file)
    }

    fn form(&self) -> Form {
        Form::Value("path, relative to this file's folder".to_owned())
    }
}

/// A whole number within bounds.
pub(crate) struct Integer<T>(RangeInclusive<T>);

pub(crate) fn integer<T>(bounds: RangeInclusive<T>) -> Integer<T> {
    Integer(bounds)
}

impl<T: TryFrom<i64> + PartialOrd + std::fmt::Display> Kind for Integer<T> {
    type Out = T;

    fn read(&self, value: &Spanned<DeValue<'_>>, _path: &str, reader: &mut Reader<'_>) -> Option<T> {
        let Some(number) = value.get_ref().as_integer() else {
            return mistyped("a whole number", value, reader);
        };
        let read = i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|n| T::try_from(n).ok())
            .filter(|n| self.0.contains(n));
        if read.is_none() {
            reader.problem(value.span(), format!("`{number}` is outside {} to {}", self.0.start(), self.0.end()));
        }
        read
    }

    fn form(&self) -> Form {
        Form::Value(format!("whole number from {} to {}", self.0.start(), self.0.end()))
    }
}

/// A number of bytes, as `"64KiB"` or as a plain number, within bounds.
pub(crate) struct Size(RangeInclusive<&'static str>);

pub(crate) fn size(bounds: RangeInclusive<&'static str>) -> Size {
    Size(bounds)
}

impl Kind for Size {
    type Out = usize;

    fn read(&self, value: &Spanned<DeValue<'_>>, _path: &str, reader: &mut Reader<'_>) -> Option<usize> {
        let read = match value.get_ref() {
            DeValue::String(text) => values::size(text),
            DeValue::Integer(number) => {
                usize::from_str_radix(number.as_str(), number.radix()).map_err(|_| format!("`{number}` is not a size"))
            }
            _ => return mistyped("a size such as `64KiB`", value, reader),
        };
        let bounds = values::size(self.0.start()).and_then(|low| Ok(low..=values::size(self.0.end())?));
        let checked = read.and_then(|bytes| match bounds {
            Ok(bounds) if bounds.contains(&bytes) => Ok(bytes),
            _ => Err(format!("{bytes} bytes is outside `{}` to `{}`", self.0.start(), self.0.end())),
        });
        checked.map_err(|why| reader.problem(value.span(), why)).ok()
    }

    fn form(&self) -> Form {
        Form::Value(format!("size from `{}` to `{}`", self.0.start(), self.0.end()))
    }
}

/// `true` or `false`.
pub(crate) struct Flag;

pub(crate) fn flag() -> Flag {
    Flag
}

impl Kind for Flag {
    type Out = bool;

    fn read(&self, value: &Spanned<DeValue<'_>>, _path: &str, reader: &mut Reader<'_>) -> Option<bool> {
        match value.get_ref().as_bool() {
            Some(flag) => Some(flag),
            None => mistyped("true or false", value, reader),
        }
    }

    fn form(&self) -> Form {
        Form::Value("`true` or `false`".to_owned())
    }
}

/// One of a few words.
pub(crate) fn choice<T: Copy + 'static>(choices: &'static [(&'static str, T)]) -> Word<T> {
    let form = choices.iter().map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ");
    let wanted = form.clone();
    word(form, move |text| {
        choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, choice)| *choice)
            .ok_or_else(|| format!("`{text}` is none of: {wanted}"))
    })
}

/// The value or nothing.
pub(crate) struct Optional<K>(K);

pub(crate) fn optional<K>(kind: K) -> Optional<K> {
    Optional(kind)
}

impl<K: Kind> Kind for Optional<K> {
    type Out = Option<K::Out>;

    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self::Out> {
        self.0.read(value, path, reader).map(Some)
    }

    fn form(&self) -> Form {
        self.0.form()
    }

    fn none(&self, _path: &str, _place: &Place, _reader: &mut Reader<'_>) -> Option<Self::Out> {
        Some(None)
    }
}

/// A list of values, each different.
pub(crate) struct List<K>(K);

pub(crate) fn list<K>(kind: K) -> List<K> {
    List(kind)
}

impl<K: Kind> Kind for List<K>
where
    K::Out: PartialEq,
{
    type Out = Vec<K::Out>;

    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self::Out> {
        let Some(array) = value.get_ref().as_array() else {
            return mistyped("a list", value, reader);
        };
        if array.len() > MAX_ENTRIES {
            reader.problem(value.span(), format!("more than {MAX_ENTRIES} entries"));
            return None;
        }
        let mut read = Vec::with_capacity(array.len());
        let mut whole = true;
        for entry in array.iter() {
            let path = format!("{path}[{}]", read.len());
            reader.remember(&path, entry.span());
            match self.0.read(entry, &path, reader) {
                Some(twin) if read.contains(&twin) => {
                    reader.problem(entry.span(), "this entry is there twice");
                    whole = false;
                }
                Some(entry) => read.push(entry),
                None => whole = false,
            }
        }
        whole.then_some(read)
    }

    fn form(&self) -> Form {
        match self.0.form() {
            Form::Value(words) => Form::Value(format!("list of: {words}")),
            table => table,
        }
    }

    fn none(&self, _path: &str, _place: &Place, _reader: &mut Reader<'_>) -> Option<Self::Out> {
        Some(Vec::new())
    }
}

/// An inline table of texts, both sides free.
pub(crate) struct Dictionary;

pub(crate) fn dictionary() -> Dictionary {
    Dictionary
}

impl Kind for Dictionary {
    type Out = BTreeMap<String, String>;

    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Self::Out> {
        let Some(table) = value.get_ref().as_table() else {
            return mistyped("a table of texts", value, reader);
        };
        let mut read = BTreeMap::new();
        for (key, value) in table {
            let word = text(256).read(value, &join(path, key.get_ref()), reader)?;
            read.insert(key.get_ref().clone().into_owned(), word);
        }
        Some(read)
    }

    fn form(&self) -> Form {
        Form::Value("table of texts: what the file says, and what it means".to_owned())
    }

    fn none(&self, _path: &str, _place: &Place, _reader: &mut Reader<'_>) -> Option<Self::Out> {
        Some(BTreeMap::new())
    }
}

/// A group of options, `[name]`.
pub(crate) struct Group<T>(std::marker::PhantomData<T>);

pub(crate) fn group<T>() -> Group<T> {
    Group(std::marker::PhantomData)
}

impl<T: Table> Kind for Group<T> {
    type Out = T;

    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<T> {
        match value.get_ref().as_table() {
            Some(table) => {
                let place = reader.place(value.span());
                T::read(table, path, &place, reader)
            }
            None => mistyped("a table", value, reader),
        }
    }

    fn form(&self) -> Form {
        Form::Table(T::spec())
    }

    fn none(&self, path: &str, place: &Place, reader: &mut Reader<'_>) -> Option<T> {
        T::read(&DeTable::new(), path, place, reader)
    }
}

/// Any number of groups, `[[name]]`.
pub(crate) struct Groups<T>(std::marker::PhantomData<T>);

pub(crate) fn groups<T>() -> Groups<T> {
    Groups(std::marker::PhantomData)
}

impl<T: Table> Kind for Groups<T> {
    type Out = Vec<T>;

    /// An entry that can't be read is left out and said so; the others keep counting from where it stood.
    fn read(&self, value: &Spanned<DeValue<'_>>, path: &str, reader: &mut Reader<'_>) -> Option<Vec<T>> {
        let Some(array) = value.get_ref().as_array() else {
            return mistyped(&format!("a list of tables, `[[{path}]]`"), value, reader);
        };
        if array.len() > MAX_ENTRIES {
            reader.problem(value.span(), format!("more than {MAX_ENTRIES} entries"));
            return None;
        }
        let mut read = Vec::with_capacity(array.len());
        for entry in array.iter() {
            let path = format!("{path}[{}]", read.len());
            reader.remember(&path, entry.span());
            match group::<T>().read(entry, &path, reader) {
                Some(entry) => read.push(entry),
                None => reader.lost(),
            }
        }
        Some(read)
    }

    fn form(&self) -> Form {
        Form::Tables(T::spec())
    }

    fn none(&self, _path: &str, _place: &Place, _reader: &mut Reader<'_>) -> Option<Vec<T>> {
        Some(Vec::new())
    }
}
