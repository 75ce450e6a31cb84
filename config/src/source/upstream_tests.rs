use super::*;
use crate::demo;
use crate::upstream::UpstreamAuth;

const ROLE: &str = "[[role]]\nname = \"r\"\ntitle = { ja = \"r\", en = \"r\" }\n";

/// The problems of one app with these lines, and of an `[[upstream]]` with those.
fn told(app: &str, upstream: &str) -> Vec<String> {
    match loaded(app, upstream) {
        Ok(_) => Vec::new(),
        Err(report) => report.problems.iter().map(ToString::to_string).collect(),
    }
}

fn loaded(app: &str, upstream: &str) -> Result<Snapshot, Report> {
    let app = format!(
        "[[app]]\nname = \"pacs\"\ntitle = {{ ja = \"a\", en = \"a\" }}\nhost = \"pacs.sekimori.localhost\"\n{app}\n\
         action = [{{ name = \"view\", methods = [\"GET\"], paths = [\"/\"] }}]\n"
    );
    let upstream =
        if upstream.is_empty() { String::new() } else { format!("[[upstream]]\nname = \"orthanc\"\n{upstream}\n") };
    load_texts(Path::new("/srv"), demo::MAIN, &[("x.toml", &format!("{app}{upstream}{ROLE}"))])
}

fn only(told: Vec<String>) -> String {
    let [problem] = told.as_slice() else { panic!("{told:#?}") };
    problem.clone()
}

const NAMED: &str = "upstream = \"orthanc\"";

#[test]
fn an_upstream_has_members_in_order_and_what_they_are_held_to() {
    let upstream = "members = [\"https://a.example\", \"https://10.0.0.2:8043\"]\nca_file = \"ca.pem\"\n\
                    server_name = \"pacs.internal.example\"\nminimum_version = \"1.3\"\nrequests_at_once = 7\n\
                    [upstream.health]\npath = \"/system\"\ndown_after = 3";
    let snapshot = loaded(NAMED, upstream).unwrap_or_else(|report| panic!("{report}"));
    let upstream = &snapshot.apps[0].upstream;
    assert_eq!(
        upstream.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["https://a.example", "https://10.0.0.2:8043"]
    );
    let tls = upstream.tls.as_ref().unwrap();
    assert_eq!((tls.server_name.as_deref(), tls.roots.len()), (Some("pacs.internal.example"), 0));
    assert_eq!((upstream.requests_at_once, upstream.health.down_after, upstream.health.up_after), (7, 3, 2));
    let plain = loaded("upstream = \"http://10.0.0.1:8042\"", "").unwrap();
    assert!(plain.apps[0].upstream.tls.is_none() && matches!(plain.apps[0].upstream_auth, UpstreamAuth::None));
}

#[test]
fn an_upstream_over_tls_says_by_whom_it_is_certified() {
    assert!(
        only(told("upstream = \"https://a.example\"", "")).contains(":5:12: `https://a.example`: `https://` needs")
    );
    for (members, why) in [
        ("members = [\"https://a.example\"]", "needs `ca_file`"),
        ("members = []", "1 to 16 members"),
        ("members = [\"https://a.example\", \"http://b.example\"]\nca_file = \"ca.pem\"", "all `https://`"),
        ("members = [\"http://a.example\"]\nca_file = \"ca.pem\"", "`ca_file` is for"),
        ("members = [\"http://a.example\"]\nserver_name = \"b.example\"", "`server_name` is for"),
        ("members = [\"http://a.example\", \"http://a.example\"]", "twice"),
        ("members = [\"ftp://a.example\"]", "is not an upstream"),
    ] {
        let told = told(NAMED, members);
        assert!(told.iter().any(|line| line.contains(why)), "{members}: {told:#?}");
    }
}

#[test]
fn how_the_gateway_shows_itself_is_whole_and_fits_the_upstream() {
    let secured = "members = [\"https://a.example\"]\nca_file = \"ca.pem\"";
    let plain = "members = [\"http://a.example\"]";
    let auth = |table: &str| format!("{NAMED}\nupstream_auth = {{ secret_file = \"s\", {table} }}");
    for (table, upstream) in [
        ("kind = \"basic\", user = \"u\"", plain),
        ("kind = \"bearer\"", plain),
        ("kind = \"mtls\", certificate = \"c.pem\"", secured),
    ] {
        let snapshot = loaded(&auth(table), upstream).unwrap_or_else(|report| panic!("{report}"));
        assert!(matches!(snapshot.apps[0].upstream_auth, UpstreamAuth::Unread), "no file was looked at");
    }
    for (table, upstream, why) in [
        ("kind = \"basic\"", plain, "`basic` needs `user`"),
        ("kind = \"basic\", user = \"a:b\"", plain, "without `:`"),
        ("kind = \"bearer\", user = \"u\"", plain, "`user` is for `basic`"),
        ("kind = \"bearer\", certificate = \"c\"", plain, "`certificate` is for `mtls`"),
        ("kind = \"mtls\"", secured, "`mtls` needs `certificate`"),
        ("kind = \"mtls\", certificate = \"c\"", plain, "`mtls` needs members with `https://`"),
        ("kind = \"ntlm\"", plain, "is none of"),
    ] {
        assert!(only(told(&auth(table), upstream)).contains(why), "{table}: {:#?}", told(&auth(table), upstream));
    }
    let both = format!("{}\nallow_authorization = true", auth("kind = \"bearer\""));
    assert!(only(told(&both, plain)).contains("allow_authorization"));
    let nowhere = format!("{NAMED}\nupstream_auth = {{ kind = \"bearer\" }}");
    assert!(told(&nowhere, plain).iter().any(|line| line.contains("missing `app[0].upstream_auth.secret_file`")));
}
