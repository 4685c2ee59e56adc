//! `[limits]`: the limit of each queue and of each wait of the server.

use std::time::Duration;

use super::error::Problems;
use super::section::{Fields, section};
use super::units::{GIB, KIB, MIB, days, display_size, minutes, seconds};
use super::value::{Count, Size, Time};

section! {
    /// Limits for sizes, times and numbers. Each queue and each wait of the server has its limit here.
    pub struct LimitsConfig = "limits";

    /// Size of a stanza before authentication. Clients are told (XEP-0478).
    stanza_before_auth: usize = 16 * KIB => Size::between(4 * KIB, MIB)
        .not_less("a login needs this much")
        .not_more("strangers should not fill the memory"), Reload;

    /// Size of a stanza. Clients are told (XEP-0478).
    stanza: usize = 256 * KIB => Size::between(10_000, 64 * MIB)
        .not_less("RFC 6120 §13.12 demands that stanzas of 10000 bytes pass")
        .not_more("a stanza is held in memory as a whole"), Reload;

    /// Depth of nested elements in a stanza.
    depth: usize = 64 => Count::between(8, 256)
        .not_less("ordinary stanzas need this much")
        .not_more("deep elements are walked by recursion"), Reload;

    /// Number of attributes of one element.
    attributes: usize = 64 => Count::between(16, 1024)
        .not_less("ordinary stanzas need this much"), Reload;

    /// Number of elements, attributes and texts in a stanza. Before authentication, the limit is a
    /// thirty-second of this.
    nodes: usize = 8192 => Count::between(2048, 1_048_576)
        .not_less("a thirty-second part of it must suffice to log in"), Reload;

    /// Time to log in: from a new connection, or from the end of the handshake of TLS (direct TLS) or
    /// WebSocket, to a bound session. A client that makes an account (XEP-0077) gets this time once more
    /// from then on.
    negotiation: Duration = seconds(60) => Time::between(seconds(5), minutes(60))
        .not_less("a slow network needs some seconds")
        .not_more("connections of strangers cost memory"), Reload;

    /// Time for the TLS handshake.
    handshake: Duration = seconds(15) => Time::between(seconds(1), minutes(60)), Reload;

    /// How long a connection to the proxy for bytestreams (XEP-0065) waits until the bytestream is activated.
    bytestream_wait: Duration = seconds(60) => Time::between(seconds(5), minutes(60))
        .not_less("the other client must connect, too"), Reload;

    /// A bytestream on which nothing has moved for this time is closed (XEP-0065).
    bytestream_silence: Duration = minutes(10) => Time::between(seconds(5), minutes(24 * 60)), Reload;

    /// Time for authentication, from the first SASL element to the last.
    authentication: Duration = seconds(30) => Time::between(seconds(1), minutes(60)), Reload;

    /// The server pings a client after this time of silence (XEP-0199; over WebSocket, RFC 6455). Mobile networks drop an idle
    /// connection after about five minutes. A sign of life is a whole
    /// stanza, or white space between two; a stanza that is not whole yet prolongs the silence by one
    /// second for each KiB of it.
    silence: Duration = minutes(3) => Time::between(seconds(5), minutes(24 * 60))
        .not_less("asking more often empties batteries"), Reload;

    /// How long a client may take to answer a ping before its connection counts as lost.
    ping_answer: Duration = seconds(20) => Time::between(seconds(1), minutes(60))
        .not_less("an answer needs time to travel"), Reload;

    /// How long a write may make no progress before the connection counts as lost.
    write: Duration = seconds(30) => Time::between(seconds(1), minutes(60)), Reload;

    /// How long a request of BOSH (XEP-0124) is held if there is nothing to say; clients may ask for less. Many
    /// reverse proxies and networks cut a request that takes more than a minute.
    bosh_wait: Duration = seconds(60) => Time::between(seconds(5), minutes(10))
        .not_less("asking more often empties batteries"), Reload;

    /// How long a client may send no request of BOSH before its connection counts as lost. Clients that
    /// poll have 20 seconds more.
    bosh_inactivity: Duration = seconds(60) => Time::between(seconds(10), minutes(60))
        .not_less("a request needs time to travel"), Reload;

    /// How long a client of BOSH may pause, if it says so: while a page is loaded anew, for example.
    bosh_pause: Duration = minutes(2) => Time::between(seconds(10), minutes(60)), Reload;

    /// Connections in all; a session of BOSH counts as one, besides those that carry its requests. The limit of open files of the process also counts.
    connections: usize = 100_000 => Count::between(1, 10_000_000), Reload;

    /// Connections from one address. Many people may share one.
    connections_per_address: usize = 1000 => Count::between(1, 10_000_000), Reload;

    /// Sessions of one account. A further one closes the oldest.
    sessions_per_account: usize = 20 => Count::between(1, 10_000), Reload;

    /// Stanzas queued for one session. If more are queued, stored messages are read later from the
    /// database; for other stanzas the session is closed.
    inbox_stanzas: usize = 2048 => Count::between(16, 65_536)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Bytes queued for one session, with the same effect; at least one stanza.
    inbox_bytes: usize = MIB => Size::between(64 * KIB, GIB)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// How long a session can be resumed after its connection was lost (XEP-0198 §5). A client may ask
    /// for less.
    resume: Duration = minutes(10) => Time::between(seconds(0), minutes(24 * 60)), Reload;

    /// The same for a session whose client can be woken by its push service (XEP-0357). The client is not
    /// told.
    resume_with_push: Duration = days(1) => Time::between(seconds(0), days(14)), Reload;

    /// Push registrations of one account (XEP-0357). A further one replaces the one that was not renewed
    /// for the longest time.
    push_registrations: usize = 20 => Count::between(1, 1000), Reload;

    /// Stanzas sent to a client and not acknowledged by it (XEP-0198). If there are more and the client
    /// does not answer for half a minute, the session ends, and its messages are stored for the next
    /// one. At four times this number it ends at once.
    unacknowledged: usize = 1000 => Count::between(16, 1_000_000)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Bytes sent to a client and not acknowledged by it; at least one stanza.
    unacknowledged_bytes: usize = 4 * MIB => Size::between(64 * KIB, GIB)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Stanzas from one client that are being written to disk. The server reads no more from the client
    /// until some of them are written.
    unsettled: usize = 256 => Count::between(1, 65_536)
        .not_more("the store writes a few hundred messages at once"), Reload;

    /// Contacts in one roster.
    roster_items: u32 = 2000 => Count::between(1, 1_000_000), Reload;

    /// Addresses that one account can block (XEP-0191).
    blocked: usize = 1000 => Count::between(1, 100_000), Reload;

    /// Size of a vCard, picture included (XEP-0054). A client cannot set one that is larger than a stanza; the avatar of an
    /// account (XEP-0084), which is copied into the vCard (XEP-0398), may have 240 KiB in base64.
    vcard: usize = 384 * KIB => Size::between(KIB, 16 * MIB), Reload;

    /// Private XML storage of one account, in bytes (XEP-0049).
    private: usize = MIB => Size::between(KIB, 64 * MIB), Reload;

    /// Private XML storage of one account, in elements.
    private_items: usize = 100 => Count::between(1, 10_000), Reload;

    /// Nodes of one account, each with its items (XEP-0163).
    account_nodes: u32 = 500 => Count::between(16, 100_000)
        .not_less("clients keep avatars, bookmarks and keys in nodes"), Reload;

    /// Nodes of the service `pubsub.<host>` (XEP-0060).
    service_nodes: u32 = 10_000 => Count::between(0, 10_000_000), Reload;

    /// Nodes of the service `pubsub.<host>` that one account may create.
    service_nodes_per_account: u32 = 200 => Count::between(0, 10_000_000), Reload;

    /// Bytes that the nodes have together, with their items, which one account has created at the service
    /// `pubsub.<host>`, whoever publishes there.
    service_bytes_per_account: usize = 256 * MIB => Size::between(64 * KIB, 1 << 50), Reload;

    /// Bytes that one account keeps in all: archive, messages that wait, card, private XML, nodes, roster. What
    /// strangers send to an account that keeps as much is refused; what contacts send pushes out the
    /// oldest messages of its archive that have been delivered. `user quota` sets it for one account.
    account_bytes: usize = 4 * GIB => Size::between(64 * KIB, 1 << 50)
        .not_less("a card and a roster need as much"), Reload;

    /// Messages that wait for one account while it is offline. 0: none do. When they are so many, each
    /// sender has a share: a contact half, all others together three eighths, an eighth each. What
    /// there is no room for is in the archive only.
    offline_messages: u32 = 1000 => Count::between(0, 1_000_000), Reload;
}

impl LimitsConfig {
    /// The nodes that an account may have, or a service.
    #[must_use]
    pub fn nodes_of(&self, is_account: bool) -> u32 {
        if is_account { self.account_nodes } else { self.service_nodes }
    }
}

/// Checks limits that depend on each other.
pub(super) fn check(limits: &LimitsConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let mut at_least = |(small, is): (&str, usize), (large, than): (&str, usize)| {
        if is <= than {
            return;
        }
        let at = fields.value_of(small).or_else(|| fields.value_of(large));
        let (is, than) = (display_size(is as u64), display_size(than as u64));
        problems.add(
            &at.unwrap_or_else(|| fields.at.clone()),
            format!("`{small}` is {is}, more than `{large}`, which is {than}"),
            format!("lower `{small}` or raise `{large}`"),
        );
    };
    let stanza = ("stanza", limits.stanza);
    at_least(("stanza_before_auth", limits.stanza_before_auth), stanza);
    at_least(stanza, ("inbox_bytes", limits.inbox_bytes));
}
