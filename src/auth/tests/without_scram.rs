//! Logins by PLAIN and ANONYMOUS.

use sasl::client::Mechanism as _;
use sasl::client::mechanisms::Plain;
use sasl::common::Credentials;

use super::{PASSWORD, Server, juliet};
use crate::auth::{SaslError, Step};

#[tokio::test]
async fn plain_takes_what_the_grammar_allows_and_nothing_else() {
    use SaslError::{InvalidAuthzid, MalformedRequest, NotAuthorized};
    let server = Server::new().await;
    let cases: [(&str, Result<(), SaslError>); 20] = [
        ("\0juliet\0r0m30,myr0m30", Ok(())),
        ("\0JULIET\0r0m30,myr0m30", Ok(())),
        ("\0juliet\0r0m30,\u{ad}myr0m30", Ok(())), // SASLprep
        ("juliet@example.com\0juliet\0r0m30,myr0m30", Ok(())),
        ("Juliet@Example.com.\0juliet\0r0m30,myr0m30", Ok(())),
        ("\0nurse\0r0m30,myr0m30", Ok(())), // SHA-256 only
        ("\0juliet\0wrong", Err(NotAuthorized)),
        ("\0tybalt\0r0m30,myr0m30", Err(NotAuthorized)),
        ("\0juliet@example.com\0r0m30,myr0m30", Err(NotAuthorized)),
        ("\0juliet\0😀", Err(NotAuthorized)),
        ("admin@example.com\0juliet\0r0m30,myr0m30", Err(InvalidAuthzid)),
        ("juliet\0juliet\0r0m30,myr0m30", Err(InvalidAuthzid)),
        ("juliet@example.com/x\0juliet\0r0m30,myr0m30", Err(InvalidAuthzid)),
        ("\0juliet\0r0m30,myr0m30\0", Err(MalformedRequest)),
        ("\0juliet\0r0m30,myr0m30\0x", Err(MalformedRequest)),
        ("juliet\0r0m30,myr0m30", Err(MalformedRequest)),
        ("\0\0r0m30,myr0m30", Err(MalformedRequest)),
        ("\0juliet\0", Err(MalformedRequest)),
        ("", Err(MalformedRequest)),
        ("\0\0", Err(MalformedRequest)),
    ];
    for (message, expected) in cases {
        let result = server.first("PLAIN", message.as_bytes()).await;
        assert_eq!(result.map(drop), expected, "{message:?}");
    }
    let result = server.first("PLAIN", b"\0juliet\0\xff").await;
    assert_eq!(result, Err(MalformedRequest));
}

#[tokio::test]
async fn a_plain_client_of_another_house_logs_in() {
    let server = Server::new().await;
    let credentials = Credentials::default().with_username("juliet").with_password(PASSWORD);
    let mut client = Plain::from_credentials(credentials).unwrap();
    let step = server.first("PLAIN", &client.initial()).await;
    assert_eq!(step, Ok(Step::Success { user: juliet(), anonymous: false, data: None }));
}

#[tokio::test]
async fn a_stranger_gets_a_new_address_each_time() {
    let server = Server::new().await;
    let mut users = Vec::new();
    for message in [None, Some(&b""[..]), Some(&b"sirhc"[..])] {
        let mut exchange = server.begin("ANONYMOUS");
        let step = exchange.step(message).await;
        let Ok(Step::Success { user, anonymous: true, data: None }) = step else {
            panic!("{step:?}");
        };
        assert_eq!(user.domain(), "example.com");
        assert_eq!(user.local().unwrap().len(), 36);
        assert_eq!(exchange.user(), Some(user.as_str()));
        users.push(user);
    }
    users.dedup();
    assert_eq!(users.len(), 3);
    assert!(server.accounts.logins.lock().is_empty());
    for trace in [&b"\xff"[..], "ä".repeat(256).as_bytes()] {
        let result = server.first("ANONYMOUS", trace).await;
        assert_eq!(result, Err(SaslError::MalformedRequest));
    }
}
