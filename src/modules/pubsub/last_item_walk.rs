//! One walk through the accounts whose last items a session wants. Not more of them is in memory than a part of
//! a bounded size, and not more waits for the client than it reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use super::last_items::{self, LastItems, Readers, Ready};
use super::place::Place;
use super::recipients;
use crate::host::{ServerState, block_list, contact_list, stanza_log};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::session::SessionRef;
use crate::stanza::{Content, Stanza};
use crate::storage::{self, Which};

/// Nodes by their names. The time: only what was published since then is wanted.
pub(super) type Nodes = BTreeMap<SmolStr, Option<Timestamp>>;

/// What a session wants.
#[derive(Default)]
pub(super) struct Wish {
    /// The nodes of all accounts whose data its user may see.
    pub(super) of_all: Nodes,
    /// All that it is interested in, of these accounts.
    pub(super) of: Vec<BareJid>,
}

impl Wish {
    pub(super) fn is_empty(&self) -> bool {
        self.of_all.is_empty() && self.of.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        for (node, since) in other.of_all {
            let known = self.of_all.entry(node).or_insert(since);
            *known = (*known).min(since);
        }
        for owner in other.of {
            if !self.of.contains(&owner) && self.of.len() < MAX_NEW_CONTACTS {
                self.of.push(owner);
            }
        }
    }
}

/// What is still to be given to a session.
pub(super) struct Walk {
    session: SessionRef,
    wish: Option<Wish>,
    /// Accounts whose items have not been read.
    owners: Vec<BareJid>,
    /// The accounts that have been read, the next one last.
    read: Vec<(BareJid, Arc<[Ready]>)>,
    /// Items of the next one that have been given.
    given: usize,
    /// Nodes of an account that is read again, of which items were given already.
    had: Option<(BareJid, Vec<String>)>,
    /// The nodes that are wanted of these accounts.
    nodes: Nodes,
}

impl Walk {
    /// From the beginning.
    pub(super) fn new(session: SessionRef, wish: Wish) -> Self {
        let (owners, read, nodes) = Default::default();
        Self { session, wish: Some(wish), owners, read, given: 0, had: None, nodes }
    }

    /// The session.
    pub(super) fn session(&self) -> &SessionRef {
        &self.session
    }

    /// Gives so many items without waiting for the client; all, at the client's pace, if it is `None`. `true` if
    /// nothing is left.
    pub(super) async fn advance(
        &mut self,
        server: &ServerState,
        at_once: Option<usize>,
    ) -> storage::Result<bool> {
        let user = self.session.jid().to_bare();
        let mut count = 0;
        'read: loop {
            let Some(interests) = self.session.interests() else { return Ok(true) };
            if self.session.is_ending() {
                return Ok(true);
            }
            if self.read.is_empty() {
                if self.owners.is_empty() && !self.begin(server, &user, interests.nodes()).await? {
                    return Ok(true);
                }
                let part = LastItems::of(server, std::mem::take(&mut self.owners)).await?;
                (self.read, self.owners) = (part.found, part.left);
                continue;
            }
            let Some((owner, items)) = self.read.last().cloned() else { continue };
            let mut reader = Reader::new(Place::of(owner), &user);
            let now = server.clock.now();
            while let Some(item) = items.get(self.given) {
                let is_wanted = self
                    .nodes
                    .get(item.node.as_str())
                    .is_some_and(|since| since.is_none_or(|since| item.published >= since));
                let is_wanted = is_wanted && !self.has_had(&reader.place.owner, &item.node);
                if is_wanted && interests.has(&item.node) && !item.is_expired(now) {
                    if at_once.is_some_and(|most| count >= most || is_full(&self.session, server)) {
                        return Ok(false);
                    }
                    if at_once.is_none() && wait(&self.session, server).await {
                        // What was read may be old by now.
                        self.read_again(&reader.place.owner, &items);
                        continue 'read;
                    }
                    if reader.may_read(server, item).await?
                        && let Some(content) = reader.content(server, item).await?
                    {
                        let message = recipients::message(&reader.place, item.kind, content);
                        let stanza = Arc::new(Stanza::Message(message));
                        stanza_log::give(&self.session, &stanza).ok();
                        count += 1;
                    }
                }
                self.given += 1;
            }
            self.read.pop();
            self.given = 0;
        }
    }

    fn has_had(&self, owner: &BareJid, node: &str) -> bool {
        self.had.as_ref().is_some_and(|(of, nodes)| of == owner && nodes.iter().any(|n| n == node))
    }

    /// Forgets what was read, but not what was given of it.
    fn read_again(&mut self, owner: &BareJid, items: &[Ready]) {
        let mut nodes: Vec<_> =
            items[..self.given.min(items.len())].iter().map(|item| item.node.clone()).collect();
        if let Some((of, had)) = self.had.take()
            && of == *owner
        {
            nodes.extend(had);
        }
        self.had = Some((owner.clone(), nodes));
        self.owners.extend(self.read.drain(..).map(|(owner, _)| owner));
        self.given = 0;
    }

    /// The accounts of the next half of the wish. `false` if there is none.
    async fn begin(
        &mut self,
        server: &ServerState,
        user: &BareJid,
        interests: &[SmolStr],
    ) -> storage::Result<bool> {
        let Some(wish) = &mut self.wish else { return Ok(false) };
        if !wish.of_all.is_empty() {
            self.nodes = std::mem::take(&mut wish.of_all);
            self.owners = visible(server, user).await?;
            return Ok(true);
        }
        self.owners = std::mem::take(&mut wish.of);
        self.nodes = interests.iter().map(|node| (node.clone(), None)).collect();
        self.wish = None;
        Ok(!self.owners.is_empty())
    }
}

/// The accounts here whose data a user may want to see: the user's own, and those of contacts whose presence the
/// user sees. Whether they may be read, their own rosters say.
async fn visible(server: &ServerState, user: &BareJid) -> storage::Result<Vec<BareJid>> {
    let contacts = contact_list::of(server, user).await?;
    let blocked = block_list::of(server, user).await?;
    let mut owners = vec![user.clone()];
    for item in contacts.iter().filter(|item| item.subscription.is_to()) {
        let is_here = item.jid.local().is_some() && server.host(item.jid.domain()).is_some();
        if is_here && !block_list::hits(&blocked, &item.jid) {
            owners.push(item.jid.to_bare());
        }
    }
    Ok(owners)
}

/// A user who reads the nodes of an account.
pub(super) struct Reader<'a> {
    place: Place,
    user: &'a BareJid,
    /// What the user is for the account, once it is known.
    relation: Option<Relation>,
}

/// What a user is for an account.
#[derive(Clone, Copy)]
struct Relation {
    is_blocked: bool,
    sees_presence: bool,
}

impl<'a> Reader<'a> {
    /// A user, and an account.
    pub(super) fn new(place: Place, user: &'a BareJid) -> Self {
        Self { place, user, relation: None }
    }

    /// The account.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the user may read the node of this item.
    pub(super) async fn may_read(
        &mut self,
        server: &ServerState,
        item: &Ready,
    ) -> storage::Result<bool> {
        if *self.user == self.place.owner {
            return Ok(true);
        }
        let relation = match self.relation {
            Some(known) => known,
            None => *self.relation.insert(self.read_relation(server).await?),
        };
        match item.readers {
            _ if relation.is_blocked => Ok(false),
            Readers::All => Ok(true),
            Readers::Contacts => Ok(relation.sees_presence),
            Readers::Some => {
                let found = self.place.nodes.find(server, &item.node).await?;
                let Some((node, config)) = found else { return Ok(false) };
                let jid = self.user.clone().into_jid();
                let entity = self.place.entity(server, &jid, &node, &config).await?;
                Ok(entity.may_read(&config).is_ok())
            }
        }
    }

    /// The owner's roster decides, not the reader's: they may say different things.
    async fn read_relation(&self, server: &ServerState) -> storage::Result<Relation> {
        let (owner, jid): (_, Jid) = (&self.place.owner, self.user.clone().into_jid());
        let blocked = block_list::of(server, owner).await?;
        let contact = contact_list::find(server, owner, &jid).await?;
        Ok(Relation {
            is_blocked: block_list::keeps_out(&blocked, owner, &jid),
            sees_presence: contact.is_some_and(|item| item.subscription.is_from()),
        })
    }

    /// The event, from the store if it is large. `None` if the item is not there any more.
    pub(super) async fn content(
        &self,
        server: &ServerState,
        ready: &Ready,
    ) -> storage::Result<Option<Content>> {
        if let Some(content) = &ready.content {
            return Ok(Some(content.clone()));
        }
        let (nodes, ids) = (&self.place.nodes, [ready.id.clone()]);
        let Some((_, config)) = nodes.find(server, &ready.node).await? else { return Ok(None) };
        let item = nodes.items(server, &ready.node, Which::Ids(&ids), 1).await?.pop();
        let owner = self.place.owner.clone().into_jid();
        Ok(item.map(|item| last_items::content(&owner, &ready.node, &config, &item)))
    }
}

/// Whether so much waits for a client that last items have to wait.
fn is_full(session: &SessionRef, server: &ServerState) -> bool {
    let config = server.config.load();
    let limits = &config.limits;
    // A session without a connection may drop events: it gets the newest ones when it is back.
    session.hibernation().is_some()
        || session.queued() > limits.inbox_stanzas / 4
        || session.memory() > (limits.inbox_bytes / 4) as u64
}

/// Waits until the client has read what waits for it. `true` if that took time.
pub(super) async fn wait(session: &SessionRef, server: &ServerState) -> bool {
    let mut pause = PAUSE;
    let has_to_wait = is_full(session, server) && !session.is_ending();
    while is_full(session, server) && !session.is_ending() {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
    has_to_wait
}

/// New contacts whose last items wait for a session, at most.
const MAX_NEW_CONTACTS: usize = 64;
/// How long a client is waited for that has much to read, at first.
const PAUSE: Duration = Duration::from_millis(10);
/// How long, at most.
const MAX_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::block_list::BlockLists;
    use crate::host::contact_list::ContactLists;
    use crate::host::{Invalidation, Parts, Registry};
    use crate::stanza::MessageKind;
    use crate::storage::{RosterItem, Subscription};

    fn item(jid: &BareJid, subscription: Subscription) -> RosterItem {
        RosterItem {
            jid: jid.clone().into_jid(),
            name: String::new(),
            groups: Vec::new(),
            subscription,
            pending_out: false,
            pending_in: None,
            approved: false,
            listed: true,
        }
    }

    #[tokio::test]
    async fn the_roster_of_the_owner_decides_who_reads_and_not_that_of_the_reader() {
        let mut on = Registry::default();
        on.shared(ContactLists::default());
        on.shared(BlockLists::default());
        let parts = Parts::for_tests(&["localhost"]);
        let server = ServerState::new(parts, &[], on.take_shared()).unwrap();
        let [romeo, juliet] =
            ["romeo@localhost", "juliet@localhost"].map(|jid| BareJid::parse(jid).unwrap());
        let ready = |readers| {
            let (node, id) = ("n".to_owned(), "i".to_owned());
            let (published, expires) = (Timestamp::from_micros(0), None);
            let (kind, content) = (MessageKind::Headline, Some(Content::default()));
            Ready { node, id, published, expires, kind, readers, content }
        };
        let may_read = async |readers| {
            let place = Place::of(juliet.clone());
            let mut reader = Reader { place, user: &romeo, relation: None };
            reader.may_read(&server, &ready(readers)).await.unwrap()
        };
        let roster = server.storage.roster();
        let put = async |owner: &BareJid, item: RosterItem| {
            roster.put(owner, &item, 9).await.unwrap();
            server.invalidate(&Invalidation::Roster(owner.clone()));
        };
        put(&romeo, item(&juliet, Subscription::Both)).await;
        assert!(!may_read(Readers::Contacts).await && may_read(Readers::All).await);
        put(&juliet, item(&romeo, Subscription::To)).await;
        assert!(!may_read(Readers::Contacts).await && !may_read(Readers::Some).await);
        put(&juliet, item(&romeo, Subscription::From)).await;
        assert!(may_read(Readers::Contacts).await);
    }
}
