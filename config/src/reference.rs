//! The reference page and the sample file, written from the option table.

use std::fmt::Write as _;

use crate::rules_file::RulesFile;
use crate::schema::{Absent, Form, OptionSpec, Table, TableSpec, join};
use crate::settings::Draft;

/// `docs/configuration.md`: every option with its meaning, values and default.
pub fn reference_page() -> String {
    let mut page = String::from(REFERENCE_HEAD);
    groups(&mut page, &Draft::spec(), "");
    page.push_str(POLICY_HEAD);
    groups(&mut page, &RulesFile::spec(), "");
    page.push_str(REFERENCE_TAIL);
    page
}

const REFERENCE_HEAD: &str = "\
# Configuration

<!-- Written from the option table in config/src by
     `SEKIMORI_WRITE_REFERENCE=1 cargo test -p sekimori-config`; a test holds both in agreement. -->

The gateway reads one TOML file, `sekimori.toml`, and every `*.toml` in the folder `policy/` beside it.
`sekimorictl config check FILE` runs the same checks as start-up and reload, and tells everything that
is wrong at once, one problem a line, as `file:line:column: message`. An unknown key is a problem.

`SIGHUP` reloads: if anything is wrong, the running configuration stays in force and the reason is
logged. A change of an option marked *restart* refuses the reload too.

Durations are written `250ms`, `10s`, `5m`, `12h`, `14d`; sizes `512B`, `64KiB`, `64MiB`, `1GiB`. Relative
paths are relative to the main file's folder. A commented sample is
[config/examples/sekimori.toml](../config/examples/sekimori.toml).

# The main file
";

const POLICY_HEAD: &str = "
# The policy folder

All files of the folder are one rule set; how it is spread over them is for the reader's sake. A whole
example is [config/examples/demo/policy](../config/examples/demo/policy). Where clients sit behind
network address translation they share one address, and with it one zone and one rate limit.
";

const REFERENCE_TAIL: &str = "
## The portal's own actions

The portal is the app `sekimori`. It is always there, on `portal.host`; writing an app of that name is
an error. Everybody may log in, lock, unlock and see his own sessions; what needs a role are these
actions of the admin API under `/.sekimori/api/v1/`:

| action | paths | what for |
|---|---|---|
| `hr` | `hr`, `hr/…` | import HR data |
| `enrolment` | `enrolment`, `enrolment/…` | record proofing, issue enrolment codes |
| `session` | `session`, `session/…` | end other people's sessions |
| `policy` | `policy`, `policy/…` | ask what the rules would say |
| `audit` | `audit`, `audit/…` | read the journal |

```toml
[[role]]
name = \"registrar\"
title = { ja = \"登録担当\", en = \"Registrar\" }
privileged = true

[[role.permit]]
app = \"sekimori\"
actions = [\"hr\", \"enrolment\"]
```
";

/// A section for each group, the groups inside it after it.
fn groups(page: &mut String, spec: &TableSpec, path: &str) {
    for option in &spec.options {
        let name = join(path, option.name);
        let (heading, inner) = match &option.form {
            Form::Table(inner) if option.example.is_empty() => (format!("[{name}]"), inner),
            Form::Tables(inner) => (format!("[[{name}]]"), inner),
            _ => continue,
        };
        let _ = writeln!(page, "\n## `{heading}`\n\n{}\n", prose(option.doc));
        if has_about(inner, &heading) {
            let _ = writeln!(page, "{}\n", about(inner, &heading));
        }
        options(page, inner);
        groups(page, inner, &name);
    }
}

fn options(page: &mut String, spec: &TableSpec) {
    page.push_str("| option | meaning | value | without it |\n|---|---|---|---|\n");
    for option in &spec.options {
        if !is_section(option) {
            let _ = writeln!(
                page,
                "| `{}` | {}{} | {} | {} |",
                option.name,
                cell(&prose(option.doc)),
                if option.presence.needs_restart() { " *restart*" } else { "" },
                cell(&value(option)),
                absent(option),
            );
        }
    }
}

fn is_section(option: &OptionSpec) -> bool {
    match option.form {
        Form::Value(_) => false,
        Form::Table(_) | Form::Tables(_) => option.example.is_empty(),
    }
}

fn value(option: &OptionSpec) -> String {
    let words = match &option.form {
        Form::Value(words) => words.clone(),
        Form::Table(inner) | Form::Tables(inner) => {
            let keys: Vec<String> =
                inner.options.iter().map(|key| format!("`{}`: {}", key.name, lower(&prose(key.doc)))).collect();
            format!("{} {}", prose(inner.about), keys.join("; "))
        }
    };
    format!("{words}; as `{}`", option.example)
}

fn absent(option: &OptionSpec) -> String {
    match option.presence.absent {
        Absent::Required => "required".to_owned(),
        Absent::Default(toml) => format!("`{}`", cell(toml)),
        Absent::Empty => "none".to_owned(),
    }
}

/// What the group says of itself beyond its own heading.
fn about(spec: &TableSpec, heading: &str) -> String {
    let about = prose(spec.about);
    let own = format!("`{heading}`");
    about.strip_prefix(&own).unwrap_or(&about).trim_start_matches('.').trim().to_owned()
}

fn has_about(spec: &TableSpec, heading: &str) -> bool {
    !about(spec, heading).is_empty()
}

fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn lower(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// `config/examples/sekimori.toml`: every option of the main file with its meaning. What has a
/// default or may be absent is commented out, without a space after the `#`.
pub fn sample_file() -> String {
    let mut file = String::from(SAMPLE_HEAD);
    sections(&mut file, &Draft::spec(), "", "");
    file
}

const SAMPLE_HEAD: &str = "\
# A sample with every option of the main file. Lines that begin with `#` and no space are options with
# their defaults, or examples of what may be absent; take the `#` away to change them.
# Reference: docs/configuration.md. Check with `sekimorictl config check FILE`. The rules are in the
# folder policy/ beside this file.
";

fn sections(file: &mut String, spec: &TableSpec, path: &str, comment: &str) {
    for option in &spec.options {
        let name = join(path, option.name);
        let (heading, inner, comment) = match &option.form {
            Form::Table(inner) if option.example.is_empty() => (format!("[{name}]"), inner, comment),
            // Lists of groups inside a group are what most sites don't need.
            Form::Tables(inner) => (format!("[[{name}]]"), inner, if path.is_empty() { comment } else { "#" }),
            _ => continue,
        };
        file.push('\n');
        remark(file, option.doc);
        let _ = writeln!(file, "{comment}{heading}");
        for option in inner.options.iter().filter(|option| !is_section(option)) {
            remark(file, option.doc);
            sample_line(file, option, comment);
        }
        sections(file, inner, &name, comment);
    }
}

fn sample_line(file: &mut String, option: &OptionSpec, comment: &str) {
    let (mark, value) = match option.presence.absent {
        Absent::Required => (comment, option.example),
        Absent::Default(toml) => ("#", toml),
        Absent::Empty => ("#", option.example),
    };
    let _ = writeln!(file, "{mark}{} = {value}", option.name);
}

fn remark(file: &mut String, doc: &[&str]) {
    for line in doc {
        let _ = writeln!(file, "# {}", line.trim());
    }
}

#[cfg(test)]
mod tests;
