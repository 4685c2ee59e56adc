//! The configuration: one TOML file, a section a struct, the docs beside the field.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set. A server without a file runs with the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept. Relative paths are relative to where the program runs.
    pub data: PathBuf,
    /// The domains that are served; at least one.
    pub hosts: Vec<HostConfig>,
    /// Where we listen.
    pub listen: ListenConfig,
    /// How people log in.
    pub auth: AuthConfig,
    /// How things are kept.
    pub storage: StorageConfig,
    /// Bounds: of bytes, of time, of numbers.
    pub limits: LimitsConfig,
    /// The administrator's door.
    pub admin: AdminConfig,
    /// What is written about our doings.
    pub log: LogConfig,
}

/// `[[host]]`
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The domain.
    pub domain: String,
    /// PEM file with the certificate chain. `None`: self-signed, made and kept in the data directory.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key.
    pub key: Option<PathBuf>,
}

/// `[listen]`
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Client connections that start with STARTTLS (RFC 6120 §3.2). Default: port 5222.
    pub c2s: Vec<SocketAddr>,
    /// Client connections with TLS from the first byte (XEP-0368). Default: port 5223.
    pub c2s_tls: Vec<SocketAddr>,
}

/// `[auth]`
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Log in without an account, for a random address. Default: false.
    pub anonymous: bool,
    /// PLAIN is offered (under TLS only). Default: true.
    pub plain: bool,
    /// Rounds of PBKDF2 for new passwords. Default: 10000; at least 4096.
    pub iterations: u32,
    /// Failures on one connection before it is closed. Default: 5.
    pub failures_per_connection: u32,
    /// How many derivations of keys from passwords run at once. Default: 2.
    pub derivations: usize,
}

/// Which database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// Nothing is kept over a restart: for tests and for trying out.
    Memory,
    /// `waxwing.sqlite` in the data directory.
    Sqlite,
}

/// `[storage]`
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Default: sqlite.
    pub backend: Backend,
    /// Connections that read. Default: 2.
    pub readers: u32,
}

/// `[limits]`. Each queue and each wait of the server has its bound here.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Bytes of a stanza before authentication. Default: 16 KiB.
    pub stanza_before_auth: usize,
    /// Bytes of a stanza. Default: 256 KiB.
    pub stanza: usize,
    /// Depth of elements in a stanza. Default: 64.
    pub depth: usize,
    /// Attributes of an element. Default: 64.
    pub attributes: usize,
    /// Elements, attributes and texts in a stanza. Default: 8192 (32 elements' worth, 256, before authentication).
    pub nodes: usize,
    /// From accept to a bound session, whatever bytes come. Default: 60 s.
    pub negotiation: Duration,
    /// The TLS handshake. Default: 15 s.
    pub handshake: Duration,
    /// Authentication, from the first SASL element to its end. Default: 30 s.
    pub authentication: Duration,
    /// Silence after which a client is pinged. Default: 3 min.
    pub silence: Duration,
    /// How long it may take to answer that ping. Default: 20 s.
    pub ping_answer: Duration,
    /// A write that makes no progress. Default: 30 s.
    pub write: Duration,
    /// All connections together. Default: 100000 (and never more than the process may open).
    pub connections: usize,
    /// Connections from one address. Default: 1000.
    pub connections_per_address: usize,
    /// Sessions of one account. Default: 20; the oldest is closed.
    pub sessions_per_account: usize,
    /// Stanzas that wait for one session. Default: 256.
    pub inbox_stanzas: usize,
    /// Bytes that wait for one session. Default: 1 MiB.
    pub inbox_bytes: usize,
    /// Items of one roster. Default: 2000.
    pub roster_items: u32,
    /// Offline messages of one account. Default: 1000.
    pub offline_messages: u32,
}

/// `[admin]`
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The Unix socket. Default: `admin.sock` in the data directory.
    pub socket: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// journald when run by systemd, else text.
    Auto,
    /// To journald.
    Journald,
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Default: auto.
    pub format: LogFormat,
    /// error, warn, info, debug or trace, or a list `info,waxwing::c2s=debug`. Default: info.
    pub level: String,
}
