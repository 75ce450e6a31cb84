use proptest::prelude::*;

use super::*;
use crate::demo;

const FOLDER: &str = "/srv";

/// The problems of the demo's main file after `edit`, without positions in other files.
fn problems(main: &str, policy: &[(&str, &str)]) -> Vec<String> {
    match load_texts(Path::new(FOLDER), main, policy) {
        Ok(_) => Vec::new(),
        Err(report) => report.problems.iter().map(ToString::to_string).collect(),
    }
}

fn edited(from: &str, to: &str) -> Vec<String> {
    assert!(demo::MAIN.contains(from), "{from}");
    problems(&demo::MAIN.replacen(from, to, 1), demo::POLICY)
}

fn with(text: &str) -> Vec<String> {
    problems(&format!("{}\n{text}", demo::MAIN), demo::POLICY)
}

/// The line of the main file on which the `n`th line of what [`with`] adds stands.
fn added(n: usize) -> String {
    format!("sekimori.toml:{}", demo::MAIN.lines().count() + 1 + n)
}

/// The demo's policy and one more file.
fn with_rules(text: &str) -> Vec<String> {
    let mut policy = demo::POLICY.to_vec();
    policy.push(("x.toml", text));
    problems(demo::MAIN, &policy)
}

fn only(problems: Vec<String>) -> String {
    let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
    problem.clone()
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_file_line_and_column() {
    let main = r#"
[site]
name = { ja = "病院", en = "Hospital", fr = "Hôpital" }
domain = "co.jp"

[server]
htps = "0.0.0.0:443"
https = "0.0.0.0"

[tls]
certificate = "a.pem"

[portal]
host = "auth.example.co.jp"

[store]
path = 5

[session]
lock_after = "5 minutes"
end_after = "2h"

[[zones]]
name = "ward"
networks = ["10.0.0.0/8"]

[[zones]]
name = "office"
networks = ["10.1.0.0/16", "10.2.0.1/16"]
"#;
    let rules = "[[app]]\nname = \"chart\"\ntitle = { ja = \"カルテ\", en = \"Chart\" }\nhost = \"auth.example.co.jp\"\nupstream = \"orthnac\"\n\
                 [[upstream]]\nname = \"orthanc\"\nmembers = [\"http://10.0.0.1:8042\"]\n\
                 [[role]]\nname = \"nurse\"\ntitle = { ja = \"看護師\", en = \"Nurse\" }\npermit = [{ app = \"chart\", actions = [\"fly\"], condition = \"nights\" }]\n";
    let told = problems(main, &[("chart.toml", rules)]);
    let expected = [
        "policy/chart.toml:4:8: `auth.example.co.jp` is already the host of the portal",
        "policy/chart.toml:5:12: there is no upstream `orthnac`; did you mean `orthanc`?",
        "policy/chart.toml:7:8: no app uses the upstream `orthanc`",
        "policy/chart.toml:12:39: role nurse: there is no action \"chart:fly\"",
        "policy/chart.toml:12:59: role nurse: there is no condition \"nights\"",
        "sekimori.toml:1:1: missing `journal.checkpoint_directory`",
        "sekimori.toml:1:1: missing `journal.directory`",
        "sekimori.toml:1:1: missing `keys.master_key_file`",
        "sekimori.toml:3:38: unknown key `fr`",
        "sekimori.toml:4:10: `co.jp` is a public suffix: others have names under it too; write the hospital's own domain",
        "sekimori.toml:7:1: unknown key `htps`; did you mean `https`?",
        "sekimori.toml:8:9: `0.0.0.0` is not an address and port, as `0.0.0.0:443` or `[::]:443`",
        "sekimori.toml:10:1: missing `tls.key`",
        "sekimori.toml:17:8: expected text of 1 to 1024 characters, found an integer",
        "sekimori.toml:20:14: `5 minutes` is not a duration: write a number and ms, s, m, h or d, as in `5m`",
        "sekimori.toml:21:13: `2h` is outside `1s` to `60m`",
        "sekimori.toml:29:28: `10.2.0.1/16` has bits set behind its prefix: did you mean `10.2.0.0/16`?",
    ];
    for line in expected {
        assert!(told.contains(&line.to_owned()), "not told: {line}\n{told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn an_unknown_key_is_told_with_the_known_one_it_resembles() {
    assert_eq!(
        only(with("[session]\nlock_afer = \"5m\"")),
        format!("{}:1: unknown key `lock_afer`; did you mean `lock_after`?", added(2))
    );
    assert_eq!(
        only(with("[sesion]\nlock_after = \"5m\"")),
        format!("{}:2: unknown key `sesion`; did you mean `session`?", added(1))
    );
    assert_eq!(
        only(with_rules(
            "[[condition]]\nname = \"x\"\nzones = [\"ward\"]\nhours = [{ from = \"07:00\", to = \"08:00\", day = [] }]"
        )),
        "policy/x.toml:4:42: unknown key `day`; did you mean `days`?"
    );
}

#[test]
fn a_syntax_error_is_told_once_and_drags_nothing_behind_it() {
    let told = edited("domain = \"sekimori.localhost\"", "domain = \"sekimori.localhost");
    assert!(told.iter().all(|line| line.starts_with("sekimori.toml:6:")), "{told:#?}");
    let told = with("[session]\nlock_after = 5m");
    assert!(!told.is_empty() && told.iter().all(|line| line.starts_with(&added(2))), "{told:#?}");
    let told = edited("domain = \"sekimori.localhost\"", "domain = \"a.example\"\ndomain = \"b.example\"");
    assert!(told.iter().any(|line| line.contains("duplicate key")), "{told:#?}");
}

#[test]
fn req_c06_no_session_lasts_longer_than_a_day() {
    assert!(with("[session]\nabsolute = \"24h\"").is_empty());
    assert!(only(with("[session]\nabsolute = \"25h\"")).ends_with("`25h` is outside `1s` to `24h`"));
    assert!(only(with("[session]\nabsolute = \"2m\"")).contains("shorter than `lock_after`"));
}

#[test]
fn req_c07_no_session_is_unattended_for_longer_than_an_hour() {
    assert!(with("[session]\nlock_after = \"15m\"\nend_after = \"45m\"").is_empty());
    assert!(
        only(with("[session]\nlock_after = \"15m\"\nend_after = \"46m\"")).starts_with(&format!("{}:13: ", added(3)))
    );
    assert!(only(with("[session]\nlock_after = \"16m\"")).ends_with("`16m` is outside `1s` to `15m`"));
    assert!(only(with("[session]\nend_after = \"61m\"")).ends_with("`61m` is outside `1s` to `60m`"));
}

#[test]
fn a_public_suffix_is_no_hospitals_domain() {
    for suffix in ["localhost", "jp", "co.jp", "lg.jp", "github.io"] {
        let told = problems(
            &demo::MAIN.replace("sekimori.localhost", suffix),
            &[("r.toml", "[[role]]\nname=\"r\"\ntitle={ja=\"r\",en=\"r\"}")],
        );
        assert!(
            told.iter().any(|line| line.contains("public suffix") || line.contains("is not a host name")),
            "{suffix}: {told:#?}"
        );
    }
}

#[test]
fn hosts_are_inside_the_domain_and_used_once() {
    assert!(
        only(edited("host = \"auth.sekimori.localhost\"", "host = \"auth.other.localhost\""))
            .contains("outside `site.domain`")
    );
    assert!(
        only(edited("host = \"auth.sekimori.localhost\"", "host = \"auth.badsekimori.localhost\""))
            .contains("outside `site.domain`")
    );
    assert!(
        only(edited("host = \"auth.sekimori.localhost\"", "host = \"chart.sekimori.localhost\""))
            .starts_with("policy/chart.toml:6:8: `chart.sekimori.localhost` is already the host of the portal")
    );
    let twin = "[[app]]\nname = \"twin\"\ntitle = { ja = \"a\", en = \"a\" }\nhost = \"chart.sekimori.localhost\"\nupstream = \"http://127.0.0.1\"\n\
                action = [{ name = \"view\", methods = [\"GET\"], paths = [\"/\"] }]";
    assert_eq!(
        only(with_rules(twin)),
        "policy/x.toml:4:8: `chart.sekimori.localhost` is already the host of app `chart`"
    );
}

#[test]
fn zones_do_not_overlap_and_are_named_once() {
    let zone = |name: &str, network: &str| with(&format!("[[zones]]\nname = \"{name}\"\nnetworks = [\"{network}\"]"));
    assert!(zone("lab", "10.0.0.0/8").is_empty());
    assert_eq!(
        only(zone("lab", "127.0.0.1/32")),
        format!("{}:13: `127.0.0.1/32` of zone `lab` overlaps `127.0.0.0/8` of zone `ward`", added(3))
    );
    assert!(only(zone("lab", "::/0")).contains("overlaps `::1/128`"));
    assert!(only(zone("ward", "10.0.0.0/8")).contains("there are two zones `ward`"));
    assert!(only(zone("unknown", "10.0.0.0/8")).contains("can't be given"));
    assert!(only(with("[[zones]]\nname = \"lab\"\nnetworks = []")).contains("has no network"));
}

#[test]
fn a_zone_and_an_action_may_have_a_title_in_both_languages() {
    let snapshot = load_texts(Path::new("."), demo::MAIN, demo::POLICY).unwrap();
    let ward = snapshot.zone_title("ward").unwrap();
    assert_eq!((ward.ja.as_str(), ward.en.as_str()), ("病棟", "Ward"));
    assert!(snapshot.zone_title("unknown").is_none());
    let chart = snapshot.policy.app_rules(snapshot.policy.app("chart").unwrap()).unwrap();
    let admin = chart.actions.iter().find(|action| action.name == "admin").unwrap();
    assert_eq!(admin.title.as_ref().unwrap().ja, "カルテの管理");
    assert!(chart.actions.iter().all(|action| action.title.is_some()), "the demo shows its readers no internal name");

    let zone = |title: &str| with(&format!("[[zones]]\nname = \"lab\"\n{title}\nnetworks = [\"10.0.0.0/8\"]"));
    assert!(zone("").is_empty() && zone("title = { ja = \"検査室\", en = \"Laboratory\" }").is_empty());
    assert_eq!(only(zone("title = { ja = \"検査室\" }")), format!("{}:9: missing `zones[2].title.en`", added(3)));
}

#[test]
fn a_condition_names_zones_that_there_are() {
    let told = with_rules("[[condition]]\nname = \"x\"\nzones = [\"ward\", \"ofice\"]");
    assert_eq!(only(told), "policy/x.toml:3:18: there is no zone `ofice`; did you mean `office`?");
    assert!(only(with_rules("[[condition]]\nname = \"x\"\nzones = [\"unknown\"]")).starts_with("policy/x.toml:3:9: "));
}

#[test]
fn what_the_policy_refuses_is_told_where_it_stands() {
    let role = |permit: &str| {
        format!("[[role]]\nname = \"x\"\ntitle = {{ ja = \"x\", en = \"x\" }}\n\n[[role.permit]]\n{permit}")
    };
    assert!(
        only(with_rules(&role("app = \"chart\"\nactions = [\"view\", \"fly\"]"))).starts_with("policy/x.toml:7:20: ")
    );
    assert!(
        only(with_rules(&role("app = \"chart\"\nactions = [\"view\"]\ncondition = \"nights\"")))
            .starts_with("policy/x.toml:8:13: ")
    );
    let birthright = "[[birthright]]\nname = \"x\"\nrole = \"auditor\"\noccupation = [\"医師\"]";
    assert!(only(with_rules(birthright)).starts_with("policy/x.toml:3:8: "));
    let app = |action: &str| {
        format!(
            "[[app]]\nname = \"x\"\ntitle = {{ ja = \"x\", en = \"x\" }}\nhost = \"x.sekimori.localhost\"\nupstream = \"http://127.0.0.1\"\n[[app.action]]\nname = \"view\"\nmethods = [\"GET\"]\n{action}"
        )
    };
    assert!(only(with_rules(&app("paths = [\"/\", \"/a/../b\"]"))).starts_with("policy/x.toml:9:15: "));
    assert!(
        only(with_rules(&app("paths = [\"/\"]\npatient = { path = \"id\", query = \"id\" }")))
            .starts_with("policy/x.toml:10:11: `patient` needs exactly one")
    );
    assert!(
        only(with_rules(&app("paths = [\"/\"]").replace("name = \"x\"", "name = \"sekimori\"")))
            .contains("is the portal itself")
    );
}

#[test]
fn req_g18_a_rule_about_hr_data_is_written_in_its_matching_form() {
    let rule =
        |ward: &str| with_rules(&format!("[[birthright]]\nname = \"x\"\nrole = \"nurse\"\ndepartment = [\"{ward}\"]"));
    assert!(rule("3階東病棟").is_empty());
    assert!(only(rule("３階東病棟")).starts_with("policy/x.toml:4:15: `３階東病棟`: write it as `3階東病棟`"));
    assert!(only(rule("　")).contains("1 to 80 characters"));
}

#[test]
fn the_journals_checkpoints_are_apart_from_it() {
    for (directory, apart) in
        [("var/journal", false), ("var/journal/checkpoints", false), ("var", false), ("var/journals", true)]
    {
        let told =
            edited("checkpoint_directory = \"var/checkpoints\"", &format!("checkpoint_directory = \"{directory}\""));
        assert_eq!(told.is_empty(), apart, "{directory}: {told:#?}");
    }
}

#[test]
fn columns_and_words_of_the_hr_file_mean_one_thing_each() {
    assert!(only(with("columns = { kana = \"氏名\" }")).contains("`kana` and `name` name the same column `氏名`"));
    assert!(only(with("concurrent_words = [\"主務\"]")).contains("can't mean both"));
    assert!(only(with("codes = { occupation = { \"01\" = 1 } }")).contains("found an integer"));
    assert!(with("codes = { occupation = { \"01\" = \"医師\" } }").is_empty());
}

#[test]
fn every_column_option_takes_part_in_the_comparison() {
    use crate::schema::Table as _;
    let snapshot = load_texts(Path::new(FOLDER), demo::MAIN, demo::POLICY).unwrap();
    let named: Vec<&str> = snapshot.settings.hr.columns.named().iter().map(|(option, _)| *option).collect();
    let declared: Vec<&str> = crate::HrColumns::spec().options.iter().map(|option| option.name).collect();
    assert_eq!(named, declared);
}

#[test]
fn without_rules_nothing_starts() {
    assert!(only(problems(demo::MAIN, &[])).contains("nothing could be permitted"));
}

#[test]
fn the_policy_hash_is_of_names_and_bytes_whatever_their_order() {
    let hash = |policy: &[(&str, &str)]| Source::texts(Path::new(FOLDER), "", policy).policy_hash();
    let plain = hash(&[("a", "x"), ("b", "y")]);
    assert_eq!(plain.len(), 64);
    assert_eq!(plain, hash(&[("b", "y"), ("a", "x")]));
    for other in
        [[("a", "y"), ("b", "x")], [("a", "xb"), ("", "y")], [("a", "x"), ("c", "y")], [("a", "x"), ("b", "y\n")]]
    {
        assert_ne!(plain, hash(&other), "{other:?}");
    }
}

proptest! {
    /// However a file is broken, it is either taken or refused with a reason inside it.
    #[test]
    fn a_broken_file_never_panics_and_is_never_refused_without_a_reason(at in 0_usize..2_000, cut in 0_usize..40, put in "\\PC{0,8}", which in 0_usize..6) {
        let mut texts: Vec<String> = std::iter::once(demo::MAIN).chain(demo::POLICY.iter().map(|(_, text)| *text)).map(str::to_owned).collect();
        let text = &mut texts[which];
        let mut chars: Vec<char> = text.chars().collect();
        let from = at % chars.len();
        let to = (from + cut).min(chars.len());
        chars.splice(from..to, put.chars());
        *text = chars.into_iter().collect();
        let policy: Vec<(&str, &str)> = demo::POLICY.iter().zip(&texts[1..]).map(|((name, _), text)| (*name, text.as_str())).collect();
        if let Err(report) = load_texts(Path::new(FOLDER), &texts[0], &policy) {
            prop_assert!(!report.problems.is_empty());
            for problem in &report.problems {
                let text = if &*problem.file == "sekimori.toml" { &texts[0] } else {
                    let i = policy.iter().position(|(name, _)| *problem.file == format!("policy/{name}")).unwrap();
                    &texts[i + 1]
                };
                prop_assert!(problem.line >= 1 && problem.line <= text.split('\n').count(), "{problem}");
            }
        }
    }
}

#[test]
fn a_store_on_a_server_is_named_with_what_vouches_for_it() {
    let path = "path = \"var/store.db\"";
    let store = |lines: &str| edited(path, &format!("{path}\n{lines}"));
    let over_tls = "url = \"postgres://sekimori@db.hospital.example/sekimori\"";
    assert!(store(&format!("{over_tls}\nca_file = \"ca.pem\"\npassword_file = \"secret\"")).is_empty());
    assert!(store("url = \"postgres://sekimori@/sekimori?host=/run/postgresql\"").is_empty());
    let line = demo::MAIN.lines().position(|line| line == path).unwrap() + 2;
    let told = |lines: &str, column: usize, why: &str| {
        let problem = only(store(lines));
        assert!(problem.starts_with(&format!("sekimori.toml:{line}:{column}: ")) && problem.contains(why), "{problem}");
    };
    told(over_tls, 7, "must prove itself");
    told("ca_file = \"ca.pem\"", 11, "without a `url`");
    told("password_file = \"secret\"", 17, "without `url`");
    told("url = \"postgres://sekimori:geheim@db/sekimori\"", 7, "a password has no place here");
    told("url = \"db.hospital.example\"", 7, "is not a database");
}
