use std::path::Path;

use super::*;
use crate::{demo, load_texts};

fn snapshot(main: &str) -> Snapshot {
    load_texts(Path::new("/srv"), main, demo::POLICY).unwrap()
}

#[test]
fn each_install_is_the_next_generation_and_what_began_before_keeps_its_own() {
    let current = Current::new(snapshot(demo::MAIN));
    let before = current.load();
    let after = current.prepare(snapshot(&format!("{}\n[session]\nlock_after = \"3m\"\n", demo::MAIN))).unwrap();
    assert_eq!(current.load().generation, 1);
    current.install(Arc::clone(&after));
    assert_eq!((before.generation, after.generation, current.load().generation), (1, 2, 2));
    assert_eq!(before.settings.session.lock_after.as_secs(), 300);
    assert_eq!(current.clone().load().settings.session.lock_after.as_secs(), 180);
}

#[test]
fn a_changed_listener_store_or_portal_refuses_the_reload() {
    let current = Current::new(snapshot(demo::MAIN));
    let changed = demo::MAIN
        .replace("127.0.0.1:8443", "127.0.0.1:9443")
        .replace("var/store.db", "var/other.db")
        .replace("auth.", "login.");
    let refused = current.prepare(snapshot(&changed)).unwrap_err();
    assert_eq!(refused.options, ["server.https", "portal.host", "store.path"]);
    assert_eq!(current.load().generation, 1);
    assert_eq!(current.load().settings.server.https.port(), 8443);
}
