//! `[s2s]`: other servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::section::{choice, section};
use super::units::{KIB, MIB, minutes, seconds};
use super::value::{
    Count, DomainPatterns, NameServer, OneOf, Path, Size, StaticHosts, Switch, Time,
};

pub use super::value::StaticHost;

choice! {
    /// How another server proves its domain.
    pub enum S2sPolicy {
        /// It needs a certificate that is valid for the domain.
        Secure = "secure";
        /// A call back to the domain is enough, over TLS (dialback, XEP-0220).
        Dialback = "dialback";
    }
}

section! {
    /// Streams to and from other servers. They are always encrypted.
    ///
    /// A domain in these lists is written as `"example.net"`; `"*.example.net"` stands for this domain and all
    /// domains below it.
    pub struct S2sConfig = "s2s";

    /// Talk to other servers. If it is off, other domains cannot be reached, and there are no ports for them.
    enabled: bool = false => Switch, Restart;

    /// How another server proves its domain, if the lists below say nothing else.
    policy: S2sPolicy = S2sPolicy::Secure => OneOf(S2sPolicy::WORDS), Reload;

    /// Domains for which dialback is enough, whatever `policy` says: servers with a certificate that is not valid.
    dialback: Vec<String> = Vec::new() => DomainPatterns, Reload;

    /// Domains which need a valid certificate, whatever `policy` says.
    secure: Vec<String> = Vec::new() => DomainPatterns, Reload;

    /// The only domains to talk to. If it is empty: all.
    allow: Vec<String> = Vec::new() => DomainPatterns, Reload;

    /// Domains not to talk to.
    deny: Vec<String> = Vec::new() => DomainPatterns, Reload;

    /// PEM file with certificates of authorities that are trusted besides those of the system.
    authorities: Option<PathBuf> = None => Path("\"/etc/waxwing/authorities.pem\""), Reload;

    /// Believe a server whose certificate no authority has signed, or which does not name the domain, if the DNS names this
    /// certificate for it (TLSA, RFC 7673) and is signed (DNSSEC). The server for DNS must pass signatures on. It is asked
    /// for these records only when a certificate is not valid otherwise.
    dane: bool = true => Switch, Reload;

    /// Believe a server whose certificate no authority has signed, or which does not name the domain, if the web site of the
    /// domain names the fingerprint of this certificate (POSH, RFC 7711). Web sites at addresses that are not public are not
    /// asked.
    posh: bool = true => Switch, Reload;

    /// Where the web sites of some domains are that are asked for fingerprints, instead of what DNS says: `{ "example.net" =
    /// "192.0.2.7:443" }`. These addresses need not be public.
    posh_hosts: Vec<StaticHost> = Vec::new() => StaticHosts, Reload;

    /// File with the key of the DNS root (DNSKEY record, RFC 7958), instead of the one that is built in: for a DNS of your
    /// own.
    trust_anchor: Option<PathBuf> = None => Path("\"/etc/waxwing/root.key\""), Restart;

    /// Where the servers of some domains are, instead of what DNS says: `{ "example.net" = "192.0.2.7:5269" }`. An
    /// address with TLS from the first byte is written `"tls://192.0.2.7:5270"`.
    hosts: Vec<StaticHost> = Vec::new() => StaticHosts, Reload;

    /// The server for DNS, at port 53 if none is written. If it is not set: those of the system.
    resolver: Option<SocketAddr> = None => NameServer, Restart;

    /// Time to reach another server, from the first question to DNS to the end of authentication. Stanzas for it
    /// wait so long.
    connect: Duration = seconds(60) => Time::between(seconds(5), minutes(10))
        .not_less("names, connections and certificates need some seconds"), Reload;

    /// An outgoing stream is closed when nothing was sent on it for this time; an incoming one after twice this time.
    /// The other server is told these limits (XEP-0478).
    idle: Duration = minutes(30) => Time::between(minutes(1), minutes(24 * 60)), Reload;

    /// When nothing was heard on an outgoing stream for this time, the other server is asked whether it is still there
    /// (XEP-0199, XEP-0198), if it answers on this stream. Without an answer within `limits.write`, the stream is lost.
    ping: Duration = minutes(5) => Time::between(seconds(1), minutes(24 * 60)), Reload;

    /// Size of a stanza of another server. Servers are told (XEP-0478).
    stanza: usize = 512 * KIB => Size::between(10_000, 64 * MIB)
        .not_less("RFC 6120 §13.12 demands that stanzas of 10000 bytes pass")
        .not_more("a stanza is held in memory as a whole"), Reload;

    /// Stanzas that wait for one domain, from all domains of this server.
    queue_stanzas: usize = 2000 => Count::between(16, 1_000_000), Reload;

    /// Bytes of stanzas that wait for one domain, from all domains of this server; at least one stanza of each.
    queue_bytes: usize = 4 * MIB => Size::between(64 * KIB, 1024 * MIB), Reload;
}
