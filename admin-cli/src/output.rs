use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use crate::arguments::Format;

/// What a command found out.
pub(crate) struct Answer {
    value: Value,
    /// What people read in place of the value laid out as a table.
    lines: Option<Vec<String>>,
    good: bool,
}

impl Answer {
    /// All went well.
    pub(crate) fn good(value: Value) -> Self {
        Self { value, lines: None, good: true }
    }

    /// The command ran, and what it found is bad (a broken journal, a denied request): exit code 1.
    pub(crate) fn bad(value: Value) -> Self {
        Self { value, lines: None, good: false }
    }

    /// These lines instead of a table; `--output json` still has the value.
    pub(crate) fn in_lines(self, lines: Vec<String>) -> Self {
        Self { lines: Some(lines), ..self }
    }

    pub(crate) fn print(&self, format: Format) -> ExitCode {
        let text = match (format, &self.lines) {
            (Format::Json, _) => format!("{}\n", self.value),
            (Format::Table, None) => table(&self.value),
            (Format::Table, Some(lines)) if lines.is_empty() => NOTHING.to_owned(),
            (Format::Table, Some(lines)) => lines.iter().map(|line| shown(line) + "\n").collect(),
        };
        if io::stdout().write_all(text.as_bytes()).is_err() || !self.good {
            return ExitCode::from(1);
        }
        ExitCode::SUCCESS
    }
}

const NOTHING: &str = "(none)\n";

/// Why a command did not run. Exit codes: 2 usage or this host, 3 the server refused, 4 not reached.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something here is not as it should be.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// What somebody else's error says.
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        Self::local(error.to_string())
    }

    /// A file can't be used.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::local(format!("{}: {error}", path.display()))
    }

    /// What it says.
    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The server said no.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 3 }
    }

    /// The server could not be asked.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 4 }
    }

    pub(crate) fn print(&self, format: Format) -> ExitCode {
        let text = match format {
            Format::Json => format!("{}\n", json!({ "error": self.message })),
            Format::Table => format!("sekimorictl: {}\n", self.message),
        };
        // Nothing is left to be done when even standard error is gone.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.code)
    }
}

fn table(value: &Value) -> String {
    match value {
        Value::Object(fields) => match fields.iter().find(|(_, inner)| is_rows(inner)) {
            Some((name, rows)) => format!("{}{}", beside(fields, name), table(rows)),
            None => pairs(fields),
        },
        Value::Array(items) if items.is_empty() => NOTHING.to_owned(),
        Value::Array(items) if is_rows(value) => rows(items),
        Value::Array(items) => items.iter().map(|item| cell(item) + "\n").collect(),
        other => cell(other) + "\n",
    }
}

fn is_rows(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_object))
}

fn beside(fields: &Map<String, Value>, rows: &str) -> String {
    let rest: Map<_, _> =
        fields.iter().filter(|(name, _)| *name != rows).map(|(n, v)| (n.clone(), v.clone())).collect();
    if rest.is_empty() { String::new() } else { pairs(&rest) }
}

fn pairs(fields: &Map<String, Value>) -> String {
    let mut table = plain();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        table.add_row([name.clone(), cell(value)]);
    }
    format!("{table}\n")
}

fn rows(items: &[Value]) -> String {
    let mut columns: Vec<&String> = Vec::new();
    for fields in items.iter().filter_map(Value::as_object) {
        for name in fields.keys() {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    let mut table = plain();
    table.set_header(&columns);
    for item in items {
        table.add_row(columns.iter().map(|name| item.get(name.as_str()).map_or_else(String::new, cell)));
    }
    format!("{table}\n")
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A value on one line.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(fields) => {
            fields.iter().map(|(name, inner)| format!("{name}={}", cell(inner))).collect::<Vec<_>>().join(" ")
        }
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    shown(&text)
}

/// What a terminal could take for a command is shown, not sent.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_get_one_column_for_each_field_of_any_row() {
        let shown = table(&json!({ "records": [{ "a": 1 }, { "b": "二" }] }));
        let lines: Vec<Vec<&str>> = shown.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec!["a", "b"], vec!["1"], vec!["二"]]);
    }

    #[test]
    fn atk_a43_no_terminal_command_in_a_name_reaches_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[2Jb\r\n")), "a\u{fffd}[2Jb\u{fffd}\u{fffd}");
    }
}
