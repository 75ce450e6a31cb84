use std::fmt::Write as _;

macro_rules! events {
    ($($variant:ident $name:literal $version:literal [$($outcome:ident),+] $doc:literal, $detail:literal;)*) => {
        /// What a record tells of. The names are published (docs/audit-events.md) and never change their
        /// meaning; a change of fields raises the event's version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Event {
            $(#[doc = $doc] $variant,)*
        }

        impl Event {
            /// Every event there is, in the catalogue's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it stands in records: `session.lock`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The version of the event's fields: `v` of the record.
            pub const fn version(self) -> u32 {
                match self { $(Self::$variant => $version),* }
            }

            /// What it is evidence of.
            pub const fn purpose(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }

            /// What stands in `detail`, `why` or `change` beyond the fields that all records share.
            pub const fn fields(self) -> &'static str {
                match self { $(Self::$variant => $detail),* }
            }

            /// The outcomes it can have.
            pub const fn outcomes(self) -> &'static [Outcome] {
                match self { $(Self::$variant => &[$(Outcome::$outcome),+]),* }
            }

            /// Reads [`Self::name`] back.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Done, or allowed.
    Ok,
    /// Refused by a rule.
    Denied,
    /// Tried and not achieved: a wrong password, an upstream that didn't answer.
    Failed,
    /// Broken off: the client left, the connection died, the window closed.
    Aborted,
    /// Begun; another record with the same request id tells the end.
    Pending,
}

impl Outcome {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Ok, Self::Denied, Self::Failed, Self::Aborted, Self::Pending];

    /// As it stands in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Pending => "pending",
        }
    }

    /// Reads [`Self::name`] back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|outcome| outcome.name() == name)
    }
}

events! {
    ProcessStart "process.start" 1 [Ok] "The gateway started.", "`detail.version`, `detail.pid`";
    ProcessStop "process.stop" 1 [Ok] "The gateway stopped in good order. A start without a stop before it is a crash or a kill.", "`detail.signal`";
    ConfigLoad "config.load" 1 [Ok] "A configuration and policy came into force.", "`why.policy`, `why.generation`, `change`";
    ConfigReject "config.reject" 1 [Failed] "A new configuration was refused; the old one stays in force.", "`why.reason`";
    LoginOk "login.ok" 1 [Ok] "A person proved two factors (AAL2).", "`who.amr`, `who.aal`";
    LoginFail "login.fail" 1 [Failed, Denied] "A login or one of its steps failed.", "`detail.method`, `why.reason`";
    LoginSweep "login.sweep" 1 [Denied] "Within ten minutes more than twenty names, known or not, were tried ten times each. The browsers and addresses with a part in it have one try in half a minute from then on; accounts go on everywhere else.", "`detail.names`, `detail.sources`";
    SessionStart "session.start" 1 [Ok] "A session began.", "`what.id`";
    SessionLock "session.lock" 1 [Ok] "A session was locked.", "`why.reason`";
    SessionUnlock "session.unlock" 1 [Ok, Failed, Denied] "A locked session was opened by a factor of the same account, or that failed.", "`detail.method`, `why.reason`";
    SessionEnd "session.end" 1 [Ok] "A session ended for good.", "`why.reason`";
    HandshakeEnter "handshake.enter" 1 [Ok] "A browser brought its session from the portal to an app host.", "`what.id`, `from.host`";
    HandshakeRefuse "handshake.refuse" 1 [Denied] "A handshake's code was used twice, too late, elsewhere, or is unknown.", "`why.reason`";
    RequestPermit "request.permit" 2 [Ok, Denied, Failed, Aborted] "A request was let through, recorded once because its outcome was known before its head was released.", "`detail.status`, `detail.bytes_in`, `detail.bytes_out`, `detail.ms`; where it failed or its answer was withheld `detail.fault`";
    RequestDeny "request.deny" 1 [Denied, Failed] "A request was refused: by policy, a locked session, no session, or a part that failed.", "`why.reason`, `detail.status`, `detail.missing`";
    RequestOpen "request.open" 1 [Pending] "A request was let through; written before its first byte went upstream.", "`why`";
    RequestClose "request.close" 2 [Ok, Denied, Failed, Aborted] "How a request with `request.open` ended. The patient stands here when the response tells.", "`detail.opened`, `detail.status`, `detail.bytes_in`, `detail.bytes_out`, `detail.ms`; where it failed or its answer was withheld `detail.fault`; of what was carried out `detail.export` and `detail.sha256`";
    AppLogout "app.logout" 1 [Ok, Failed] "A session ended, and an app that it had used was told to end its own.", "`why.reason`, `detail.status`, `detail.cookies`: whether the gateway still knew the app's own cookies";
    EdgeMalformed "edge.malformed" 1 [Denied] "A connection or request was refused as ambiguous or malformed before any decision.", "`why.reason`, `detail.count`";
    AuthenticatorBind "authenticator.bind" 1 [Ok, Failed] "A password, one-time password, passkey or security key was bound to an account, or that failed.", "`what.id`, `detail.kind`";
    AuthenticatorRename "authenticator.rename" 1 [Ok] "A person gave one of his authenticators another label.", "`what.id`, `detail.kind`, `change`";
    AuthenticatorFail "authenticator.fail" 1 [Failed, Denied] "An authenticator's proof was wrong: bad signature, rolled-back counter, a value used twice.", "`detail.kind`, `detail.failures` (in a row, wherever they came from), `detail.failures_here` (in a row at this place), `why.reason`";
    AuthenticatorOff "authenticator.off" 1 [Ok] "An authenticator was switched off after too many failures, or ended.", "`why.reason`";
    EnrolmentIssue "enrolment.issue" 1 [Ok, Denied] "A registrar handed out a one-time code.", "`what.id`, `detail.expires`";
    EnrolmentStart "enrolment.start" 1 [Ok, Failed] "A one-time code was presented.", "`why.reason`";
    ProofingRecord "proofing.record" 1 [Ok] "A registrar recorded how a person's identity was checked.", "`detail.method`, `detail.evidence`";
    AccountCreate "account.create" 1 [Ok] "A person got an account.", "`change.after`";
    AccountActivate "account.activate" 1 [Ok] "An account became active.", "`change`";
    GrantAdd "grant.add" 1 [Ok] "An account was given a role for a reason.", "`why.grant`, `why.purpose`, `change.after`";
    HrImport "hr.import" 1 [Ok, Failed, Denied] "An HR file was applied, or refused whole.", "`detail.sha256`, `detail.counts`, `why.reason`";
    HrPerson "hr.person" 1 [Ok] "An applied HR file, or bootstrap, added or changed a person.", "`what.id` (staff number), `change`";
    CliLogin "cli.login" 1 [Ok, Failed] "A one-time code became a bearer token of `sekimorictl`.", "`detail.expires`";
    PolicyTest "policy.test" 1 [Ok, Denied, Failed] "Somebody asked what the policy would decide for a person.", "`what`, `detail.subject`, `detail.decision`";
    AuditRead "audit.read" 1 [Ok, Denied] "Somebody read the journal.", "`detail.query`";
    JournalSegment "journal.segment" 1 [Ok] "The first line of a segment. Written by the journal itself.", "`detail.format`, `detail.segment`, `detail.previous`";
    JournalRecover "journal.recover" 1 [Ok] "The journal went on in a new segment after something was wrong. Written by the journal itself.", "`why.reason`, `detail.refused`, `detail.torn`, `detail.restored`, `detail.missing`";
    BackupMake "backup.make" 1 [Ok] "A backup of store, keys, configuration and journal was made on the host.", "`detail.to`, `detail.manifest` (SHA-256), `detail.files`, `detail.bytes`, `detail.secrets`";
    BackupRestore "backup.restore" 1 [Ok] "The store was restored from a backup. Every session, login, handshake and one-time code of it ended with that; what the journal knows of later ends was applied again.", "`detail.made_at`, `detail.manifest`, `detail.seq` (the newest record that the restored store knows), `detail.sessions`, `detail.codes`, `detail.authenticators`, `detail.lost` (what happened since and is in no backup, by event)";
    CertificateIssue "certificate.issue" 1 [Ok, Failed] "The certificate authority was asked for a certificate by ACME: it is served from now on, or, as `failed`, what was served before stays.", "`what.id` (the directory), `detail.hosts`, `detail.until`, `detail.said`, `why.reason` (refused, authority, challenge, slow, unusable, files)";
    ClockOffset "clock.offset" 1 [Ok, Failed] "The clock was compared with a time server: well within the limits, or, as `failed`, off by more than one of them or not to be checked at all.", "`detail.offset_us` (how far the server is ahead of this clock), `detail.delay_us`, `detail.source`, `detail.stratum`, `why.reason` (off, far-off, no-answer, no-source)";
}

/// docs/audit-events.md as this catalogue has it.
pub fn catalogue_page() -> String {
    let mut page = String::from(include_str!("catalogue_head.md"));
    page.push_str("\n| event | v | what it is evidence of | outcomes | its own fields |\n|---|---|---|---|---|\n");
    for event in Event::ALL {
        let outcomes: Vec<_> = event.outcomes().iter().map(|o| o.name()).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            event.name(),
            event.version(),
            event.purpose(),
            outcomes.join(", "),
            event.fields()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn req_a5_1_the_published_catalogue_is_this_catalogue() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit-events.md");
        if std::env::var_os("SEKIMORI_WRITE_DOCS").is_some() {
            std::fs::write(&file, catalogue_page()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            catalogue_page(),
            "write it anew with SEKIMORI_WRITE_DOCS=1"
        );
    }

    #[test]
    fn names_are_unique_dotted_words_and_read_back() {
        let names: BTreeSet<_> = Event::ALL.iter().map(|e| e.name()).collect();
        assert_eq!(names.len(), Event::ALL.len());
        for event in Event::ALL {
            assert_eq!(Event::from_name(event.name()), Some(*event));
            assert!(event.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'.'), "{}", event.name());
            assert_eq!(event.name().split('.').count(), 2);
        }
        assert_eq!(Event::from_name("session.LOCK"), None);
    }
}
