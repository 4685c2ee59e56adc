//! RFC 6121 appendix A: what a subscription stanza does to a contact's state, as data.
//!
//! Outbound: our user sends the stanza to the contact. Inbound: the contact sends it to our user. The
//! tables are those of the RFC, cell by cell (`tests/support/subscriptions.rs`); the code only looks
//! things up. Where the tables and the text differ, the tables count: a contact that withdraws a request
//! (§3.3.3), or denies one (§3.2.3), is passed on to the user, as §A.3.2 and §A.3.4 say.
//!
//! Pre-approvals (RFC 6121 §3.4) are a flag beside the state. The flag is set and cleared only in the
//! states in which the contact neither sees the user nor has asked. The request that it approves clears
//! it, which §3.4.2 leaves to the server. So if the contact unsubscribes and asks again later, the user is
//! asked.

use State::{
    Both, From, FromPendingOut, None, NonePendingIn, NonePendingInOut, NonePendingOut, To,
    ToPendingIn,
};

use crate::stanza::PresenceKind;
use crate::storage::{RosterItem, Subscription};

/// The nine states of RFC 6121 §A.1, from the user's point of view.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Neither sees the other.
    None,
    /// The user has asked.
    NonePendingOut,
    /// The contact has asked.
    NonePendingIn,
    /// Both have asked.
    NonePendingInOut,
    /// The user sees the contact.
    To,
    /// The user sees the contact, who has asked.
    ToPendingIn,
    /// The contact sees the user.
    From,
    /// The contact sees the user, who has asked.
    FromPendingOut,
    /// Both see each other.
    Both,
}

/// Which way a stanza goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the contact to our user.
    Inbound,
    /// From our user to the contact.
    Outbound,
}

/// What is to be done with a subscription stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Outbound: it is routed to the contact. Inbound: it is delivered to the user.
    pub pass: bool,
    /// The new state.
    pub state: State,
    /// Inbound `subscribe` from a contact that is subscribed already, or was approved in advance: the
    /// server answers at once with `subscribed` on the user's behalf (RFC 6121 §3.1.3, §3.4.2).
    pub approve: bool,
    /// Whether the contact is approved in advance from now on (RFC 6121 §3.4).
    pub approved: bool,
}

impl State {
    /// All nine, in the order of the tables.
    pub const ALL: [Self; 9] = [
        None,
        NonePendingOut,
        NonePendingIn,
        NonePendingInOut,
        To,
        ToPendingIn,
        From,
        FromPendingOut,
        Both,
    ];

    /// The state of a stored item.
    #[must_use]
    pub fn of(item: &RosterItem) -> Self {
        match (item.subscription, item.pending_in.is_some(), item.pending_out) {
            (Subscription::None, false, false) => None,
            (Subscription::None, false, true) => NonePendingOut,
            (Subscription::None, true, false) => NonePendingIn,
            (Subscription::None, true, true) => NonePendingInOut,
            (Subscription::To, false, _) => To,
            (Subscription::To, true, _) => ToPendingIn,
            (Subscription::From, _, false) => From,
            (Subscription::From, _, true) => FromPendingOut,
            (Subscription::Both, _, _) => Both,
        }
    }

    /// Who sees whom.
    #[must_use]
    pub fn subscription(self) -> Subscription {
        match self {
            None | NonePendingOut | NonePendingIn | NonePendingInOut => Subscription::None,
            To | ToPendingIn => Subscription::To,
            From | FromPendingOut => Subscription::From,
            Both => Subscription::Both,
        }
    }

    /// The user has asked and waits.
    #[must_use]
    pub fn is_pending_out(self) -> bool {
        matches!(self, NonePendingOut | NonePendingInOut | FromPendingOut)
    }

    /// The contact has asked and waits.
    #[must_use]
    pub fn is_pending_in(self) -> bool {
        matches!(self, NonePendingIn | NonePendingInOut | ToPendingIn)
    }

    /// Whether the contact may see the user.
    #[must_use]
    pub fn is_seen(self) -> bool {
        self.subscription().is_from()
    }

    /// What a subscription stanza does in this state. `approved`: the contact is approved in advance.
    /// `None` if `kind` is not the type of a subscription stanza.
    #[must_use]
    pub fn step(self, approved: bool, way: Way, kind: PresenceKind) -> Option<Step> {
        let table = match (way, kind) {
            (Way::Outbound, PresenceKind::Subscribe) => &OUT_SUBSCRIBE,
            (Way::Outbound, PresenceKind::Unsubscribe) => &OUT_UNSUBSCRIBE,
            (Way::Outbound, PresenceKind::Subscribed) => &OUT_SUBSCRIBED,
            (Way::Outbound, PresenceKind::Unsubscribed) => &OUT_UNSUBSCRIBED,
            (Way::Inbound, PresenceKind::Subscribe) if approved => &IN_SUBSCRIBE_APPROVED,
            (Way::Inbound, PresenceKind::Subscribe) => &IN_SUBSCRIBE,
            (Way::Inbound, PresenceKind::Unsubscribe) => &IN_UNSUBSCRIBE,
            (Way::Inbound, PresenceKind::Subscribed) => &IN_SUBSCRIBED,
            (Way::Inbound, PresenceKind::Unsubscribed) => &IN_UNSUBSCRIBED,
            _ => return Option::None,
        };
        let (pass, state) = table[self as usize];
        let approve = way == Way::Inbound && kind == PresenceKind::Subscribe && state.is_seen();
        let approved = match (way, kind) {
            (Way::Outbound, PresenceKind::Subscribed) => true,
            (Way::Outbound, PresenceKind::Unsubscribed) => false,
            _ => approved,
        };
        let approved = approved && !state.is_seen() && !state.is_pending_in();
        Some(Step { pass, state, approve, approved })
    }

    /// Whether the contact is sent `unsubscribe`, and whether `unsubscribed`, when the user removes the
    /// item (RFC 6121 §2.5.2): also to withdraw a request, and to deny one.
    #[must_use]
    pub fn farewells(self) -> (bool, bool) {
        let sees = self.subscription().is_to();
        (sees || self.is_pending_out(), self.is_seen() || self.is_pending_in())
    }
}

type Table = [(bool, State); 9];

const YES: bool = true;
const NO: bool = false;

/// RFC 6121 §A.2.1.
const OUT_SUBSCRIBE: Table = [
    /* None             */ (YES, NonePendingOut),
    /* NonePendingOut   */ (YES, NonePendingOut),
    /* NonePendingIn    */ (YES, NonePendingInOut),
    /* NonePendingInOut */ (YES, NonePendingInOut),
    /* To               */ (YES, To),
    /* ToPendingIn      */ (YES, ToPendingIn),
    /* From             */ (YES, FromPendingOut),
    /* FromPendingOut   */ (YES, FromPendingOut),
    /* Both             */ (YES, Both),
];

/// RFC 6121 §A.2.2.
const OUT_UNSUBSCRIBE: Table = [
    /* None             */ (YES, None),
    /* NonePendingOut   */ (YES, None),
    /* NonePendingIn    */ (YES, NonePendingIn),
    /* NonePendingInOut */ (YES, NonePendingIn),
    /* To               */ (YES, None),
    /* ToPendingIn      */ (YES, NonePendingIn),
    /* From             */ (YES, From),
    /* FromPendingOut   */ (YES, From),
    /* Both             */ (YES, From),
];

/// RFC 6121 §A.2.3. If the contact has not asked, this approves it in advance (§3.4.2), and goes no
/// further.
const OUT_SUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (NO, NonePendingOut),
    /* NonePendingIn    */ (YES, From),
    /* NonePendingInOut */ (YES, FromPendingOut),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (YES, Both),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (NO, FromPendingOut),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §A.2.4.
const OUT_UNSUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (NO, NonePendingOut),
    /* NonePendingIn    */ (YES, None),
    /* NonePendingInOut */ (YES, NonePendingOut),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (YES, To),
    /* From             */ (YES, None),
    /* FromPendingOut   */ (YES, NonePendingOut),
    /* Both             */ (YES, To),
];

/// RFC 6121 §A.3.1.
const IN_SUBSCRIBE: Table = [
    /* None             */ (YES, NonePendingIn),
    /* NonePendingOut   */ (YES, NonePendingInOut),
    /* NonePendingIn    */ (NO, NonePendingIn),
    /* NonePendingInOut */ (NO, NonePendingInOut),
    /* To               */ (YES, ToPendingIn),
    /* ToPendingIn      */ (NO, ToPendingIn),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (NO, FromPendingOut),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §3.4.2: the contact is approved already. It is not in the other states.
const IN_SUBSCRIBE_APPROVED: Table = [
    /* None             */ (NO, From),
    /* NonePendingOut   */ (NO, FromPendingOut),
    /* NonePendingIn    */ (NO, From),
    /* NonePendingInOut */ (NO, FromPendingOut),
    /* To               */ (NO, Both),
    /* ToPendingIn      */ (NO, Both),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (NO, FromPendingOut),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §A.3.2.
const IN_UNSUBSCRIBE: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (NO, NonePendingOut),
    /* NonePendingIn    */ (YES, None),
    /* NonePendingInOut */ (YES, NonePendingOut),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (YES, To),
    /* From             */ (YES, None),
    /* FromPendingOut   */ (YES, NonePendingOut),
    /* Both             */ (YES, To),
];

/// RFC 6121 §A.3.3.
const IN_SUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (YES, To),
    /* NonePendingIn    */ (NO, NonePendingIn),
    /* NonePendingInOut */ (YES, ToPendingIn),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (NO, ToPendingIn),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (YES, Both),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §A.3.4.
const IN_UNSUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (YES, None),
    /* NonePendingIn    */ (NO, NonePendingIn),
    /* NonePendingInOut */ (YES, NonePendingIn),
    /* To               */ (YES, None),
    /* ToPendingIn      */ (YES, NonePendingIn),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (YES, From),
    /* Both             */ (YES, From),
];

#[cfg(test)]
mod tests {
    use super::{State, Way};
    use crate::stanza::PresenceKind;

    const KINDS: [PresenceKind; 4] = [
        PresenceKind::Subscribe,
        PresenceKind::Subscribed,
        PresenceKind::Unsubscribe,
        PresenceKind::Unsubscribed,
    ];

    fn sees(state: State) -> (bool, bool) {
        (state.subscription().is_to(), state.subscription().is_from())
    }

    /// Flags that stand together, as they can be stored.
    fn all() -> impl Iterator<Item = (State, bool)> {
        let can_be = |(state, approved): &(State, bool)| {
            !approved || !state.is_seen() && !state.is_pending_in()
        };
        State::ALL.into_iter().flat_map(|s| [(s, false), (s, true)]).filter(can_be)
    }

    #[test]
    fn a_state_that_changes_passes_the_stanza_on_unless_it_was_approved_before() {
        for (state, approved) in all() {
            for kind in KINDS {
                for way in [Way::Inbound, Way::Outbound] {
                    let step = state.step(approved, way, kind).unwrap();
                    let is_said = step.pass || step.state == state || approved && step.approve;
                    assert!(is_said, "{state:?} {way:?} {kind:?}");
                }
            }
        }
    }

    /// A contact can never give himself the right to see the user, nor take it from others.
    #[test]
    fn only_the_user_opens_her_presence_to_a_contact() {
        for (state, approved) in all() {
            for kind in KINDS {
                let step = state.step(approved, Way::Inbound, kind).unwrap();
                assert!(!sees(step.state).1 || sees(state).1 || approved, "{state:?} {kind:?}");
                assert!(!step.approved || approved, "{state:?} {kind:?}");
                let step = state.step(approved, Way::Outbound, kind).unwrap();
                assert!(!sees(step.state).0 || sees(state).0, "{state:?} {kind:?}");
            }
        }
    }

    /// RFC 6121 §3.4.2, §3.2.2.
    #[test]
    fn an_approval_stands_only_where_it_waits_for_a_request() {
        for (state, approved) in all() {
            for kind in KINDS {
                for way in [Way::Inbound, Way::Outbound] {
                    let step = state.step(approved, way, kind).unwrap();
                    assert!(
                        all().any(|known| known == (step.state, step.approved)),
                        "{state:?} {approved} {way:?} {kind:?}: {step:?}"
                    );
                }
            }
            let is_open = !state.is_seen() && !state.is_pending_in();
            let yes = state.step(approved, Way::Outbound, PresenceKind::Subscribed).unwrap();
            assert_eq!(yes.approved, is_open, "{state:?}");
            assert!(!is_open || !yes.pass && yes.state == state, "{state:?}");
            let no = state.step(approved, Way::Outbound, PresenceKind::Unsubscribed).unwrap();
            assert!(!no.approved, "{state:?}");
            assert!(!approved || !no.pass && no.state == state, "{state:?}");
        }
    }

    /// Two servers that apply the tables to the same stanzas agree on who sees whom.
    #[test]
    fn both_ends_agree_after_any_conversation_of_six_stanzas() {
        type End = (State, bool);
        fn talk(romeo: End, juliet: End, left: u32) {
            let (r, j) = (sees(romeo.0), sees(juliet.0));
            assert!(r.0 == j.1 && r.1 == j.0, "{romeo:?} {juliet:?}");
            if left == 0 {
                return;
            }
            for kind in KINDS {
                let out = romeo.0.step(romeo.1, Way::Outbound, kind).unwrap();
                let (mut romeo, mut juliet) = ((out.state, out.approved), juliet);
                if out.pass {
                    let step = juliet.0.step(juliet.1, Way::Inbound, kind).unwrap();
                    juliet = (step.state, step.approved);
                    if step.approve {
                        let yes = PresenceKind::Subscribed;
                        let step = romeo.0.step(romeo.1, Way::Inbound, yes).unwrap();
                        romeo = (step.state, step.approved);
                    }
                }
                talk(juliet, romeo, left - 1);
            }
        }
        talk((State::None, false), (State::None, false), 6);
    }

    #[test]
    fn a_handshake_ends_with_both() {
        let step = |state: State, way, kind| state.step(false, way, kind).unwrap().state;
        let asked = step(State::None, Way::Outbound, PresenceKind::Subscribe);
        let to = step(asked, Way::Inbound, PresenceKind::Subscribed);
        let asked_back = step(to, Way::Inbound, PresenceKind::Subscribe);
        let both = step(asked_back, Way::Outbound, PresenceKind::Subscribed);
        assert_eq!(
            [asked, to, asked_back, both],
            [State::NonePendingOut, State::To, State::ToPendingIn, State::Both]
        );
    }

    #[test]
    fn a_request_of_one_who_sees_us_or_is_approved_is_approved_at_once() {
        for (state, approved) in all() {
            let step = state.step(approved, Way::Inbound, PresenceKind::Subscribe).unwrap();
            assert_eq!(step.approve, sees(state).1 || approved, "{state:?} {approved}");
        }
    }

    /// RFC 6121 §2.5.2: after the farewells both ends have forgotten each other.
    #[test]
    fn a_contact_who_is_removed_is_told_what_ends_it() {
        use PresenceKind::{Unsubscribe, Unsubscribed};
        for state in State::ALL {
            let (unsubscribe, unsubscribed) = state.farewells();
            let mut left = state;
            for (due, kind) in [(unsubscribe, Unsubscribe), (unsubscribed, Unsubscribed)] {
                if due {
                    let step = left.step(false, Way::Outbound, kind).unwrap();
                    assert!(step.pass, "{state:?}");
                    left = step.state;
                }
            }
            assert_eq!(left, State::None, "{state:?}");
        }
    }
}
