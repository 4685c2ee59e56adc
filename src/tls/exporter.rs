//! The data of the channel binding `tls-exporter` (RFC 9266), out of the secrets of one handshake.
//!
//! The connections of rustls that leave the buffers to us have no `export_keying_material`. But rustls gives
//! the secret of the exporter to a [`KeyLog`]. Each handshake has one of its own, which takes this secret and
//! no other.

use std::fmt;

use parking_lot::Mutex;
use rustls::crypto::tls13::OkmBlock;
use rustls::{KeyLog, SupportedCipherSuite, Tls13CipherSuite};

/// The `exporter_master_secret` of one handshake (RFC 8446 §7.1): empty before the handshake, and after
/// [`ExporterSecret::channel_binding`]. The secret is overwritten when it is dropped.
#[derive(Default)]
pub(super) struct ExporterSecret(Mutex<Option<OkmBlock>>);

impl ExporterSecret {
    /// The data of `tls-exporter` (RFC 9266 §2), 32 bytes. Drops the secret. `None` on TLS 1.2, where rustls
    /// gives us no secret, and if this was called before.
    pub(super) fn channel_binding(&self, suite: SupportedCipherSuite) -> Option<[u8; 32]> {
        let secret = self.0.lock().take()?;
        // RFC 9266 §2: this label and an empty context.
        export(suite.tls13()?, &secret, b"EXPORTER-Channel-Binding", b"")
    }
}

impl KeyLog for ExporterSecret {
    fn will_log(&self, label: &str) -> bool {
        label == "EXPORTER_SECRET"
    }

    /// rustls calls this for TLS 1.2 without asking [`KeyLog::will_log`].
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if self.will_log(label) {
            *self.0.lock() = Some(OkmBlock::new(secret));
        }
    }
}

/// Says nothing of the secret.
impl fmt::Debug for ExporterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExporterSecret")
    }
}

/// TLS-Exporter of RFC 8446 §7.5.
fn export(
    suite: &Tls13CipherSuite,
    secret: &OkmBlock,
    label: &[u8],
    context: &[u8],
) -> Option<[u8; 32]> {
    let (hash, hkdf) = (suite.common.hash_provider, suite.hkdf_provider);
    let expander = hkdf.expander_for_okm(secret);
    let info = hkdf_label(expander.hash_len(), label, hash.hash(&[]).as_ref())?;
    let derived = expander.expand_block(&[&info]);
    let mut exported = [0; 32];
    let info = hkdf_label(exported.len(), b"exporter", hash.hash(context).as_ref())?;
    hkdf.expander_for_okm(&derived).expand_slice(&[&info], &mut exported).ok()?;
    Some(exported)
}

/// The `HkdfLabel` of RFC 8446 §7.1, for an output of `length` bytes. `None` if a part is too long for it.
fn hkdf_label(length: usize, label: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    const PREFIX: &[u8] = b"tls13 ";
    let mut info = u16::try_from(length).ok()?.to_be_bytes().to_vec();
    info.push(u8::try_from(PREFIX.len() + label.len()).ok()?);
    info.extend_from_slice(PREFIX);
    info.extend_from_slice(label);
    info.push(u8::try_from(context.len()).ok()?);
    info.extend_from_slice(context);
    Some(info)
}
