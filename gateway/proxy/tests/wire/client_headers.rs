//! What of a client's header reaches the upstream (H-01, H-02, H-10, H-13 … H-16; A8, A10).

use crate::world::World;

#[tokio::test]
async fn a_request_passes_byte_for_byte() {
    let world = World::new().await;
    let nurse = world.login("000101", &["nurse"]).await;
    let answer = world.ask("GET /patients/000123?tab=%E5%B1%B1&x=//..", &nurse.cookie).await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    let seen = world.upstream.only();
    assert_eq!(seen.line(), "GET /patients/000123?tab=%E5%B1%B1&x=//.. HTTP/1.1");
    assert_eq!(seen.header("host"), [crate::world::CHART]);
}
