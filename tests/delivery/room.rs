//! Rooms on bad networks, and on servers that end: whoever is in a room hears all that is said there, and the
//! room's archive has it.

use std::time::Duration;

use tokio::sync::watch;

use super::chance::{Chance, Size};
use super::device::{Habits, InRoom};
use super::kill::{End, end_amid};
use super::ledger::{Account, RoomKey};
use super::owner::{self, OWNER};
use super::proxy::Proxy;
use super::stage::Stage;

/// All talk in the room, until so many connections have been cut. `limits` are lines of the configuration.
pub(crate) async fn cuts(name: &str, limits: &str, away_longer: Duration) {
    let size = Size::from_environment();
    let mut stage = open(name, limits).await;
    stage.book.write(|ledger| ledger.must_resume = away_longer.is_zero());
    let server = stage.server.address().borrow().expect("it runs");
    let network = stage.chance.fork();
    let proxy = Proxy::start(server, size.cuts, network, stage.book.clone()).await;
    let address = watch::Sender::new(Some(proxy.address));
    for account in OCCUPANTS {
        let habits = Habits { away_longer, ..habits(account) };
        stage.enter(account, habits, address.subscribe());
    }
    let limit = Duration::from_secs(30 + 3 * size.cuts as u64);
    stage.book.until_within(limit, "cut often enough", |_| proxy.is_done()).await;
    close(stage, name, &format!("{} cuts", proxy.cuts())).await;
}

/// All talk in the room of a server that ends and starts again. `writers` and `listeners` resume their sessions
/// this many times of 4. If the server is not killed, writers resume, else they would not know what was counted.
pub(crate) async fn ends(name: &str, end: End, writers: u64, listeners: u64) {
    let size = Size::from_environment();
    let mut stage = open(name, "").await;
    stage.book.write(|ledger| ledger.must_resume = end != End::Kill);
    for account in OCCUPANTS {
        let mut habits = habits(account);
        habits.resumes = if WRITERS.contains(&account) { writers } else { listeners };
        if account == "emil" {
            habits = Habits { away: 150, drops: Some(150), ..habits };
        }
        stage.enter(account, habits, stage.server.address());
    }
    let count = OCCUPANTS.len() as u32;
    stage.book.until("everybody online", |ledger| ledger.session_count() >= count).await;
    for _ in 0..size.rounds {
        end_amid(&mut stage, &size, end).await;
        // What stands there now, stays.
        read_archive(&stage).await;
    }
    close(stage, name, &format!("{} times {end:?}", size.rounds)).await;
}

/// A server, and the room on it.
async fn open(name: &str, limits: &str) -> Stage {
    let chance = Chance::from_environment(name);
    let accounts: Vec<Account> = OCCUPANTS.into_iter().chain([OWNER]).collect();
    let stage = Stage::new(&accounts, limits, chance).await;
    let address = stage.server.address().borrow().expect("it runs");
    let made = owner::makes_the_room(address).await;
    stage.complain(OWNER, made);
    stage
}

fn habits(account: Account) -> Habits {
    let room = if WRITERS.contains(&account) { InRoom::Writes } else { InRoom::Listens };
    Habits { room: Some(room), ..Habits::default() }
}

/// Whatever was said is answered for. Then everybody hears the last word, and leaves; and the archive is read.
async fn close(mut stage: Stage, name: &str, more: &str) {
    stage.until_told().await;
    if !last_word(&stage).await {
        let text = "not everybody hears the last word in the room".to_owned();
        stage.book.write(|ledger| ledger.wrong(text));
    }
    stage.all_leave().await;
    read_archive(&stage).await;
    stage.judge(name, more).await;
}

/// Says something until everybody has heard it at the same time: some may be on their way back into the room.
async fn last_word(stage: &Stage) -> bool {
    for number in 1..=LAST_WORDS {
        let address = *stage.server.address().borrow();
        let Some(address) = address else { return false };
        let word = RoomKey { from: OWNER, number };
        let said = owner::says(address, word, &stage.book).await;
        stage.complain(OWNER, said);
        if stage.book.comes(ARRIVAL, |ledger| ledger.is_heard_by(word, &OCCUPANTS)).await {
            return true;
        }
    }
    false
}

async fn read_archive(stage: &Stage) {
    let address = *stage.server.address().borrow();
    let Some(address) = address else { return };
    let read = owner::reads_the_archive(address, &stage.book).await;
    stage.complain(OWNER, read);
}

/// Emil loses the network now and then where nobody else does.
const OCCUPANTS: [Account; 5] = ["anna", "bert", "carl", "dora", "emil"];
const WRITERS: [Account; 3] = ["anna", "bert", "carl"];
const LAST_WORDS: u32 = 10;
const ARRIVAL: Duration = Duration::from_secs(3);
