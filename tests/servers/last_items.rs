//! Last items of nodes for contacts on other servers (XEP-0163 §4.3.4).

use super::peer::Peer;
use super::test_server::Two;

/// The value of the first attribute of this name.
fn value(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!(" {name}='")).unwrap();
    rest.split('\'').next().unwrap().to_owned()
}

/// Answers each question what the hash in its presence stands for, until this comes.
async fn answers_until(client: &mut Peer, wanted: &str) -> String {
    loop {
        let heard = client.hears(">").await;
        if heard.contains("<iq ") && heard.contains("type='get'") {
            let (from, id) = (value(&heard, "from"), value(&heard, "id"));
            client.hears("</iq>").await;
            client
                .say(format!(
                    "<iq type='result' id='{id}' to='{from}'>\
                     <query xmlns='http://jabber.org/protocol/disco#info'>\
                     <feature var='urn:x:mood+notify'/></query></iq>"
                ))
                .await;
        } else if heard.contains(wanted) {
            return heard;
        }
    }
}

#[tokio::test]
async fn a_contact_on_another_server_gets_the_last_items_when_it_becomes_available() {
    let two = Two::certified("").await;
    let (mut romeo, mut juliet) = (two.a.online("romeo").await, two.b.online("juliet").await);
    for (node, text) in [("urn:x:mood", "merry"), ("urn:x:other", "no")] {
        romeo
            .say(format!(
                "<iq type='set' id='{node}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
                 <publish node='{node}'><item id='current'><mood xmlns='{node}'>{text}</mood></item>\
                 </publish></pubsub></iq>"
            ))
            .await;
        romeo.hears(&format!("id='{node}'")).await;
    }
    juliet.say("<presence type='subscribe' to='romeo@a.example'/>").await;
    romeo.hears("type='subscribe'").await;
    romeo.say("<presence type='subscribed' to='juliet@b.example'/>").await;
    romeo.say("<presence type='subscribe' to='juliet@b.example'/>").await;
    juliet.hears("type='subscribe'").await;
    juliet.say("<presence type='subscribed' to='romeo@a.example'/>").await;
    romeo.hears("from='juliet@b.example/r'").await;
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='eA=='/>";
    juliet.say(format!("<presence>{caps}</presence>")).await;
    let heard = answers_until(&mut juliet, "<mood xmlns='urn:x:mood'>").await;
    assert!(!heard.contains("urn:x:other"), "{heard}");
    juliet.hears("merry").await;
    // Once.
    juliet.say(format!("<presence><show>away</show>{caps}</presence>")).await;
    romeo.hears("<show>away</show>").await;
    romeo.say("<message to='juliet@b.example/r' type='chat'><body>end</body></message>").await;
    let heard = juliet.hears("<body>end</body>").await;
    assert!(!heard.contains("<mood "), "{heard}");
    two.close().await;
}
