//! Web pages: invitations, and making an account in a browser.

#![expect(clippy::unwrap_used, reason = "functions of tests")]

#[path = "support/browser.rs"]
mod browser;

use std::time::Duration;

use browser::TestServer;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use waxwing::host::invitations::Wish;
use waxwing::jid::BareJid;
use waxwing::storage::{InvitationId, InvitationKind, Subscription};

#[tokio::test]
async fn an_invitation_is_explained() {
    let server = TestServer::new("").await;
    server.account("romeo@localhost", "soldierly").await;
    let token = server.invite("romeo@localhost", InvitationKind::Contact, true).await;
    let mut browser = server.browser();
    let page = browser.get(&format!("/invite/{token}")).await;
    assert_eq!(page.status, 200, "{page:?}");
    let link = format!("href=\"xmpp:romeo@localhost?roster;preauth={token};ibr=y\"");
    for text in [
        "romeo invites you to chat",
        &link,
        "src=\"data:image/svg+xml;base64,",
        "Conversations",
        "Monal",
        "Gajim",
        &format!("href=\"/register/{token}\""),
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let policy = page.header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(!page.body.contains("<script") && !page.body.contains("style="), "{}", page.body);
    let style = browser.get("/pages.css").await;
    assert_eq!(
        (style.status, style.header("content-type")),
        (200, Some("text/css; charset=utf-8"))
    );
    // One that makes no account offers none.
    let token = server.invite("romeo@localhost", InvitationKind::Contact, false).await;
    let page = browser.get(&format!("/invite/{token}")).await;
    assert!(page.status == 200 && !page.body.contains("/register/"));
    assert_eq!(browser.get(&format!("/register/{token}")).await.status, 403);
    server.close().await;
}

#[tokio::test]
async fn an_invitation_that_is_over_says_so() {
    let server = TestServer::new("").await;
    server.account("romeo@localhost", "soldierly").await;
    let mut browser = server.browser();
    for path in
        ["/invite/abcdefghijkmnpqrstuv", "/invite/%3Cscript%3E", "/invite/..%2f..", "/register/x"]
    {
        let page = browser.get(path).await;
        assert_eq!(page.status, 404, "{path}: {page:?}");
        assert!(page.body.contains("no such invitation") && !page.body.contains("<script"));
    }
    let used = server.invite("romeo@localhost", InvitationKind::Account, true).await;
    let id = InvitationId::of_token(&used);
    assert!(server.storage().invitations().use_invitation(id, None).await.unwrap());
    let page = browser.get(&format!("/invite/{used}")).await;
    assert!(page.status == 410 && page.body.contains("used already"), "{page:?}");
    let lifetime = Some(Duration::ZERO);
    let wish = Wish { kind: InvitationKind::Account, also: false, name: None, uses: 1, lifetime };
    let old = server.invite_as("localhost", wish).await;
    let page = browser.get(&format!("/register/{old}")).await;
    assert!(page.status == 410 && page.body.contains("expired"), "{page:?}");
    // Nobody tries very many.
    let mut last = 404;
    for n in 0..60 {
        last = browser.get(&format!("/invite/guess{n}")).await.status;
    }
    assert_eq!(last, 429);
    server.close().await;
}

#[tokio::test]
async fn an_account_is_made_by_invitation() {
    let server = TestServer::new("").await;
    let romeo = server.account("romeo@localhost", "soldierly").await;
    let token = server.invite("romeo@localhost", InvitationKind::Account, true).await;
    let path = format!("/register/{token}");
    let mut browser = server.browser();
    let form = browser.get(&path).await;
    assert_eq!(form.status, 200);
    let cookie = form.header("set-cookie").unwrap();
    // A link on another site brings it, too: else the forms in other tabs would be worth nothing.
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let proof = form.token(&path);
    let fields = |name, password, again, proof| {
        [("name", name), ("password", password), ("again", again), ("token", proof)]
    };
    // What is wrong is said, and the name stays.
    for (name, password, again, said) in [
        ("", "beauteous", "beauteous", "choose a name"),
        ("juliet", "", "", "choose a password"),
        ("juliet", "beauteous", "other", "not the same"),
        ("juliet", "short", "short", "easy to guess"),
        ("BEAUTEOUS", "beauteous", "beauteous", "easy to guess"),
        ("a@b/c", "beauteous", "beauteous", "cannot be a name"),
        ("romeo", "beauteous", "beauteous", "has this name already"),
        ("admin", "beauteous", "beauteous", "Nobody can have this name"),
        ("juliet", "beauteous\u{0}", "beauteous\u{0}", "cannot be a password"),
        ("\"><script>x</script>", "beauteous", "beauteous", "cannot be a name"),
    ] {
        let page = browser.post(&path, &fields(name, password, again, &proof)).await;
        assert_eq!(page.status, 422, "{name}: {page:?}");
        assert!(page.body.contains(said), "{said}: {}", page.body);
        assert!(!page.body.contains("<script") && !page.body.contains("value=\"beauteous"));
    }
    let made = browser.post(&path, &fields("Juliet", "beauteous", "beauteous", &proof)).await;
    assert_eq!(made.status, 303, "{made:?}");
    let done = made.header("location").unwrap().to_owned();
    let page = browser.get(&done).await;
    assert!(page.status == 200 && page.body.contains("juliet@localhost"), "{page:?}");
    let forged = done.replace("juliet", "tybalt");
    assert_eq!(browser.get(&forged).await.status, 404);
    assert_eq!(browser.get("/registered").await.status, 404);
    // Both are contacts, and the invitation is used up.
    let juliet = BareJid::parse("juliet@localhost").unwrap();
    for (user, contact) in [(&romeo, &juliet), (&juliet, &romeo)] {
        let (_, items) = server.storage().roster().load(user).await.unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(
            (items[0].jid.as_str(), items[0].subscription),
            (contact.as_str(), Subscription::Both)
        );
    }
    assert_eq!(browser.get(&path).await.status, 410);
    let page = browser.post(&path, &fields("nurse", "angelica", "angelica", &proof)).await;
    assert_eq!(page.status, 410);
    server.close().await;
}

/// A double click, and a second try after an answer that was lost.
#[tokio::test]
async fn a_form_that_is_sent_twice_leads_to_the_same_page() {
    let server = TestServer::new("").await;
    server.account("romeo@localhost", "soldierly").await;
    let token = server.invite("romeo@localhost", InvitationKind::Account, true).await;
    let path = format!("/register/{token}");
    let mut browser = server.browser();
    let proof = browser.get(&path).await.token(&path);
    let of = |name| {
        let fields = [("name", name), ("password", "beauteous"), ("again", "beauteous")];
        [fields[0], fields[1], fields[2], ("token", &*proof)]
    };
    // What was not done may be sent again.
    for _ in 0..2 {
        assert_eq!(browser.post(&path, &of("romeo")).await.status, 422);
    }
    let mut second = server.browser();
    second.cookies.clone_from(&browser.cookies);
    let fields = of("juliet");
    let pages = tokio::join!(browser.post(&path, &fields), second.post(&path, &fields));
    let again = browser.post(&path, &fields).await;
    let done = again.header("location").unwrap_or_else(|| panic!("{again:?}"));
    assert!(done.starts_with("/registered?a=juliet"), "{done}");
    for page in [&pages.0, &pages.1] {
        assert_eq!((page.status, page.header("location")), (303, Some(done)), "{page:?}");
    }
    let done = done.to_owned();
    assert_eq!(browser.get(&done).await.status, 200);
    // Another browser, other fields, and the same form shown again are other forms.
    let mut other = server.browser();
    assert_eq!(other.post(&path, &fields).await.status, 410);
    assert_eq!(browser.post(&path, &of("nurse")).await.status, 410);
    assert_eq!(browser.post("/register/other", &fields).await.status, 404);
    let used = browser.get(&path).await;
    assert!(used.status == 410 && used.body.contains("your account is ready"), "{used:?}");
    server.close().await;
}

#[tokio::test]
async fn no_form_is_sent_from_elsewhere() {
    let server = TestServer::new("registration.open = true").await;
    let mut browser = server.browser();
    let form = browser.get("/register").await;
    let proof = form.token("/register");
    let of = |proof: &str| {
        [("name", "juliet"), ("password", "beauteous"), ("again", "beauteous"), ("token", proof)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let refused = async |browser: &mut browser::Browser<'_>, proof: &str| {
        let fields = of(proof);
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let page = browser.post("/register", &fields).await;
        assert!(page.status == 422 && page.body.contains("send it again"), "{page:?}");
    };
    refused(&mut browser, "").await;
    refused(&mut browser, "1.x").await;
    // The token of another browser, and none of the cookies.
    let mut other = server.browser();
    refused(&mut other, &proof).await;
    // The token of another form.
    let invitation = server.invite("localhost", InvitationKind::Account, false).await;
    let path = format!("/register/{invitation}");
    let foreign = browser.get(&path).await.token(&path);
    refused(&mut browser, &foreign).await;
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let cross = format!("{kind}Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(browser.post_raw("/register", &cross, "name=a").await.status, 403);
    assert_eq!(
        browser.post_raw("/register", "Content-Type: text/plain\r\n", "name=a").await.status,
        400
    );
    assert_eq!(browser.post_raw("/register", kind, "name=a&name=b").await.status, 400);
    assert_eq!(browser.post_raw("/register", kind, &"a".repeat(100_000)).await.status, 413);
    assert_eq!(browser.post_raw("/invite/x", kind, "").await.status, 405);
    let juliet = BareJid::parse("juliet@localhost").unwrap();
    assert!(server.storage().accounts().find(&juliet).await.unwrap().is_none());
    let fields = of(&proof);
    let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(browser.post("/register", &fields).await.status, 303);
    assert!(server.storage().accounts().find(&juliet).await.unwrap().is_some());
    server.close().await;
}

#[tokio::test]
async fn the_open_page_is_there_while_registration_is_open() {
    let server = TestServer::new("").await;
    let mut browser = server.browser();
    let page = browser.get("/register").await;
    assert!(page.status == 404 && page.body.contains("by invitation"), "{page:?}");
    server.close().await;
    let server = TestServer::new("registration.open = true\nregistration.per_address = 1").await;
    let mut browser = server.browser();
    for (name, status) in [("juliet", 303), ("nurse", 422)] {
        let proof = browser.get("/register").await.token("/register");
        let fields =
            [("name", name), ("password", "beauteous"), ("again", "beauteous"), ("token", &*proof)];
        let page = browser.post("/register", &fields).await;
        assert_eq!(page.status, status, "{page:?}");
        assert!(status == 303 || page.body.contains("Too many accounts"));
    }
    server.close().await;
}

/// Guesses from many addresses have a bound together, which keeps out nobody who has an invitation.
#[tokio::test]
async fn tokens_are_not_guessed_from_many_addresses() {
    let server = TestServer::new("budgets.unknown_invitations = 5").await;
    let token = server.invite("romeo@localhost", InvitationKind::Contact, false).await;
    let mut browser = server.browser();
    let mut tried = Vec::new();
    for client in 1..=5 {
        for path in ["/invite/abcdefghijkmnpqrstuv", "/register/abcdefghijkmnpqrstuv"] {
            tried.push(browser.get_for(&format!("198.51.100.{client}"), path).await.status);
        }
    }
    assert_eq!(tried, [404, 404, 404, 404, 404, 429, 404, 429, 404, 429]);
    let path = format!("/invite/{token}");
    assert_eq!(browser.get_for("198.51.100.1", &path).await.status, 429);
    assert_eq!(browser.get_for("198.51.100.9", &path).await.status, 200);
    let counted = server.server.state().metrics.render();
    let line = "waxwing_budget_actions_total{budget=\"unknown_invitations\",scope=\"all\",action=\"error\"} 4";
    assert!(counted.contains(line), "{counted}");
    server.close().await;
}

/// Passwords do not go over the network in the clear.
#[tokio::test]
async fn without_tls_only_browsers_on_the_same_machine_are_served() {
    let server = TestServer::new("registration.open = true").await;
    let mut browser = server.browser();
    browser.from = "192.0.2.1:9".parse().unwrap();
    let page = browser.get("/register").await;
    assert!(page.status == 403 && page.body.contains("HTTPS"), "{page:?}");
    assert_eq!(browser.post("/register", &[]).await.status, 403);
    server.close().await;
}

/// Half a body, and then nothing: nothing stays of it, whatever the path is.
#[tokio::test]
async fn a_body_that_never_comes_keeps_nothing() {
    let server = TestServer::new("registration.open = true").await;
    let request = |line: &str| {
        format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 10\r\n\r\nab"
        )
    };
    for line in [
        "POST /account/login",
        "POST /register",
        "POST /nothing",
        "GET /account",
        "GET /pages.css",
        "GET /.well-known/host-meta",
        "POST /api/v1/messages",
        "POST /http-bind",
    ] {
        let mut io = server.sent(&request(line)).await;
        let mut answer = String::new();
        tokio::time::pause();
        let closed = timeout(Duration::from_secs(80), io.read_to_string(&mut answer)).await;
        tokio::time::resume();
        assert!(closed.is_ok_and(|closed| closed.is_ok()), "{line}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 "), "{line}: {answer}");
        let gone = async {
            while server.running("page") + server.running("connection") > 0 {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(Duration::from_secs(9), gone).await.is_ok(), "{line}");
    }
    server.close().await;
}
