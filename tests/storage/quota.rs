//! Who fills the store for the absent, and how much an account keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use smallvec::smallvec;
use waxwing::jid::BareJid;
use waxwing::storage::{
    MemoryStorage, MessageId, NewMessage, Query, Result, Retention, RosterItem, Storage,
    StorageError, Usage, Way,
};

use crate::cases::{account, at, item, user};
use crate::file::open;
use crate::messages::{holder, message};

const JULIET: &str = "juliet@a.example";

/// To Juliet, who is away. `archive`: she keeps it.
fn to_juliet(n: i64, from: &str, bytes: usize, archive: bool) -> NewMessage {
    let mut holder = holder(JULIET, from, Way::Received, archive, true);
    holder.limit = Some(160);
    let padding = bytes.saturating_sub(body_bytes());
    message(n, "x".repeat(padding), smallvec![holder])
}

/// Of a message without a text.
fn body_bytes() -> usize {
    crate::cases::body("").len()
}

async fn send(s: &Arc<dyn Storage>, message: NewMessage) -> Result<MessageId> {
    let kept = s.archive().keep(message).await?;
    kept.receipt.await.map(|()| kept.id)
}

/// How many of so many got in.
async fn flood(s: &Arc<dyn Storage>, count: i64, who: impl Fn(i64) -> String) -> i64 {
    let mut kept = 0;
    for n in 0..count {
        match send(s, to_juliet(n, &who(n), 100, false)).await {
            Ok(_) => kept += 1,
            Err(StorageError::Limit(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    kept
}

async fn waiting(s: &Arc<dyn Storage>) -> Vec<MessageId> {
    let waiting = s.archive().waiting(&user(JULIET), None, 10_000).await.unwrap();
    waiting.into_iter().map(|waiting| waiting.id).collect()
}

async fn archived(s: &Arc<dyn Storage>, owner: &str) -> Vec<MessageId> {
    let all = Query { max: 10_000, ..Query::default() };
    let page = s.archive().page(&user(owner), &all).await.unwrap().unwrap();
    page.rows.into_iter().map(|row| row.id).collect()
}

async fn used(s: &Arc<dyn Storage>) -> Usage {
    s.usage().used(&user(JULIET)).await.unwrap()
}

pub(crate) async fn each_sender_has_a_share_of_what_waits(s: Arc<dyn Storage>) {
    for who in ["one@b.example", "two@b.example", "three@b.example"] {
        s.roster().put(&user(JULIET), &item(who), 9).await.unwrap();
    }
    // Of 160: 20 for a stranger, 40 for strangers of a domain, 60 for all strangers, 80 for a contact.
    assert_eq!(flood(&s, 100, |n| format!("spam@c.example/{n}")).await, 20);
    assert_eq!(flood(&s, 100, |n| format!("spam{n}@c.example")).await, 20);
    assert_eq!(flood(&s, 100, |n| format!("x@c{n}.example")).await, 20);
    assert_eq!(flood(&s, 100, |_| "one@b.example/home".into()).await, 80);
    assert_eq!(flood(&s, 10, |_| "two@b.example".into()).await, 10);
    assert_eq!(flood(&s, 100, |n| format!("y@c{n}.example")).await, 0);
    // What is delivered makes room for its sender.
    let first: Vec<_> = waiting(&s).await.into_iter().take(3).collect();
    s.archive().delivered(&user(JULIET), &first).await.unwrap();
    assert_eq!(flood(&s, 9, |_| "spam@c.example".into()).await, 3);
    // A stranger becomes a contact, and a contact a stranger.
    s.roster().put(&user(JULIET), &item("spam@c.example"), 9).await.unwrap();
    s.roster().remove(&user(JULIET), &item("two@b.example").jid).await.unwrap();
    assert_eq!(flood(&s, 3, |_| "spam@c.example".into()).await, 3);
    assert_eq!(flood(&s, 5, |_| "two@b.example".into()).await, 5);
    // The account's own have no share: only all together are bounded.
    assert_eq!(flood(&s, 9, |_| format!("{JULIET}/tomb")).await, 2);
    assert_eq!(flood(&s, 9, |_| "three@b.example".into()).await, 0, "it is full");
    assert_eq!(waiting(&s).await.len(), 160);
}

pub(crate) async fn without_room_for_a_marker_the_message_is_in_the_archive(s: Arc<dyn Storage>) {
    s.roster().put(&user(JULIET), &item("friend@b.example"), 9).await.unwrap();
    let letter = |n, from: &str, archive| {
        let mut letter = to_juliet(n, from, 100, archive);
        letter.holders.push(holder("friend@b.example", JULIET, Way::Sent, true, false));
        letter
    };
    // While there is room, nobody needs a share of what the archive has.
    let mut sent = Vec::new();
    for n in 1..=200 {
        sent.push(send(&s, letter(n, "spam@c.example", true)).await.unwrap());
    }
    assert_eq!(waiting(&s).await, sent[..160]);
    // Without room, a sender within its share takes the newest marker of one above its share.
    let mut friendly = Vec::new();
    for n in 201..=250 {
        let archive = n % 2 == 0;
        friendly.push(send(&s, letter(n, "friend@b.example", archive)).await.unwrap());
    }
    assert_eq!(waiting(&s).await, [&sent[..110], &friendly].concat());
    s.roster().put(&user(JULIET), &item("other@b.example"), 9).await.unwrap();
    let other = send(&s, letter(251, "other@b.example", true)).await.unwrap();
    assert_eq!(waiting(&s).await, [&sent[..109], &friendly, &[other]].concat());
    // What may not be archived is refused beyond a share, and in no archive.
    let refused = send(&s, letter(252, "spam@c.example", false)).await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    assert_eq!(archived(&s, "friend@b.example").await.len(), 251);
    assert_eq!(archived(&s, JULIET).await.len(), 226);
    // All at once.
    let many = (300..400).map(|n| {
        let from = if n % 2 == 0 { "spam@c.example" } else { "friend@b.example" };
        s.archive().keep(letter(n, from, true))
    });
    for kept in futures_util::future::join_all(many).await {
        kept.unwrap().receipt.await.unwrap();
    }
    let undelivered = s.archive().waiting(&user(JULIET), None, 1_000).await.unwrap();
    let of_friend =
        undelivered.iter().filter(|m| m.id.get() >> 10 > 300 || friendly.contains(&m.id));
    assert_eq!((undelivered.len(), of_friend.count()), (160, 80));
}

pub(crate) async fn what_an_account_keeps_is_counted(s: Arc<dyn Storage>) {
    assert_eq!(used(&s).await, Usage::default());
    let first = send(&s, to_juliet(1, "romeo@b.example", 300, true)).await.unwrap();
    let second = send(&s, to_juliet(2, "romeo@b.example", 1_000, false)).await.unwrap();
    let mut sent = message(3, "x", smallvec![holder(JULIET, "a@b", Way::Sent, true, false)]);
    sent.holders.push(holder("a@b", JULIET, Way::Received, true, false));
    let bytes = sent.xml.len() as u64;
    send(&s, sent).await.unwrap();
    let documents = s.documents();
    documents.put(&user(JULIET), "vcard", "", "ü<a/>").await.unwrap();
    documents.put_within_quota(&user(JULIET), "private", "x", "four").await.unwrap();
    documents.put_within_quota(&user(JULIET), "private", "y", "five!").await.unwrap();
    let item = RosterItem { groups: vec!["A".into()], ..item("a@b") };
    s.roster().put(&user(JULIET), &item, 9).await.unwrap();
    let of = |archive, waiting, private| Usage {
        push: 0,
        archive,
        waiting,
        pubsub: 0,
        roster: 3 + 5,
        documents: BTreeMap::from([("private".to_owned(), private), ("vcard".to_owned(), 6)]),
    };
    assert_eq!(used(&s).await, of(300 + bytes, 1_000, 9));
    assert_eq!(used(&s).await.total(), 300 + bytes + 1_000 + 9 + 6 + 8);
    s.archive().delivered(&user(JULIET), &[first, second]).await.unwrap();
    documents.put(&user(JULIET), "private", "y", "5").await.unwrap();
    assert_eq!(used(&s).await, of(300 + bytes, 0, 5));
    let oldest = Retention { before: Some(at(2)), keep: None };
    assert_eq!(s.archive().expire(&user(JULIET), oldest).await.unwrap(), 1);
    assert_eq!(used(&s).await, of(bytes, 0, 5));
    s.accounts().create(&[account(JULIET)]).await.unwrap();
    assert_eq!(used(&s).await, Usage::default(), "a new account inherits nothing");
}

async fn fill_up(s: &Arc<dyn Storage>) -> Vec<MessageId> {
    s.roster().put(&user(JULIET), &item("friend@b.example"), 9).await.unwrap();
    s.usage().set_quota(&user(JULIET), Some(10_000)).await.unwrap();
    let mut sent = Vec::new();
    for n in 1..=9 {
        let letter = to_juliet(n, "friend@b.example", 1_000, true);
        sent.push(send(s, letter).await.unwrap());
    }
    sent
}

/// A tombstone gives back what the message took, to both sides; and a longer text counts, too.
pub(crate) async fn a_message_that_is_replaced_counts_with_its_new_size(s: Arc<dyn Storage>) {
    let nurse = user("nurse@a.example");
    let sent = holder("nurse@a.example", JULIET, Way::Sent, true, false);
    let received = holder(JULIET, "nurse@a.example/house", Way::Received, true, true);
    let letter = message(1, "x".repeat(5_000), smallvec![sent, received]);
    let id = send(&s, letter).await.unwrap();
    let waits = send(&s, to_juliet(2, "nurse@a.example", 100, false)).await.unwrap();
    for text in ["gone".to_owned(), "y".repeat(9_000)] {
        let xml = crate::cases::body(&text);
        assert!(s.archive().replace(&nurse, id, xml.clone()).await.unwrap());
        assert_eq!(s.usage().used(&nurse).await.unwrap().archive, xml.len() as u64);
        let juliet = used(&s).await;
        assert_eq!((juliet.archive, juliet.waiting), (xml.len() as u64, 100));
    }
    assert_eq!(waiting(&s).await, [id, waits]);
    // What it took before is room again.
    s.usage().set_quota(&user(JULIET), Some(12_000)).await.unwrap();
    let spam = |n| to_juliet(n, "spam@c.example", 5_000, true);
    assert!(matches!(send(&s, spam(3)).await, Err(StorageError::Quota)));
    assert!(s.archive().replace(&nurse, id, crate::cases::body("gone")).await.unwrap());
    send(&s, spam(4)).await.unwrap();
}

pub(crate) async fn a_full_account_refuses_strangers(s: Arc<dyn Storage>) {
    let sent = fill_up(&s).await;
    let refused = send(&s, to_juliet(10, "spam@c.example", 1_000, true)).await;
    assert!(matches!(refused, Err(StorageError::Quota)), "{refused:?}");
    assert_eq!(archived(&s, JULIET).await, sent);
    send(&s, to_juliet(11, "spam@c.example", 500, true)).await.unwrap();
    // Juliet is online and has got it: the message waits for the acknowledgement only, and is not archived.
    let mut there = to_juliet(12, "spam@c.example", 1_000, true);
    there.holders[0].limit = None;
    let there = send(&s, there).await.unwrap();
    assert!(waiting(&s).await.contains(&there) && !archived(&s, JULIET).await.contains(&there));
    s.usage().set_quota(&user(JULIET), None).await.unwrap();
    send(&s, to_juliet(13, "spam@c.example", 1_000, true)).await.unwrap();
    s.usage().set_default_quota(12_000);
    assert_eq!(s.usage().quota(&user(JULIET)).await.unwrap(), None);
}

pub(crate) async fn a_full_account_forgets_what_was_delivered_first(s: Arc<dyn Storage>) {
    let sent = fill_up(&s).await;
    let refused = send(&s, to_juliet(10, "friend@b.example", 1_000, true)).await;
    assert!(matches!(refused, Err(StorageError::Quota)), "nothing is delivered: {refused:?}");
    s.archive().delivered(&user(JULIET), &sent[..5]).await.unwrap();
    let next = send(&s, to_juliet(11, "friend@b.example", 1_000, true)).await.unwrap();
    assert_eq!(archived(&s, JULIET).await, [&sent[1..], &[next]].concat());
    let own =
        message(12, "x".repeat(2_000), smallvec![holder(JULIET, "a@b", Way::Sent, true, false)]);
    let own = send(&s, own).await.unwrap();
    assert_eq!(archived(&s, JULIET).await, [&sent[3..], &[next, own]].concat());
    assert_eq!(waiting(&s).await, [&sent[5..], &[next]].concat());
    assert!(used(&s).await.total() <= 10_000);
    let huge = send(&s, to_juliet(13, "friend@b.example", 10_001, true)).await;
    assert!(matches!(huge, Err(StorageError::Quota)), "{huge:?}");
    assert_eq!(archived(&s, JULIET).await.len(), 8, "nothing is forgotten in vain");
}

pub(crate) async fn a_full_account_keeps_no_more_of_its_own(s: Arc<dyn Storage>) {
    fill_up(&s).await;
    let documents = s.documents();
    let large = "x".repeat(1_001);
    let refused = documents.put_within_quota(&user(JULIET), "vcard", "", &large).await;
    assert!(matches!(refused, Err(StorageError::Quota)), "{refused:?}");
    documents.put_within_quota(&user(JULIET), "vcard", "", &large[..900]).await.unwrap();
    documents.put_within_quota(&user(JULIET), "vcard", "", &large[..800]).await.unwrap();
    documents.put(&user(JULIET), "block", "", &large).await.unwrap();
    assert!(documents.put_within_quota(&user(JULIET), "vcard", "", "<less/>").await.is_ok());
    let refused = s.roster().put(&user(JULIET), &item("new@b.example"), 9).await;
    assert!(matches!(refused, Err(StorageError::Quota)), "{refused:?}");
    s.roster().put(&user(JULIET), &item("friend@b.example"), 9).await.unwrap();
    s.usage().set_quota(&user(JULIET), Some(u64::MAX)).await.unwrap();
    assert_eq!(s.usage().quota(&user(JULIET)).await.unwrap(), Some(u64::MAX));
    s.roster().put(&user(JULIET), &item("new@b.example"), 9).await.unwrap();
}

/// Numbers without pattern, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0xB0B);
        (self.0 >> 33) as usize % below
    }
}

const PEOPLE: [&str; 6] = [
    JULIET,
    "nurse@a.example",
    "romeo@b.example",
    "paris@b.example",
    "spam@c.example",
    "spam@d.example",
];

fn any_message(now: i64, dice: &mut Dice) -> NewMessage {
    let (from, to) = (PEOPLE[dice.roll(6)], PEOPLE[dice.roll(2)]);
    let mut received = holder(to, from, Way::Received, dice.roll(4) > 0, dice.roll(8) > 0);
    received.limit = (dice.roll(4) > 0).then_some(40);
    let sent = holder(from, to, Way::Sent, dice.roll(3) > 0, false);
    message(now, "x".repeat(dice.roll(900)), smallvec![sent, received])
}

/// What can be seen of an account, and that what it keeps is what was counted.
async fn state(s: &dyn Storage, owner: &BareJid) -> (Usage, Vec<MessageId>, Vec<MessageId>) {
    let usage = s.usage().used(owner).await.unwrap();
    let waiting = s.archive().waiting(owner, None, 10_000).await.unwrap();
    let all = Query { max: 10_000, ..Query::default() };
    let rows = s.archive().page(owner, &all).await.unwrap().unwrap().rows;
    assert_eq!(usage.archive, rows.iter().map(|row| row.xml.len() as u64).sum::<u64>());
    let alone = waiting.iter().filter(|waiting| !waiting.archived);
    assert_eq!(usage.waiting, alone.map(|waiting| waiting.xml.len() as u64).sum::<u64>());
    (usage, waiting.iter().map(|w| w.id).collect(), rows.iter().map(|row| row.id).collect())
}

async fn change(s: &dyn Storage, now: i64, seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let owner = user(PEOPLE[dice.roll(2)]);
    let mut answers = Vec::new();
    match dice.roll(10) {
        0 => {
            let keep = Some(dice.roll(30) as u64);
            let retention = Retention { before: None, keep };
            answers.push(format!("{:?}", s.archive().expire(&owner, retention).await));
        }
        1 => {
            let waiting = s.archive().waiting(&owner, None, dice.roll(12)).await.unwrap();
            let ids: Vec<_> = waiting.iter().map(|waiting| waiting.id).collect();
            s.archive().delivered(&owner, &ids).await.unwrap();
        }
        2 => {
            let (key, xml) = (["x", "y"][dice.roll(2)], "x".repeat(dice.roll(2_000)));
            let put = s.documents().put_within_quota(&owner, "private", key, &xml).await;
            answers.push(format!("{put:?}"));
        }
        3 => {
            let item = item(PEOPLE[dice.roll(6)]);
            let done = match dice.roll(2) {
                0 => s.roster().remove(&owner, &item.jid).await.map(drop),
                _ => s.roster().put(&owner, &item, 9).await.map(drop),
            };
            answers.push(format!("{done:?}"));
        }
        6 if dice.roll(2) == 0 => {
            let rows = s.archive().page(&owner, &Query { max: 50, ..Query::default() }).await;
            let rows = rows.unwrap().unwrap().rows;
            if !rows.is_empty() {
                let id = rows[dice.roll(rows.len())].id;
                let xml = crate::cases::body("y".repeat(dice.roll(400)));
                answers.push(format!("{:?}", s.archive().replace(&owner, id, xml).await));
            }
        }
        4 if dice.roll(3) == 0 => {
            let quota = [8_000, 20_000, u64::MAX][dice.roll(3)];
            s.usage().set_quota(&owner, Some(quota)).await.unwrap();
        }
        5 if dice.roll(6) == 0 => {
            answers.push(format!("{:?}", s.accounts().remove(&owner).await));
            s.usage().set_quota(&owner, Some(9_000)).await.unwrap();
        }
        _ => {
            let mut kept = Vec::new();
            for n in 0..dice.roll(12) as i64 {
                kept.push(s.archive().keep(any_message(now + n, &mut dice)).await.unwrap());
            }
            for kept in kept {
                answers.push(format!("{:?} {:?}", kept.id, kept.receipt.await));
            }
        }
    }
    answers
}

/// The same is kept, refused and pushed out by both backends; and what was counted is what there is,
/// after a restart, too.
#[tokio::test]
async fn both_backends_keep_and_refuse_the_same() {
    for seed in 1..=6 {
        let dir = tempfile::tempdir().unwrap();
        let open = async |dir: &Path| open(dir).await.unwrap();
        let (memory, mut sqlite) = (MemoryStorage::new(), open(dir.path()).await);
        for who in PEOPLE {
            let quota = Some(15_000);
            memory.usage().set_quota(&user(who), quota).await.unwrap();
            sqlite.usage().set_quota(&user(who), quota).await.unwrap();
        }
        let mut dice = Dice(seed);
        let mut refusals = 0;
        for step in 0..150 {
            let (now, seed) = (1_000 + step * 20, dice.roll(1 << 30) as u64);
            let answers = change(&*memory, now, seed).await;
            assert_eq!(answers, change(&*sqlite, now, seed).await, "step {step} of {seed}");
            refusals += answers.iter().filter(|answer| answer.contains("Err")).count();
            if dice.roll(12) == 0 {
                sqlite.close().await;
                sqlite = open(dir.path()).await;
            }
            for who in PEOPLE {
                let seen = state(&*memory, &user(who)).await;
                assert_eq!(seen, state(&*sqlite, &user(who)).await, "step {step}: {who}");
            }
        }
        assert!(refusals > 20, "{refusals}");
        sqlite.close().await;
    }
}
