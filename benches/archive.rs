//! What keeping messages costs, and whether it depends on how much is stored already.
//!
//! `cargo bench --bench archive -- [messages] [in flight] [users]` fills an archive with messages
//! between users (default 1,000,000, 256 and 2,000), and at each power of ten measures what the next
//! 50,000 cost, five times from 100,000 on, reads pages, and searches a whole archive for a word. Shown is the median, and the least and the
//! most. Each message is archived for both sides and marked for one; the mark
//! falls when the receipt has resolved. fsync is honoured.

#![expect(clippy::print_stdout, reason = "a program that measures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]
#![expect(clippy::unwrap_used, reason = "a failure is the end of the measurement")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use smallvec::smallvec;
use waxwing::clock::Clock;
use waxwing::jid::{BareJid, Jid};
use waxwing::storage::{
    Handled, Holder, NewMessage, Query, SessionNumber, SqliteStorage, Storage, Way,
};
use waxwing::tasks::Tasks;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |or: usize| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(or);
    let (messages, in_flight, users) = (number(1_000_000), number(256), number(2_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(messages, in_flight, users));
}

async fn run(messages: usize, in_flight: usize, users: usize) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path: PathBuf = dir.path().join("waxwing.sqlite");
    let storage: Arc<dyn Storage> = SqliteStorage::open(&path, 2, &Tasks::new()).await.unwrap();
    let people: Vec<Person> = (0..users).map(Person::new).collect();
    let (session, receipt) =
        storage.resumption().begin(&people[0].bare, "phone", "key").await.unwrap();
    receipt.await.unwrap();
    let clock = Clock::system();
    println!("{in_flight} in flight, {users} users");
    let mut load = Load { storage: &storage, people: &people, clock, session, done: 0, random: 1 };
    let mut goal = 10_000;
    while goal <= messages {
        load.write(goal, in_flight).await;
        // Before, five would be more than what is stored.
        let times = if goal < 2 * SAMPLE { 1 } else { 5 };
        let mut samples = Vec::new();
        for n in 1..=times {
            let (begun, before) = (Instant::now(), Used::now());
            load.write(goal + n * SAMPLE, in_flight).await;
            samples.push((begun.elapsed().as_secs_f64(), Used::now() - before));
        }
        println!(
            "{goal:>9} stored: {} messages/s; each {} us of CPU, {} of it SQLite's, {} KiB written",
            spread(0, samples.iter().map(|(seconds, _)| SAMPLE as f64 / seconds)),
            spread(1, samples.iter().map(|(_, used)| used.cpu * 1e6 / SAMPLE as f64)),
            spread(1, samples.iter().map(|(_, used)| used.sqlite * 1e6 / SAMPLE as f64)),
            spread(1, samples.iter().map(|(_, used)| used.written / 1024.0 / SAMPLE as f64)),
        );
        pages(&storage, &people).await;
        search(&storage, &people[0]).await;
        goal *= 10;
    }
    let done = load.done;
    let size: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!("{} bytes a message", size as usize / done.max(1));
    storage.close().await;
}

/// The median of an odd number of values, and the least and the most.
fn spread(digits: usize, values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let [least, middle, most] = [0, values.len() / 2, values.len() - 1].map(|n| values[n]);
    if values.len() == 1 {
        return format!("{middle:.digits$}");
    }
    format!("{middle:.digits$} ({least:.digits$} to {most:.digits$})")
}

/// A client searches all that it has for a word that is nowhere: the longest search (XEP-0431).
async fn search(storage: &Arc<dyn Storage>, person: &Person) {
    let all = Query { max: 0, count: true, ..Query::default() };
    let counted = storage.archive().page(&person.bare, &all).await.unwrap().unwrap();
    let count = counted.count.map_or(0, |count| count.total);
    let (begun, before) = (Instant::now(), Used::now());
    let query =
        Query { text: Some("nowhere".into()), backwards: true, max: 50, ..Query::default() };
    let found = storage.archive().page(&person.bare, &query).await.unwrap().unwrap();
    assert!(found.rows.is_empty());
    println!(
        "          search of {count} messages: {:.1} ms, {:.1} ms of CPU",
        begun.elapsed().as_secs_f64() * 1e3,
        (Used::now() - before).cpu * 1e3
    );
}

/// Four clients read the newest pages of 50, of one conversation and of all.
async fn pages(storage: &Arc<dyn Storage>, people: &[Person]) {
    const PAGES: usize = 500;
    for with_one in [false, true] {
        let begun = Instant::now();
        let client = |n: usize| async move {
            let mut rows = 0;
            for page in 0..PAGES {
                let owner = &people[(n * PAGES + page) % people.len()];
                let other = &people[(n + page * 7) % people.len()].bare;
                let with = with_one.then(|| other.clone().into_jid());
                let query = Query { with, backwards: true, max: 50, ..Query::default() };
                rows +=
                    storage.archive().page(&owner.bare, &query).await.unwrap().unwrap().rows.len();
            }
            rows
        };
        let rows = futures_util::future::join_all((0..4).map(client)).await;
        let per_second = (4 * PAGES) as f64 / begun.elapsed().as_secs_f64();
        let each = rows.iter().sum::<usize>() / (4 * PAGES);
        let what = if with_one { "with one" } else { "with all" };
        println!("          pages {what}: {per_second:.0}/s, {each} rows each");
    }
}

/// Messages written and measured at each size.
const SAMPLE: usize = 50_000;

/// Writes messages in rounds, so that the transactions have the same size whatever else the machine
/// does.
struct Load<'a> {
    storage: &'a Arc<dyn Storage>,
    people: &'a [Person],
    clock: Clock,
    session: SessionNumber,
    done: usize,
    random: u64,
}

impl Load<'_> {
    async fn write(&mut self, goal: usize, in_flight: usize) {
        while self.done < goal {
            let mut round = Vec::new();
            for n in self.done..goal.min(self.done + in_flight) {
                let mut anybody = || &self.people[next(&mut self.random) % self.people.len()];
                let (from, to) = (anybody(), anybody());
                let handled = Some(Handled { session: self.session, count: n as u32 });
                let message = message(&self.clock, from, to, n, handled);
                round.push((to, self.storage.archive().keep(message).await.unwrap()));
            }
            self.done += round.len();
            for (to, kept) in round {
                kept.receipt.await.unwrap();
                self.storage.archive().delivered(&to.bare, &[kept.id]).await.unwrap();
            }
        }
    }
}

/// What the process has used: seconds and bytes.
struct Used {
    cpu: f64,
    sqlite: f64,
    written: f64,
}

impl Used {
    fn now() -> Self {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let cpu = tasks.map(|task| (of_sqlite(&task.path()), cpu_seconds(&task.path())));
        let cpu: Vec<_> = cpu.collect();
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
        Self {
            cpu: cpu.iter().map(|(_, seconds)| seconds).sum(),
            sqlite: cpu.iter().filter(|(sqlite, _)| *sqlite).map(|(_, seconds)| seconds).sum(),
            written: written.unwrap_or_default(),
        }
    }
}

impl std::ops::Sub for Used {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            sqlite: self.sqlite - before.sqlite,
            written: self.written - before.written,
        }
    }
}

struct Person {
    bare: BareJid,
    full: Jid,
}

impl Person {
    fn new(n: usize) -> Self {
        let full = Jid::parse(&format!("user{n}@example.org/phone.{n:06}")).unwrap();
        Self { bare: full.to_bare(), full }
    }
}

fn message(
    clock: &Clock,
    from: &Person,
    to: &Person,
    n: usize,
    handled: Option<Handled>,
) -> NewMessage {
    let text = format!(
        "This is message {n}: it has some words more, as people write to each other all day long \
         about the weather, the bread, the children and number {}",
        n * 7919 % 10_007
    );
    let xml = format!(
        "<message from='{}' to='{}' id='c{n:016x}' type='chat'><body>{text}</body>\
         <request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='c{n:016x}'/>\
         </message>",
        from.full, to.bare
    );
    let holder = |owner: &Person, other: &Person, way| Holder {
        owner: owner.bare.clone(),
        with: other.full.clone(),
        way,
        archive: true,
        waiting: way == Way::Received,
        limit: None,
    };
    NewMessage {
        at: clock.now(),
        xml: Bytes::from(xml),
        holders: smallvec![holder(from, to, Way::Sent), holder(to, from, Way::Received)],
        handled,
    }
}

/// Numbers without pattern, the same in each run.
fn next(random: &mut u64) -> usize {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*random >> 33) as usize
}

fn of_sqlite(task: &Path) -> bool {
    std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("sqlx-sqlite"))
}

/// To the nanosecond (`schedstat`), while the ticks of `stat` are 10 ms.
fn cpu_seconds(task: &Path) -> f64 {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or_default() / 1e9
}
