//! The person's own authenticators: which, since when, by whom; another label, an end, one more (C-33 … C-37).

use http::StatusCode;
use identity::{BoundBy, OwnError, Owned, Use};
use model::AuthenticatorId;

use super::{Answer, Guest};
use crate::pages::{
    self, AddAuthenticator, AuthenticatorRow, EndAuthenticator, Link, MyAuthenticator, MyAuthenticators, when,
};
use crate::plain::Plain;
use crate::refused::Refused;
use crate::visit::{Visit, see_other};

/// How a binding by somebody on the gateway's own host is called.
const HOST: &str = "operating system user";

/// `GET /authenticators`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let t = &visit.t;
    let all = visit.desk.own().list(visit.holder()?.live.account()).await?;
    let done = match visit.query.field("done") {
        "added" => Some(t.say("own-done-added")),
        "renamed" => Some(t.say("own-done-renamed")),
        "ended" => Some(t.say("own-done-ended")),
        "password" => Some(t.say("own-done-password")),
        _ => None,
    };
    let (ended, held): (Vec<&Owned>, Vec<&Owned>) = all.iter().partition(|one| matches!(one.usable, Use::Ended(_)));
    let link = |href: &str, key| Link { href: href.to_owned(), words: t.say(key) };
    let mut links = vec![link("/", "launcher-title"), link("/sessions", "sessions-title")];
    if has(&all, "password") {
        links.push(link("/password", "password-title"));
    }
    let page = MyAuthenticators {
        frame: visit.frame(Some(("/authenticators", &[]))),
        done,
        hint: hint(&all).map(|key| t.say(key)),
        rows: held.into_iter().map(|one| row(&visit, one)).collect(),
        ended: ended.into_iter().map(|one| row(&visit, one)).collect(),
        links,
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `GET /authenticators/{part}`.
pub(crate) async fn one(visit: Guest) -> Answer {
    let one = find(&visit).await?;
    let id = one.id;
    let here = format!("/authenticators/{id}");
    let nameless = matches!(one.kind, "password");
    let page = MyAuthenticator {
        frame: visit.frame(Some((&here, &[]))),
        row: row(&visit, &one),
        rename: (!nameless).then(|| format!("{here}/label")),
        end: (one.usable != Use::Needed).then(|| format!("{here}/end")),
        change: (nameless && one.usable != Use::Off).then(|| "/password".to_owned()),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST /authenticators/{part}/label`.
pub(crate) async fn rename(visit: Guest) -> Answer {
    let id = id(&visit)?;
    let label = Plain::new(visit.form.field("label")).to_string();
    visit.desk.own().rename(&visit.holder()?.live, &visit.edge, id, &label).await?;
    Ok(see_other("/authenticators?done=renamed"))
}

/// `GET /authenticators/{part}/end`: what it will do.
pub(crate) async fn ending(visit: Guest) -> Answer {
    let one = find(&visit).await?;
    if one.usable == Use::Needed {
        return Ok(see_other(&format!("/authenticators/{}", one.id)));
    }
    let action = format!("/authenticators/{}/end", one.id);
    let page = EndAuthenticator {
        frame: visit.frame(Some((&action, &[]))),
        row: row(&visit, &one),
        back: format!("/authenticators/{}", one.id),
        action,
        effect: visit.t.count("own-end-sessions", others(&visit).await?),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST /authenticators/{part}/end`.
pub(crate) async fn end(visit: Guest) -> Answer {
    let id = id(&visit)?;
    match visit.desk.own().end(&visit.holder()?.live, &visit.edge, id).await {
        Ok(_) => Ok(see_other("/authenticators?done=ended")),
        Err(OwnError::Needed) => Ok(see_other(&format!("/authenticators/{id}"))),
        Err(error) => Err(error.into()),
    }
}

/// `GET /authenticators/add`.
pub(crate) async fn adding(visit: Guest) -> Answer {
    let all = visit.desk.own().list(visit.holder()?.live.account()).await?;
    let frame = visit.frame(Some(("/authenticators/add", &[])));
    let [password, totp] = ["password", "totp"].map(|kind| has(&all, kind));
    let page = AddAuthenticator { frame, password, totp, form: visit.form_of_session() };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST /authenticators/add`: an enrolment that this fresh login begins.
pub(crate) async fn add(visit: Guest) -> Answer {
    let by = match visit.form.field("kind") {
        kind @ ("passkey" | "key" | "password" | "totp") => kind,
        _ => return Err(Refused::malformed("kind")),
    };
    visit.desk.begin(visit.edge.address, true).map_err(Refused::too_many)?;
    let started = visit.parts().enrolment.begin(&visit.binder, &visit.holder()?.live).await?;
    Ok(see_other(&format!("/enrol?i={}&by={by}", started.token.text())))
}

/// How many other sessions the person has.
pub(crate) async fn others(visit: &Visit) -> Result<usize, Refused> {
    let live = &visit.holder()?.live;
    let all = visit.parts().sessions.list(live.account()).await?;
    Ok(all.iter().filter(|listed| listed.id != live.id()).count())
}

/// Is one of this kind in use?
pub(crate) fn has(all: &[Owned], kind: &str) -> bool {
    all.iter().any(|one| one.kind == kind && in_use(one))
}

fn in_use(one: &Owned) -> bool {
    matches!(one.usable, Use::Spare | Use::Needed)
}

/// What is missing: the other half of a login by password, or a spare (C-37).
fn hint(all: &[Owned]) -> Option<&'static str> {
    let (password, second) = (has(all, "password"), has(all, "totp") || has(all, "security-key"));
    let passkeys = all.iter().filter(|one| one.kind == "passkey" && in_use(one)).count();
    match (password, second) {
        (true, false) => Some("own-half-password"),
        (false, true) => Some("own-half-second"),
        _ if passkeys + usize::from(password) < 2 => Some("own-alone"),
        _ => None,
    }
}

fn id(visit: &Visit) -> Result<AuthenticatorId, Refused> {
    visit.part.parse().map_err(|_| Refused::not_found())
}

/// One of the person's own (A39); an ended one has no page.
async fn find(visit: &Visit) -> Result<Owned, Refused> {
    let id = id(visit)?;
    let all = visit.desk.own().list(visit.holder()?.live.account()).await?;
    let found = all.into_iter().find(|one| one.id == id && !matches!(one.usable, Use::Ended(_)));
    found.ok_or(Refused::not_found())
}

fn row(visit: &Visit, one: &Owned) -> AuthenticatorRow {
    let t = &visit.t;
    let moment = |at| when::moment(at, visit.zone(), t.language());
    let by = match &one.bound_by {
        BoundBy::Oneself => t.say("own-by-self"),
        BoundBy::Desk(officer) if officer.starts_with(HOST) => t.say("own-by-host"),
        BoundBy::Desk(officer) => t.one("own-by-desk", "officer", officer),
    };
    let state = match one.usable {
        Use::Spare | Use::Needed => t.say("own-ready"),
        Use::Off => format!("{} {}", t.say("own-off"), t.say("own-off-do")),
        Use::Ended(at) => t.one("own-ended", "at", &moment(at)),
    };
    AuthenticatorRow {
        href: format!("/authenticators/{}", one.id),
        kind: kind(visit, one.kind),
        label: label(one.kind, &one.label),
        bound: moment(one.bound_at),
        by: Plain::new(&by),
        used: one.last_used_at.map_or_else(|| t.say("own-never"), moment),
        state,
        off: one.usable == Use::Off,
    }
}

/// A kind as people call it.
pub(crate) fn kind(visit: &Visit, kind: &str) -> String {
    match kind {
        "passkey" => visit.t.say("own-passkey"),
        "security-key" => visit.t.say("own-key"),
        "password" => visit.t.say("own-password"),
        "totp" => visit.t.say("own-totp"),
        other => Plain::new(other).to_string(),
    }
}

/// What the person calls it; nothing where it has the name that all of its kind are given.
pub(crate) fn label(kind: &str, label: &str) -> Option<Plain> {
    let given = match kind {
        "passkey" => ["Passkey", "パスキー"],
        "security-key" => ["Security key", "セキュリティキー"],
        "password" => ["Password", "パスワード"],
        _ => ["Authenticator app", "確認コード"],
    };
    (!label.is_empty() && !given.contains(&label)).then(|| Plain::new(label))
}
