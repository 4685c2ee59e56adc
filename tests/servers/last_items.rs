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

/// Both see the presence of each other.
async fn befriend(user: &mut Peer, name: &str, juliet: &mut Peer) {
    juliet.say(format!("<presence type='subscribe' to='{name}@a.example'/>")).await;
    user.hears("type='subscribe'").await;
    user.say("<presence type='subscribed' to='juliet@b.example'/>").await;
    user.say("<presence type='subscribe' to='juliet@b.example'/>").await;
    juliet.hears("type='subscribe'").await;
    juliet.say(format!("<presence type='subscribed' to='{name}@a.example'/>")).await;
    user.hears("from='juliet@b.example/r'").await;
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
    befriend(&mut romeo, "romeo", &mut juliet).await;
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

#[tokio::test]
async fn a_client_on_another_server_that_hides_from_one_user_hears_of_others() {
    let two = Two::certified("").await;
    two.a.add_account("nurse").await;
    let (mut romeo, mut nurse) = (two.a.online("romeo").await, two.a.online("nurse").await);
    let mut juliet = two.b.online("juliet").await;
    befriend(&mut romeo, "romeo", &mut juliet).await;
    befriend(&mut nurse, "nurse", &mut juliet).await;
    juliet
        .say(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' \
             ver='eA=='/></presence>",
        )
        .await;
    let publish = |text: &str| {
        format!(
            "<iq type='set' id='{text}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <publish node='urn:x:mood'><item id='current'><mood xmlns='urn:x:mood'>{text}</mood>\
             </item></publish></pubsub></iq>"
        )
    };
    nurse.say(publish("merry")).await;
    answers_until(&mut juliet, "<mood xmlns='urn:x:mood'>").await;
    juliet
        .say(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='romeo@a.example'/>\
             </block></iq>",
        )
        .await;
    romeo.hears("type='unavailable'").await;
    nurse.say(publish("sad")).await;
    juliet.hears("<mood xmlns='urn:x:mood'>sad").await;
    two.close().await;
}
