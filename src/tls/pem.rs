//! Reads PEM files with certificates and keys. If a file cannot be used, the error says why, and what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider::provider;
use super::x509::Leaf;
use super::{Doubt, TlsError};

/// A chain and its key, which belong together.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: CertifiedKey,
    pub(super) leaf: Leaf,
    /// Warnings about the files.
    pub(super) doubts: Vec<Doubt>,
}

/// Reads a chain and its key, and checks that they belong together. One file may contain both.
///
/// # Errors
/// The first error; see [`TlsError`].
pub(super) fn read_pair(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    let chain_file = Pem::read(certificate)?;
    let key_file = Pem::read(key)?;
    if !chain_file.has_certificate() && chain_file.has_key() && key_file.has_certificate() {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        return Err(TlsError::Swapped { certificate, key });
    }
    let chain = chain_file.chain()?;
    let broken = |cause: String| TlsError::Certificate { file: certificate.to_owned(), cause };
    let leaf = Leaf::read(&chain[0]).map_err(broken)?;
    if let Some(cause) = leaf.unspoken() {
        return Err(TlsError::Kind { file: certificate.to_owned(), cause });
    }
    let secret = key_file.key(certificate)?;
    let secret = provider()
        .key_provider
        .load_private_key(secret)
        .map_err(|e| TlsError::Key { file: key.to_owned(), cause: e.to_string() })?;
    let pair = CertifiedKey::new(chain, secret);
    match pair.keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(mismatch(&pair, certificate, key)),
        // rustls refuses more than this file does, for example other versions of X.509.
        Err(e) => return Err(broken(e.to_string())),
    }
    let mut doubts = chain_doubts(&pair.cert, &leaf, certificate);
    for pem in [&chain_file, &key_file] {
        if pem.has_mark && !doubts.contains(&Doubt::Mark(pem.file.clone())) {
            doubts.push(Doubt::Mark(pem.file.clone()));
        }
    }
    if is_open(key) {
        doubts.push(Doubt::OpenKey(key.to_owned()));
    }
    Ok(Pair { key: pair, leaf, doubts })
}

/// Reads certificates, each of which stands for itself.
///
/// # Errors
/// The first error; see [`TlsError`].
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    Pem::read(file)?.chain()
}

/// Reads lists of revoked certificates.
///
/// # Errors
/// The first error; see [`TlsError`].
pub(super) fn read_revocation_lists(
    file: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let broken = |cause: String| TlsError::RevocationLists { file: file.to_owned(), cause };
    let pem = match Pem::read(file) {
        Err(TlsError::Der { .. }) => {
            return Err(broken("it is in DER, which is binary (`openssl crl -inform DER`)".into()));
        }
        read => read?,
    };
    let lists = CertificateRevocationListDer::pem_slice_iter(&pem.bytes);
    let lists = lists.collect::<Result<Vec<_>, _>>().map_err(|error| broken(error.to_string()))?;
    match lists.is_empty() {
        true => Err(broken("there is none".to_owned())),
        false => Ok(lists),
    }
}

/// The error if the key does not belong to the first certificate. It may belong to a later one.
fn mismatch(pair: &CertifiedKey, certificate: &Path, key: &Path) -> TlsError {
    let belongs = |certificate: &CertificateDer<'static>| {
        let alone = CertifiedKey::new(vec![certificate.clone()], pair.key.clone());
        alone.keys_match().is_ok()
    };
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    match pair.cert.iter().position(belongs) {
        Some(place) => TlsError::Order { certificate, key, place: place + 1 },
        None => TlsError::Mismatch { certificate, key },
    }
}

fn chain_doubts(chain: &[CertificateDer<'_>], leaf: &Leaf, file: &Path) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let file = || file.to_owned();
    if chain.len() == 1 && !leaf.self_signed {
        doubts.push(Doubt::NoIssuer { file: file(), issuer: leaf.issuer.clone() });
    }
    let read: Vec<_> = chain.iter().map_while(|der| Leaf::read(der).ok()).collect();
    let is_wrong = |pair: &[Leaf]| !pair[0].self_signed && !pair[1].has_issued(&pair[0]);
    if read.len() == chain.len()
        && let Some(place) = read.windows(2).position(is_wrong)
    {
        doubts.push(Doubt::ChainOrder { file: file(), place: place + 2 });
    }
    if let Some(kind) = leaf.rarely_spoken() {
        doubts.push(Doubt::Rare { file: file(), kind });
    }
    doubts
}

/// Whether all users of the machine can read the file.
fn is_open(key: &Path) -> bool {
    std::fs::metadata(key).is_ok_and(|found| found.permissions().mode() & 0o007 != 0)
}

/// A file and its contents.
struct Pem {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Whether it begins with a byte order mark, which `bytes` does not contain.
    has_mark: bool,
    /// The labels after `-----BEGIN `.
    labels: Vec<String>,
}

impl Pem {
    fn read(file: &Path) -> Result<Self, TlsError> {
        let owned = || file.to_owned();
        let mut bytes =
            std::fs::read(file).map_err(|source| TlsError::Read { file: owned(), source })?;
        let has_mark = bytes.starts_with(b"\xEF\xBB\xBF");
        if has_mark {
            bytes.drain(..3);
        }
        if bytes.trim_ascii().is_empty() {
            return Err(TlsError::Empty { file: owned() });
        }
        if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
            return Err(TlsError::Utf16 { file: owned() });
        }
        let text = String::from_utf8_lossy(&bytes);
        let label = |line: &str, word: &str| {
            let rest = line.trim().strip_prefix("-----")?.strip_prefix(word)?;
            Some(rest.strip_suffix("-----")?.trim().to_owned())
        };
        let labels: Vec<_> = text.lines().filter_map(|line| label(line, "BEGIN ")).collect();
        let ends = text.lines().filter_map(|line| label(line, "END ")).count();
        if labels.is_empty() && bytes.starts_with(b"\x30") {
            let is_certificate = Leaf::read(&bytes).is_ok();
            return Err(TlsError::Der { file: owned(), is_certificate });
        }
        if ends < labels.len() {
            return Err(TlsError::Cut { file: owned() });
        }
        Ok(Self { file: owned(), bytes, has_mark, labels })
    }

    fn has_certificate(&self) -> bool {
        self.labels.iter().any(|label| label == "CERTIFICATE")
    }

    fn has_key(&self) -> bool {
        self.labels.iter().any(|label| label.ends_with("PRIVATE KEY"))
    }

    fn is_encrypted(&self) -> bool {
        let legacy = b"Proc-Type: 4,ENCRYPTED";
        self.labels.iter().any(|label| label == "ENCRYPTED PRIVATE KEY")
            || self.bytes.windows(legacy.len()).any(|part| part == legacy)
    }

    /// The certificates in their order; at least one.
    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let file = || self.file.clone();
        if !self.has_certificate() {
            return Err(TlsError::NoCertificate { file: file() });
        }
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        let chain =
            chain.map_err(|e| TlsError::Certificate { file: file(), cause: e.to_string() })?;
        match chain.is_empty() {
            true => Err(TlsError::NoCertificate { file: file() }),
            false => Ok(chain),
        }
    }

    fn key(&self, certificate: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
        let file = || self.file.clone();
        if self.is_encrypted() {
            return Err(TlsError::Encrypted { file: file() });
        }
        if !self.has_key() && self.file == certificate {
            return Err(TlsError::NoKeyInside { file: file() });
        }
        if !self.has_key() {
            let found = self.labels.first().cloned();
            return Err(TlsError::NoKey { file: file(), found });
        }
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|e| TlsError::Key { file: file(), cause: e.to_string() })
    }
}
