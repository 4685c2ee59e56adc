//! What is wrong with certificates: faults, with which no server starts, and doubts. Each is a
//! sentence for the administrator that names the file and says what to do.

use std::path::PathBuf;

use crate::payload::datetime::Timestamp;

/// Why certificates could not be loaded. Each tells the administrator what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file holds no certificate.
    #[error("no certificate in {}: expected PEM (\"-----BEGIN CERTIFICATE-----\"), the host's own certificate first, then the intermediate ones", file.display())]
    NoCertificate {
        /// Where we looked.
        file: PathBuf,
    },
    /// The domain can have no certificate.
    #[error(
        "\"{domain}\" is no domain for which a certificate can be made: write a DNS name or an IP address under [[host]]"
    )]
    Domain {
        /// As it is configured.
        domain: String,
    },
    /// A key without a certificate.
    #[error(
        "host \"{domain}\" has a key but no certificate: set `certificate`, or remove `key` to use a self-signed one"
    )]
    KeyAlone {
        /// The host.
        domain: String,
    },
    /// The file holds no key that we can use.
    #[error("no usable private key in {}: {cause}; expected an ECDSA, Ed25519 or RSA key in PEM without a password", file.display())]
    Key {
        /// Where we looked.
        file: PathBuf,
        /// What the reader says.
        cause: String,
    },
    /// The certificate cannot be understood.
    #[error("the certificate in {} cannot be read: {cause}; ask for it anew or restore the file", file.display())]
    Certificate {
        /// Where we looked.
        file: PathBuf,
        /// What the reader says.
        cause: String,
    },
    /// No host is configured.
    #[error("there is no host: write at least one [[host]] with a `domain`")]
    NoHosts,
    /// The key is the key of another certificate.
    #[error("the key in {} does not belong to the first certificate in {}: give both from the same order, and the host's own certificate before the intermediate ones", key.display(), certificate.display())]
    Mismatch {
        /// File of the chain.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// A self-signed certificate could not be made.
    #[error("no self-signed certificate could be made for \"{domain}\": {cause}")]
    Making {
        /// The host.
        domain: String,
        /// What the library says.
        cause: String,
    },
    /// No randomness.
    #[error("the system gives no random numbers for TLS tickets")]
    Random,
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the path and that the server's user may read it", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; check that the server's user owns the data directory", file.display())]
    Write {
        /// Which file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Nothing is in the file.
    #[error("{} is empty: write the certificate or the key there, in PEM", file.display())]
    Empty {
        /// Which file.
        file: PathBuf,
    },
    /// The file is text in UTF-16.
    #[error("{} is saved as UTF-16, and PEM is ASCII: save it as plain text", file.display())]
    Utf16 {
        /// Which file.
        file: PathBuf,
    },
    /// The file is binary.
    #[error("{} is in DER, which is binary, and not in PEM: write it anew with `openssl {} -inform DER -in FILE -out NEW`", file.display(), if *is_certificate { "x509" } else { "pkey" })]
    Der {
        /// Which file.
        file: PathBuf,
        /// A certificate, not a key.
        is_certificate: bool,
    },
    /// A section has no end.
    #[error("{} is cut off: a section begins and does not end; copy the file again", file.display())]
    Cut {
        /// Which file.
        file: PathBuf,
    },
    /// The key is protected.
    #[error("the key in {} is protected by a password, which the server cannot ask for: write it without one with `openssl pkey -in FILE -out NEW`", file.display())]
    Encrypted {
        /// Which file.
        file: PathBuf,
    },
    /// The two files are exchanged.
    #[error("`certificate` names {}, which has the key in it, and `key` names {}, which has the certificate: exchange the two", certificate.display(), key.display())]
    Swapped {
        /// What is named as the certificate.
        certificate: PathBuf,
        /// What is named as the key.
        key: PathBuf,
    },
    /// No client or no TLS of ours can use this kind of key.
    #[error("the certificate in {} has {cause}: order one with an ECDSA key (P-256) or an RSA key of 2048 bits", file.display())]
    Kind {
        /// Which file.
        file: PathBuf,
        /// The kind.
        cause: String,
    },
    /// The key is that of a later certificate.
    #[error("the key in {} belongs to certificate number {place} in {}, and the host's own certificate must be the first: move it to the top", key.display(), certificate.display())]
    Order {
        /// File of the chain.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// From 1.
        place: usize,
    },
    /// `key` is left out, and the key is not beside the certificate.
    #[error("{} has a certificate and no key: append the key, or name its file as `key`", file.display())]
    NoKeyInside {
        /// Which file.
        file: PathBuf,
    },
    /// Something else than a key.
    #[error("no private key in {}{}: expected PEM (\"-----BEGIN PRIVATE KEY-----\")", file.display(), found.as_ref().map_or(String::new(), |found| format!(", but \"{found}\"")))]
    NoKey {
        /// Where we looked.
        file: PathBuf,
        /// The label of what is there.
        found: Option<String>,
    },
}

/// What is wrong with a certificate that is used all the same. Each says what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Doubt {
    /// The intermediate certificates are in another order than that in which each has issued the one
    /// before it.
    #[error("certificate number {place} in {} has not issued the one before it: put the host's own first, then the one that has issued it, and so on", file.display())]
    ChainOrder {
        /// Which file.
        file: PathBuf,
        /// From 1.
        place: usize,
    },
    /// It has expired.
    #[error("the certificate has expired on {0}, so clients refuse it: renew it")]
    Expired(Timestamp),
    /// A byte order mark.
    #[error("{} begins with a byte order mark, which we skip and other programs do not: save the file without it", .0.display())]
    Mark(PathBuf),
    /// The issuer's certificate is missing.
    #[error("{} has the host's certificate only, and not that of its issuer ({issuer}), so clients may refuse it: use the file with the chain (fullchain.pem)", file.display())]
    NoIssuer {
        /// Which file.
        file: PathBuf,
        /// Its name.
        issuer: String,
    },
    /// It is for later.
    #[error(
        "the certificate is valid only from {0} on, so clients refuse it: check the clock of this machine, or wait"
    )]
    NotYet(Timestamp),
    /// Others can read the key.
    #[error("the key in {} can be read by all users of this machine: `chmod 600` it", .0.display())]
    OpenKey(PathBuf),
    /// Another name.
    #[error("the certificate does not name {domain} but {}, so clients refuse it: order one for {domain}", if names.is_empty() { "nobody".to_owned() } else { names.join(", ") })]
    OtherName {
        /// The host.
        domain: String,
        /// What it names.
        names: Vec<String>,
    },
    /// Few clients know this kind of key.
    #[error("the certificate in {} has {kind}, which many clients do not know: ECDSA with P-256 is known to all", file.display())]
    Rare {
        /// Which file.
        file: PathBuf,
        /// The kind.
        kind: &'static str,
    },
    /// It expires within 14 days.
    #[error("the certificate expires on {0}: renew it")]
    Soon(Timestamp),
}

impl Doubt {
    /// No client accepts such a certificate without asking.
    #[must_use]
    pub fn is_refused_by_clients(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::NotYet(_) | Self::OtherName { .. })
    }
}
