//! A message is retracted that has the address of a file (`files.remove_retracted`).

use tokio::time::timeout;

use crate::client::Client;
use crate::test_server::{PATIENCE, Slot, TestServer, url_of};

fn message(id: &str, to: &str, slot: &Slot) -> String {
    let url = url_of(slot);
    format!(
        "<message to='{to}@localhost' type='chat' id='{id}'><body>{url}</body>\
         <x xmlns='jabber:x:oob'><url>{url}</url></x></message>"
    )
}

fn retraction(of: &str, to: &str) -> String {
    format!(
        "<message to='{to}@localhost' type='chat' id='r-{of}'>\
         <retract xmlns='urn:xmpp:message-retract:1' id='{of}'/><body>retracted</body></message>"
    )
}

#[tokio::test]
async fn a_file_goes_with_the_message_that_has_its_address() {
    let server = TestServer::new("files.remove_retracted = true\n").await;
    let (mut romeo, mut juliet) =
        (Client::new(&server, "romeo").await, Client::new(&server, "juliet").await);
    let (gone, stays) = (romeo.file("").await, romeo.file("").await);
    romeo.sends(&message("m1", "juliet", &gone)).await;
    romeo.sends(&message("m2", "juliet", &stays)).await;
    // Nobody removes the files of others, by naming them or by retracting what others wrote.
    juliet.sends(&message("m3", "romeo", &gone)).await;
    juliet.sends(&retraction("m3", "romeo")).await;
    juliet.sends(&retraction("m1", "romeo")).await;
    assert_eq!(server.get(&gone, "").await.status, 200);
    romeo.sends(&retraction("m1", "juliet")).await;
    assert_eq!(server.get(&gone, "").await.status, 404);
    assert_eq!(server.get(&stays, "").await.body, b"hello");
    // Both have one content. With the last of them it leaves the disk, without being asked for.
    romeo.sends(&retraction("m2", "juliet")).await;
    let swept = async {
        while server.contents() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, swept).await.unwrap();
    server.close().await;
}

#[tokio::test]
async fn files_outlive_their_messages_if_the_administrator_does_not_say_so() {
    let server = TestServer::new("").await;
    let (mut romeo, _) =
        (Client::new(&server, "romeo").await, Client::new(&server, "juliet").await);
    let file = romeo.file("").await;
    romeo.sends(&message("m1", "juliet", &file)).await;
    romeo.sends(&retraction("m1", "juliet")).await;
    assert_eq!(server.get(&file, "").await.status, 200);
    server.close().await;
}
