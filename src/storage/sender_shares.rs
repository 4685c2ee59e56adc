//! Shares of the undelivered messages of an account (XEP-0160): how many each sender may have.
//!
//! When an account has as many undelivered messages as it may, all others are refused. So no sender may
//! use all of them: each sender has a share, and all strangers together have a share that leaves room for
//! contacts. A contact is an address in the roster of the account. Messages of the account to itself have
//! no share; only the limit of all together bounds them.
//!
//! A message that is in the archive needs no share while there is room. It loses its marker when a sender
//! within its share needs the room, and stays in the archive.

use rustc_hash::FxHashMap;

/// How many messages may be undelivered for an account, by sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderShares {
    /// The share of one contact.
    contact: u32,
    /// The share of all strangers together.
    strangers: u32,
    /// The share of all strangers of one domain.
    domain: u32,
    /// The share of one stranger: the smallest one.
    stranger: u32,
}

impl SenderShares {
    /// The shares of `most` messages. A share is at least 4, or `most` if that is less.
    pub(super) fn of(most: u32) -> Self {
        let eighths = |n: u32| (most / 8 * n).max(most.min(LEAST));
        Self {
            contact: eighths(4),
            strangers: eighths(3),
            domain: eighths(2),
            stranger: eighths(1),
        }
    }

    /// With this number of undelivered messages, every sender is within its share.
    pub(super) fn have_room_for_anybody(&self, waiting: u32) -> bool {
        waiting < self.stranger
    }
}

/// The undelivered messages of an account, by sender.
#[derive(Debug, Default)]
pub(super) struct Senders {
    strangers: u32,
    /// Of strangers.
    domains: FxHashMap<String, u32>,
    senders: FxHashMap<String, Sender>,
}

#[derive(Clone, Copy, Debug)]
struct Sender {
    count: u32,
    is_contact: bool,
}

impl Senders {
    /// Whether a sender is a contact. `None` if it has no undelivered messages.
    pub(super) fn is_contact(&self, sender: &str) -> Option<bool> {
        self.senders.get(sender).map(|sender| sender.is_contact)
    }

    /// Whether one more from this bare address is within all shares that concern it.
    pub(super) fn is_within(&self, shares: &SenderShares, sender: &str, is_contact: bool) -> bool {
        let own = self.senders.get(sender).map_or(0, |sender| sender.count);
        match is_contact {
            true => own < shares.contact,
            false => {
                own < shares.stranger
                    && self.of_domain(sender) < shares.domain
                    && self.strangers < shares.strangers
            }
        }
    }

    /// Some senders that have more than their share: strangers first, then those that have the most.
    /// `owner` has no share.
    pub(super) fn over_share(&self, shares: &SenderShares, owner: &str) -> Vec<String> {
        let is_over = |(name, sender): &(&String, &Sender)| match sender.is_contact {
            true => sender.count > shares.contact && name.as_str() != owner,
            false => {
                sender.count > 0
                    && (sender.count > shares.stranger
                        || self.of_domain(name) > shares.domain
                        || self.strangers > shares.strangers)
            }
        };
        let mut over: Vec<_> = self.senders.iter().filter(is_over).collect();
        over.sort_unstable_by_key(|(name, sender)| {
            (sender.is_contact, std::cmp::Reverse(sender.count), *name)
        });
        over.into_iter().take(TRIES).map(|(name, _)| name.clone()).collect()
    }

    fn of_domain(&self, sender: &str) -> u32 {
        self.domains.get(domain(sender)).copied().unwrap_or(0)
    }

    /// Notes that one message of this bare address is no longer undelivered.
    pub(super) fn remove(&mut self, sender: &str) {
        let Some(known) = self.senders.get_mut(sender) else { return };
        known.count = known.count.saturating_sub(1);
        if !known.is_contact {
            self.strangers = self.strangers.saturating_sub(1);
            if let Some(count) = self.domains.get_mut(domain(sender)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Notes that `count` more messages from this bare address wait.
    pub(super) fn add(&mut self, sender: &str, is_contact: bool, count: u32) {
        let known = match self.senders.get_mut(sender) {
            Some(known) => known,
            None => {
                let new = Sender { count: 0, is_contact };
                self.senders.entry(sender.to_owned()).or_insert(new)
            }
        };
        known.count = known.count.saturating_add(count);
        if !is_contact {
            self.strangers = self.strangers.saturating_add(count);
            let domain = self.domains.entry(domain(sender).to_owned()).or_default();
            *domain = domain.saturating_add(count);
        }
    }
}

/// Of a bare address.
fn domain(bare: &str) -> &str {
    bare.split_once('@').map_or(bare, |(_, domain)| domain)
}

/// How many senders are tried to find a marker that can be removed.
const TRIES: usize = 8;
/// Each share has room for at least this many messages.
const LEAST: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as are within their shares, of 10,000.
    fn fill(senders: &mut Senders, most: u32, who: impl Fn(u32) -> (String, bool)) -> u32 {
        let shares = SenderShares::of(most);
        let mut admitted = 0;
        for n in 0..10_000 {
            let (sender, is_contact) = who(n);
            if senders.is_within(&shares, &sender, is_contact) {
                senders.add(&sender, is_contact, 1);
                admitted += 1;
            }
        }
        admitted
    }

    #[test]
    fn each_has_a_share_and_contacts_have_room_whatever_strangers_do() {
        let mut senders = Senders::default();
        assert_eq!(fill(&mut senders, 1_000, |_| ("spam@a.example".into(), false)), 125);
        let of_one_domain = |n| (format!("spam{n}@a.example"), false);
        assert_eq!(fill(&mut senders, 1_000, of_one_domain), 125);
        assert_eq!(fill(&mut senders, 1_000, |n| (format!("x@a{n}.example"), false)), 125);
        assert_eq!(fill(&mut senders, 1_000, |_| ("one@b.example".into(), true)), 500);
        assert_eq!(senders.is_contact("one@b.example"), Some(true));
        assert_eq!(senders.is_contact("spam@a.example"), Some(false));
        assert_eq!(senders.is_contact("new@c.example"), None);
    }

    #[test]
    fn a_small_store_is_not_cut_to_nothing() {
        for (most, stranger) in [(0, 0), (1, 1), (3, 3), (4, 4), (10, 4), (100, 12)] {
            let mut senders = Senders::default();
            assert_eq!(fill(&mut senders, most, |_| ("a@b".into(), false)), stranger, "{most}");
        }
    }

    #[test]
    fn who_has_most_beyond_a_share_gives_way_first_and_strangers_before_contacts() {
        let mut senders = Senders::default();
        let shares = SenderShares::of(80);
        senders.add("a@a", true, 41);
        senders.add("b@a", true, 40);
        senders.add("me@a", true, 70);
        assert_eq!(senders.over_share(&shares, "me@a"), ["a@a"]);
        senders.add("x@c", false, 11);
        senders.add("y@c", false, 2);
        assert_eq!(senders.over_share(&shares, "me@a"), ["x@c", "a@a"]);
        senders.remove("x@c");
        assert_eq!(senders.over_share(&shares, "me@a"), ["a@a"]);
        senders.add("z@d", false, 19);
        assert_eq!(senders.over_share(&shares, "me@a"), ["z@d", "x@c", "y@c", "a@a"]);
    }
}
