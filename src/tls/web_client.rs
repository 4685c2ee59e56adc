//! TLS to a service on the web: its certificate must be valid, as authorities of the system say.

use rustls::{ClientConfig, RootCertStore};

use super::provider::provider;

/// The settings for connections to services on the web. Reads the authorities of the system, and blocks meanwhile.
#[must_use]
pub fn web_client() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let of_system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(of_system.certs);
    if roots.is_empty() {
        tracing::warn!(
            "no service on the web is trusted: the system has no authorities (package ca-certificates)"
        );
    }
    trusting(roots)
}

/// The settings for connections to services on the web that these authorities have certified.
pub(super) fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
