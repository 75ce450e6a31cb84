//! What holds on PostgreSQL alone: several nodes, a server that goes away, the way to it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use model::{DatabaseHost, DatabaseServer, NodeId, Secret, StorePlace};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, FromRow};
use uuid::Uuid;

use crate::fixture::{Database, Fixture, administer, facts, node, person};
use crate::statements::unlisted;
use crate::value::args;
use crate::{Change, ChangeKind, Changed, Facts, Reader, Store, StoreError, Unrecorded, accounts};

unlisted! {
    SETTINGS = "SELECT current_setting('synchronous_commit') AS durable, current_setting('transaction_isolation') AS isolation, \
                current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock, \
                current_setting('idle_in_transaction_session_timeout') AS idle";
    HEAD = "UPDATE change_head SET seq = seq + 1 WHERE id = 1";
}

#[derive(FromRow, Debug, PartialEq)]
struct Settings {
    durable: String,
    isolation: String,
    statement: String,
    lock: String,
    idle: String,
}

async fn open(place: impl Into<StorePlace>, name: &str, fixture: &Fixture) -> Result<Store, StoreError> {
    Store::open(place, NodeId::try_from(name.to_owned()).unwrap(), fixture.clock.clone()).await
}

fn changed(key: Uuid) -> Facts {
    facts().changed(Changed { kind: ChangeKind::Account, key })
}

async fn commit(store: &Store, facts: Facts) -> Result<(), StoreError> {
    store.begin().await?.commit(facts).await.map(drop)
}

/// Asks again and again, for eight seconds at most: sooner than the server by itself gives anything up.
async fn until<T>(what: &str, mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..800 {
        if let Some(answer) = asked().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within eight seconds: {what}");
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_as::<_, (i64,)>(sql).fetch_one(connection).await.unwrap().0
}

const WRITERS_WAITING: &str = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 \
                               AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const NAMES_HELD: &str = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted \
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const TRANSACTIONS_LEFT: &str = "SELECT COUNT(*) FROM pg_stat_activity \
                                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";

#[tokio::test]
async fn what_a_transaction_reads_holds_until_it_commits_whichever_node_writes() {
    let fixture = Fixture::on_postgres().await;
    let other = open(fixture.place(), "n2", &fixture).await.unwrap();
    let seen = fixture.account("000001").await;
    let mut first = fixture.store.begin().await.unwrap();
    let read = accounts::by_id(&mut first, seen.id).await.unwrap().unwrap();

    let second = tokio::spawn(async move {
        let mut tx = other.begin().await.unwrap();
        accounts::by_id(&mut tx, seen.id).await.unwrap().unwrap().state
    });
    let mut beside = fixture.database().connect().await;
    until("the other node's writer waits", async || (number(&mut beside, WRITERS_WAITING).await == 1).then_some(()))
        .await;
    accounts::set_state(&mut first, &read, accounts::AccountState::Active).await.unwrap();
    let _ = first.commit(facts()).await.unwrap();
    assert_eq!(second.await.unwrap(), accounts::AccountState::Active, "it reads what is newest once it has the lock");
}

#[tokio::test]
async fn atk_a19_an_early_transaction_held_open_across_a_later_one_is_not_skipped() {
    let fixture = Fixture::on_postgres().await;
    let mut feed = fixture.store.feed().await.unwrap();
    // Somebody who does not know of the writers' lock: the head row alone must keep the order.
    let mut early = fixture.database().connect().await;
    let mut held = early.begin().await.unwrap();
    sqlx::query("INSERT INTO hr_import VALUES ($1, 0, '', '', '')")
        .bind(Uuid::nil())
        .execute(&mut *held)
        .await
        .unwrap();

    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    commit(&fixture.store, changed(first)).await.unwrap();
    assert!(matches!(feed.next().await, Change::One { seq: 1, key, .. } if key == first));

    sqlx::query(HEAD.sql).execute(&mut *held).await.unwrap();
    sqlx::query("INSERT INTO change SELECT seq, 'account', $1, 0 FROM change_head")
        .bind(second)
        .execute(&mut *held)
        .await
        .unwrap();
    // Its number is taken: a third has to wait for its end.
    let mut third = pin!(commit(&fixture.store, changed(Uuid::now_v7())));
    let mut waiting = fixture.database().connect().await;
    let blocked = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')";
    until("the third waits", async || {
        let polled = std::future::poll_fn(|context| Poll::Ready(third.as_mut().poll(context).is_ready())).await;
        assert!(!polled, "a later number was committed before an earlier one");
        (number(&mut waiting, blocked).await > 0).then_some(())
    })
    .await;
    held.commit().await.unwrap();
    third.await.unwrap();
    assert!(matches!(feed.next().await, Change::One { seq: 2, key, .. } if key == second));
    assert!(matches!(feed.next().await, Change::One { seq: 3, .. }));
}

#[tokio::test]
async fn atk_a19_a_commit_rings_at_the_other_nodes() {
    let fixture = Fixture::on_postgres().await;
    let other = open(fixture.place(), "n2", &fixture).await.unwrap();
    let mut rung = other.shared().changed.subscribe();
    for seq in 1..=3 {
        commit(&fixture.store, changed(Uuid::now_v7())).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(10), rung.wait_for(|newest| *newest >= seq)).await;
        assert!(heard.is_ok_and(|heard| heard.is_ok()), "{seq}");
    }
}

#[tokio::test]
async fn a_node_that_has_lost_its_name_to_another_process_writes_no_more() {
    let fixture = Fixture::on_postgres().await;
    fixture.account("000001").await;
    fixture.database().hang_up().await;
    fixture.clock.advance(Duration::from_secs(1));
    let successor = Store::open(fixture.place(), node(), fixture.clock.clone()).await.unwrap();
    let refused = until("the former one's connection is there again", async || {
        match commit(&fixture.store, facts()).await {
            // Its connections were hung up.
            Err(StoreError::Engine { .. }) => None,
            done => Some(done),
        }
    })
    .await;
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    commit(&successor, facts()).await.unwrap();
}

#[tokio::test]
async fn a_node_goes_on_by_itself_when_its_server_is_there_again() {
    let fixture = Fixture::on_postgres().await;
    fixture.account("000001").await;
    let mut feed = fixture.store.feed().await.unwrap();
    let name = &fixture.database().name;
    administer(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS FALSE")).await;
    administer(&format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")).await;

    let begun = fixture.store.begin().await;
    assert!(matches!(begun, Err(StoreError::Engine { .. } | StoreError::Busy)), "{begun:?}");
    let read = accounts::by_staff_no(&fixture.store, &"000001".parse().unwrap()).await;
    assert!(matches!(read, Err(StoreError::Engine { .. } | StoreError::Busy)), "{read:?}");
    assert_eq!(feed.next().await, Change::Flush, "it may have missed something");

    administer(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS TRUE")).await;
    until("it writes again", async || commit(&fixture.store, changed(Uuid::nil())).await.ok()).await;
    until("it hears again", async || matches!(feed.next().await, Change::One { seq: 1, .. }).then_some(())).await;
    let account = accounts::by_staff_no(&fixture.store, &"000001".parse().unwrap()).await.unwrap();
    assert!(account.is_some());
}

#[tokio::test]
async fn the_name_is_held_again_after_the_connection_was_lost() {
    let fixture = Fixture::on_postgres().await;
    fixture.database().hang_up().await;
    let mut beside = fixture.database().connect().await;
    until("it is held", async || (number(&mut beside, NAMES_HELD).await == 1).then_some(())).await;
    let second = Store::open(fixture.place(), node(), fixture.clock.clone()).await;
    assert!(matches!(second, Err(StoreError::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn a_former_connection_that_the_server_still_believes_in_stops_nobody() {
    let fixture = Fixture::on_postgres().await;
    let database = fixture.database();
    database.hang_up().await;
    let mut ghost = database.connect().await;
    let has_it = "SELECT COUNT(pg_advisory_lock(1936026473, hashtext('n1')))";
    assert_eq!(number(&mut ghost, has_it).await, 1);
    let mut beside = database.connect().await;
    until("it asks for its name", async || {
        let asking = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND NOT granted";
        (number(&mut beside, asking).await > 0).then_some(())
    })
    .await;
    until("it writes meanwhile", async || commit(&fixture.store, facts()).await.ok()).await;
    ghost.close().await.unwrap();
    until("it has its name", async || (number(&mut beside, NAMES_HELD).await == 1).then_some(())).await;
}

#[tokio::test]
async fn whoever_leaves_while_a_transaction_begins_leaves_no_transaction_behind() {
    let fixture = Fixture::on_postgres().await;
    let other = open(fixture.place(), "n2", &fixture).await.unwrap();
    let holding = other.begin().await.unwrap();
    let mut beside = fixture.database().connect().await;
    {
        let mut left = pin!(fixture.store.begin());
        until("it waits for the lock", async || {
            let mut context = Context::from_waker(Waker::noop());
            assert!(left.as_mut().poll(&mut context).is_pending());
            (number(&mut beside, WRITERS_WAITING).await == 1).then_some(())
        })
        .await;
        let mut seeing = pin!(fixture.store.view());
        let mut context = Context::from_waker(Waker::noop());
        assert!(seeing.as_mut().poll(&mut context).is_pending());
    }
    drop(holding);
    until("no transaction is left", async || (number(&mut beside, TRANSACTIONS_LEFT).await == 0).then_some(())).await;
    commit(&other, facts()).await.unwrap();
    commit(&fixture.store, facts()).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_the_server_gives_up_for_another_is_busy_and_leaves_nothing() {
    let fixture = Fixture::on_postgres().await;
    let mut early = fixture.database().connect().await;
    let mut held = early.begin().await.unwrap();
    sqlx::query(HEAD.sql).execute(&mut *held).await.unwrap();
    let mut tx = fixture.store.begin().await.unwrap();
    person(&mut tx, "000001").await;
    let stuck = tokio::spawn(async move { tx.commit(changed(Uuid::nil())).await.map(drop) });
    let mut beside = fixture.database().connect().await;
    let cancel = "SELECT COUNT(pg_cancel_backend(pid)) FROM pg_stat_activity \
                  WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("it is stuck", async || (number(&mut beside, cancel).await == 1).then_some(())).await;
    let given_up = stuck.await.unwrap();
    assert!(matches!(given_up, Err(StoreError::Busy)), "{given_up:?}");
    held.rollback().await.unwrap();
    assert_eq!(number(&mut beside, "SELECT COUNT(*) FROM person").await, 0);
}

#[tokio::test]
async fn a_session_is_durable_and_bounded_whatever_the_database_says() {
    let fixture = Fixture::on_postgres().await;
    let name = &fixture.database().name;
    for lax in ["synchronous_commit = off", "default_transaction_isolation = 'serializable'", "statement_timeout = 0"] {
        fixture.database().run(&format!("ALTER DATABASE {name} SET {lax}")).await;
    }
    let fixture = fixture.crash().await;
    let mut tx = fixture.store.begin().await.unwrap();
    let settings = tx.one::<Settings>(SETTINGS, args![]).await.unwrap().unwrap();
    let text = |text: &str| text.to_owned();
    let expected = Settings {
        durable: text("on"),
        isolation: text("read committed"),
        statement: text("15s"),
        lock: text("5s"),
        idle: text("10s"),
    };
    assert_eq!(settings, expected);
}

#[tokio::test]
async fn the_way_to_the_server_is_verified_and_its_password_needed() {
    let fixture = Fixture::on_postgres().await;
    let good = Database::bare().await.over_tls().await;
    let DatabaseHost::Tls { name, authorities } = good.host.clone() else { panic!() };
    let store = open(StorePlace::Server(good.clone()), "n2", &fixture).await.unwrap();
    commit(&store, facts()).await.unwrap();

    let stranger = fixture.folder.path().join("stranger.pem");
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=stranger",
        ])
        .args(["-keyout", "/dev/null", "-out"])
        .arg(&stranger)
        .output();
    assert!(made.unwrap().status.success());
    let tls = |name: &str, authorities: &std::path::Path| DatabaseServer {
        host: DatabaseHost::Tls { name: name.to_owned(), authorities: authorities.to_owned() },
        ..good.clone()
    };
    let bad = [
        ("another authority", tls(&name, &stranger)),
        ("another name", tls("127.0.0.2", &authorities)),
        ("a wrong password", DatabaseServer { password: Some(Secret::new("x".to_owned())), ..good.clone() }),
        ("no TLS", DatabaseServer { host: DatabaseHost::Plain(name.clone()), ..good.clone() }),
        ("no such database", DatabaseServer { database: "nowhere".to_owned(), ..good.clone() }),
    ];
    for (what, server) in bad {
        let opened = open(StorePlace::Server(server), "n3", &fixture).await;
        assert!(matches!(opened, Err(StoreError::Connect { .. })), "{what}: {opened:?}");
    }
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let fixture = Fixture::on_postgres().await;
    let name = format!("{}_ascii", fixture.database().name);
    administer(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")).await;
    let place = StorePlace::Server(DatabaseServer { database: name, ..fixture.database().server() });
    let opened = open(place, "n1", &fixture).await;
    assert!(matches!(opened, Err(StoreError::Unfit { .. })), "{opened:?}");
}

#[tokio::test]
async fn two_nodes_that_start_at_once_make_the_schema_once() {
    let fixture = Fixture::on_postgres().await;
    let database = Database::bare().await;
    let place = || StorePlace::Server(database.server());
    let (first, second) = tokio::join!(open(place(), "n1", &fixture), open(place(), "n2", &fixture));
    commit(&first.unwrap(), changed(Uuid::nil())).await.unwrap();
    let store = second.unwrap();
    assert_eq!(crate::change::head(Reader::from(&store)).await.unwrap(), 1);
    let mut tx = store.begin().await.unwrap();
    person(&mut tx, "000001").await;
    tx.commit_unrecorded(Unrecorded::Housekeeping).await.unwrap();
}
