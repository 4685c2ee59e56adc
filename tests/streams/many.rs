//! Much at once: bursts, slow readers, ends right behind.

use super::test_server::{TestServer, messages, numbers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_reaches_a_client_that_reads_whole_and_in_order() {
    let server = TestServer::new("").await;
    let (mut romeo, mut juliet) = (server.online("romeo").await, server.online("juliet").await);
    let burst = messages("juliet@localhost/juliet", 0..5000, "Lady, by yonder moon I vow");
    let ((), heard) = tokio::join!(romeo.say(burst), juliet.hears("id='m4999'"));
    assert_eq!(numbers(&heard, " id='m"), (0..5000).collect::<Vec<_>>());
    let large = messages("romeo@localhost/romeo", 0..40, &"x".repeat(100_000));
    let ((), heard) = tokio::join!(juliet.say(large), romeo.hears("id='m39'"));
    assert_eq!(numbers(&heard, " id='m"), (0..40).collect::<Vec<_>>());
    server.close().await;
}

#[tokio::test]
async fn a_burst_of_requests_is_answered_once_each_however_slowly_one_reads() {
    let server = TestServer::new("").await;
    let mut romeo = server.narrow().await.login("romeo").await;
    let ping = |n| format!("<iq type='get' id='p{n}'><ping xmlns='urn:xmpp:ping'/></iq>");
    romeo.say((0..1000).map(ping).collect::<String>()).await;
    let heard = romeo.hears("id='p999' type='result'/>").await;
    assert_eq!(numbers(&heard, " id='p"), (0..1000).collect::<Vec<_>>());
    server.close().await;
}

#[tokio::test]
async fn large_answers_do_not_close_a_client_that_asks_for_many() {
    let server = TestServer::new("inbox_bytes = \"256 KiB\"").await;
    let mut romeo = server.narrow().await.login("romeo").await;
    let name = "n".repeat(900);
    let item = |n: usize| {
        format!(
            "<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'>\
             <item jid='c{n}@localhost' name='{name}'/></query></iq>"
        )
    };
    romeo.say((0..100).map(item).collect::<String>()).await;
    romeo.hears("id='s99' type='result'/>").await;
    let get = |n: usize| format!("<iq type='get' id='g{n}'><query xmlns='jabber:iq:roster'/></iq>");
    romeo.say((0..20).map(get).collect::<String>()).await;
    romeo.hears("id='g19' type='result'").await;
    server.close().await;
}

#[tokio::test]
async fn what_is_said_right_before_the_end_arrives() {
    let server = TestServer::new("").await;
    let mut juliet = server.online("juliet").await;
    for _ in 0..5 {
        let mut romeo = server.login("romeo").await;
        let said = messages("juliet@localhost", 0..100, "Good night");
        romeo.say([&said, "</stream:stream>"].concat()).await;
        drop(romeo);
        let heard = juliet.hears("id='m99'").await;
        assert_eq!(numbers(&heard, " id='m"), (0..100).collect::<Vec<_>>());
    }
    server.close().await;
}

#[tokio::test]
async fn a_thousand_messages_wait_and_arrive_in_order() {
    let server = TestServer::new("").await;
    let mut romeo = server.login("romeo").await;
    romeo.say(messages("juliet@localhost", 0..1000, "Romeo")).await;
    romeo.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    romeo.hears("id='p' type='result'/>").await;
    let mut juliet = server.login("juliet").await;
    juliet.say("<presence/>").await;
    let heard = juliet.hears("id='m999'").await;
    assert_eq!(numbers(&heard, " id='m"), (0..1000).collect::<Vec<_>>());
    server.close().await;
}

#[tokio::test]
async fn a_request_that_was_never_read_is_answered_when_its_reader_is_gone() {
    let server = TestServer::new("write = \"1 s\"\ninbox_stanzas = 4096\ninbox_bytes = \"64 MiB\"");
    let server = server.await;
    let mut romeo = server.login("romeo").await;
    let mut juliet = server.narrow().await.login("juliet").await;
    let to = "juliet@localhost/juliet";
    // Only a user who has her presence may ask (RFC 6121 §8.5.3.1).
    juliet.say("<presence to='romeo@localhost/romeo'/>").await;
    romeo.hears("from='juliet@localhost/juliet'").await;
    // Much more than the buffers of a connection hold.
    let fill = "x".repeat(200_000);
    let fill = format!("<message type='headline' to='{to}'><body>{fill}</body></message>");
    romeo.say(fill.repeat(60)).await;
    romeo.say(format!("<iq type='get' id='lost' to='{to}'><a xmlns='b'/></iq>")).await;
    let heard = romeo.hears("</iq>").await;
    assert!(heard.contains("id='lost' type='error'"), "{heard}");
    assert!(heard.contains("<service-unavailable "), "{heard}");
    drop(juliet);
    server.close().await;
}

#[tokio::test]
async fn a_contact_sees_one_go_once() {
    let server = TestServer::new("").await;
    let (mut romeo, mut juliet) = (server.online("romeo").await, server.online("juliet").await);
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>").await;
    juliet.hears("type='subscribe'").await;
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>").await;
    romeo.hears("from='juliet@localhost/juliet'").await;
    juliet.say("<presence to='romeo@localhost'/></stream:stream>").await;
    juliet.hears_the_end().await;
    romeo.hears("type='unavailable'/>").await;
    romeo.say("<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = romeo.hears("id='p' type='result'/>").await;
    assert!(!heard.contains("unavailable"), "{heard}");
    server.close().await;
}

#[tokio::test]
async fn one_with_many_contacts_sees_them_all() {
    let server = TestServer::new("inbox_stanzas = 32\nroster_items = 1000").await;
    let names: Vec<_> = (0..100).map(|n| format!("c{n}")).collect();
    server.add(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut romeo = server.online("romeo").await;
    let mut contacts = Vec::new();
    for name in &names {
        let mut contact = server.online(name).await;
        // Half of them are seen, half of them wait for an answer.
        if contacts.len() % 2 == 0 {
            romeo.say(format!("<presence to='{name}@localhost' type='subscribe'/>")).await;
            contact.hears("type='subscribe'/>").await;
            contact.say("<presence to='romeo@localhost' type='subscribed'/>").await;
            romeo.hears(&format!("from='{name}@localhost/{name}'")).await;
        } else {
            contact.say("<presence to='romeo@localhost' type='subscribe'/>").await;
            romeo.hears("type='subscribe'/>").await;
        }
        contacts.push(contact);
    }
    romeo.say("</stream:stream>").await;
    romeo.hears_the_end().await;
    let mut romeo = server.login("romeo").await;
    romeo.say("<presence/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    let heard = romeo.hears("id='p' type='result'/>").await;
    assert_eq!(heard.matches("type='subscribe'/>").count(), 50);
    assert_eq!(heard.matches("<presence from='c").count(), 100);
    server.close().await;
}
