//! Whole exchanges, with honest clients and with others.

use std::time::Duration;

use sasl::client::Mechanism;
use sasl::client::mechanisms::Scram;
use sasl::common::ChannelBinding;
use sasl::common::scram::{ScramProvider, Sha1, Sha256};

use super::{Client, PASSWORD, ROUNDS, Server, attribute, challenge, juliet, tls13};
use crate::auth::hash::Sha512;
use crate::auth::{Exchange, Offer, SaslError, Step, TlsFacts, TlsVersion, UserAgent, derive_keys};
use crate::storage::ScramHash;
use crate::tasks::Tasks;

/// A whole exchange with the client of the crate `sasl`, which also checks the server.
async fn log_in<S: ScramProvider>(
    server: &Server,
    password: &str,
    binding: ChannelBinding,
) -> Result<Step, SaslError> {
    let client = Scram::<S>::new("juliet", password, binding).unwrap();
    let exchange = server.begin(client.name());
    log_in_with(exchange, client).await
}

async fn log_in_with<S: ScramProvider>(
    mut exchange: Exchange,
    mut client: Scram<S>,
) -> Result<Step, SaslError> {
    let first = challenge(exchange.step(Some(&client.initial())).await);
    let answer = client.response(first.as_bytes()).unwrap();
    let step = exchange.step(Some(&answer)).await?;
    if let Step::Success { data: Some(data), .. } = &step {
        client.success(data).unwrap();
    }
    Ok(step)
}

#[tokio::test]
async fn a_client_of_another_house_logs_in_with_each_hash_bound_or_not() {
    let server = Server::new().await;
    for binding in [ChannelBinding::None, ChannelBinding::TlsExporter(vec![9; 32])] {
        let results = [
            log_in::<Sha1>(&server, PASSWORD, binding.clone()).await,
            log_in::<Sha256>(&server, PASSWORD, binding.clone()).await,
            log_in::<Sha512>(&server, PASSWORD, binding.clone()).await,
        ];
        for result in results {
            let Ok(Step::Success { user, anonymous, data }) = result else {
                panic!("{binding:?}: {result:?}");
            };
            assert_eq!(user, juliet());
            assert!(!anonymous);
            assert!(data.unwrap().starts_with(b"v="));
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let server = Server::new().await;
    let result = log_in::<Sha256>(&server, "r0m30", ChannelBinding::None).await;
    assert_eq!(result, Err(SaslError::NotAuthorized));
}

#[tokio::test]
async fn a_login_bound_to_another_connection_is_refused() {
    let server = Server::new().await;
    let binding = ChannelBinding::TlsExporter(vec![1; 32]);
    let result = log_in::<Sha256>(&server, PASSWORD, binding).await;
    assert_eq!(result, Err(SaslError::NotAuthorized));
}

#[tokio::test]
async fn a_client_that_was_shown_no_plus_is_refused_where_it_was_offered() {
    let server = Server::new().await;
    let result = server.first("SCRAM-SHA-1", b"y,,n=juliet,r=abc").await;
    assert_eq!(result, Err(SaslError::Downgrade));
    assert_eq!(SaslError::Downgrade.condition(), "not-authorized");
    assert!(!SaslError::Downgrade.counts_as_failure(), "no password was tried");
    // Where it was not, all is well.
    let server = Server::with(&TlsFacts::default(), |_| {}).await;
    let step = log_in::<Sha1>(&server, PASSWORD, ChannelBinding::Unsupported).await;
    assert!(matches!(step, Ok(Step::Success { .. })));
}

#[tokio::test]
async fn logins_are_bound_to_the_certificate_too() {
    let server = Server::with(&TlsFacts { exporter: None, ..tls13() }, |_| {}).await;
    let header = "p=tls-server-end-point,a=juliet@example.com,";
    let first_bare = "n=JULIET,r=abc,x=1";
    let mut exchange = server.begin("SCRAM-SHA-256-PLUS");
    let server_first =
        challenge(exchange.step(Some(format!("{header}{first_bare}").as_bytes())).await);
    let client = Client {
        hash: ScramHash::Sha256,
        password: PASSWORD,
        first_bare,
        server_first: &server_first,
    };
    let last = client.last(&[header.as_bytes(), &[8; 32]].concat());
    let step = exchange.step(Some(last.as_bytes())).await;
    assert!(matches!(step, Ok(Step::Success { user, .. }) if user == juliet()));
}

#[tokio::test]
async fn a_client_that_was_offered_no_plus_may_say_so() {
    // On TLS 1.2, RFC 5802 §6: `y` is what a client says that can and was not offered.
    let server =
        Server::with(&TlsFacts { version: Some(TlsVersion::V1_2), ..tls13() }, |_| {}).await;
    let mut exchange = server.begin("SCRAM-SHA-256");
    let server_first = challenge(exchange.step(Some(b"y,,n=juliet,r=abc")).await);
    let client = Client {
        hash: ScramHash::Sha256,
        password: PASSWORD,
        first_bare: "n=juliet,r=abc",
        server_first: &server_first,
    };
    // Somebody in between who turned `n` into `y`, or `p=` into it, is found by the proof.
    let forged = client.last(b"n,,");
    let step = exchange.step(Some(forged.as_bytes())).await;
    assert_eq!(step, Err(SaslError::NotAuthorized));

    let mut exchange = server.begin("SCRAM-SHA-256");
    let server_first = challenge(exchange.step(Some(b"y,,n=juliet,r=abc")).await);
    let client = Client { server_first: &server_first, ..client };
    let last = client.last(b"y,,");
    let step = exchange.step(Some(last.as_bytes())).await;
    assert!(matches!(step, Ok(Step::Success { .. })), "{step:?}");
    // What is not offered cannot be used, whatever the list was on its way.
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
        let begun =
            Exchange::begin(&server.verifier, "example.com", &server.offer, mechanism, None);
        assert_eq!(begun.err(), Some(SaslError::InvalidMechanism));
    }
}

#[tokio::test]
async fn first_messages_that_are_not_in_the_grammar_are_refused() {
    use SaslError::{
        BindingMissing, BindingUnknown, InvalidAuthzid, MalformedRequest, NotAuthorized,
    };
    let server = Server::new().await;
    let long = format!("n,,n=juliet,r={}", "x".repeat(4096));
    let cases: [(&str, &[u8], SaslError); 36] = [
        ("SCRAM-SHA-1", b"", MalformedRequest),
        ("SCRAM-SHA-1", b"n", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,", MalformedRequest),
        ("SCRAM-SHA-1", b"n,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"x,,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"N,,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet,r=", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,r=abc,n=juliet", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,m=x,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet,r=abc,m=x", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet,r=abc,", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet,r=abc,1=x", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=jul=2xiet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=jul=2ciet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet=,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=jul\0iet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet,r=a\0bc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=juliet,r=a bc", MalformedRequest),
        ("SCRAM-SHA-1", "n,,n=juliet,r=äbc".as_bytes(), MalformedRequest),
        ("SCRAM-SHA-1", b"n,,n=jul\xffiet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,a=,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", b"n,b=juliet,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1", long.as_bytes(), MalformedRequest),
        // For whom to act.
        ("SCRAM-SHA-1", b"n,a=admin@example.com,n=juliet,r=abc", InvalidAuthzid),
        ("SCRAM-SHA-1", b"n,a=juliet,n=juliet,r=abc", InvalidAuthzid),
        ("SCRAM-SHA-1", b"n,a=juliet@example.com/x,n=juliet,r=abc", InvalidAuthzid),
        ("SCRAM-SHA-1", b"n,a=juliet@example.org,n=juliet,r=abc", InvalidAuthzid),
        // Names which no account can have.
        ("SCRAM-SHA-1", b"n,,n=juliet@example.com,r=abc", NotAuthorized),
        ("SCRAM-SHA-1", b"n,,n=jul iet,r=abc", NotAuthorized),
        ("SCRAM-SHA-1", b"n,,n=a=2Cb@,r=abc", NotAuthorized),
        // The flag and the mechanism.
        ("SCRAM-SHA-1", b"p=tls-exporter,,n=juliet,r=abc", MalformedRequest),
        ("SCRAM-SHA-1-PLUS", b"n,,n=juliet,r=abc", BindingMissing),
        ("SCRAM-SHA-1-PLUS", b"y,,n=juliet,r=abc", BindingMissing),
        ("SCRAM-SHA-1-PLUS", b"p=tls-unique,,n=juliet,r=abc", BindingUnknown),
    ];
    for (mechanism, message, error) in cases {
        let result = server.first(mechanism, message).await;
        assert_eq!(result, Err(error), "{}", String::from_utf8_lossy(message));
    }
}

#[tokio::test]
async fn second_messages_that_are_not_right_are_refused() {
    use SaslError::{MalformedRequest, NotAuthorized};
    type Forge = fn(&Client<'_>) -> String;
    let cases: [(&str, Forge, Result<(), SaslError>); 17] = [
        ("right", |c| c.last(b"n,,"), Ok(())),
        ("unknown attributes", |c| c.sign(&format!("c=biws,r={},x=1,y=a=b", nonce_of(c))), Ok(())),
        ("another header", |c| c.last(b"y,,"), Err(NotAuthorized)),
        ("a bound header", |c| c.last(b"p=tls-exporter,,"), Err(NotAuthorized)),
        ("more than the header", |c| c.last(b"n,,x"), Err(NotAuthorized)),
        ("no header", |c| c.last(b""), Err(NotAuthorized)),
        ("its own nonce", |c| c.sign("c=biws,r=abc"), Err(NotAuthorized)),
        ("a longer nonce", |c| c.sign(&format!("c=biws,r={}x", nonce_of(c))), Err(NotAuthorized)),
        ("no nonce", |c| c.sign("c=biws"), Err(MalformedRequest)),
        (
            "an extension we must know",
            |c| c.sign(&format!("c=biws,r={},m=1", nonce_of(c))),
            Err(MalformedRequest),
        ),
        ("no binding", |c| c.sign(&format!("r={}", nonce_of(c))), Err(MalformedRequest)),
        ("lax base64", |c| c.sign(&format!("c=bi ws,r={}", nonce_of(c))), Err(MalformedRequest)),
        ("no proof", |c| format!("c=biws,r={}", nonce_of(c)), Err(MalformedRequest)),
        ("an empty proof", |c| format!("c=biws,r={},p=", nonce_of(c)), Err(MalformedRequest)),
        ("a short proof", |c| format!("c=biws,r={},p=AAAA", nonce_of(c)), Err(MalformedRequest)),
        ("two proofs", |c| c.sign(&c.last(b"n,,")), Err(MalformedRequest)),
        ("something behind it", |c| format!("{},x=1", c.last(b"n,,")), Err(MalformedRequest)),
    ];
    let server = Server::new().await;
    for (what, forge, expected) in cases {
        let mut exchange = server.begin("SCRAM-SHA-1");
        let server_first = challenge(exchange.step(Some(b"n,,n=juliet,r=abc")).await);
        let client = Client {
            hash: ScramHash::Sha1,
            password: PASSWORD,
            first_bare: "n=juliet,r=abc",
            server_first: &server_first,
        };
        let result = exchange.step(Some(forge(&client).as_bytes())).await;
        assert_eq!(result.map(drop), expected, "{what}");
        let again = exchange.step(Some(client.last(b"n,,").as_bytes())).await;
        assert_eq!(again, Err(MalformedRequest), "over after: {what}");
    }
}

fn nonce_of<'a>(client: &Client<'a>) -> &'a str {
    attribute(client.server_first, "r=")
}

#[tokio::test]
async fn each_bit_of_the_proof_matters() {
    let server = Server::new().await;
    for bit in 0..20 * 8 {
        let mut exchange = server.begin("SCRAM-SHA-1");
        let server_first = challenge(exchange.step(Some(b"n,,n=juliet,r=abc")).await);
        let client = Client {
            hash: ScramHash::Sha1,
            password: PASSWORD,
            first_bare: "n=juliet,r=abc",
            server_first: &server_first,
        };
        let without_proof = format!("c=biws,r={}", nonce_of(&client));
        let mut proof = client.proof(&without_proof);
        proof[bit / 8] ^= 1 << (bit % 8);
        let last = format!("{without_proof},p={}", crate::auth::encode(&proof));
        assert_eq!(exchange.step(Some(last.as_bytes())).await, Err(SaslError::NotAuthorized));
    }
}

#[tokio::test]
async fn the_list_of_mechanisms_is_signed() {
    let server = Server::new().await;
    let first = challenge(server.first("SCRAM-SHA-256", b"n,,n=juliet,r=abc").await);
    let text = server.offer.downgrade_text();
    assert!(text.starts_with("ANONYMOUS\x1ePLAIN\x1eSCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1e"));
    assert!(text.ends_with("\x1ftls-exporter\x1etls-server-end-point"));
    let hash = crate::auth::hash::hash(ScramHash::Sha256, text.as_bytes());
    assert_eq!(attribute(&first, "h="), crate::auth::encode(&hash));
    assert!(attribute(&first, "r=").starts_with("abc"));
    assert_eq!(attribute(&first, "r=").len(), 3 + 32);
}

#[tokio::test]
async fn nobody_can_tell_who_has_an_account() {
    let server = Server::new().await;
    // `nurse` has an account, but no keys for this hash.
    let mut shapes = Vec::new();
    for user in ["juliet", "tybalt", "nurse-", "nurse"] {
        let first_bare = format!("n={user},r=abc");
        let mut salts = Vec::new();
        for _ in 0..2 {
            let mut exchange = server.begin("SCRAM-SHA-512");
            let first = format!("n,,{first_bare}");
            let server_first = challenge(exchange.step(Some(first.as_bytes())).await);
            salts.push(attribute(&server_first, "s=").to_owned());
            let client = Client {
                hash: ScramHash::Sha512,
                password: "wrong",
                first_bare: &first_bare,
                server_first: &server_first,
            };
            let result = exchange.step(Some(client.last(b"n,,").as_bytes())).await;
            assert_eq!(result, Err(SaslError::NotAuthorized));
            shapes.push((server_first.len(), attribute(&server_first, "i=").to_owned()));
        }
        assert_eq!(salts[0], salts[1], "{user}");
    }
    shapes.dedup();
    assert_eq!(shapes.len(), 1, "{shapes:?}");
}

#[tokio::test]
async fn made_up_salts_differ_by_name_and_hash() {
    let server = Server::new().await;
    let mut salts = Vec::new();
    for (mechanism, user) in
        [("SCRAM-SHA-1", "tybalt"), ("SCRAM-SHA-256", "tybalt"), ("SCRAM-SHA-1", "mercutio")]
    {
        let first = format!("n,,n={user},r=abc");
        let answer = challenge(server.first(mechanism, first.as_bytes()).await);
        salts.push(attribute(&answer, "s=").to_owned());
    }
    // However the name is written.
    let answer = challenge(server.first("SCRAM-SHA-1", b"n,,n=TYBALT,r=abc").await);
    assert_eq!(attribute(&answer, "s="), salts[0]);
    salts.dedup();
    assert_eq!(salts.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_password_is_derived_for_unknown_names_too() {
    let server = Server::new().await;
    let permit = server.derivations.permits().acquire_owned().await.unwrap();
    for user in ["juliet", "tybalt"] {
        let mut exchange = server.begin("PLAIN");
        let message = format!("\0{user}\0wrong");
        let step = exchange.step(Some(message.as_bytes()));
        assert!(tokio::time::timeout(Duration::from_secs(9), step).await.is_err(), "{user}");
    }
    drop(permit);
    assert_eq!(server.first("PLAIN", b"\0tybalt\0wrong").await, Err(SaslError::NotAuthorized));
}

#[tokio::test]
async fn a_password_beyond_ascii_fits_however_it_is_typed() {
    let server = Server::new().await;
    // As it was set; as it may be typed; as a client of SCRAM prepares it.
    for (set, typed, prepared) in [
        ("pass😀", "pass😀", "pass😀"),
        ("👍\u{1f3fd}", "👍\u{1f3fd}", "👍\u{1f3fd}"),
        ("caf\u{e9}", "cafe\u{301}", "caf\u{e9}"),
        ("cafe\u{301}😀", "caf\u{e9}😀", "caf\u{e9}😀"),
        ("ﬁsh", "fish", "fish"),
        ("fish🐟", "ﬁsh🐟", "fish🐟"),
        ("a\u{a0}b", "a b", "a b"),
        ("❤", "❤\u{fe0f}", "❤"),
    ] {
        for keys in derive_keys(set, ROUNDS).unwrap() {
            server.accounts.keys.lock().insert((juliet(), keys.hash), keys);
        }
        let plain = format!("\0juliet\0{typed}");
        assert!(server.first("PLAIN", plain.as_bytes()).await.is_ok(), "{typed}");
        let wrong = format!("\0juliet\0{typed}x");
        assert!(server.first("PLAIN", wrong.as_bytes()).await.is_err(), "{typed}");
        for (mechanism, hash) in [
            ("SCRAM-SHA-1", ScramHash::Sha1),
            ("SCRAM-SHA-256", ScramHash::Sha256),
            ("SCRAM-SHA-512", ScramHash::Sha512),
        ] {
            let mut exchange = server.begin(mechanism);
            let server_first = challenge(exchange.step(Some(b"n,,n=juliet,r=abc")).await);
            let client = Client {
                hash,
                password: prepared,
                first_bare: "n=juliet,r=abc",
                server_first: &server_first,
            };
            let last = client.last(b"n,,");
            let step = exchange.step(Some(last.as_bytes())).await;
            assert!(matches!(step, Ok(Step::Success { .. })), "{mechanism} {typed}: {step:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_offered_cannot_be_used() {
    let server =
        Server::with(&TlsFacts::default(), |c| (c.plain, c.anonymous) = (false, false)).await;
    for mechanism in ["PLAIN", "ANONYMOUS", "SCRAM-SHA-1-PLUS", "DIGEST-MD5", "", "scram-sha-1"] {
        let result =
            Exchange::begin(&server.verifier, "example.com", &server.offer, mechanism, None);
        assert_eq!(result.err(), Some(SaslError::InvalidMechanism), "{mechanism}");
    }
    let offer = Offer::new(&super::config(), None);
    let result = Exchange::begin(&server.verifier, "example.com", &offer, "SCRAM-SHA-1", None);
    assert_eq!(result.err(), Some(SaslError::EncryptionRequired));
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_asked_once() {
    let server = Server::new().await;
    let mut exchange = server.begin("PLAIN");
    assert_eq!(exchange.step(None).await, Ok(Step::Challenge(Vec::new())));
    assert_eq!(exchange.user(), None);
    let step = exchange.step(Some(b"\0juliet\0r0m30,myr0m30")).await;
    assert!(matches!(step, Ok(Step::Success { .. })));
    let mut exchange = server.begin("SCRAM-SHA-1");
    assert_eq!(exchange.step(None).await, Ok(Step::Challenge(Vec::new())));
    assert_eq!(exchange.step(None).await, Err(SaslError::MalformedRequest));
}

#[tokio::test]
async fn a_failure_of_storage_is_not_the_users_fault() {
    let server = Server::new().await;
    *server.accounts.is_broken.lock() = true;
    for (mechanism, message) in
        [("PLAIN", &b"\0juliet\0r0m30,myr0m30"[..]), ("SCRAM-SHA-1", b"n,,n=juliet,r=abc")]
    {
        let result = server.first(mechanism, message).await;
        assert_eq!(result, Err(SaslError::TemporaryAuthFailure));
    }
}

#[tokio::test]
async fn damaged_keys_let_nobody_in() {
    let server = Server::new().await;
    for keys in server.accounts.keys.lock().values_mut() {
        keys.stored_key.truncate(3);
    }
    let result = server.first("PLAIN", b"\0juliet\0r0m30,myr0m30").await;
    assert_eq!(result, Err(SaslError::NotAuthorized));
    let result = log_in::<Sha1>(&server, PASSWORD, ChannelBinding::None).await;
    assert_eq!(result, Err(SaslError::NotAuthorized));
}

#[tokio::test]
async fn names_are_known_before_the_proof() {
    let server = Server::new().await;
    let mut exchange = server.begin("SCRAM-SHA-1");
    challenge(exchange.step(Some(b"n,,n=TYB=2CALT,r=abc")).await);
    assert_eq!(exchange.user(), Some("tyb,alt@example.com"));
    let shown = format!("{exchange:?} {:?}", server.verifier);
    assert!(!shown.contains("[7") && !shown.contains("key"), "{shown}");
    let mut exchange = server.begin("PLAIN");
    assert!(exchange.step(Some(b"\0a b\0x")).await.is_err());
    assert_eq!(exchange.user(), Some("a b"));
}

#[tokio::test]
async fn logins_of_clients_that_tell_an_id_are_noted_with_their_time() {
    let log_in_as = async |server: &Server| {
        let client = Scram::<Sha1>::new("juliet", PASSWORD, ChannelBinding::None).unwrap();
        let id = "d4565fa7-4d72-4749-b3d3-740edbf87770";
        let exchange = server.begin(client.name()).by(UserAgent::new(Some(id), None, None), None);
        log_in_with(exchange, client).await.unwrap();
    };
    let mut server = Server::new().await;
    // Without an id, the login is noted when there is a session.
    log_in::<Sha1>(&server, PASSWORD, ChannelBinding::None).await.unwrap();
    assert_eq!(server.accounts.logins.lock().len(), 0);
    log_in_as(&server).await;
    assert_eq!(server.accounts.logins.lock().len(), 1);
    assert_eq!(server.accounts.logins.lock()[0].1.as_micros(), 5);

    let tasks = Tasks::new();
    let verifier = std::sync::Arc::into_inner(server.verifier).unwrap();
    server.verifier = std::sync::Arc::new(verifier.with_tasks(tasks.clone()));
    log_in_as(&server).await;
    assert!(tasks.stop(Duration::from_secs(9)).await.is_empty());
    assert_eq!(server.accounts.logins.lock().len(), 2);
}

#[tokio::test]
async fn settings_change_while_the_server_runs() {
    let server = Server::new().await;
    let config = crate::config::AuthConfig { iterations: 12345, ..super::config() };
    server.verifier.refresh(&config);
    let answer = challenge(server.first("SCRAM-SHA-1", b"n,,n=tybalt,r=abc").await);
    assert_eq!(attribute(&answer, "i="), "12345");
}
