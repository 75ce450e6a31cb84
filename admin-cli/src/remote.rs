use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use http::Method;
use model::percent_encoded;
use serde_json::{Value, json};

use crate::arguments::{
    AuditCommand, Client as ClientArguments, Command, EnrolmentCommand, HrCommand, Login, PolicyCommand, PolicyTest,
    Search, SessionCommand,
};
use crate::client::Client;
use crate::output::{Answer, Failure, shown};

/// The commands that ask the admin API.
pub(crate) async fn run(command: Command, arguments: &ClientArguments) -> Result<Answer, Failure> {
    let client = Client::open(&arguments.client)?;
    match command {
        Command::Login(login) => log_in(&client, login).await,
        Command::Hr(HrCommand::Import { file }) => {
            let bytes = fs::read(&file).map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
            client.upload("hr/import", bytes).await.map(Answer::good)
        }
        Command::Enrolment(EnrolmentCommand::Issue { staff_no, method, evidence }) => {
            let body = json!({ "staff_no": staff_no, "method": method, "evidence": evidence });
            client.call(Method::POST, "enrolment", Some(body)).await.map(Answer::good)
        }
        Command::Session(command) => session(&client, command).await,
        Command::Policy(PolicyCommand::Test(test)) => policy_test(&client, test).await,
        Command::Audit(command) => audit(&client, command).await,
        Command::Config(_)
        | Command::Key(_)
        | Command::Secret(_)
        | Command::App(_)
        | Command::Bootstrap(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Health(_) => Err(Failure::local("this command runs on the gateway's host")),
    }
}

async fn log_in(client: &Client, login: Login) -> Result<Answer, Failure> {
    let code = match login.code {
        Some(code) => code,
        None => ask("code: ")?,
    };
    let body = json!({ "code": code.trim() });
    let answer = client.call(Method::POST, "session/token", Some(body)).await?;
    let bearer =
        answer.get("bearer").and_then(Value::as_str).ok_or_else(|| Failure::refused("the gateway gave no bearer"))?;
    client.remember(bearer)?;
    Ok(Answer::good(json!({ "logged in": true, "expires": answer.get("expires") })))
}

fn ask(prompt: &str) -> Result<String, Failure> {
    let mut line = String::new();
    io::stderr()
        .write_all(prompt.as_bytes())
        .and_then(|()| io::stdin().lock().read_line(&mut line))
        .map_err(|error| Failure::local(error.to_string()))?;
    Ok(line)
}

async fn session(client: &Client, command: SessionCommand) -> Result<Answer, Failure> {
    let answer = match command {
        SessionCommand::List { staff_no } => {
            let query = query(&[("staff_no", staff_no)]);
            client.call(Method::GET, &format!("session/all{query}"), None).await?
        }
        SessionCommand::Kill { id } => {
            client.call(Method::POST, &format!("session/{}/end", percent_encoded(&id)), None).await?
        }
    };
    Ok(Answer::good(answer))
}

async fn policy_test(client: &Client, test: PolicyTest) -> Result<Answer, Failure> {
    let body = json!({
        "staff_no": test.staff_no, "url": test.url, "method": test.method,
        "at": test.at, "zone": test.zone,
    });
    let answer = client.call(Method::POST, "policy/test", Some(body)).await?;
    let permitted = answer.get("decision").and_then(Value::as_str) == Some("permit");
    Ok(if permitted { Answer::good(answer) } else { Answer::bad(answer) })
}

async fn audit(client: &Client, command: AuditCommand) -> Result<Answer, Failure> {
    match command {
        AuditCommand::Tail { lines, follow: false } => {
            client.call(Method::GET, &format!("audit/tail?limit={lines}"), None).await.map(told)
        }
        AuditCommand::Tail { lines, follow: true } => follow(client, lines).await,
        AuditCommand::Show { seq } => client.call(Method::GET, &format!("audit/records/{seq}"), None).await.map(whole),
        AuditCommand::Search(search) => find(client, search).await.map(told),
        AuditCommand::Verify(_) => Err(Failure::local("verify reads files on this host")),
    }
}

/// All pages of an answer, up to the limit.
async fn find(client: &Client, search: Search) -> Result<Value, Failure> {
    let mut wanted = search.limit as usize;
    let fields = query(&[
        ("event", search.event),
        ("outcome", search.outcome),
        ("staff_no", search.staff_no),
        ("patient", search.patient),
        ("app", search.app),
        ("request_id", search.request),
        ("session", search.session),
        ("since", search.from),
        ("until", search.until),
    ]);
    let start = if fields.is_empty() { "?".to_owned() } else { format!("{fields}&") };
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let mut page = client.call(Method::GET, &format!("audit/search{start}limit={wanted}{before}"), None).await?;
        let next = page.get("next").and_then(Value::as_u64);
        if let Some(Value::Array(records)) = page.get_mut("records").map(Value::take) {
            wanted = wanted.saturating_sub(records.len());
            all.extend(records);
        }
        match next {
            Some(next) if wanted > 0 => before = format!("&before={next}"),
            next => return Ok(json!({ "records": all, "next": next })),
        }
    }
}

async fn follow(client: &Client, lines: u32) -> Result<Answer, Failure> {
    let (mut asked, mut path) = (String::new(), format!("audit/tail?limit={lines}"));
    loop {
        let answer = client.call(Method::GET, &path, None).await?;
        for found in records(&answer).iter().filter(|found| !is_look(found, &asked)) {
            let text = format!("{}\n", shown(&line(found)));
            io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::local(error.to_string()))?;
        }
        if let Some(seq) = records(&answer).last().and_then(|found| found.get("seq")).and_then(Value::as_u64) {
            (asked, path) = (format!("tail after={seq} "), format!("audit/tail?after={seq}&limit=500"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Each asking is itself on record: without leaving out our own, following would never be quiet.
fn is_look(found: &Value, asked: &str) -> bool {
    let query = found.pointer("/record/detail/query").and_then(Value::as_str).unwrap_or_default();
    !asked.is_empty() && query.starts_with(asked)
}

/// Records one a line; `--output json` and `show` have them whole.
fn told(answer: Value) -> Answer {
    let mut lines: Vec<String> = records(&answer).iter().map(line).collect();
    if let Some(next) = answer.get("next").and_then(Value::as_u64) {
        lines.push(format!("there is more before #{next}: ask with a higher --limit or a shorter time"));
    }
    Answer::good(answer).in_lines(lines)
}

/// One record with all its fields, in the order of its line.
fn whole(found: Value) -> Answer {
    const ORDER: [&str; 16] = [
        "v", "t", "node", "seq", "event", "outcome", "who", "from", "what", "why", "change", "request", "detail",
        "outbox", "prev", "hash",
    ];
    let mut fields = Vec::new();
    for name in ORDER {
        if let Some(value) = found.get("record").and_then(|record| record.get(name)) {
            flatten(name.to_owned(), value, &mut fields);
        }
    }
    flatten("intact".to_owned(), found.get("intact").unwrap_or(&Value::Null), &mut fields);
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = fields.iter().map(|(name, text)| format!("{name:width$}  {text}")).collect();
    Answer::good(found).in_lines(lines)
}

fn flatten(name: String, value: &Value, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(inner) => inner.iter().for_each(|(key, value)| flatten(format!("{name}.{key}"), value, fields)),
        Value::String(text) => fields.push((name, text.clone())),
        other => fields.push((name, other.to_string())),
    }
}

fn records(answer: &Value) -> &[Value] {
    answer.get("records").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `#12 2026-11-21T05:05:00Z request.deny denied | 000123 山﨑 美咲 | GET chart /admin 403 | no-role`
fn line(found: &Value) -> String {
    let record = found.get("record").unwrap_or(&Value::Null);
    let text = |path: &str| record.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let seq = record.get("seq").map_or_else(String::new, Value::to_string);
    let second = text("/t").split('.').next().unwrap_or_default();
    let joined = |parts: &[&str]| parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
    let who = match text("/who/kind") {
        "person" => joined(&[text("/who/staff_no"), text("/who/name")]),
        kind => joined(&[kind, text("/who/name")]),
    };
    let status = record.pointer("/detail/status").map_or_else(String::new, Value::to_string);
    let what = joined(&[
        text("/what/method"),
        text("/what/app"),
        text("/what/target"),
        text("/what/kind"),
        text("/what/id"),
        text("/what/patient"),
        &status,
    ]);
    let why = joined(&[text("/why/reason"), text("/why/rule"), text("/why/purpose")]);
    let head = format!("#{seq} {second}Z {} {}", text("/event"), text("/outcome"));
    let altered = if found.get("intact") == Some(&Value::Bool(false)) { "ALTERED: run audit verify" } else { "" };
    [head.as_str(), &who, &what, &why, altered]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" | ")
}

fn query(fields: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", percent_encoded(value))))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_shown_in_the_order_of_its_line_and_an_altered_one_says_so() {
        let record = json!({ "event": "e", "seq": 7, "who": { "name": "関" }, "t": "2026-11-21T05:05:00.1Z", "v": 1 });
        let found = json!({ "seq": 7, "intact": false, "record": record });
        let mut fields = Vec::new();
        flatten("who".to_owned(), &json!({ "a": { "b": [1] } }), &mut fields);
        assert_eq!(fields, [("who.a.b".to_owned(), "[1]".to_owned())]);
        assert_eq!(line(&found), "#7 2026-11-21T05:05:00Z e  | 関 | ALTERED: run audit verify");
    }

    #[test]
    fn what_is_typed_never_becomes_another_field() {
        assert_eq!(query(&[("a", None), ("b", Some("1&2".into()))]), "?b=1%262");
    }
}
