use std::path::Path;

use policy::{LocalTime, Query, Routing, Weekday};

use super::*;
use crate::{demo, load_texts};

fn hospital() -> Snapshot {
    load_texts(Path::new("/srv"), demo::MAIN, demo::POLICY).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn the_demo_hospital_is_a_valid_configuration() {
    let snapshot = hospital();
    assert_eq!(snapshot.settings.portal_origin(), "https://auth.sekimori.localhost:8443");
    assert_eq!(snapshot.settings.store.path, Path::new("/srv/var/store.db"));
    let chart = snapshot.app_by_host("chart.sekimori.localhost").unwrap();
    assert_eq!((&*chart.name, chart.upstream.members[0].authority().as_str()), ("chart", "127.0.0.1:9101"));
    assert_eq!(snapshot.app(chart.id).unwrap().name, chart.name);
    assert!(snapshot.is_portal("auth.sekimori.localhost"));
    assert!(snapshot.app_by_host("auth.sekimori.localhost").is_none());
    assert!(snapshot.app_by_host("CHART.sekimori.localhost").is_none());
    assert!(snapshot.certificates.is_empty());
}

/// What a role may do on the ward at a time of day.
fn may(snapshot: &Snapshot, role: &str, method: &str, path: &str, minute: u16) -> bool {
    let app = snapshot.app_by_host("chart.sekimori.localhost").unwrap().id;
    let Routing::Action(routed) = snapshot.policy.route(app, method, path) else {
        panic!("{method} {path} is no action");
    };
    let query = Query {
        app,
        action: routed.action,
        roles: &snapshot.policy.role_set([role]),
        zone: "ward",
        local: LocalTime { weekday: Weekday::Saturday, minute },
        aal2: true,
    };
    snapshot.policy.decide(&query).is_permit()
}

#[test]
fn in_the_demo_hospital_each_role_may_do_its_work_and_no_more() {
    let snapshot = hospital();
    let patient = "/patients/DEMO-0001";
    for role in ["physician", "nurse", "pharmacist", "radiographer"] {
        assert!(may(&snapshot, role, "GET", patient, 180), "{role}");
        assert!(!may(&snapshot, role, "GET", "/admin", 180), "{role}");
        let orders = may(&snapshot, role, "POST", "/patients/DEMO-0001/orders", 180);
        assert_eq!(orders, role == "physician", "{role}");
    }
    assert!(may(&snapshot, "nurse", "GET", "/ws/ward", 0));
    assert!(may(&snapshot, "radiographer", "POST", "/patients/DEMO-0001/files", 0));
    for (minute, open) in [(419, false), (420, true), (1_199, true), (1_200, false)] {
        assert_eq!(may(&snapshot, "clerk", "GET", patient, minute), open, "minute {minute}");
    }
    assert!(may(&snapshot, "sysadmin", "POST", "/admin/settings", 0));
    assert!(!may(&snapshot, "sysadmin", "GET", patient, 0));
}

#[test]
fn the_portal_is_an_app_whose_actions_roles_can_permit() {
    let snapshot = hospital();
    for (path, action) in [
        ("hr/import", "hr"),
        ("enrolment", "enrolment"),
        ("session/1/end", "session"),
        ("policy/test", "policy"),
        ("audit/tail", "audit"),
    ] {
        let path = format!("/.sekimori/api/v1/{path}");
        let Routing::Action(routed) = snapshot.policy.route(snapshot.portal_app(), "POST", &path) else {
            panic!("{path}");
        };
        assert_eq!(snapshot.policy.action(routed.action).unwrap().name, action);
    }
}

#[test]
fn an_address_is_in_the_zone_of_its_network_or_nowhere() {
    let zones = "[[zones]]\nname = \"inner\"\nnetworks = [\"10.1.0.0/16\", \"10.1.2.0/24\", \"10.3.0.0/16\", \"2001:db8::/32\"]\n\
                 [[zones]]\nname = \"outer\"\nnetworks = [\"10.2.0.0/16\", \"10.0.0.0/32\"]\n";
    let main = format!("{}{zones}", demo::MAIN);
    let snapshot = load_texts(Path::new("/srv"), &main, demo::POLICY).unwrap();
    let cases = [
        ("127.0.0.1", "ward"),
        ("127.255.255.255", "ward"),
        ("128.0.0.0", "unknown"),
        ("::1", "ward"),
        ("::2", "unknown"),
        ("10.0.0.0", "outer"),
        ("10.0.0.1", "unknown"),
        ("10.1.0.0", "inner"),
        ("10.1.2.3", "inner"),
        ("10.1.255.255", "inner"),
        ("10.2.0.1", "outer"),
        ("10.3.255.255", "inner"),
        ("10.4.0.0", "unknown"),
        ("::ffff:10.2.0.1", "outer"),
        ("2001:db8::5", "inner"),
        ("2001:db9::", "unknown"),
        ("::a02:1", "unknown"),
        ("0.0.0.0", "unknown"),
        ("255.255.255.255", "unknown"),
    ];
    for (address, zone) in cases {
        assert_eq!(snapshot.zone_of(address.parse().unwrap()).name(), zone, "{address}");
    }
}

#[test]
fn an_origin_names_the_port_that_browsers_see() {
    let mut settings = hospital().settings;
    settings.server.public_port = Some(443);
    assert_eq!(settings.origin_of("a.b"), "https://a.b");
    settings.server.public_port = Some(10_443);
    assert_eq!(settings.origin_of("a.b"), "https://a.b:10443");
}
