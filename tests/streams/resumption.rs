//! Resumption of streams on bad connections (XEP-0198 §5).

use super::test_server::{TestServer, messages, numbers, resume};

#[tokio::test]
async fn a_resumption_that_is_cut_off_loses_nothing() {
    let server = TestServer::new("").await;
    let mut romeo = server.login("romeo").await;
    let mut juliet = server.login("juliet").await;
    let id = juliet.enable().await;
    romeo.say(messages("juliet@localhost/juliet", 0..1, "My ears have not yet drunk")).await;
    juliet.hears("</message>").await;
    drop(juliet);
    let mut again = server.pipe().authenticated("juliet").await;
    again.say(resume(&id)).await;
    drop(again);
    let mut third = server.plain().await.authenticated("juliet").await;
    third.say(resume(&id)).await;
    third.hears("<resumed ").await;
    third.hears("My ears have not yet drunk").await;
    server.close().await;
}

#[tokio::test]
async fn a_resumption_does_not_wait_for_the_old_connection_to_take_bytes() {
    let server = TestServer::new("").await;
    let mut romeo = server.login("romeo").await;
    let mut juliet = server.pipe().login("juliet").await;
    let id = juliet.enable().await;
    let long = "x".repeat(100_000);
    romeo.say(messages("juliet@localhost/juliet", 0..5, &long)).await;
    romeo.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='p' type='result'/>").await;
    let mut again = server.plain().await.authenticated("juliet").await;
    again.say(resume(&id)).await;
    let heard = again.hears("id='m4'").await;
    assert!(heard.starts_with("<resumed "), "{}", &heard[..100]);
    assert_eq!(numbers(&heard, " id='m"), [0, 1, 2, 3, 4]);
    drop(juliet);
    server.close().await;
}
