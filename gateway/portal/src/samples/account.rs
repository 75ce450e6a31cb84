//! The pages about a person's own ways to log in.

use super::{Sample, html};
use crate::pages::{
    AddAuthenticator, AuthenticatorRow, ChangePassword, EndAuthenticator, Link, MyAuthenticator, MyAuthenticators,
    MyNotices, NoticeRow,
};
use crate::plain::Plain;

impl Sample<'_> {
    fn authenticator(&self, kind: &str, label: Option<&str>, state: &str, off: bool) -> AuthenticatorRow {
        AuthenticatorRow {
            href: "/authenticators/0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77".to_owned(),
            kind: self.say(kind),
            label: label.map(Plain::new),
            bound: "2026年4月1日(水) 09:12".to_owned(),
            by: Plain::new(&self.t.one("own-by-desk", "officer", "900001")),
            used: "2026年11月21日(土) 07:58".to_owned(),
            state: self.say(state),
            off,
        }
    }

    pub(super) fn account(&self) -> Vec<(&'static str, String)> {
        let link = |key| Link { href: "/".to_owned(), words: self.say(key) };
        let named = || self.authenticator("own-passkey", Some(self.words.thing), "own-ready", false);
        let list = MyAuthenticators {
            frame: self.framed("/authenticators", false),
            done: Some(self.say("own-done-added")),
            hint: Some(self.say("own-alone")),
            rows: vec![
                named(),
                self.authenticator("own-key", None, "own-ready", false),
                self.authenticator("own-password", None, "own-off", true),
            ],
            ended: vec![self.authenticator("own-totp", None, "own-ready", false)],
            links: vec![link("launcher-title"), link("password-title")],
        };
        let one = |end: bool| MyAuthenticator {
            frame: self.framed("/authenticators/x", false),
            row: named(),
            rename: Some("/authenticators/x/label".to_owned()),
            end: end.then(|| "/authenticators/x/end".to_owned()),
            change: None,
            form: "TOKEN".to_owned(),
        };
        let end = EndAuthenticator {
            frame: self.framed("/authenticators/x/end", false),
            row: named(),
            action: "/authenticators/x/end".to_owned(),
            effect: self.t.count("own-end-sessions", 2),
            back: "/authenticators/x".to_owned(),
            form: "TOKEN".to_owned(),
        };
        let add = AddAuthenticator {
            frame: self.framed("/authenticators/add", false),
            password: true,
            totp: true,
            form: "TOKEN".to_owned(),
        };
        let password = ChangePassword {
            frame: self.framed("/password", false),
            rule: self.t.one("enrol-password-mhlw", "least", "13"),
            error: Some(self.say("password-wrong")),
            staff_no: Plain::new("000123"),
            effect: Some(self.t.count("password-sessions", 1)),
            form: "TOKEN".to_owned(),
        };
        let notice = |key, new| NoticeRow {
            at: "2026年11月21日(土) 07:58".to_owned(),
            what: Plain::new(&self.t.one(key, "what", self.words.thing)),
            new,
        };
        let notices = |rows: Vec<NoticeRow>| MyNotices {
            frame: self.framed("/notices", false),
            until: rows.iter().any(|row| row.new).then(|| "1".to_owned()),
            rows,
            form: "TOKEN".to_owned(),
        };
        vec![
            ("authenticators", html(&list)),
            ("authenticator", html(&one(true))),
            ("authenticator-needed", html(&one(false))),
            ("authenticator-end", html(&end)),
            ("authenticator-add", html(&add)),
            ("password", html(&password)),
            ("notices", html(&notices(vec![notice("notice-off", true), notice("notice-bound", false)]))),
            ("notices-empty", html(&notices(Vec::new()))),
        ]
    }
}
