//! What the gateway asks upstreams by itself: whose an id is, and to end their own sessions (A48).

use std::time::Duration;

use identity::By;
use model::EndReason;

use crate::upstream::{Reply, Seen, ok, ok_with, with_connection};
use crate::world::World;

const LOOKUP: &str = "patient = { lookup = { path = \"/things/{id}/owner?x=1\", json = \"/PatientID\" } }";

fn looking_up(world: &World) {
    world.reload(|rules| rules.replacen("patient = { path = \"id\" }", LOOKUP, 1));
}

fn owner(seen: &Seen) -> Reply {
    if seen.line().starts_with("GET /things/") {
        ok_with("Content-Type: application/json\r\n", "{\"PatientID\":\"P0042\"}")
    } else {
        ok("a picture")
    }
}

#[tokio::test]
async fn the_upstream_is_asked_once_whose_an_id_is() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    looking_up(&world);
    world.upstream.answers(owner);
    for _ in 0..2 {
        let answer = world.ask("GET /patients/ab12", &format!("{}X-Mine: 1\r\n", nurse.cookie)).await;
        assert_eq!(answer.text(), "a picture");
    }
    let records = world.await_records("request.permit", 2).await;
    assert!(records.iter().all(|record| record.contains("\"patient\":\"P0042\"")), "{records:?}");
    let seen = world.upstream.seen();
    let lines: Vec<&str> = seen.iter().map(Seen::line).collect();
    let picture = "GET /patients/ab12 HTTP/1.1";
    assert_eq!(lines, ["GET /things/ab12/owner?x=1 HTTP/1.1", picture, picture]);
    assert_eq!(seen[0].header("remote-user"), ["000101"]);
    assert_eq!(seen[0].header("sekimori-assertion").len(), 1);
    assert_eq!(seen[0].header("x-request-id"), seen[1].header("x-request-id"));
    assert!(seen[0].header("x-mine").is_empty(), "nothing of the client's own goes with it");
    // The configuration may have put something else behind the name: what was remembered is forgotten.
    looking_up(&world);
    world.ask("GET /patients/ab12", &nurse.cookie).await;
    assert_eq!(world.upstream.seen().len(), 5);
}

#[tokio::test]
async fn an_id_that_the_upstream_cannot_place_is_unknown_and_asked_again() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    looking_up(&world);
    let answers: [&'static str; 5] = [
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"PatientID\":\"P00\"}",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 19\r\n\r\n{\"PatientID\":\"P00\"}",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 70000\r\n\r\n{",
        "nonsense\r\n\r\n",
    ];
    let mut left = answers.into_iter();
    world.upstream.answers(move |seen| match seen.line().starts_with("GET /things/") {
        true => Reply::Last(left.next().unwrap().as_bytes().to_vec()),
        false => ok("a picture"),
    });
    for _ in answers {
        assert_eq!(world.ask("GET /patients/ab12", &nurse.cookie).await.status, 200);
    }
    let records = world.await_records("request.permit", answers.len()).await;
    assert!(records.iter().all(|record| record.contains("\"patient\":\"unknown\"")), "{records:?}");
    // What can't be asked for as it stands is not asked for.
    let before = world.upstream.seen().len();
    world.ask("GET /patients/a&b", &nurse.cookie).await;
    assert_eq!(world.upstream.seen().len(), before + 1);
}

#[tokio::test]
async fn atk_a52_a_session_that_ends_while_the_upstream_is_asked_whose_it_is_sees_nothing() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    looking_up(&world);
    let (go, gone) = tokio::sync::watch::channel(false);
    world.upstream.answers(move |_| {
        let mut gone = gone.clone();
        with_connection(|mut stream| async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            let text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"PatientID\":\"P42\"}";
            tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await.unwrap();
        })
    });
    let ends = async {
        while world.upstream.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(world.sessions.end(nurse.live.id(), EndReason::Killed, By::Gateway).await.unwrap());
        go.send_replace(true);
    };
    let (answer, ()) = tokio::join!(world.ask("GET /patients/ab12", &nurse.cookie), ends);
    assert_eq!(answer.status, 401);
    assert_eq!(world.upstream.seen().len(), 1);
}

fn with_logout(world: &World, logout: &str) {
    world.reload(|rules| rules.replacen("identity_headers", &format!("logout = {logout}\nidentity_headers"), 1));
}

#[tokio::test]
async fn atk_a48_the_apps_own_session_ends_with_the_session_here() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    with_logout(&world, "{ path = \"/logout?all=1\" }");
    world.upstream.answers(|seen| match seen.line().starts_with("GET /page") {
        true => ok_with("Set-Cookie: JSESSIONID=secret; Path=/; HttpOnly\r\n", ""),
        false => ok("bye"),
    });
    let set = world.ask("GET /page", &nurse.cookie).await.header("set-cookie")[0].to_owned();
    let kept = set.split(';').next().unwrap();
    world.ask("GET /page", &format!("{}; {kept}\r\n", nurse.cookie.trim_end())).await;
    assert!(world.sessions.end(nurse.live.id(), EndReason::Logout, By::Gateway).await.unwrap());
    let record = world.await_records("app.logout", 1).await.remove(0);
    for part in ["\"outcome\":\"ok\"", "\"000101\"", "\"app\":\"chart\"", "\"target\":\"/logout\"", "\"cookies\":true"]
    {
        assert!(record.contains(part), "{part}: {record}");
    }
    let seen = world.upstream.seen().pop().unwrap();
    assert_eq!(seen.line(), "POST /logout?all=1 HTTP/1.1");
    assert_eq!(seen.header("cookie"), ["JSESSIONID=secret"]);
    assert_eq!((seen.header("content-length"), seen.header("remote-user")), (vec!["0"], vec!["000101"]));
    assert_eq!(seen.header("origin"), ["https://chart.hospital.example"]);
    assert!(!record.contains("secret") && record.contains(seen.header("x-request-id")[0]));
}

#[tokio::test]
async fn an_app_is_told_of_an_end_by_the_clock_and_an_app_that_does_not_answer_is_on_record() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let visitor = world.login("000102", &["nurse"]).await;
    with_logout(&world, "{ method = \"GET\", path = \"/logout\" }");
    world.ask("GET /page", &nurse.cookie).await;
    world.upstream.answers(|_| Reply::Last(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec()));
    world.clock.advance(Duration::from_secs(13 * 3_600));
    let record = world.await_records("app.logout", 1).await.remove(0);
    assert!(record.contains("\"outcome\":\"failed\"") && record.contains("\"upstream-status\""), "{record}");
    assert!(record.contains("\"cookies\":false") && record.contains("\"000101\""), "{record}");
    assert_eq!(world.upstream.seen().len(), 2, "who was never there has nothing to end: {:?}", visitor.account);
}
