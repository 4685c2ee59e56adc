//! An account's own page: what users do there, and what nobody else does.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "support/browser.rs"]
mod browser;
#[path = "account_page/export.rs"]
mod export;

use browser::{Browser, Page, TestServer};
use waxwing::host::registration::change_password;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{
    ContentHash, DeviceLogin, FileBounds, FileId, InvitationKind, Purpose, StoredFile,
};

/// Without limits on guesses, which cost time.
const QUICK: &str = "budgets.guesses_per_account = 0\nbudgets.guesses_per_address = 0\n\
    files.url = \"https://f.example\"";

async fn log_in(browser: &mut Browser<'_>, address: &str, password: &str) -> Page {
    let form = browser.get("/account").await;
    let proof = form.token("/account/login");
    let fields = [("address", address), ("password", password), ("token", &*proof)];
    browser.post("/account/login", &fields).await
}

/// The page of a user who has just logged in.
async fn inside<'a>(server: &'a TestServer, address: &str, password: &str) -> (Browser<'a>, Page) {
    let mut browser = server.browser();
    let page = log_in(&mut browser, address, password).await;
    assert_eq!((page.status, page.header("location")), (303, Some("/account")), "{page:?}");
    let page = browser.get("/account").await;
    assert!(page.status == 200 && page.body.contains("You are"), "{page:?}");
    (browser, page)
}

#[tokio::test]
async fn a_user_logs_in_and_out() {
    let server = TestServer::new(QUICK).await;
    server.account("romeo@localhost", "soldierly").await;
    let mut browser = server.browser();
    for (address, password, said) in [
        ("romeo@localhost", "wrong", "address or the password is wrong"),
        ("romeo@localhost", "", "address or the password is wrong"),
        ("nobody@localhost", "soldierly", "address or the password is wrong"),
        ("romeo@elsewhere.example", "soldierly", "not an address of this server"),
        ("", "soldierly", "not an address of this server"),
        ("localhost", "soldierly", "address or the password is wrong"),
        ("\"><script>", "soldierly", "not an address of this server"),
    ] {
        let page = log_in(&mut browser, address, password).await;
        assert!(page.status == 422 && page.body.contains(said), "{address}: {page:?}");
        assert!(!page.body.contains("<script"));
    }
    for address in ["romeo@localhost", "Romeo", "ROMEO@LOCALHOST"] {
        let (mut browser, page) = inside(&server, address, "soldierly").await;
        let session = "__Host-waxwing-session";
        let cookie = browser.cookies.get(session).cloned().unwrap();
        let proof = page.token("/account/logout");
        assert_eq!(browser.post("/account/logout", &[("token", &*proof)]).await.status, 303);
        assert!(browser.get("/account").await.body.contains("/account/login"));
        // The cookie is no longer valid.
        browser.cookies.insert(session.into(), cookie);
        assert!(browser.get("/account").await.body.contains("/account/login"));
    }
    server.close().await;
}

#[tokio::test]
async fn nobody_does_anything_without_a_login_and_a_form() {
    let server = TestServer::new(QUICK).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let mut stranger = server.browser();
    for path in ["/account/close", "/account/export", "/account/invitation/x"] {
        let page = stranger.get(path).await;
        assert_eq!((page.status, page.header("location")), (303, Some("/account")), "{path}");
    }
    for deed in
        ["password", "device", "notifications", "file", "revoke", "invite", "close", "logout"]
    {
        let page = stranger.post(&format!("/account/{deed}"), &[]).await;
        assert_eq!((page.status, page.header("location")), (303, Some("/account")), "{deed}");
    }
    assert_eq!(stranger.post("/account/nothing", &[]).await.status, 404);
    // The address of a form is shown after one that was refused: who opens it comes to the page.
    for deed in ["login", "password", "device", "file", "revoke", "invite", "logout"] {
        let page = stranger.get(&format!("/account/{deed}")).await;
        assert_eq!((page.status, page.header("location")), (303, Some("/account")), "{deed}");
    }
    assert_eq!(stranger.get("/account/nothing").await.status, 404);
    // A cookie that is not one of ours.
    stranger.cookies.insert("__Host-waxwing-session".into(), "a".repeat(22));
    assert!(stranger.get("/account").await.body.contains("/account/login"));
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    let proof = page.token("/account/invite");
    for (deed, proof) in [("invite", "x"), ("password", &*proof), ("close", &*proof)] {
        let (now, new) = (("password", "soldierly"), "peaceful rest");
        let fields = [("token", proof), now, ("new", new), ("again", new)];
        let page = browser.post(&format!("/account/{deed}"), &fields).await;
        assert!(page.status == 422 && page.body.contains("send it again"), "{deed}: {page:?}");
    }
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let cross = format!("{kind}Sec-Fetch-Site: same-site\r\n");
    let sent = format!("token={proof}");
    assert_eq!(browser.post_raw("/account/invite", &cross, &sent).await.status, 403);
    assert_eq!(browser.post_raw("/account/invite", "", &sent).await.status, 400);
    assert_eq!(server.storage().invitations().invitations(Some(&romeo), 9).await.unwrap(), []);
    server.close().await;
}

#[tokio::test]
async fn a_new_password_ends_other_sessions_and_not_this_one() {
    let server = TestServer::new(QUICK).await;
    server.account("romeo@localhost", "soldierly").await;
    let (mut other, _) = inside(&server, "romeo", "soldierly").await;
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    let proof = page.token("/account/password");
    let fields =
        |now, new, again| [("password", now), ("new", new), ("again", again), ("token", &*proof)];
    for (now, new, again, said) in [
        ("soldierly", "a", "b", "not the same"),
        ("soldierly", "", "", "choose a password"),
        ("soldierly", "short", "short", "easy to guess"),
        ("soldierly", "romeo@localhost", "romeo@localhost", "easy to guess"),
        ("wrong", "peaceful", "peaceful", "password is wrong"),
        ("", "peaceful", "peaceful", "password is wrong"),
        ("soldierly", "peaceful\u{0}", "peaceful\u{0}", "cannot be a password"),
    ] {
        let page = browser.post("/account/password", &fields(now, new, again)).await;
        assert!(page.status == 422 && page.body.contains(said), "{said}: {page:?}");
    }
    let page =
        browser.post("/account/password", &fields("soldierly", "peaceful", "peaceful")).await;
    assert_eq!((page.status, page.header("location")), (303, Some("/account?done=password")));
    let page = browser.get("/account?done=password").await;
    assert!(page.body.contains("Your password was changed"), "{page:?}");
    assert!(other.get("/account").await.body.contains("/account/login"));
    assert_eq!(log_in(&mut other, "romeo", "soldierly").await.status, 422);
    inside(&server, "romeo", "peaceful").await;
    server.close().await;
}

#[tokio::test]
async fn devices_and_files_are_shown_and_removed() {
    let server = TestServer::new(&format!("{QUICK}\ninvitations.accounts = \"users\"")).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let nurse = server.account("nurse@localhost", "angelica").await;
    let now = server.server.state().clock.now();
    let login = DeviceLogin {
        id: "phone-1".into(),
        software: Some("<b>Conversations</b>".into()),
        device: Some("Pixel".into()),
        by_password: false,
    };
    server.storage().devices().note_device(&romeo, now, &login).await.unwrap();
    let login = DeviceLogin { id: "tablet".into(), by_password: true, ..login };
    server.storage().devices().note_device(&romeo, now, &login).await.unwrap();
    server.invite("romeo@localhost", InvitationKind::Contact, false).await;
    let file = stored(&server, &romeo, "<i>rose</i>.jpg").await;
    let foreign = stored(&server, &nurse, "herbs.jpg").await;
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    for text in [
        "&lt;b&gt;Conversations&lt;/b&gt;",
        "Pixel",
        "&lt;i&gt;rose&lt;/i&gt;.jpg",
        "https://f.example/files/",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("herbs.jpg"));
    // What is not there, and what belongs to others.
    for (deed, id) in
        [("device", "x"), ("file", "x"), ("file", &*foreign), ("revoke", "x"), ("device", "")]
    {
        let proof = page.token(&format!("/account/{deed}"));
        let sent =
            browser.post(&format!("/account/{deed}"), &[("token", &*proof), ("id", id)]).await;
        assert!(sent.status == 422 && sent.body.contains("not there any more"), "{deed}: {sent:?}");
    }
    for deed in ["device", "file"] {
        let action = format!("/account/{deed}");
        let (proof, id) = (page.token(&action), page.id(&action));
        let sent = browser.post(&action, &[("token", &*proof), ("id", &*id)]).await;
        assert_eq!(sent.header("location"), Some(&*format!("/account?done={deed}")), "{sent:?}");
    }
    // One that knows the password can come again.
    let page = browser.get("/account?done=device").await;
    assert!(page.body.contains("knows the password"), "{page:?}");
    let (proof, id) = (page.token("/account/device"), page.id("/account/device"));
    assert_eq!(id, "client/tablet");
    let sent = browser.post("/account/device", &[("token", &*proof), ("id", &*id)]).await;
    assert_eq!(sent.header("location"), Some("/account?done=device-knows"), "{sent:?}");
    let page = browser.get("/account?done=device-knows").await;
    assert!(page.body.contains("change the password"), "{page:?}");
    let left = server.storage().devices().of(&romeo).await.unwrap();
    assert_eq!(left.iter().map(|device| &*device.id).collect::<Vec<_>>(), ["tablet"]);
    let id = FileId::parse(&file).unwrap();
    assert!(server.storage().files().find(id).await.unwrap().is_none());
    server.close().await;
}

#[tokio::test]
async fn a_user_chooses_what_push_services_are_told() {
    let server = TestServer::new(QUICK).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    assert!(page.body.contains("value=\"nothing\" checked"), "{page:?}");
    let proof = page.token("/account/notifications");
    let tell = |word| [("token", &*proof), ("tell", word)];
    let page = browser.post("/account/notifications", &tell("everything")).await;
    assert_eq!(page.status, 422, "{page:?}");
    let page = browser.post("/account/notifications", &tell("body")).await;
    let there = Some("/account?done=notifications");
    assert_eq!((page.status, page.header("location")), (303, there), "{page:?}");
    let page = browser.get("/account?done=notifications").await;
    assert!(page.body.contains("value=\"body\" checked"), "{page:?}");
    let stored = server.storage().documents().get(&romeo, "push", "").await.unwrap();
    assert_eq!(stored.as_deref(), Some("<content tell='body'/>"));
    server.close().await;
}

#[tokio::test]
async fn an_invitation_is_made_shown_to_its_owner_and_taken_back() {
    let server = TestServer::new(&format!("{QUICK}\ninvitations.accounts = \"users\"")).await;
    server.account("romeo@localhost", "soldierly").await;
    server.account("nurse@localhost", "angelica").await;
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    let proof = page.token("/account/invite");
    let sent = browser.post("/account/invite", &[("token", &*proof)]).await;
    let shown = sent.header("location").unwrap().to_owned();
    let token = shown.strip_prefix("/account/invitation/").unwrap();
    let link = browser.get(&shown).await;
    assert!(link.body.contains(&format!("https://chat.example/invite/{token}")), "{link:?}");
    let (mut other, _) = inside(&server, "nurse", "angelica").await;
    assert_eq!(other.get(&shown).await.status, 404);
    let landing = other.get(&format!("/invite/{token}")).await;
    assert!(landing.status == 200 && landing.body.contains("/register/"), "{landing:?}");
    let page = browser.get("/account").await;
    let (proof, id) = (page.token("/account/revoke"), page.id("/account/revoke"));
    let sent = browser.post("/account/revoke", &[("token", &*proof), ("id", &*id)]).await;
    assert_eq!(sent.header("location"), Some("/account?done=revoke"));
    assert_eq!(other.get(&format!("/invite/{token}")).await.status, 404);
    server.close().await;
}

/// A file of a user. Answers its id.
async fn stored(server: &TestServer, user: &BareJid, name: &str) -> String {
    let now = server.server.state().clock.now();
    let slot = StoredFile {
        id: FileId::random(),
        owner: user.clone(),
        name: name.to_owned(),
        size: 7,
        media_type: Some("image/jpeg".into()),
        purpose: Purpose::Message,
        created: now,
        slot_until: Timestamp::from_micros(now.as_micros() + 1_000_000_000),
        expires: None,
        content: None,
    };
    let bounds = FileBounds { bytes: 1000, files: 10, replace: false, per_day: None };
    let files = server.storage().files();
    files.reserve(&slot, bounds).await.unwrap();
    let hash = ContentHash::new([1; 32]);
    files.announce_content(hash, 7).await.unwrap();
    assert!(files.complete(slot.id, hash, bounds).await.unwrap().is_some());
    slot.id.to_string()
}

#[tokio::test]
async fn an_account_is_closed_with_its_password() {
    let server = TestServer::new(QUICK).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let (mut browser, _) = inside(&server, "romeo", "soldierly").await;
    let form = browser.get("/account/close").await;
    let proof = form.token("/account/close");
    let page = browser.post("/account/close", &[("token", &*proof), ("password", "wrong")]).await;
    assert!(page.status == 422 && page.body.contains("password is wrong"), "{page:?}");
    assert!(server.storage().accounts().find(&romeo).await.unwrap().is_some());
    let page =
        browser.post("/account/close", &[("token", &*proof), ("password", "soldierly")]).await;
    assert!(page.status == 200 && page.body.contains("were deleted"), "{page:?}");
    assert!(server.storage().accounts().find(&romeo).await.unwrap().is_none());
    assert!(browser.get("/account").await.body.contains("/account/login"));
    server.close().await;
}

#[tokio::test]
async fn wrong_passwords_are_throttled() {
    let server =
        TestServer::new("budgets.guesses_per_account = 1\nbudgets.guesses_per_address = 1").await;
    server.account("romeo@localhost", "soldierly").await;
    let mut said = String::new();
    for _ in 0..12 {
        let mut browser = server.browser();
        let page = log_in(&mut browser, "romeo", "wrong").await;
        assert_eq!(page.status, 422);
        said = page.body;
        if said.contains("too many wrong passwords") {
            break;
        }
    }
    assert!(said.contains("too many wrong passwords"), "{said}");
    server.close().await;
}

/// A password that is changed elsewhere, by a chat client or the administrator, ends the sessions of browsers.
#[tokio::test]
async fn a_password_changed_elsewhere_ends_the_session() {
    let server = TestServer::new(QUICK).await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    assert!(change_password(server.server.state(), &romeo, "peaceful", None).await.unwrap());
    let proof = page.token("/account/invite");
    let sent = browser.post("/account/invite", &[("token", &*proof)]).await;
    assert_eq!((sent.status, sent.header("location")), (303, Some("/account")));
    assert!(browser.get("/account").await.body.contains("/account/login"));
    assert_eq!(server.storage().invitations().invitations(Some(&romeo), 9).await.unwrap(), []);
    server.close().await;
}

#[tokio::test]
async fn what_the_administrator_forbids_is_not_done() {
    let options = format!(
        "{QUICK}\nregistration.change_password = false\nregistration.remove = false\ninvitations.enabled = false"
    );
    let server = TestServer::new(&options).await;
    server.account("romeo@localhost", "soldierly").await;
    let (mut browser, page) = inside(&server, "romeo", "soldierly").await;
    for form in ["password", "invite", "close"] {
        assert!(!page.body.contains(&format!("/account/{form}")), "{form}: {}", page.body);
    }
    let form = browser.get("/account/close").await;
    assert_eq!(form.status, 403, "{form:?}");
    server.close().await;
}
