//! The cryptography behind TLS.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
