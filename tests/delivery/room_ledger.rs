//! The ledger of the room: who said what, what each session heard, and what stands in the archive of the room.
//!
//! All sessions hear the same in the same order, and that is the order of the archive: so what a session hears is a
//! piece of the archive without holes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Account, Connection, Kind, Ledger};

/// A message to the room: the `number`th of this account.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RoomKey {
    pub(crate) from: Account,
    pub(crate) number: u32,
}

impl RoomKey {
    /// As it is sent: always the same, so that one can see whether it was changed.
    pub(crate) fn xml(self) -> String {
        let body = self.body();
        format!("<message type='groupchat' id='{self}' to='{ROOM}'><body>{body}</body></message>")
    }

    /// Of different lengths, now and then a long one.
    pub(crate) fn body(self) -> String {
        let n = self.number as usize;
        let length = if n % 50 == 7 { 9_000 } else { n * 37 % 800 };
        format!("{self}:{}", "x".repeat(length))
    }
}

/// The `id` of the stanza: `room.from.number`.
impl fmt::Display for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "room.{}.{}", self.from, self.number)
    }
}

/// A row of the archive of the room: a message of the ledger, and the id of the row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RoomRow {
    pub(crate) id: String,
    pub(crate) key: RoomKey,
}

/// What was said and heard.
#[derive(Debug, Default)]
pub(super) struct RoomRecord {
    messages: BTreeMap<RoomKey, Said>,
    /// What each session heard, in the order in which it came.
    heard: BTreeMap<(Account, u32), Vec<Heard>>,
    /// The archive, each time that it was read.
    archives: Vec<Vec<RoomRow>>,
}

#[derive(Debug, Default)]
struct Said {
    /// When, and how many kills there had been.
    sent: Vec<(Duration, u32)>,
    acknowledged: Option<Duration>,
    refused: Option<String>,
}

#[derive(Debug)]
struct Heard {
    row: RoomRow,
    at: Duration,
    /// When its connection began, there had been so many.
    kills: u32,
}

impl Said {
    /// How often its author was right to send it as new: after a kill it cannot know better.
    fn sent_again(&self) -> usize {
        self.sent.windows(2).filter(|pair| pair[0].1 < pair[1].1).count()
    }

    /// The room has it: the server said so, and did not take that back.
    fn is_promised(&self) -> bool {
        self.acknowledged.is_some() && self.refused.is_none()
    }
}

impl RoomRecord {
    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// Each message has been acknowledged.
    pub(super) fn all_told(&self) -> bool {
        self.messages.values().all(|said| said.acknowledged.is_some())
    }
}

impl Ledger {
    // ── what is done and seen ──

    /// A message is written to the room, the first time or again.
    pub(crate) fn said(&mut self, key: RoomKey) {
        let now = (self.started.elapsed(), self.kills);
        let said = self.room.messages.entry(key).or_default();
        assert!(said.acknowledged.is_none(), "{key} is sent again though it is acknowledged");
        said.sent.push(now);
    }

    /// The server has counted it.
    pub(crate) fn said_is_acknowledged(&mut self, key: RoomKey) {
        let now = self.started.elapsed();
        if let Some(said) = self.room.messages.get_mut(&key) {
            said.acknowledged.get_or_insert(now);
        }
    }

    /// The room has answered with an error.
    pub(crate) fn said_is_refused(&mut self, id: &str, error: &str) {
        match self.find_said(id) {
            Some(key) => {
                let said = self.room.messages.get_mut(&key).expect("it was found");
                said.refused.get_or_insert_with(|| error.to_owned());
            }
            None => self.wrong(format!("the room refuses {id}, which nobody said: {error}")),
        }
    }

    /// A session in the room got a message, with the id that it says it has in the archive of the room.
    pub(crate) fn heard(
        &mut self,
        account: Account,
        connection: Connection,
        (id, from, body): (&str, &str, &str),
        stanza_id: Option<String>,
    ) {
        let Some(key) = self.sought_said(id, from, body) else { return };
        let Some(stanza_id) = stanza_id else {
            return self.wrong(format!("{account} got {key} without the id of the room"));
        };
        let Connection { session, kills } = connection;
        let row = RoomRow { id: stanza_id, key };
        let heard = self.room.heard.entry((account, session)).or_default();
        heard.push(Heard { row, at: self.started.elapsed(), kills });
    }

    /// A session that was in the room was told that it is not any more, though it has not left.
    pub(crate) fn thrown_out(&mut self, account: Account, session: u32) {
        self.wrong(format!("session {session} of {account} is thrown out of the room"));
    }

    /// A row of the archive of the room, if it is a message of the ledger.
    pub(crate) fn row_of_room(
        &mut self,
        (id, from, body): (&str, &str, &str),
        row: &str,
    ) -> Option<RoomRow> {
        if !id.starts_with("room.") {
            // The room itself has written it.
            return None;
        }
        let key = self.sought_said(id, from, body)?;
        Some(RoomRow { id: row.to_owned(), key })
    }

    /// The archive of the room has been read to its end.
    pub(crate) fn archive_of_room(&mut self, rows: Vec<RoomRow>) {
        self.note(None, format!("the archive of the room has {} messages", rows.len()));
        self.room.archives.push(rows);
    }

    /// The last session of each of these accounts has got this message.
    pub(crate) fn is_heard_by(&self, key: RoomKey, accounts: &[Account]) -> bool {
        accounts.iter().all(|&account| {
            let sessions = self.room.heard.range((account, 0)..=(account, u32::MAX));
            sessions.last().is_some_and(|(_, heard)| heard.iter().any(|heard| heard.row.key == key))
        })
    }

    fn find_said(&self, id: &str) -> Option<RoomKey> {
        let (from, number) = id.strip_prefix("room.")?.split_once('.')?;
        let from = self.accounts.iter().copied().find(|account| *account == from)?;
        let key = RoomKey { from, number: number.parse().ok()? };
        self.room.messages.contains_key(&key).then_some(key)
    }

    /// The message, if it is one that was said so.
    fn sought_said(&mut self, id: &str, from: &str, body: &str) -> Option<RoomKey> {
        match self.find_said(id) {
            Some(key) if from != format!("{ROOM}/{}", key.from) => {
                self.wrong(format!("{id} came from {from}"));
            }
            Some(key) if body != key.body() => self.wrong(format!("{id} was changed: {body}")),
            Some(key) => return Some(key),
            None => self.wrong(format!("{id} came from {from}, and nobody said it")),
        }
        None
    }

    // ── the judgement ──

    /// The faults, with their stories.
    pub(super) fn judge_room(&self) -> Vec<(Kind, String)> {
        let (mut faults, room) = (Vec::new(), &self.room);
        for (key, said) in &room.messages {
            if let Some(error) = &said.refused {
                faults.push((Kind::Refused, format!("{key}: the room refuses it: {error}")));
            }
        }
        let Some((archive, earlier)) = room.archives.split_last() else { return faults };
        for before in earlier {
            let same = archive.iter().zip(before).take_while(|(now, then)| now == then).count();
            if same < before.len() {
                let (then, now) = (&before[same], archive.get(same));
                let text = format!("row {same} of the archive was {then:?}, and is {now:?}");
                faults.push((Kind::Archive, text));
            }
        }
        let (mut places, mut counts) = (BTreeMap::new(), BTreeMap::<RoomKey, usize>::new());
        for (place, row) in archive.iter().enumerate() {
            *counts.entry(row.key).or_default() += 1;
            if places.insert(row.id.as_str(), place).is_some() {
                faults.push((Kind::Id, format!("two rows of the archive are {}", row.id)));
            }
        }
        for (key, said) in &room.messages {
            let rows = counts.get(key).copied().unwrap_or_default();
            if said.is_promised() && rows == 0 {
                let text = format!("{key}: acknowledged, and not in the archive: {said:?}");
                faults.push((Kind::Lost, text));
            }
            if rows > 1 + said.sent_again() {
                faults
                    .push((Kind::Doubled, format!("{key}: {rows} times in the archive: {said:?}")));
            }
        }
        for ((account, session), heard) in &room.heard {
            let who = format!("session {session} of {account}");
            self.judge_session(&who, heard, archive, &places, &mut faults);
        }
        faults
    }

    /// What a session heard is a piece of the archive.
    fn judge_session(
        &self,
        who: &str,
        heard: &[Heard],
        archive: &[RoomRow],
        places: &BTreeMap<&str, usize>,
        faults: &mut Vec<(Kind, String)>,
    ) {
        let (mut seen, mut last) = (BTreeMap::new(), None::<usize>);
        for Heard { row, at, kills } in heard {
            let RoomRow { id, key } = row;
            let at = format!("{who} at {:.3}", at.as_secs_f64());
            if let Some(before) = seen.insert(id, *kills) {
                // A server that was killed may not know what it has sent.
                if before == *kills {
                    faults.push((Kind::Doubled, format!("{key} came again as {id} to {at}")));
                }
                continue;
            }
            let Some(&place) = places.get(id.as_str()) else {
                // The window of a kill: it came before it was on the disk, and before it was acknowledged.
                let said = &self.room.messages[key];
                let is_excused =
                    *kills < self.kills && (said.sent_again() > 0 || said.acknowledged.is_none());
                if !is_excused {
                    let text =
                        format!("{key} came as {id} to {at}, and that is not in the archive");
                    faults.push((Kind::Archive, text));
                }
                continue;
            };
            if archive[place].key != *key {
                let text = format!("{key} came as {id} to {at}, which is {}", archive[place].key);
                faults.push((Kind::Id, text));
            }
            match last {
                Some(last) if place < last => {
                    let before = &archive[last].key;
                    faults.push((Kind::Disorder, format!("{key} came after {before} to {at}")));
                }
                Some(last) if place > last + 1 => {
                    let missing: Vec<_> =
                        archive[last + 1..place].iter().map(|row| row.key.to_string()).collect();
                    let missing = missing.join(", ");
                    let text = format!("before {key}, these did not come to {at}: {missing}");
                    faults.push((Kind::Gap, text));
                }
                _ => {}
            }
            last = Some(place);
        }
    }
}

/// The only room.
pub(crate) const ROOM: &str = "orchard@conference.localhost";
