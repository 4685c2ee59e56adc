//! What a login costs the server, on accounts in memory.
//!
//! The client's part is in the numbers too, but with one round of PBKDF2 instead of thousands.

use std::sync::Arc;

use divan::{Bencher, black_box};
use sasl::client::Mechanism as _;
use sasl::client::mechanisms::Scram;
use sasl::common::ChannelBinding;
use sasl::common::scram::{ScramProvider, Sha1, Sha256};
use waxwing::auth::{
    Derivations, Exchange, Offer, Step, TlsFacts, TlsVersion, Verifier, derive_keys,
};
use waxwing::clock::Clock;
use waxwing::config::AuthConfig;
use waxwing::jid::BareJid;
use waxwing::storage::{MemoryStorage, NewAccount, ScramKeys, Storage};

fn main() {
    divan::main();
}

#[divan::bench(types = [Sha1, Sha256])]
fn exchange<S: ScramProvider>(bencher: Bencher<'_, '_>) {
    let (verifier, offer, runtime) = server(1);
    bencher.bench_local(|| {
        let binding = ChannelBinding::TlsExporter(vec![9; 32]);
        let mut client = Scram::<S>::new("juliet", "secret", binding).expect("random bytes");
        let mut exchange = Exchange::begin(&verifier, "example.com", &offer, client.name(), None)
            .expect("it is offered");
        runtime.block_on(async {
            let step = exchange.step(Some(&client.initial())).await;
            let Ok(Step::Challenge(challenge)) = step else { unreachable!("{step:?}") };
            let answer = client.response(&challenge).expect("a challenge");
            let step = exchange.step(Some(&answer)).await;
            assert!(matches!(step, Ok(Step::Success { .. })));
        });
    });
}

#[divan::bench]
fn plain_with_10000_rounds(bencher: Bencher<'_, '_>) {
    let (verifier, offer, runtime) = server(10_000);
    bencher.bench_local(|| {
        let mut exchange = Exchange::begin(&verifier, "example.com", &offer, "PLAIN", None)
            .expect("it is offered");
        let step = runtime.block_on(exchange.step(Some(b"\0juliet\0secret")));
        assert!(matches!(step, Ok(Step::Success { .. })));
    });
}

#[divan::bench]
fn keys_with_10000_rounds() -> Vec<ScramKeys> {
    derive_keys(black_box("secret"), 10_000).expect("a password")
}

fn server(iterations: u32) -> (Arc<Verifier>, Offer, tokio::runtime::Runtime) {
    let config = AuthConfig {
        anonymous: false,
        plain: true,
        iterations,
        failures_per_connection: 5,
        slow_addresses: true,
        derivations: 2,
        certificate_authorities: None,
        certificate_revocation_lists: None,
        devices: true,
        announce_devices: false,
        devices_age: std::time::Duration::ZERO,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let keys = derive_keys("secret", iterations).expect("a password");
    let storage = MemoryStorage::new();
    let user = BareJid::parse("juliet@example.com").expect("an address");
    let account = NewAccount { user, keys, created: Clock::system().now(), admin: false };
    runtime.block_on(storage.accounts().create(&[account])).expect("room in memory");
    let verifier = runtime
        .block_on(Verifier::new(storage, &config, Derivations::new(&config), Clock::system()))
        .expect("the secret is there");
    let tls = TlsFacts {
        version: Some(TlsVersion::V1_3),
        exporter: Some([9; 32]),
        server_end_point: None,
        addresses: Vec::new(),
        fingerprint: None,
    };
    (Arc::new(verifier), Offer::new(&config, Some(&tls)), runtime)
}
