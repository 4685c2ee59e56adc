//! The commands about invitations.

use serde_json::json;

use super::{code_of, context, json_of, rows_of};
use crate::admin::Code;
use crate::jid::BareJid;

#[tokio::test]
async fn invitations_are_made_listed_and_taken_back() {
    let (cx, _) = context();
    json_of(&cx, "user add", json!({"account": "romeo", "password": "x"})).await;
    let made = json_of(&cx, "invite create", json!({})).await;
    let uri = made["uri"].as_str().unwrap();
    assert!(uri.starts_with("xmpp:localhost?register;preauth="), "{made}");
    assert_eq!(made["expires"], "1970-01-08T00:00:00.000Z");
    let named = json!({"name": "juliet@b.example", "days": 1});
    let made = json_of(&cx, "invite create", named.clone()).await;
    let uri = made["uri"].as_str().unwrap();
    assert!(uri.starts_with("xmpp:juliet@b.example?register;preauth="), "{made}");
    json_of(&cx, "invite create", json!({"inviter": "romeo", "uses": 3})).await;
    for (arguments, code) in [
        (named, Code::Conflict),
        (json!({"name": "romeo"}), Code::Conflict),
        (json!({"name": "a@elsewhere.example"}), Code::Invalid),
        (json!({"name": "nurse", "uses": 2}), Code::Invalid),
        (json!({"uses": 0}), Code::Invalid),
        (json!({"days": 100_000}), Code::Invalid),
        (json!({"inviter": "nobody"}), Code::NotFound),
        (json!({"inviter": "romeo", "name": "nurse@b.example"}), Code::Invalid),
    ] {
        assert_eq!(code_of(&cx, "invite create", arguments.clone()).await, code, "{arguments}");
    }
    let all = rows_of(&cx, "invite list", json!({})).await;
    assert_eq!(all.as_array().unwrap().len(), 3);
    let of_romeo = rows_of(&cx, "invite list", json!({"inviter": "romeo"})).await;
    let row = &of_romeo[0];
    assert_eq!(
        (&row["uses"], &row["state"], &row["account"]),
        (&json!(3), &json!("open"), &json!(true))
    );
    let id = json!({"id": row["id"]});
    json_of(&cx, "invite revoke", id.clone()).await;
    assert_eq!(code_of(&cx, "invite revoke", id).await, Code::NotFound);
    assert_eq!(code_of(&cx, "invite revoke", json!({"id": "x"})).await, Code::NotFound);
    let romeo = BareJid::parse("romeo@localhost").unwrap();
    assert_eq!(cx.storage.invitations().invitations(Some(&romeo), 9).await.unwrap(), []);
}
