//! The command by which users see their files, and remove some.

use crate::client::Client;
use crate::test_server::{Slot, TestServer, url_of};

/// Runs the command of the user's own account, with these files to remove.
async fn command(client: &mut Client<'_>, user: &str, remove: &[&Slot]) -> String {
    let values = remove.iter().map(|slot| format!("<value>{}</value>", slot.id));
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='remove'>{}</field></x>",
        values.collect::<String>()
    );
    client.command(&format!("{user}@localhost"), &form).await
}

#[tokio::test]
async fn users_list_and_remove_their_own_files_only() {
    let server = TestServer::new("").await;
    let mut romeo = Client::new(&server, "romeo").await;
    let mut juliet = Client::new(&server, "juliet").await;
    let (first, second) = (romeo.file("").await, romeo.file("").await);
    let hers = juliet.file("").await;
    let listed = command(&mut romeo, "romeo", &[]).await;
    for (slot, is_his) in [(&first, true), (&second, true), (&hers, false)] {
        assert_eq!(listed.contains(&url_of(slot)), is_his, "{listed}");
    }
    // A mistake removes nothing, also not what stands before it.
    let refused = command(&mut romeo, "romeo", &[&first, &hers]).await;
    assert!(refused.contains("you have no file"), "{refused}");
    for slot in [&first, &hers] {
        assert_eq!(server.get(slot, "").await.status, 200);
    }
    let done = command(&mut romeo, "romeo", &[&first]).await;
    assert!(done.contains("Removed: 1."), "{done}");
    for (slot, status) in [(&first, 404), (&second, 200), (&hers, 200)] {
        assert_eq!(server.get(slot, "").await.status, status);
    }
    server.close().await;
}
