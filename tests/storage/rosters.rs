//! Rosters: what has changed since a version, and changes of what was read before.

use std::sync::Arc;

use futures_util::future::join_all;
use waxwing::jid::{BareJid, Jid};
use waxwing::storage::{RosterItem, Storage, StorageError, Subscription};

use crate::cases::{item, make, user};

/// The contacts that have changed since, in order, with a `-` before removed ones; `?` if that is not known.
async fn since(s: &Arc<dyn Storage>, who: &BareJid, version: u64, limit: usize) -> String {
    let (_, changes) = s.roster().changes(who, version, limit).await.unwrap();
    let Some(changes) = changes else { return "?".to_owned() };
    assert!(changes.is_sorted_by(|a, b| a.version < b.version), "{changes:?}");
    let names = changes.iter().map(|change| match &change.item {
        Some(item) if item.jid == change.jid => change.jid.local().unwrap().to_owned(),
        Some(item) => panic!("{} is {}", change.jid, item.jid),
        None => format!("-{}", change.jid.local().unwrap()),
    });
    names.collect::<Vec<_>>().join(" ")
}

pub(crate) async fn changes_since_a_version_are_told(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    assert_eq!(s.roster().changes(&romeo, 0, 9).await.unwrap(), (0, None));
    let contact = |name: &str| item(&format!("{name}@localhost"));
    let first = s.roster().put(&romeo, &contact("a"), 99).await.unwrap();
    for name in ["b", "c", "d"] {
        s.roster().put(&romeo, &contact(name), 99).await.unwrap();
    }
    assert_eq!(since(&s, &romeo, first, 9).await, "b c d");
    assert_eq!(since(&s, &romeo, first, 3).await, "b c d");
    assert_eq!(since(&s, &romeo, first, 2).await, "?", "more than were asked for");
    assert_eq!(since(&s, &romeo, first + 3, 0).await, "", "nothing has changed");
    for unknown in [0, 1, first - 1, first + 4, u64::MAX, i64::MAX as u64] {
        assert_eq!(since(&s, &romeo, unknown, 9).await, "?", "version {unknown}");
    }
    // Each contact once, as it is now.
    s.roster().put(&romeo, &RosterItem { name: "B".into(), ..contact("b") }, 99).await.unwrap();
    s.roster().remove(&romeo, &contact("c").jid).await.unwrap();
    s.roster().remove(&romeo, &contact("d").jid).await.unwrap();
    s.roster().put(&romeo, &contact("d"), 99).await.unwrap();
    assert_eq!(since(&s, &romeo, first, 9).await, "b -c d");
    assert_eq!(since(&s, &romeo, first + 4, 9).await, "-c d");
    let (version, changes) = s.roster().changes(&romeo, first, 9).await.unwrap();
    assert_eq!(version, first + 7);
    assert_eq!(changes.unwrap()[0].item.as_ref().unwrap().name, "B");
    // What was never listed is no contact, neither when it comes nor when it goes.
    let request = RosterItem { listed: false, ..contact("stranger") };
    s.roster().put(&romeo, &request, 99).await.unwrap();
    assert_eq!(since(&s, &romeo, first + 7, 9).await, "");
    s.roster().remove(&romeo, &request.jid).await.unwrap();
    assert_eq!(since(&s, &romeo, first + 7, 9).await, "");
    assert_eq!(s.roster().changes(&user("juliet@localhost"), first, 9).await.unwrap(), (0, None));
}

pub(crate) async fn so_many_removed_contacts_are_remembered(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let jid = |n: u64| Jid::parse(&format!("c{n}@localhost")).unwrap();
    let mut start = 0;
    for n in 0..300 {
        start = s.roster().put(&romeo, &item(jid(n).as_str()), 999).await.unwrap();
    }
    for n in 0..256 {
        s.roster().remove(&romeo, &jid(n)).await.unwrap();
    }
    assert_eq!(since(&s, &romeo, start, 999).await.split(' ').count(), 256);
    s.roster().remove(&romeo, &jid(256)).await.unwrap();
    assert_eq!(since(&s, &romeo, start, 999).await, "?", "the first one is forgotten");
    assert_eq!(since(&s, &romeo, start + 1, 999).await.split(' ').count(), 256);
}

pub(crate) async fn what_others_have_changed_is_not_overwritten(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let old = item("juliet@localhost");
    let named = RosterItem { name: "J".into(), ..old.clone() };
    let replace = async |old: Option<&RosterItem>, new: Option<&RosterItem>| {
        let jid = Jid::parse("juliet@localhost").unwrap();
        s.roster().replace(&romeo, &jid, old, new, 1).await.unwrap()
    };
    assert_eq!(replace(Some(&old), Some(&named)).await, None, "there is none");
    assert_eq!(replace(None, None).await, None);
    let first = replace(None, Some(&old)).await.unwrap();
    assert_eq!(replace(None, Some(&named)).await, None, "there is one");
    assert_eq!(replace(Some(&named), None).await, None, "it is another");
    assert_eq!(s.roster().load(&romeo).await.unwrap(), (first, vec![old.clone()]));
    assert_eq!(replace(Some(&old), Some(&named)).await, Some(first + 1));
    assert_eq!(replace(Some(&named), None).await, Some(first + 2));
    assert_eq!(s.roster().load(&romeo).await.unwrap(), (first + 2, vec![]));
}

/// Each of many writers adds a group to the same contact: none is lost.
pub(crate) async fn many_change_one_contact_and_nothing_is_lost(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    let jid = Jid::parse("juliet@localhost").unwrap();
    let writer = |n: u32| {
        let (s, romeo, jid) = (s.clone(), romeo.clone(), jid.clone());
        async move {
            loop {
                let old = s.roster().find(&romeo, &jid).await.unwrap();
                let mut new = old.clone().unwrap_or_else(|| item(jid.as_str()));
                new.groups.push(n.to_string());
                let done = s.roster().replace(&romeo, &jid, old.as_ref(), Some(&new), 9).await;
                if done.unwrap().is_some() {
                    return;
                }
            }
        }
    };
    join_all((0..16).map(writer)).await;
    let mut groups = s.roster().find(&romeo, &jid).await.unwrap().unwrap().groups;
    groups.sort_by_key(|group| group.parse::<u32>().unwrap());
    assert_eq!(groups, (0..16).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(s.roster().load(&romeo).await.unwrap().0 & 0xffff_ffff, 16);
}

pub(crate) async fn a_roster_comes_back_as_it_was_put(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let mut juliet = RosterItem {
        name: "Juliet \"J\" 💕".into(),
        groups: vec!["Friends".into(), "a, b; [\"c\"]".into(), String::new()],
        subscription: Subscription::Both,
        pending_out: true,
        pending_in: Some("<presence type='subscribe'><status>hi</status></presence>".into()),
        approved: true,
        ..item("juliet@example.org")
    };
    let request = RosterItem { listed: false, ..item("benvolio@localhost") };
    let domain = RosterItem { subscription: Subscription::From, ..item("example.org") };
    let mut last = 0;
    for item in [&juliet, &request, &domain] {
        let version = s.roster().put(&romeo, item, 10).await.unwrap();
        assert!(version > last, "{version} after {last}");
        last = version;
    }
    let (version, items) = s.roster().load(&romeo).await.unwrap();
    assert_eq!(version, last);
    assert_eq!(items, [request, domain, juliet.clone()]);
    assert_eq!(s.roster().find(&romeo, &juliet.jid).await.unwrap(), Some(juliet.clone()));

    juliet.subscription = Subscription::To;
    juliet.pending_in = None;
    juliet.groups.clear();
    assert_eq!(s.roster().put(&romeo, &juliet, 10).await.unwrap(), last + 1);
    assert_eq!(s.roster().find(&romeo, &juliet.jid).await.unwrap(), Some(juliet));
    assert_eq!(s.roster().load(&user("juliet@localhost")).await.unwrap(), (0, vec![]));
}

pub(crate) async fn a_removed_item_raises_the_version(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let contact = item("juliet@localhost");
    let first = s.roster().put(&romeo, &contact, 10).await.unwrap();
    assert_eq!(s.roster().remove(&romeo, &contact.jid).await.unwrap(), Some(first + 1));
    assert_eq!(s.roster().remove(&romeo, &contact.jid).await.unwrap(), None);
    assert_eq!(s.roster().load(&romeo).await.unwrap(), (first + 1, vec![]));
    assert_eq!(s.roster().put(&romeo, &contact, 10).await.unwrap(), first + 2);
}

pub(crate) async fn a_full_roster_still_takes_changes(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    s.roster().put(&romeo, &item("a@localhost"), 2).await.unwrap();
    let version = s.roster().put(&romeo, &item("b@localhost"), 2).await.unwrap();
    let refused = s.roster().put(&romeo, &item("c@localhost"), 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    assert_eq!(s.roster().load(&romeo).await.unwrap().0, version);
    let renamed = RosterItem { name: "B".into(), ..item("b@localhost") };
    s.roster().put(&romeo, &renamed, 2).await.unwrap();
    s.roster().remove(&romeo, &renamed.jid).await.unwrap();
    s.roster().put(&romeo, &item("c@localhost"), 2).await.unwrap();
}

pub(crate) async fn requests_do_not_fill_a_roster(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    for n in 0..2 {
        let request = RosterItem { listed: false, ..item(&format!("x{n}@localhost")) };
        s.roster().put(&romeo, &request, 2).await.unwrap();
    }
    let third = RosterItem { listed: false, ..item("x2@localhost") };
    let refused = s.roster().put(&romeo, &third, 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    s.roster().put(&romeo, &item("a@localhost"), 2).await.unwrap();
    s.roster().put(&romeo, &item("x0@localhost"), 2).await.unwrap();
    let refused = s.roster().put(&romeo, &item("x1@localhost"), 2).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
}

pub(crate) async fn a_contact_is_found_in_many_rosters(s: Arc<dyn Storage>) {
    let owners: Vec<_> = (0..7).map(|n| user(&format!("user{n}@localhost"))).collect();
    let romeo =
        RosterItem { name: "R".into(), groups: vec!["g".into()], ..item("romeo@localhost") };
    let request = RosterItem { listed: false, pending_in: Some("<p/>".into()), ..romeo.clone() };
    s.roster().put(&owners[6], &romeo, 9).await.unwrap();
    s.roster().put(&owners[2], &request, 9).await.unwrap();
    s.roster().put(&owners[3], &item("juliet@localhost"), 9).await.unwrap();
    let mut found = s.roster().find_in_each(&owners, &romeo.jid).await.unwrap();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, [(owners[2].clone(), request), (owners[6].clone(), romeo.clone())]);
    assert_eq!(s.roster().find_in_each(&owners[3..5], &romeo.jid).await.unwrap(), []);
    assert_eq!(s.roster().find_in_each(&[], &romeo.jid).await.unwrap(), []);
}
