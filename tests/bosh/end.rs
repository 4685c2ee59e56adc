//! How sessions begin and end, over the wire.

use tokio::time::timeout;
use waxwing::auth::derive_keys;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::NewAccount;

use crate::{PATIENCE, TestServer};

impl TestServer {
    async fn account(&self, name: &str, password: &str) {
        let account = NewAccount {
            user: BareJid::parse(&format!("{name}@localhost")).unwrap(),
            keys: derive_keys(password, 2).unwrap(),
            created: Timestamp::from_micros(0),
            admin: false,
        };
        self.server.state().storage.accounts().create(&[account]).await.unwrap();
    }
}

const LOGIN: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHNvbGRpZXJseQ==</auth>";

/// Says this, and asks until `wanted` has come. The next request has the number `rid`.
async fn says(server: &TestServer, head: &str, rid: &mut u64, inside: &str, wanted: &str) {
    let mut answer = server.send(&format!("{head} rid='{rid}'"), inside).await;
    *rid += 1;
    while !answer.body.contains(wanted) {
        assert_eq!(answer.attribute("type"), None, "{answer:?}");
        answer = server.send(&format!("{head} rid='{rid}'"), "").await;
        *rid += 1;
    }
}

/// XEP-0124 §13: what the stream says last comes with the end, although a client hears its own presence before.
#[tokio::test]
async fn a_logout_is_acknowledged_by_the_answer_to_its_request() {
    let server = TestServer::new("").await;
    server.account("romeo", "soldierly").await;
    let sid = server.session("ver='1.6' wait='5' hold='1'").await;
    let (head, mut rid) = (format!("sid='{sid}'"), 101);
    says(&server, &head, &mut rid, LOGIN, "<success").await;
    says(&server, &format!("{head} xmpp:restart='true'"), &mut rid, "", "<bind").await;
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    says(&server, &head, &mut rid, bind, "<jid>").await;
    says(&server, &head, &mut rid, "<presence/>", "<presence ").await;
    let end = format!("{head} rid='{rid}' type='terminate'");
    let answer = server.send(&end, "<presence type='unavailable'/>").await;
    assert_eq!(answer.condition(), None, "{answer:?}");
    assert!(answer.body.contains("type='unavailable'"), "{answer:?}");
    let gone = async {
        while server.server.state().budgets.connections.open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    server.close().await;
}

/// XEP-0124 §8: the first request may have elements, too.
#[tokio::test]
async fn what_comes_with_the_first_request_is_said_on_the_stream() {
    let server = TestServer::new("").await;
    server.account("romeo", "soldierly").await;
    let answer = server.send("rid='100' to='localhost' ver='1.6' wait='5'", LOGIN).await;
    let sid = answer.attribute("sid").unwrap();
    let mut heard = answer.body;
    if !heard.contains("<success") {
        heard += &server.send(&format!("sid='{sid}' rid='101'"), "").await.body;
    }
    assert!(heard.contains("<mechanism>") && heard.contains("<success"), "{heard}");
    server.close().await;
}
