//! ANONYMOUS (RFC 4505, XEP-0175): each login gets a new address, which is never used again.

use std::fmt::Write as _;

use super::SaslError;
use crate::jid::BareJid;

/// Checks the trace information of the client. The server does not use it (XEP-0175 §2).
///
/// # Errors
/// `malformed-request` if it is not UTF-8 or has more than 255 characters (RFC 4505 §2).
pub(super) fn check_trace(message: &[u8]) -> Result<(), SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::MalformedRequest)?;
    if text.chars().count() > TRACE_MAX {
        return Err(SaslError::MalformedRequest);
    }
    Ok(())
}

/// A random UUID at `domain` (XEP-0175 §2).
///
/// # Errors
/// `temporary-auth-failure` if the operating system provides no random bytes.
pub(super) fn new_address(domain: &str) -> Result<BareJid, SaslError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        SaslError::TemporaryAuthFailure
    })?;
    // RFC 9562 §5.4: version 4, variant 10.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut local = String::with_capacity(36);
    for (i, byte) in bytes.into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            local.push('-');
        }
        write!(local, "{byte:02x}").expect("writing to a String does not fail");
    }
    BareJid::from_parts(Some(&local), domain).map_err(|_| SaslError::TemporaryAuthFailure)
}

/// The largest number of characters of trace information.
const TRACE_MAX: usize = 255;
