//! Problems with certificates: errors, with which the server does not start, and warnings. Each is a
//! sentence for the administrator that names the file and says what to do.

use std::path::PathBuf;

use crate::payload::datetime::Timestamp;

/// Why certificates could not be loaded. Each message tells the administrator what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file contains no certificate.
    #[error("no certificate in {}: expected PEM (\"-----BEGIN CERTIFICATE-----\"), the host's own certificate first, then the intermediate ones", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// The domain cannot have a certificate.
    #[error(
        "\"{domain}\" is no domain for which a certificate can be made: write a DNS name or an IP address under [[host]]"
    )]
    Domain {
        /// The domain as configured.
        domain: String,
    },
    /// A key is configured without a certificate.
    #[error(
        "host \"{domain}\" has a key but no certificate: set `certificate`, or remove `key` to use a self-signed one"
    )]
    KeyAlone {
        /// The host.
        domain: String,
    },
    /// The file contains no usable key.
    #[error("no usable private key in {}: {cause}; expected an ECDSA, Ed25519 or RSA key in PEM without a password", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The error of the parser.
        cause: String,
    },
    /// The certificate cannot be read.
    #[error("the certificate in {} cannot be read: {cause}; ask for it anew or restore the file", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// The error of the parser.
        cause: String,
    },
    /// The certificate of an authority for clients cannot be used.
    #[error("the certificates of authorities in {} cannot be used: {cause}; write the authorities of your users' certificates there", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// The error of the library.
        cause: String,
    },
    /// The lists of revoked certificates cannot be used.
    #[error("the revocation lists in {} cannot be used: {cause}; write the lists of your authorities there, in PEM (\"-----BEGIN X509 CRL-----\")", file.display())]
    RevocationLists {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// No host is configured.
    #[error("there is no host: write at least one [[host]] with a `domain`")]
    NoHosts,
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the first certificate in {}: give both from the same order, and the host's own certificate before the intermediate ones", key.display(), certificate.display())]
    Mismatch {
        /// The file with the chain.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// A self-signed certificate could not be made.
    #[error("no self-signed certificate could be made for \"{domain}\": {cause}")]
    Making {
        /// The host.
        domain: String,
        /// The error of the library.
        cause: String,
    },
    /// The operating system provides no random numbers.
    #[error("the system gives no random numbers for TLS tickets")]
    Random,
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the path and that the server's user may read it", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check that the server's user owns the data directory", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("{} is empty: write the certificate or the key there, in PEM", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The file is text in UTF-16.
    #[error("{} is saved as UTF-16, and PEM is ASCII: save it as plain text", file.display())]
    Utf16 {
        /// The file.
        file: PathBuf,
    },
    /// The file is binary.
    #[error("{} is in DER, which is binary, and not in PEM: write it anew with `openssl {} -inform DER -in FILE -out NEW`", file.display(), if *is_certificate { "x509" } else { "pkey" })]
    Der {
        /// The file.
        file: PathBuf,
        /// Whether it should contain a certificate; else a key.
        is_certificate: bool,
    },
    /// A PEM section has no end.
    #[error("{} is cut off: a section begins and does not end; copy the file again", file.display())]
    Cut {
        /// The file.
        file: PathBuf,
    },
    /// The key is protected with a password.
    #[error("the key in {} is protected by a password, which the server cannot ask for: write it without one with `openssl pkey -in FILE -out NEW`", file.display())]
    Encrypted {
        /// The file.
        file: PathBuf,
    },
    /// The two files are swapped.
    #[error("`certificate` names {}, which has the key in it, and `key` names {}, which has the certificate: exchange the two", certificate.display(), key.display())]
    Swapped {
        /// The file that is configured as the certificate.
        certificate: PathBuf,
        /// The file that is configured as the key.
        key: PathBuf,
    },
    /// This kind of key cannot be used, by clients or by the TLS library.
    #[error("the certificate in {} has {cause}: order one with an ECDSA key (P-256) or an RSA key of 2048 bits", file.display())]
    Kind {
        /// The file.
        file: PathBuf,
        /// The kind of key.
        cause: String,
    },
    /// The key belongs to a later certificate of the chain.
    #[error("the key in {} belongs to certificate number {place} in {}, and the host's own certificate must be the first: move it to the top", key.display(), certificate.display())]
    Order {
        /// The file with the chain.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// The position of the certificate, counted from 1.
        place: usize,
    },
    /// `key` is not configured, and the file of the certificate contains no key.
    #[error("{} has a certificate and no key: append the key, or name its file as `key`", file.display())]
    NoKeyInside {
        /// The file.
        file: PathBuf,
    },
    /// The file contains something other than a key.
    #[error("no private key in {}{}: expected PEM (\"-----BEGIN PRIVATE KEY-----\")", file.display(), found.as_ref().map_or(String::new(), |found| format!(", but \"{found}\"")))]
    NoKey {
        /// The file.
        file: PathBuf,
        /// The label of the PEM section that was found.
        found: Option<String>,
    },
}

/// Problems of a certificate that is used in spite of them. Each message says what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Doubt {
    /// The intermediate certificates are in the wrong order: each must have issued the one before it.
    #[error("certificate number {place} in {} has not issued the one before it: put the host's own first, then the one that has issued it, and so on", file.display())]
    ChainOrder {
        /// The file.
        file: PathBuf,
        /// The position of the certificate, counted from 1.
        place: usize,
    },
    /// The certificate has expired.
    #[error("the certificate has expired on {0}, so clients refuse it: renew it")]
    Expired(Timestamp),
    /// The file begins with a byte order mark.
    #[error("{} begins with a byte order mark, which we skip and other programs do not: save the file without it", .0.display())]
    Mark(PathBuf),
    /// The issuer's certificate is missing.
    #[error("{} has the host's certificate only, and not that of its issuer ({issuer}), so clients may refuse it: use the file with the chain (fullchain.pem)", file.display())]
    NoIssuer {
        /// The file.
        file: PathBuf,
        /// The name of the issuer.
        issuer: String,
    },
    /// The certificate is not valid yet.
    #[error(
        "the certificate is valid only from {0} on, so clients refuse it: check the clock of this machine, or wait"
    )]
    NotYet(Timestamp),
    /// Other users can read the key.
    #[error("the key in {} can be read by all users of this machine: `chmod 600` it", .0.display())]
    OpenKey(PathBuf),
    /// The certificate does not name the domain.
    #[error("the certificate does not name {domain} but {}, so clients refuse it: order one for {domain}", if names.is_empty() { "nobody".to_owned() } else { names.join(", ") })]
    OtherName {
        /// The host.
        domain: String,
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// Few clients support this kind of key.
    #[error("the certificate in {} has {kind}, which many clients do not know: ECDSA with P-256 is known to all", file.display())]
    Rare {
        /// The file.
        file: PathBuf,
        /// The kind of key.
        kind: &'static str,
    },
    /// The certificate expires within 14 days.
    #[error("the certificate expires on {0}: renew it")]
    Soon(Timestamp),
}

impl Doubt {
    /// The certificate is self-signed. No client accepts it without asking the user.
    #[must_use]
    pub fn is_refused_by_clients(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::NotYet(_) | Self::OtherName { .. })
    }
}
