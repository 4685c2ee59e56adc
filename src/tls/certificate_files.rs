//! Certificate files: those of the administrator, and self-signed ones that the server creates.
//!
//! A mistake that is easy to make: a key must never be readable by others, not even for the moment between
//! the creation of the file and the change of its mode. So the file is created with its mode under another
//! name, and renamed when it is complete.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, OtherNameValue, SanType,
};
use time::OffsetDateTime;

use super::TlsError;
use super::names::ip_of;
use super::pem::{Pair, read_pair};
use crate::clock::Clock;
use crate::files;

/// The stored self-signed certificate of a host, if there is one.
pub(super) fn kept(directory: &Path, name: &str) -> Result<Option<Pair>, TlsError> {
    let certificate = directory.join(format!("{name}.crt"));
    match certificate.exists() {
        true => read_pair(&certificate, &directory.join(format!("{name}.key"))).map(Some),
        false => Ok(None),
    }
}

/// The self-signed certificate of a host: the stored one, or a new one.
///
/// It is valid for ten years: people who trust a self-signed certificate trust this single one, and every
/// change looks like an attack. A shorter validity would teach them to ignore warnings. Before it expires,
/// a new one is made *from the same key*, so that a pinned key stays valid.
pub(super) fn self_signed(
    directory: &Path,
    domain: &str,
    name: &str,
    clock: &Clock,
) -> Result<Pair, TlsError> {
    let certificate = directory.join(format!("{name}.crt"));
    let key = directory.join(format!("{name}.key"));
    if let Some(pair) = kept(directory, name)?
        && !pair.leaf.ends_soon(clock.now())
    {
        return Ok(pair);
    }
    let cannot_write = |source| TlsError::Write { file: directory.to_owned(), source };
    files::make_directory(directory).map_err(cannot_write)?;
    std::fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(cannot_write)?;

    let failed =
        |e: rcgen::Error| TlsError::Making { domain: domain.to_owned(), cause: e.to_string() };
    let secret = if key.exists() {
        let pem = read(&key)?;
        let no_key = |cause: String| TlsError::Key { file: key.clone(), cause };
        let pem = String::from_utf8(pem).map_err(|e| no_key(e.to_string()))?;
        KeyPair::from_pem(&pem).map_err(|e| no_key(e.to_string()))?
    } else {
        let made = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        write(&key, made.serialize_pem().as_bytes(), 0o600)?;
        made
    };
    let made = params(domain, name, clock).and_then(|p| p.self_signed(&secret)).map_err(failed)?;
    write(&certificate, made.pem().as_bytes(), 0o644)?;
    tracing::info!(host = %domain, file = %certificate.display(), "made a self-signed certificate");
    read_pair(&certificate, &key)
}

/// `SRVName` is omitted: rcgen cannot write an IA5String there, and `dNSName` is enough.
fn params(domain: &str, name: &str, clock: &Clock) -> Result<CertificateParams, rcgen::Error> {
    let now = OffsetDateTime::from_unix_timestamp(clock.now().as_micros() / 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut params = CertificateParams::default();
    // Clients' clocks are sometimes wrong, mostly by a time zone.
    params.not_before = now - Duration::from_secs(24 * 60 * 60);
    params.not_after = now + Duration::from_secs(3652 * 24 * 60 * 60);
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
    serial[0] = serial[0] & 0x7F | 0x40; // positive and of full length, RFC 5280 §4.1.2.2
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
    let mut subject = DistinguishedName::new();
    // RFC 5280 appendix A.1, ub-common-name: 64 characters.
    subject.push(DnType::CommonName, if domain.len() <= 64 { domain } else { "Waxwing" });
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = match ip_of(domain) {
        Some(ip) => SanType::IpAddress(ip),
        None => SanType::DnsName(Ia5String::try_from(name)?),
    };
    let address = OtherNameValue::Utf8String(domain.to_owned());
    params.subject_alt_names = vec![own, SanType::OtherName((XMPP_ADDR.to_vec(), address))];
    Ok(params)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

/// Writes the whole file or nothing.
fn write(file: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    files::write_whole(file, content, mode)
        .map_err(|source| TlsError::Write { file: file.to_owned(), source })
}

/// `id-on-xmppAddr`, RFC 6120 §13.7.1.4.
const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];
