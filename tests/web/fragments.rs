//! A client closes its WebSocket while a stanza is half there, or is whole and its message has not ended.

use tokio::io::AsyncWriteExt;

use crate::{TestServer, hear, log_in_as, masked, parts, rest};

fn message(to: &str, body: &str) -> String {
    format!("<message xmlns='jabber:client' to='{to}'><body>{body}</body></message>")
}

#[tokio::test]
async fn nothing_is_routed_of_a_message_that_has_not_ended() {
    let server = TestServer::closed("[auth]\nanonymous = true\n").await;
    let (mut juliet, address) = log_in_as(&server).await;
    juliet.write_all(&masked(0x81, b"<presence xmlns='jabber:client'/>")).await.unwrap();
    hear(&mut juliet, "<presence").await;
    // `resource` would make it too long for one frame of a client.
    let secret = message(&address, "no");
    let all = secret.as_bytes();
    let (half, _) = all.split_at(all.len() - 20);
    let fragments = |first: &[u8]| -> Vec<u8> {
        let mut frames = Vec::new();
        for (i, piece) in first.chunks(100).enumerate() {
            frames.extend(masked(if i == 0 { 0x01 } else { 0x00 }, piece));
        }
        frames
    };
    for (what, begun) in [
        ("half a stanza", fragments(half)),
        ("a whole stanza, and the message goes on", fragments(all)),
        ("a whole stanza, and an empty fragment", [fragments(all), masked(0x00, b"")].concat()),
    ] {
        let (mut romeo, _) = log_in_as(&server).await;
        romeo.write_all(&[begun, masked(0x88, b"\x03\xe8")].concat()).await.unwrap();
        assert!(rest(&mut romeo).await.ends_with(&[0x88, 2, 0x03, 0xe8]), "{what}");
        // The server has read to the end of it. What is sent after it arrives alone.
        let (mut nurse, _) = log_in_as(&server).await;
        let yes = message(&address, "yes");
        let (first, second) = yes.as_bytes().split_at(60);
        nurse.write_all(&parts(first, second)).await.unwrap();
        let heard = hear(&mut juliet, "<body>yes</body>").await;
        assert_eq!(heard.matches("<message").count(), 1, "{what}: {heard}");
        assert!(!heard.contains("<body>no</body>"), "{what}: {heard}");
    }
    server.close().await;
}
