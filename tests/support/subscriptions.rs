//! A conversation for each cell of the tables of RFC 6121 appendix A: two clients are brought into
//! each of the nine states, one sends each of the four stanzas, and what both hear, in which order,
//! and what both rosters say afterwards is what the tables say.
//!
//! The tables stand here a second time, in the words of the RFC, and are read by nobody but the
//! tests. The states of two who talk to each other are mirrored, so that nine states of the one who
//! sends are all nine of the one who is sent to.

use waxwing::roster::subscription::{State, Way};
use waxwing::stanza::PresenceKind;

/// A conversation and its name.
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) script: String,
}

/// All of them: 36, and 24 with a pre-approval.
pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for state in STATES {
        for kind in KINDS {
            cells.push(cell(state, false, Who::Romeo, kind));
        }
    }
    // RFC 6121 §3.4.2: approved before having asked, by Romeo.
    for state in APPROVED_LATER {
        for who in [Who::Romeo, Who::Juliet] {
            for kind in KINDS {
                cells.push(cell(state, true, who, kind));
            }
        }
    }
    cells
}

/// The tables of the server are those of the RFC in all 72 cells, also in those that two who agree
/// never meet: what arrives and means nothing.
pub(crate) fn the_tables_agree() {
    for (number, state) in STATES.into_iter().enumerate() {
        for (word, kind) in KINDS.into_iter().zip(PRESENCE_KINDS) {
            for (way, table) in [(Way::Outbound, outbound(word)), (Way::Inbound, inbound(word))] {
                let (pass, new) = row(table, state);
                let step = State::ALL[number].step(false, way, kind).unwrap();
                let got = State::ALL.iter().position(|s| *s == step.state).map(|n| STATES[n]);
                let place = format!("{way:?} {word} in {state}");
                assert_eq!((step.pass, got), (pass, Some(new)), "{place}");
                let is_for_later = way == Way::Outbound && word == "subscribed" && !pass;
                let is_for_later = is_for_later && APPROVED_LATER.contains(&state);
                assert_eq!(step.approved, is_for_later, "{place}");
                // §A.3.1, footnote 2.
                let is_answered = way == Way::Inbound && word == "subscribe";
                let is_answered = is_answered && SEEN.contains(&state);
                assert_eq!(step.approve, is_answered, "{place}");
            }
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Who {
    Juliet,
    Romeo,
}

/// One end of a subscription, as its server has it.
#[derive(Clone, Copy, Eq, PartialEq)]
struct End {
    who: Who,
    state: &'static str,
    approved: bool,
}

fn cell(state: &'static str, approved: bool, actor: Who, kind: &str) -> Cell {
    let mut romeo = End { who: Who::Romeo, state, approved };
    let mut juliet = End { who: Who::Juliet, state: mirrored(state), approved: false };
    let mut script = HEAD.to_owned();
    for (who, kind) in way_to(state) {
        script += &sends(who, kind);
        script += "Romeo discards what has come\nJuliet discards what has come\n";
    }
    if approved {
        script += &sends(Who::Romeo, "subscribed");
        script += "Romeo discards what has come\nJuliet receives nothing\n";
    }
    script += &sends(actor, kind);
    let mut heard = StreamEvent::default();
    match actor {
        Who::Juliet => act(kind, &mut juliet, &mut romeo, &mut heard),
        Who::Romeo => act(kind, &mut romeo, &mut juliet, &mut heard),
    }
    for (who, what) in [(romeo, &heard.romeo), (juliet, &heard.juliet)] {
        let name = who.name();
        if !what.is_empty() {
            script += &format!("{name} receives:\n\t{}\n", what.join("\n\t"));
        }
        script += &format!("{name} receives nothing\n");
    }
    for end in [romeo, juliet] {
        script += &format!(
            "{name} sends:\n\t<iq type='get' id='end'><query xmlns='jabber:iq:roster'/></iq>\n\
             {name} receives:\n\t<iq type='result' id='end'><query xmlns='jabber:iq:roster' \
             ver='{{scansion:any}}'>{item}</query></iq>\n",
            name = end.name(),
            item = end.item(),
        );
    }
    let place = state.to_lowercase().replace(" + ", "_").replace([' ', '+'], "_");
    let name = match (approved, actor) {
        (false, _) => format!("rfc6121/states/{place}/{kind}"),
        (true, Who::Juliet) => format!("rfc6121/states/{place}/approved/contact_sends_{kind}"),
        (true, Who::Romeo) => format!("rfc6121/states/{place}/approved/{kind}"),
    };
    Cell { name, script }
}

/// What both hear, in order.
#[derive(Default)]
struct StreamEvent {
    romeo: Vec<String>,
    juliet: Vec<String>,
}

impl StreamEvent {
    fn by(&mut self, end: &End, what: String) {
        match end.who {
            Who::Juliet => self.juliet.push(what),
            Who::Romeo => self.romeo.push(what),
        }
    }

    /// A roster push, if the clients of this end see a difference.
    fn push(&mut self, before: &End, after: &End) {
        if before.item() != after.item() {
            let push = format!(
                "<iq type='set' id='{{scansion:any}}'><query xmlns='jabber:iq:roster' \
                 ver='{{scansion:any}}'>{}</query></iq>",
                after.item()
            );
            self.by(after, push);
        }
    }
}

/// RFC 6121 §3: `from` sends a stanza of this kind to `to`.
fn act(kind: &str, from: &mut End, to: &mut End, heard: &mut StreamEvent) {
    let (before, was_seen) = (*from, from.is_seen());
    let is_routed;
    (is_routed, from.state) = row(outbound(kind), from.state);
    match kind {
        // §3.4.2: an approval that nobody has asked for waits for the request.
        "subscribed" if !is_routed && !from.is_seen() => from.approved = true,
        "unsubscribed" => from.approved = false,
        _ => {}
    }
    heard.push(&before, from);
    if was_seen && !from.is_seen() {
        // §3.2.2: a contact that loses the subscription first gets unavailable presence.
        heard.by(to, format!("<presence type='unavailable' from='{}'/>", from.full_jid()));
    }
    if is_routed {
        arrive(kind, from, to, heard);
    }
    if !was_seen && from.is_seen() {
        heard.by(to, from.presence()); // §3.1.5
    }
}

/// RFC 6121 §3: a stanza of `from` arrives for `to`.
fn arrive(kind: &str, from: &mut End, to: &mut End, heard: &mut StreamEvent) {
    let before = *to;
    if kind == "subscribe" && (to.is_seen() || to.approved) {
        // §3.1.3, rule 2, and §3.4.2: answered on the user's behalf.
        to.state = if to.approved { approved(to.state) } else { to.state };
        to.approved = false;
        heard.push(&before, to);
        arrive("subscribed", to, from, heard);
        heard.by(from, to.presence());
        return;
    }
    let is_delivered;
    (is_delivered, to.state) = row(inbound(kind), to.state);
    if is_delivered {
        // §3.1.6, §3.2.3, §3.3.3: before the push.
        let (from, to_jid) = (from.jid(), to.jid());
        heard.by(to, format!("<presence type='{kind}' from='{from}' to='{to_jid}'/>"));
    }
    heard.push(&before, to);
    if before.is_seen() && !to.is_seen() {
        heard.by(from, format!("<presence type='unavailable' from='{}'/>", to.full_jid())); // §3.3.3
    }
}

impl End {
    fn name(&self) -> &'static str {
        if self.who == Who::Juliet { "Juliet" } else { "Romeo" }
    }

    fn jid(&self) -> &'static str {
        if self.who == Who::Juliet { "juliet@localhost" } else { "romeo@localhost" }
    }

    fn full_jid(&self) -> &'static str {
        if self.who == Who::Juliet { "juliet@localhost/balcony" } else { "romeo@localhost/orchard" }
    }

    fn presence(&self) -> String {
        format!("<presence from='{}' to='{{scansion:any}}'/>", self.full_jid())
    }

    fn is_seen(&self) -> bool {
        SEEN.contains(&self.state)
    }

    /// The other one, in this one's roster.
    fn item(&self) -> String {
        let other = if self.who == Who::Juliet { "romeo@localhost" } else { "juliet@localhost" };
        let subscription = self.state.split(" + ").next().unwrap_or_default().to_lowercase();
        let ask = if self.state.contains("Out") { " ask='subscribe'" } else { "" };
        let approved = if self.approved { " approved='true'" } else { "" };
        format!("<item jid='{other}' subscription='{subscription}'{ask}{approved}/>")
    }
}

/// The other end's state, if both agree.
fn mirrored(state: &str) -> &'static str {
    match state {
        "None + Pending Out" => "None + Pending In",
        "None + Pending In" => "None + Pending Out",
        "None + Pending Out+In" => "None + Pending Out+In",
        "To" => "From",
        "To + Pending In" => "From + Pending Out",
        "From" => "To",
        "From + Pending Out" => "To + Pending In",
        "Both" => "Both",
        _ => "None",
    }
}

/// How Romeo comes into a state.
fn way_to(state: &str) -> Vec<(Who, &'static str)> {
    use Who::{Juliet, Romeo};
    let romeo_asks = (Romeo, "subscribe");
    let juliet_asks = (Juliet, "subscribe");
    match state {
        "None + Pending Out" => vec![romeo_asks],
        "None + Pending In" => vec![juliet_asks],
        "None + Pending Out+In" => vec![romeo_asks, juliet_asks],
        "To" => vec![romeo_asks, (Juliet, "subscribed")],
        "To + Pending In" => vec![romeo_asks, (Juliet, "subscribed"), juliet_asks],
        "From" => vec![juliet_asks, (Romeo, "subscribed")],
        "From + Pending Out" => vec![juliet_asks, (Romeo, "subscribed"), romeo_asks],
        "Both" => vec![romeo_asks, (Juliet, "subscribed"), juliet_asks, (Romeo, "subscribed")],
        _ => Vec::new(),
    }
}

fn sends(who: Who, kind: &str) -> String {
    let (name, other) = match who {
        Who::Juliet => ("Juliet", "romeo"),
        Who::Romeo => ("Romeo", "juliet"),
    };
    format!("{name} sends:\n\t<presence type='{kind}' to='{other}@localhost'/>\n")
}

/// Whether it is routed or delivered, and the new state.
fn row(table: &'static str, state: &'static str) -> (bool, &'static str) {
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let line = table.lines().map(cells).find(|cells| cells.first() == Some(&state));
    match line.as_deref() {
        Some([_, must, "no state change" | "pre-approval"]) => (*must == "MUST", state),
        Some([_, must, new]) => (*must == "MUST", new),
        _ => panic!("there is no row for {state}"),
    }
}

/// The state of an approved contact who has asked (RFC 6121 §3.4.2).
fn approved(state: &str) -> &'static str {
    match state {
        "To" => "Both",
        "None + Pending Out" => "From + Pending Out",
        _ => "From",
    }
}

fn outbound(kind: &str) -> &'static str {
    match kind {
        "subscribe" => OUTBOUND_SUBSCRIBE,
        "subscribed" => OUTBOUND_SUBSCRIBED,
        "unsubscribe" => OUTBOUND_UNSUBSCRIBE,
        _ => OUTBOUND_UNSUBSCRIBED,
    }
}

fn inbound(kind: &str) -> &'static str {
    match kind {
        "subscribe" => INBOUND_SUBSCRIBE,
        "subscribed" => INBOUND_SUBSCRIBED,
        "unsubscribe" => INBOUND_UNSUBSCRIBE,
        _ => INBOUND_UNSUBSCRIBED,
    }
}

const KINDS: [&str; 4] = ["subscribe", "unsubscribe", "subscribed", "unsubscribed"];

const PRESENCE_KINDS: [PresenceKind; 4] = [
    PresenceKind::Subscribe,
    PresenceKind::Unsubscribe,
    PresenceKind::Subscribed,
    PresenceKind::Unsubscribed,
];

/// The contact sees the user.
const SEEN: [&str; 3] = ["From", "From + Pending Out", "Both"];

/// An approval waits for the request (§A.2.3, footnote 1).
const APPROVED_LATER: [&str; 3] = ["None", "None + Pending Out", "To"];

const STATES: [&str; 9] = [
    "None",
    "None + Pending Out",
    "None + Pending In",
    "None + Pending Out+In",
    "To",
    "To + Pending In",
    "From",
    "From + Pending Out",
    "Both",
];

/// Existing state, routed or not (M.N.: must not; S.N.: should not), new state (RFC 6121 §A.2.1).
const OUTBOUND_SUBSCRIBE: &str = "
    None                  | MUST     | None + Pending Out
    None + Pending Out    | MUST     | no state change
    None + Pending In     | MUST     | None + Pending Out+In
    None + Pending Out+In | MUST     | no state change
    To                    | MUST     | no state change
    To + Pending In       | MUST     | no state change
    From                  | MUST     | From + Pending Out
    From + Pending Out    | MUST     | no state change
    Both                  | MUST     | no state change";

/// RFC 6121 §A.2.2.
const OUTBOUND_UNSUBSCRIBE: &str = "
    None                  | MUST     | no state change
    None + Pending Out    | MUST     | None
    None + Pending In     | MUST     | no state change
    None + Pending Out+In | MUST     | None + Pending In
    To                    | MUST     | None
    To + Pending In       | MUST     | None + Pending In
    From                  | MUST     | no state change
    From + Pending Out    | MUST     | From
    Both                  | MUST     | From";

/// RFC 6121 §A.2.3.
const OUTBOUND_SUBSCRIBED: &str = "
    None                  | M.N.     | pre-approval
    None + Pending Out    | M.N.     | pre-approval
    None + Pending In     | MUST     | From
    None + Pending Out+In | MUST     | From + Pending Out
    To                    | M.N.     | pre-approval
    To + Pending In       | MUST     | Both
    From                  | M.N.     | no state change
    From + Pending Out    | M.N.     | no state change
    Both                  | M.N.     | no state change";

/// RFC 6121 §A.2.4.
const OUTBOUND_UNSUBSCRIBED: &str = "
    None                  | S.N.     | no state change
    None + Pending Out    | S.N.     | no state change
    None + Pending In     | MUST     | None
    None + Pending Out+In | MUST     | None + Pending Out
    To                    | S.N.     | no state change
    To + Pending In       | MUST     | To
    From                  | MUST     | None
    From + Pending Out    | MUST     | None + Pending Out
    Both                  | MUST     | To";

/// Existing state, delivered or not, new state (RFC 6121 §A.3.1).
const INBOUND_SUBSCRIBE: &str = "
    None                  | MUST     | None + Pending In
    None + Pending Out    | MUST     | None + Pending Out+In
    None + Pending In     | S.N.     | no state change
    None + Pending Out+In | S.N.     | no state change
    To                    | MUST     | To + Pending In
    To + Pending In       | S.N.     | no state change
    From                  | S.N.     | no state change
    From + Pending Out    | S.N.     | no state change
    Both                  | S.N.     | no state change";

/// RFC 6121 §A.3.2.
const INBOUND_UNSUBSCRIBE: &str = "
    None                  | S.N.     | no state change
    None + Pending Out    | S.N.     | no state change
    None + Pending In     | MUST     | None
    None + Pending Out+In | MUST     | None + Pending Out
    To                    | S.N.     | no state change
    To + Pending In       | MUST     | To
    From                  | MUST     | None
    From + Pending Out    | MUST     | None + Pending Out
    Both                  | MUST     | To";

/// RFC 6121 §A.3.3.
const INBOUND_SUBSCRIBED: &str = "
    None                  | S.N.     | no state change
    None + Pending Out    | MUST     | To
    None + Pending In     | S.N.     | no state change
    None + Pending Out+In | MUST     | To + Pending In
    To                    | S.N.     | no state change
    To + Pending In       | S.N.     | no state change
    From                  | S.N.     | no state change
    From + Pending Out    | MUST     | Both
    Both                  | S.N.     | no state change";

/// RFC 6121 §A.3.4.
const INBOUND_UNSUBSCRIBED: &str = "
    None                  | S.N.     | no state change
    None + Pending Out    | MUST     | None
    None + Pending In     | S.N.     | no state change
    None + Pending Out+In | MUST     | None + Pending In
    To                    | MUST     | None
    To + Pending In       | MUST     | None + Pending In
    From                  | S.N.     | no state change
    From + Pending Out    | MUST     | From
    Both                  | MUST     | From";

/// Both have the other in their rosters, and are there.
const HEAD: &str = "# One cell of the tables.
# covers: RFC 6121 §3, RFC 6121 §A
[Client] Romeo
	jid: romeo@localhost/orchard
	password: soldierly
[Client] Juliet
	jid: juliet@localhost/balcony
	password: beauteous
-----
Romeo connects
Juliet connects
Romeo sends:
	<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>
	<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query></iq>
	<presence/>
Juliet sends:
	<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>
	<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='romeo@localhost'/></query></iq>
	<presence/>
Romeo discards what has come
Juliet discards what has come
";
