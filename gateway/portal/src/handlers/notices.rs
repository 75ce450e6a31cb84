//! What the person was told about his own login, and that he has seen it (D-6.3.5, D-6.3.7).

use http::StatusCode;
use model::Timestamp;
use serde_json::Value;

use super::authenticators::{kind, label};
use super::{Answer, Guest};
use crate::pages::{self, MyNotices, NoticeRow, when};
use crate::plain::Plain;
use crate::refusal::zone_title;
use crate::refused::Refused;
use crate::visit::{Visit, see_other};

/// Notices that are shown; older ones are kept and make room.
const MOST: i64 = 100;

/// `GET /notices`.
pub(crate) async fn show(visit: Guest) -> Answer {
    let told = visit.desk.own().notices(&visit.holder()?.live, MOST).await?;
    let newest = told.first().map(|notice| notice.at.micros().to_string());
    let page = MyNotices {
        frame: visit.frame(Some(("/notices", &[]))),
        until: newest.filter(|_| told.iter().any(|notice| notice.seen_at.is_none())),
        rows: told
            .iter()
            .map(|notice| NoticeRow {
                at: when::moment(notice.at, visit.zone(), visit.t.language()),
                what: Plain::new(&words(&visit, &notice.kind, &notice.body)),
                new: notice.seen_at.is_none(),
            })
            .collect(),
        form: visit.form_of_session(),
    };
    Ok(pages::answer(StatusCode::OK, &page))
}

/// `POST /notices/seen`: all that the page has shown, and nothing that came after it.
pub(crate) async fn seen(visit: Guest) -> Answer {
    let until = visit.form.field("until").parse().map_err(|_| Refused::malformed("until"))?;
    visit.desk.own().see(&visit.holder()?.live, Timestamp::from_micros(until)).await?;
    Ok(see_other("/notices"))
}

fn words(visit: &Visit, about: &str, body: &str) -> String {
    let t = &visit.t;
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| Plain::new(body.get(name).and_then(Value::as_str).unwrap_or_default()).to_string();
    let what = || {
        let of = text("kind");
        let named = label(&of, &text("label")).map(|label| format!(" {label}")).unwrap_or_default();
        format!("{}{named}", kind(visit, &of))
    };
    let zone = || zone_title(visit, &text("zone")).to_string();
    match about {
        "authenticator-bound" => t.one("notice-bound", "what", &what()),
        "authenticator-ended" => t.one("notice-ended", "what", &what()),
        "authenticator-off" => t.one("notice-off", "what", &what()),
        "authenticator-closed" => t.with("notice-closed", &[("what", &what()), ("zone", &zone())]),
        "passkey-copied" => t.one("notice-copied", "what", &what()),
        "password-changed" => t.say("notice-password"),
        "enrolment-code" => t.one("notice-code", "officer", &text("officer")),
        "login-elsewhere" => t.with("notice-elsewhere", &[("zone", &zone()), ("address", &text("address"))]),
        _ => t.say("notice-other"),
    }
}
