//! Components that see the presence of users and of their contacts (XEP-0356 §7).

use crate::peer::Peer;
use crate::test_server::TestServer;

/// The next presence that the peer hears.
async fn presence(peer: &mut Peer) -> String {
    peer.hears("<presence ").await;
    peer.hears(">").await
}

/// A component that was told of its privileges.
async fn component(server: &TestServer) -> Peer {
    let mut irc = server.component().await;
    irc.hears("</message>").await;
    irc
}

/// Nothing but what was heard has come to the component.
async fn hears_no_presence(irc: &mut Peer) {
    irc.say("<iq from='irc.localhost' to='localhost' type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    let heard = irc.hears("id='end'").await;
    assert!(!heard.contains("<presence"), "{heard}");
}

#[tokio::test]
async fn a_component_sees_when_users_come_and_go() {
    let server = TestServer::new("presence = 'managed_entity'").await;
    let mut romeo = server.romeo().await;
    let mut irc = component(&server).await;
    // Users who were online before.
    let heard = presence(&mut irc).await;
    assert!(heard.starts_with("from='romeo@localhost/orchard' to='irc.localhost'"), "{heard}");
    let mut juliet = server.client("juliet", "balcony").await;
    let heard = presence(&mut irc).await;
    assert!(heard.starts_with("from='juliet@localhost/balcony' to='irc.localhost'"), "{heard}");
    // Only the first presence, and the last.
    juliet.say("<presence><show>away</show></presence>").await;
    juliet.hears("<show>away</show>").await;
    hears_no_presence(&mut irc).await;
    juliet.say("<presence type='unavailable'><status>Gone</status></presence>").await;
    let heard = presence(&mut irc).await;
    assert!(
        heard.contains("from='juliet@localhost/balcony'") && heard.contains("type='unavailable'"),
        "{heard}"
    );
    irc.hears("<status>Gone</status>").await;
    romeo.say("</stream:stream>").await;
    let heard = presence(&mut irc).await;
    assert!(heard.contains("from='romeo@localhost/orchard'"), "{heard}");
    assert!(heard.contains("type='unavailable'"), "{heard}");
    hears_no_presence(&mut irc).await;
    server.close().await;
}

#[tokio::test]
async fn a_component_without_the_privilege_sees_nobody() {
    let server = TestServer::new("roster = 'get'").await;
    let mut irc = component(&server).await;
    let _romeo = server.romeo().await;
    hears_no_presence(&mut irc).await;
    server.close().await;
}

#[tokio::test]
async fn a_component_sees_the_contacts_of_users_each_once() {
    let other = "[[component]]\ndomain = 'sms.localhost'\nsecret = 'north'";
    let server = TestServer::new(&format!(
        "presence = 'roster'\nroster = 'get'\nroster_push = false\n{other}"
    ))
    .await;
    let mut romeo = server.romeo().await;
    let mut juliet = server.client("juliet", "balcony").await;
    let mut sms = server.component_at("sms.localhost").await;
    // A contact of both, at another component.
    for (user, name) in [(&mut romeo, "romeo"), (&mut juliet, "juliet")] {
        user.say("<presence to='nurse@sms.localhost' type='subscribe'/>").await;
        sms.hears("type='subscribe'").await;
        sms.say(format!(
            "<presence from='nurse@sms.localhost' to='{name}@localhost' type='subscribed'/>"
        ))
        .await;
        user.hears("subscription='to'").await;
    }
    let mut irc = component(&server).await;
    let mut both = [presence(&mut irc).await, presence(&mut irc).await];
    both.sort();
    assert!(both[0].contains("from='juliet@localhost/balcony'"), "{both:?}");
    assert!(both[1].contains("from='romeo@localhost/orchard'"), "{both:?}");
    let shows = |show: &str, to: &str| {
        format!(
            "<presence from='nurse@sms.localhost/x' to='{to}@localhost'><show>{show}</show></presence>"
        )
    };
    sms.say(shows("dnd", "romeo") + &shows("dnd", "juliet")).await;
    romeo.hears("<show>dnd</show>").await;
    juliet.hears("<show>dnd</show>").await;
    let heard = presence(&mut irc).await;
    assert!(heard.starts_with("from='nurse@sms.localhost/x' to='irc.localhost'"), "{heard}");
    irc.hears("<show>dnd</show>").await;
    hears_no_presence(&mut irc).await;
    // Each change, also if nobody is online.
    drop(romeo);
    let heard = presence(&mut irc).await;
    assert!(heard.contains("from='romeo@localhost/orchard'"), "{heard}");
    sms.say(shows("away", "romeo")).await;
    presence(&mut irc).await;
    irc.hears("<show>away</show>").await;
    // A stranger is no contact.
    sms.say(shows("xa", "romeo").replace("nurse@", "stranger@")).await;
    hears_no_presence(&mut irc).await;
    // What a component that comes later is told.
    irc.say("</stream:stream>").await;
    irc.hears("</stream:stream>").await;
    let table = server.server.state().shared::<waxwing::host::components::Components>();
    while table.is_connected("irc.localhost") {
        tokio::task::yield_now().await;
    }
    let mut irc = component(&server).await;
    let heard = irc.hears("<show>away</show>").await;
    assert!(heard.contains("from='nurse@sms.localhost/x'"), "{heard}");
    assert!(heard.contains("from='juliet@localhost/balcony'"), "{heard}");
    sms.say("<presence from='nurse@sms.localhost/x' to='romeo@localhost' type='unavailable'/>")
        .await;
    let heard = presence(&mut irc).await;
    assert!(heard.contains("type='unavailable'"), "{heard}");
    server.close().await;
}
