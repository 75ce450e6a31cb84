//! Data that leaves the system (S-22): recorded, shown instead of saved, or refused.

use aws_lc_rs::digest;

use crate::upstream::ok_with;
use crate::world::World;

const REPORT: &str = "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"r.pdf\"\r\n";

/// The chart with `download = …` on the pages of `/public`, or with more lines there.
fn public(world: &World, more: &str) {
    world.reload(|rules| rules.replacen("\"/public/{*rest}\"]", &format!("\"/public/{{*rest}}\"]\n{more}"), 1));
}

#[tokio::test]
async fn req_s22_what_is_carried_out_is_recorded_with_its_bytes_and_their_hash() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with(REPORT, "a report"));
    let answer = world.ask("GET /public/report", &nurse.cookie).await;
    assert_eq!((answer.status, answer.header("content-disposition")), (200, vec!["attachment; filename=\"r.pdf\""]));
    let closed = world.await_records("request.close", 1).await.remove(0);
    let hash: String =
        digest::digest(&digest::SHA256, b"a report").as_ref().iter().map(|b| format!("{b:02x}")).collect();
    for part in ["\"export\":true", &format!("\"sha256\":\"{hash}\""), "\"bytes_out\":8", "\"outcome\":\"ok\""] {
        assert!(closed.contains(part), "{part}: {closed}");
    }
    assert_eq!(world.records_of("request.open").len(), 1);
    // The head alone carries nothing out.
    world.ask("HEAD /public/report", &nurse.cookie).await;
    assert!(!world.await_records("request.permit", 1).await[0].contains("export"));
}

#[tokio::test]
async fn req_s22_every_answer_of_an_action_that_exports_is_recorded_as_that() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with("Content-Type: application/json\r\n", "[1,2]"));
    let script = format!("{}Sec-Fetch-Mode: cors\r\n", nurse.cookie);
    world.ask("GET /public/list", &script).await;
    assert!(!world.await_records("request.permit", 1).await[0].contains("export"));
    public(&world, "class = \"export\"");
    world.ask("GET /public/list", &script).await;
    assert!(world.await_records("request.close", 1).await[0].contains("\"export\":true"));
}

#[tokio::test]
async fn req_s22_inline_shows_a_document_instead_of_saving_it() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    public(&world, "download = \"inline\"");
    world.upstream.answers(|_| ok_with(REPORT, "a report"));
    let answer = world.ask("GET /public/report", &nurse.cookie).await;
    assert_eq!((answer.status, answer.header("content-disposition")), (200, vec!["inline"]));
    assert!(!world.await_records("request.permit", 1).await[0].contains("export"));
    world.upstream.answers(|_| ok_with("Content-Type: application/zip\r\n", "all charts"));
    let answer = world.ask("GET /public/all.zip", &nurse.cookie).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("reason: \"download\"") && !answer.text().contains("charts"), "{}", answer.text());
}

#[tokio::test]
async fn req_s22_what_is_refused_is_on_record_and_its_connection_not_used_again() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    public(&world, "download = \"deny\"");
    world.upstream.answers(|seen| {
        if seen.line().contains("/public") { ok_with(REPORT, "a report") } else { ok_with("", "page") }
    });
    assert_eq!(world.ask("GET /public/report", &nurse.cookie).await.status, 403);
    let record = world.await_records("request.permit", 1).await.remove(0);
    assert!(record.contains("\"outcome\":\"denied\"") && record.contains("\"fault\":\"download\""), "{record}");
    assert!(record.contains("\"bytes_out\":0") && record.contains("\"status\":403"), "{record}");
    assert_eq!(world.ask("GET /page", &nurse.cookie).await.text(), "page");
    assert_eq!(world.upstream.seen()[1].connection, 2);
    // Other actions of the app are as they were.
    world.upstream.answers(|_| ok_with(REPORT, "a report"));
    assert_eq!(world.ask("GET /patients/1", &nurse.cookie).await.status, 200);
}

#[tokio::test]
async fn req_s22_the_strictest_of_zone_app_and_action_holds() {
    let world = World::with(|main| main + "download = \"inline\"\n").await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with(REPORT, "a report"));
    let disposition = async |line: &str| {
        let answer = world.ask(line, &nurse.cookie).await;
        (answer.status, answer.header("content-disposition").concat())
    };
    public(&world, "download = \"allow\"");
    assert_eq!(disposition("GET /public/report").await, (200, "inline".to_owned()), "the zone's own");
    world.reload(|rules| rules.replacen("identity_headers", "download = \"deny\"\nidentity_headers", 1));
    assert_eq!(disposition("GET /public/report").await.0, 403, "the app's");
    world.reload(|rules| {
        let rules = rules.replacen("identity_headers", "download = \"deny\"\nidentity_headers", 1);
        rules.replacen("\"/public/{*rest}\"]", "\"/public/{*rest}\"]\ndownload = \"allow\"", 1)
    });
    assert_eq!(disposition("GET /public/report").await, (200, "inline".to_owned()), "the action's in the app's place");
}

#[tokio::test]
async fn a_read_is_recorded_with_the_bytes_that_its_answer_declares() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with("Content-Type: text/html\r\n", "a page"));
    world.ask("GET /page", &nurse.cookie).await;
    world.ask("HEAD /page", &nurse.cookie).await;
    let records = world.await_records("request.permit", 2).await;
    assert!(records[0].contains("\"bytes_out\":6") && records[1].contains("\"bytes_out\":0"), "{records:?}");
}

#[tokio::test]
async fn req_s22_a_link_that_says_download_is_known_by_its_fetch_metadata() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    world.upstream.answers(|_| ok_with("Content-Type: application/pdf\r\n", "%PDF"));
    let link = format!("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: empty\r\n{}", nurse.cookie);
    let window = format!("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n{}", nurse.cookie);
    assert_eq!(world.ask("GET /page", &link).await.status, 200);
    assert!(world.await_records("request.close", 1).await[0].contains("\"export\":true"));
    world.reload(|rules| rules.replacen("identity_headers", "download = \"inline\"\nidentity_headers", 1));
    assert_eq!(world.ask("GET /page", &link).await.status, 403);
    assert_eq!(world.ask("GET /page", &window).await.status, 200);
}
