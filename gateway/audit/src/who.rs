use std::sync::Arc;

use model::{Aal, Method, Person, Service};

use crate::json::{self, SHORT};

/// Who acts, written to JSON once (per session, say) and cheap to clone into every record.
#[derive(Clone, Debug)]
pub struct Who(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// An open object: `{"kind":"person",…` without its closing brace, so that roles can follow.
    subject: String,
    /// The terminal; it stands under `from` in the record.
    station: Option<String>,
}

impl Who {
    /// A person in a session: staff number, name, account, the hash that stands for the session's line,
    /// the level reached and how, and the terminal.
    pub fn person(
        person: &Person,
        session_hash: &str,
        aal: Aal,
        methods: impl IntoIterator<Item = Method>,
        station: Option<&str>,
    ) -> Self {
        let mut subject = named(person);
        json::field(&mut subject, "session", session_hash, SHORT);
        json::field(&mut subject, "aal", aal.name(), SHORT);
        json::name(&mut subject, "amr");
        list(&mut subject, methods.into_iter().map(Method::amr));
        Self::of(subject, station)
    }

    /// A person without a session: at enrolment, or while logging in once the account is known.
    pub fn without_session(person: &Person) -> Self {
        Self::of(named(person), None)
    }

    /// A name that somebody typed and nobody has proven. Give it only what has the shape of a staff
    /// number: people type passwords into the wrong field.
    pub fn claimed(name: &str) -> Self {
        Self::of(kind("claimed", "name", name), None)
    }

    /// A machine identity and the person who answers for it.
    pub fn service(service: &Service) -> Self {
        let mut subject = kind("service", "name", &service.name);
        json::field(&mut subject, "owner", service.owner.as_str(), SHORT);
        Self::of(subject, None)
    }

    /// The operating system user at the host itself (`sekimorictl bootstrap`).
    pub fn operator(user: &str) -> Self {
        Self::of(kind("operator", "name", user), None)
    }

    /// The gateway acting by itself: a sweeper, the journal, a reload.
    pub fn system(part: &str) -> Self {
        Self::of(kind("system", "name", part), None)
    }

    fn of(subject: String, station: Option<&str>) -> Self {
        Self(Arc::new(Parts { subject, station: station.map(str::to_owned) }))
    }

    /// The object with the roles held at this decision, closed.
    pub(crate) fn write(&self, out: &mut String, roles: Option<&[String]>) {
        out.push_str(&self.0.subject);
        if let Some(roles) = roles {
            out.push_str(",\"roles\":");
            list(out, roles.iter().map(String::as_str));
        }
        out.push('}');
    }

    pub(crate) fn station(&self) -> Option<&str> {
        self.0.station.as_deref()
    }
}

/// How many roles a record names; nobody holds so many.
const ROLES: usize = 32;

fn named(person: &Person) -> String {
    let mut subject = kind("person", "staff_no", person.staff_no.as_str());
    json::field(&mut subject, "name", &person.name, SHORT);
    json::field(&mut subject, "account", &person.account.to_string(), SHORT);
    subject
}

fn kind(kind: &str, key: &str, name: &str) -> String {
    let mut subject = String::from("{");
    json::field(&mut subject, "kind", kind, SHORT);
    json::field(&mut subject, key, name, SHORT);
    subject
}

fn list<'a>(out: &mut String, items: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (i, item) in items.take(ROLES).enumerate() {
        if i > 0 {
            out.push(',');
        }
        json::text(out, item, SHORT);
    }
    out.push(']');
}
