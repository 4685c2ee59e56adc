//! `[limits]`: each queue and each wait of the server has its bound here.

use std::time::Duration;

use super::error::Problems;
use super::kind::{Count, Size, Time};
use super::section::{Fields, section};
use super::units::{GIB, KIB, MIB, display_size, minutes, seconds};

section! {
    /// Bounds of bytes, of time, of numbers. Each queue and each wait of the server has its bound
    /// here.
    pub struct LimitsConfig = "limits";

    /// Bytes of a stanza before authentication. Announced to clients (XEP-0478).
    stanza_before_auth: usize = 16 * KIB => Size::between(4 * KIB, MIB)
        .not_less("logging in needs as much")
        .not_more("strangers should not fill the memory"), Reload;

    /// Bytes of a stanza. Announced to clients (XEP-0478).
    stanza: usize = 256 * KIB => Size::between(10_000, 64 * MIB)
        .not_less("RFC 6120 §13.12 demands that stanzas of 10000 bytes pass")
        .not_more("a stanza is held in memory as a whole"), Reload;

    /// Depth of elements in a stanza.
    depth: usize = 64 => Count::between(8, 256)
        .not_less("ordinary stanzas need as much")
        .not_more("deep elements are walked by recursion"), Reload;

    /// Attributes of one element.
    attributes: usize = 64 => Count::between(16, 1024)
        .not_less("ordinary stanzas need as much"), Reload;

    /// Elements, attributes and texts in a stanza. Before authentication it is a thirty-second
    /// part of this.
    nodes: usize = 8192 => Count::between(2048, 1_048_576)
        .not_less("a thirty-second part of it must suffice to log in"), Reload;

    /// From accepting a connection to a bound session, whatever bytes come. A client that makes an
    /// account (XEP-0077) gets this time once more from then on, to log in.
    negotiation: Duration = seconds(60) => Time::between(seconds(5), minutes(60))
        .not_less("a slow network needs some seconds")
        .not_more("connections of strangers cost memory"), Reload;

    /// The TLS handshake.
    handshake: Duration = seconds(15) => Time::between(seconds(1), minutes(60)), Reload;

    /// Authentication, from the first SASL element to its end.
    authentication: Duration = seconds(30) => Time::between(seconds(1), minutes(60)), Reload;

    /// Silence after which a client is asked whether it is still there (XEP-0199). Mobile
    /// networks forget a connection after about five minutes of silence. A sign of life is a whole
    /// stanza, or white space between two; a stanza that is not whole yet prolongs the silence by one
    /// second for each KiB of it.
    silence: Duration = minutes(3) => Time::between(seconds(5), minutes(24 * 60))
        .not_less("asking more often empties batteries"), Reload;

    /// How long a client may take to answer that question before its connection counts as lost.
    ping_answer: Duration = seconds(20) => Time::between(seconds(1), minutes(60))
        .not_less("an answer needs time to travel"), Reload;

    /// How long a write may make no progress before the connection counts as lost.
    write: Duration = seconds(30) => Time::between(seconds(1), minutes(60)), Reload;

    /// All connections together; never more than the process may open.
    connections: usize = 100_000 => Count::between(1, 10_000_000), Reload;

    /// Connections from one address. Many people may share one.
    connections_per_address: usize = 1000 => Count::between(1, 10_000_000), Reload;

    /// Sessions of one account. One more closes the oldest.
    sessions_per_account: usize = 20 => Count::between(1, 10_000), Reload;

    /// Stanzas that wait for one session. A session that lets more wait is closed.
    inbox_stanzas: usize = 2048 => Count::between(16, 65_536)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Bytes that wait for one session; at least a stanza. A session that lets more wait is
    /// closed.
    inbox_bytes: usize = MIB => Size::between(64 * KIB, GIB)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// How long a session waits for its client after the connection was lost (XEP-0198 §5). A
    /// client may ask for less.
    resume: Duration = minutes(10) => Time::between(seconds(0), minutes(24 * 60)), Reload;

    /// Stanzas sent to a client that it has not acknowledged (XEP-0198). A session that lets more
    /// wait, and does not answer for half a minute, ends, and they go the way of the absent; at four
    /// times as many it ends at once.
    unacknowledged: usize = 1000 => Count::between(16, 1_000_000)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Bytes sent to a client that it has not acknowledged; at least a stanza.
    unacknowledged_bytes: usize = 4 * MIB => Size::between(64 * KIB, GIB)
        .not_less("a login alone brings some stanzas at once"), Reload;

    /// Stanzas of one client whose messages are on their way to the disk. Before more are read, some
    /// of them must be there.
    unsettled: usize = 256 => Count::between(1, 65_536)
        .not_more("the store writes a few hundred messages at once"), Reload;

    /// Items of one roster.
    roster_items: u32 = 2000 => Count::between(1, 1_000_000), Reload;

    /// Addresses that one account may block (XEP-0191).
    blocked: usize = 1000 => Count::between(1, 100_000), Reload;

    /// Bytes of a card (XEP-0054), picture included. What is larger than a stanza never comes.
    vcard: usize = 128 * KIB => Size::between(KIB, 16 * MIB), Reload;

    /// Bytes that clients of one account may keep as private XML (XEP-0049).
    private: usize = MIB => Size::between(KIB, 64 * MIB), Reload;

    /// Elements that clients of one account may keep as private XML.
    private_items: usize = 100 => Count::between(1, 10_000), Reload;

    /// Bytes that one account keeps in all: archive, messages that wait, card, private XML, roster. What
    /// strangers send to an account that keeps as much is refused; what contacts send pushes out the
    /// oldest messages of its archive that have been delivered. `user quota` sets it for one account.
    account_bytes: usize = 4 * GIB => Size::between(64 * KIB, 1 << 50)
        .not_less("a card and a roster need as much"), Reload;

    /// Messages that wait for one account while it is offline. 0: none do. When they are so many, each
    /// sender has a share: a contact half, all others together three eighths, an eighth each. What
    /// there is no room for is in the archive only.
    offline_messages: u32 = 1000 => Count::between(0, 1_000_000), Reload;
}

/// Bounds that concern each other.
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
