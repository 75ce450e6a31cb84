//! Every page with made-up people, for looking at and for tests. Not in the product.

mod account;

use std::time::Duration;

use askama::Template;

use crate::assets::{Assets, Links};
use crate::messages::{Language, Messages, Tongue};
use crate::pages::{
    Badge, Card, CliCode, Denied, EnrolPassword, EnrolPerson, EnrolSecond, EnrolStart, EnrolTotp, Field, Frame, Framed,
    Launcher, Link, LoginName, MySessions, Notice, PasskeyStep, PersonCard, Qr, SecretStep, SessionRow, Switch,
};
use crate::plain::Plain;

/// What somebody in the HR data may be called.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The person's name, kana and department, and every other text that is not ours.
    pub name: &'a str,
    /// Its reading.
    pub kana: &'a str,
    /// The department.
    pub department: &'a str,
    /// The name of an app, a station, a zone.
    pub thing: &'a str,
}

/// Ordinary words.
pub const ORDINARY: Words<'static> =
    Words {
        name: "髙橋 花子", kana: "タカハシ ハナコ", department: "3階東病棟", thing: "病棟カルテ"
    };

/// All pages in one language: file name and HTML.
#[must_use]
pub fn pages(language: Language, words: Words<'_>) -> Vec<(&'static str, String)> {
    let Ok(messages) = Messages::load() else { return Vec::new() };
    let sample = Sample { t: messages.tongue(language), words, links: Assets::load().links().clone() };
    [sample.login(), sample.enrolment(), sample.inside(), sample.account(), sample.refused()].concat()
}

/// The assets' names and contents.
#[must_use]
pub fn assets() -> Vec<(String, Vec<u8>)> {
    Assets::load().all()
}

struct Sample<'a> {
    t: Tongue,
    words: Words<'a>,
    links: Links,
}

fn html<T: Template>(page: &T) -> String {
    page.render().unwrap_or_default()
}

impl Sample<'_> {
    fn say(&self, key: &str) -> String {
        self.t.say(key)
    }

    fn frame(&self, path: &str) -> Frame {
        Frame {
            t: self.t.clone(),
            links: self.links.clone(),
            site: Plain::new("関守病院"),
            home: None,
            badge: None,
            help: Some(Plain::new("1234")),
            switches: Switch::of(path, &[("i", "AAAA")], self.t.language()),
            request: "0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77".to_owned(),
        }
    }

    fn framed(&self, path: &str, locked: bool) -> Frame {
        let (minutes, remaining, words) = Badge::remaining(&self.t, Duration::from_secs(11 * 3600 + 52 * 60));
        Frame {
            home: (!locked).then(|| "/".to_owned()),
            badge: Some(Badge {
                name: Plain::new(self.words.name),
                kana: Some(Plain::new(self.words.kana)),
                department: Plain::new(self.words.department),
                zone: Plain::new("ward"),
                remaining,
                minutes,
                words,
                lock: (!locked).then_some("/lock"),
                logout: !locked,
                form: "TOKEN".to_owned(),
            }),
            ..self.frame(path)
        }
    }

    fn person(&self) -> PersonCard {
        PersonCard {
            name: Plain::new(self.words.name),
            kana: Some(Plain::new(self.words.kana)),
            department: Plain::new(self.words.department),
        }
    }

    fn link(&self, key: &str) -> Link {
        Link { href: "/".to_owned(), words: self.say(key) }
    }

    fn passkey(&self, frame: Frame, title: &str, button: &str) -> PasskeyStep {
        PasskeyStep {
            frame,
            title: self.say(title),
            locked: false,
            named: None,
            person: None,
            line: None,
            error: None,
            action: "/login/passkey?i=AAAA".to_owned(),
            kind: "get",
            options: "{\"publicKey\":{}}".to_owned(),
            start: false,
            renew: "/login?i=AAAA".to_owned(),
            form: "TOKEN".to_owned(),
            failed: self.say("passkey-failed"),
            button: self.say(button),
            links: Vec::new(),
            logout: None,
        }
    }

    fn secret(&self, frame: Frame, title: &str, field: Field) -> SecretStep {
        SecretStep {
            frame,
            title: self.say(title),
            locked: false,
            named: None,
            person: None,
            line: None,
            error: None,
            action: "/login/password?i=AAAA".to_owned(),
            field,
            username: Some(Plain::new(self.words.name)),
            form: "TOKEN".to_owned(),
            button: self.say("act-login"),
            links: Vec::new(),
            logout: None,
        }
    }

    fn login(&self) -> Vec<(&'static str, String)> {
        let name = |error: Option<String>| LoginName {
            frame: self.frame("/login"),
            app: Some(Plain::new(self.words.thing)),
            error,
            interaction: "AAAA".to_owned(),
            form: "TOKEN".to_owned(),
        };
        let passkey = PasskeyStep {
            named: Some(Plain::new(self.words.name)),
            line: Some(self.say("login-passkey-line")),
            links: vec![self.link("login-by-password"), self.link("login-other-name")],
            ..self.passkey(self.frame("/login"), "login-title", "login-passkey-button")
        };
        let password = SecretStep {
            named: Some(Plain::new(self.words.name)),
            error: Some(self.say("login-failed")),
            links: vec![self.link("login-by-passkey"), self.link("login-other-name")],
            ..self.secret(self.frame("/login"), "login-password-title", Field::Password)
        };
        let code = SecretStep {
            line: Some(self.say("login-code-line")),
            ..self.secret(self.frame("/login"), "login-code-title", Field::Code)
        };
        let key = PasskeyStep {
            named: Some(Plain::new(self.words.name)),
            line: Some(self.say("login-key-line")),
            links: vec![self.link("login-by-code"), self.link("login-other-name")],
            ..self.passkey(self.frame("/login"), "login-key-title", "login-key-button")
        };
        vec![
            ("login-key", html(&key)),
            ("login", html(&name(None))),
            ("login-failed", html(&name(Some(self.say("login-failed"))))),
            ("login-passkey", html(&passkey)),
            ("login-password", html(&password)),
            ("login-code", html(&code)),
        ]
    }

    fn enrolment(&self) -> Vec<(&'static str, String)> {
        let [interaction, form] = ["AAAA".to_owned(), "TOKEN".to_owned()];
        let start =
            EnrolStart { frame: self.frame("/enrol"), error: Some(self.say("enrol-failed")), form: form.clone() };
        let person = EnrolPerson {
            frame: self.frame("/enrol"),
            person: self.person(),
            staff_no: Plain::new("000123"),
            interaction: interaction.clone(),
        };
        let passkey = PasskeyStep {
            line: Some(self.say("enrol-passkey-line")),
            kind: "create",
            links: vec![self.link("enrol-without-passkey")],
            ..self.passkey(self.frame("/enrol"), "enrol-passkey-title", "enrol-passkey-button")
        };
        let key = PasskeyStep {
            line: Some(self.say("enrol-key-line")),
            kind: "create",
            links: vec![self.link("enrol-totp-instead")],
            ..self.passkey(self.frame("/enrol"), "enrol-key-title", "enrol-key-button")
        };
        let second = EnrolSecond { frame: self.frame("/enrol"), interaction: interaction.clone(), form: form.clone() };
        let password = EnrolPassword {
            frame: self.frame("/enrol"),
            rule: self.t.with("enrol-password-mhlw", &[("least", "13")]),
            error: Some(self.say("enrol-password-differs")),
            staff_no: Plain::new("000123"),
            interaction: interaction.clone(),
            form: form.clone(),
            links: vec![self.link("act-back")],
        };
        let seed = Qr::of("otpauth://totp/Sekimori:000123?secret=JBSWY3DPEHPK3PXP&issuer=Sekimori")
            .map(|qr| (qr, "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP".to_owned()));
        let totp = |seed: Option<(Qr, String)>, error: Option<String>| EnrolTotp {
            frame: self.frame("/enrol"),
            links: if seed.is_none() { vec![self.link("enrol-totp-again")] } else { Vec::new() },
            seed,
            error,
            interaction: interaction.clone(),
            form: form.clone(),
        };
        let done = self.notice("enrol-done-title", "enrol-done-what", None, "act-login");
        vec![
            ("enrol", html(&start)),
            ("enrol-person", html(&person)),
            ("enrol-passkey", html(&passkey)),
            ("enrol-key", html(&key)),
            ("enrol-second", html(&second)),
            ("enrol-password", html(&password)),
            ("enrol-totp", html(&totp(seed, None))),
            ("enrol-totp-wrong", html(&totp(None, Some(self.say("enrol-code-wrong"))))),
            ("enrol-done", html(&done)),
        ]
    }

    fn inside(&self) -> Vec<(&'static str, String)> {
        let card = |title: &str| Card {
            href: "https://chart.sekimori.localhost:8443/".to_owned(),
            title: Plain::new(title),
            host: Plain::new("chart.sekimori.localhost"),
        };
        let launcher = |cards| Launcher {
            frame: self.framed("/", false),
            cards,
            unseen: Some(self.t.count("notices-waiting", 2)),
            cli: true,
        };
        let row = |here, state: &str| SessionRow {
            id: "0199a6f0-4d1e-7c3a-9b1e-2f6d0c8a1b77".to_owned(),
            station: Plain::new(self.words.thing),
            browser: Plain::new("Chrome · Windows"),
            zone: Plain::new("ward"),
            since: "2026年11月21日(土) 09:12".to_owned(),
            act: "2026年11月21日(土) 14:03".to_owned(),
            state: self.say(state),
            here,
        };
        let sessions = MySessions {
            frame: self.framed("/sessions", false),
            done: Some(self.say("sessions-ended")),
            rows: vec![row(true, "sessions-active"), row(false, "sessions-locked")],
            form: "TOKEN".to_owned(),
        };
        let lock = PasskeyStep {
            locked: true,
            person: Some(self.person()),
            links: vec![self.link("lock-by-password")],
            logout: Some("TOKEN".to_owned()),
            ..self.passkey(self.framed("/lock", true), "lock-title", "lock-passkey-button")
        };
        let lock_password = SecretStep {
            locked: true,
            person: Some(self.person()),
            error: Some(self.say("lock-failed")),
            button: self.say("lock-password-button"),
            links: vec![self.link("lock-by-passkey")],
            logout: Some("TOKEN".to_owned()),
            ..self.secret(self.framed("/lock", true), "lock-title", Field::Password)
        };
        let cli = |code: Option<&str>| CliCode {
            frame: self.framed("/cli", false),
            code: code.map(str::to_owned),
            until: "2026年11月21日(土) 14:15".to_owned(),
            form: "TOKEN".to_owned(),
        };
        vec![
            ("launcher", html(&launcher(vec![card(self.words.thing), card("画像サーバー"), card("検査結果")]))),
            ("launcher-empty", html(&launcher(Vec::new()))),
            ("sessions", html(&sessions)),
            ("lock", html(&lock)),
            ("lock-password", html(&lock_password)),
            ("cli", html(&cli(None))),
            ("cli-code", html(&cli(Some("kP3v9xT2-Example-Example-Example-Example-43c")))),
            ("logged-out", html(&self.notice("logout-title", "logout-what", None, "act-login"))),
        ]
    }

    fn refused(&self) -> Vec<(&'static str, String)> {
        let denied = Denied {
            frame: self.framed("", false),
            app: Plain::new(self.words.thing),
            action: Some(Plain::new("admin")),
            why: self.say("denied-why-role"),
            missing: vec![Plain::new("chart-administrator")],
            what_now: self.say("denied-call"),
            link: Some(self.link("act-launcher")),
        };
        let framed = Framed {
            frame: self.frame(""),
            what: self.say("login-required-frame"),
            button: Some(self.say("act-login")),
        };
        let mut pages = vec![("denied", html(&denied)), ("framed", html(&framed))];
        for (name, title, what, now) in [
            ("malformed", "malformed-title", "malformed-what", "malformed-do"),
            ("locked-post", "locked-post-title", "locked-post-what", "locked-post-do"),
            ("upstream", "upstream-title", "upstream-what", "upstream-do"),
            ("unavailable", "unavailable-title", "unavailable-what", "unavailable-do"),
            ("busy", "busy-title", "busy-what", "too-many-wait"),
        ] {
            pages.push((name, html(&self.notice(title, what, Some(now), "act-launcher"))));
        }
        pages
    }

    fn notice(&self, title: &str, what: &str, now: Option<&str>, button: &str) -> Notice {
        Notice {
            frame: self.frame(""),
            title: self.say(title),
            what: self.say(what),
            what_now: now.map(|key| self.say(key)),
            link: Some(self.link(button)),
            new_tab: false,
        }
    }
}
