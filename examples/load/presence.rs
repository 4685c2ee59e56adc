//! `presence`: what it costs to tell contacts that a user's presence has changed (RFC 6121 §4.4).
//!
//! The accounts form a ring. The contacts of an account are its nearest neighbours on both sides, and all
//! contacts are subscribed to each other. How they become contacts is not measured (`friends.rs`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use memchr::memmem;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::capabilities::Capabilities;
use crate::client::Target;
use crate::elements::Element;
use crate::friends::{Circle, Member, STALL, Tls, read};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Accounts, all of them online.
    #[arg(long, default_value_t = 100)]
    accounts: usize,
    /// Contacts of each account, an even number.
    #[arg(long, default_value_t = 20)]
    contacts: usize,
    /// Updates of an account that are on their way at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Updates in all; none is sent any more after that.
    #[arg(long, default_value_t = 20_000)]
    updates: u64,
    /// No update is sent after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Each presence says what the client can do (XEP-0115), the nodes of PEP included in which it is
    /// interested (XEP-0163 §4.3).
    #[arg(long)]
    pep: bool,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let Args { accounts, contacts, window, updates, seconds, pep } = args;
    anyhow::ensure!(contacts > 0 && contacts.is_multiple_of(2), "contacts must be an even number");
    anyhow::ensure!(accounts > contacts, "there must be more accounts than contacts of one");
    let capabilities = pep.then(Capabilities::of_a_client);
    let circle = Circle::Ring { accounts, contacts };
    let members = Member::all_online(&target, circle, capabilities.as_ref()).await?;
    let content = capabilities.map(|capabilities| capabilities.element).unwrap_or_default();
    // A short run first: buffers grow, code is loaded.
    let warm = accounts as u64 * WARM_UPDATES;
    let warm = Ring::new(&members, contacts, window, warm, seconds, content.clone());
    let members = update(members, &Rc::new(warm)).await?;
    let before = meter.sample()?;
    let ring = Rc::new(Ring::new(&members, contacts, window, updates, seconds, content));
    let members = update(members, &ring).await?;
    let elapsed = ring.started.elapsed();
    let after = meter.sample()?;
    drop(members);
    let micros = ring.micros.take();
    let (updates, mut report) = (micros.len() as f64, Report::default());
    let delivered = updates * contacts as f64;
    report.add("updates", updates);
    report.add("presences_delivered", delivered);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("updates_per_second", updates / elapsed.as_secs_f64());
    report.add("presences_per_second", delivered / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_seconds_per_100000", cpu * 100_000.0 / delivered);
    }
    report.add_latencies(micros);
    report.add_memory(after);
    Ok(report)
}

/// One run: all accounts send updates.
struct Ring {
    started: Instant,
    deadline: Instant,
    /// Updates that are not sent yet.
    left: Cell<u64>,
    contacts: u32,
    window: u32,
    /// What each presence contains besides its status.
    content: String,
    /// By the number of the account, from 1 on.
    flights: Vec<Flight>,
    /// What each update took until the last contact had it.
    micros: RefCell<Vec<u32>>,
}

/// The updates of one account that are on their way.
struct Flight {
    /// How many contacts have received one, in all.
    arrived: Cell<u32>,
    /// When they were written, oldest first; microseconds of the run.
    written: RefCell<VecDeque<u64>>,
    window: Semaphore,
}

impl Ring {
    fn new(
        members: &[Member],
        contacts: usize,
        window: u32,
        updates: u64,
        seconds: u64,
        content: String,
    ) -> Self {
        let flight = |_: &Member| Flight {
            arrived: Cell::new(0),
            written: RefCell::default(),
            window: Semaphore::new(window as usize),
        };
        let started = Instant::now();
        Self {
            started,
            deadline: started + Duration::from_secs(seconds),
            left: Cell::new(updates),
            contacts: contacts as u32,
            window,
            content,
            flights: members.iter().map(flight).collect(),
            micros: RefCell::default(),
        }
    }

    fn flight(&self, number: usize) -> Option<&Flight> {
        self.flights.get(number.checked_sub(1)?)
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_micros().try_into().unwrap_or(u64::MAX)
    }

    /// Takes one update from those that are left.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0 && Instant::now() < self.deadline
    }

    /// A presence has come to account `reader`. An update is over when as many presences have come as there
    /// are contacts. The server also sends an account its own presence, which does not count.
    fn note(&self, reader: usize, presence: &[u8]) {
        let Some(number) = sender(presence).filter(|number| *number != reader) else { return };
        let Some(flight) = self.flight(number) else { return };
        let arrived = flight.arrived.get() + 1;
        flight.arrived.set(arrived);
        if arrived.is_multiple_of(self.contacts) {
            let written = flight.written.borrow_mut().pop_front();
            let took = self.now() - written.unwrap_or_default();
            self.micros.borrow_mut().push(took.try_into().unwrap_or(u32::MAX));
            flight.window.add_permits(1);
        }
    }
}

/// Who has sent this update; `None` if it is none of ours.
fn sender(presence: &[u8]) -> Option<usize> {
    let status = &presence[memmem::find(presence, STATUS.as_bytes())? + STATUS.len()..];
    let digits = status.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    (number > 0).then_some(number)
}

/// Lets all members send updates until none is left and all have arrived. Returns the members.
async fn update(members: Vec<Member>, ring: &Rc<Ring>) -> anyhow::Result<Vec<Member>> {
    let (mut tasks, is_over) = (JoinSet::new(), Rc::new(Semaphore::new(0)));
    let count = members.len() as u32;
    for mut member in members {
        let (ring, is_over) = (Rc::clone(ring), Rc::clone(&is_over));
        tasks.spawn_local(async move {
            let Member { number, reader, writer, unread } = &mut member;
            let reading = async {
                loop {
                    let noted = read(reader, unread, |element| {
                        if let Element::Presence(presence) = element {
                            ring.note(*number, presence);
                        }
                    });
                    if let Err(error) = noted.await {
                        return error;
                    }
                }
            };
            let sending = async {
                send(writer, *number, &ring).await?;
                // The others still send: read on until all are done.
                is_over.add_permits(1);
                is_over.acquire_many(count).await?.forget();
                is_over.add_permits(count as usize);
                anyhow::Ok(())
            };
            tokio::select! {
                failed = reading => return Err(failed),
                sent = sending => sent?,
            }
            Ok(member)
        });
    }
    let mut members = Vec::new();
    while let Some(member) = tasks.join_next().await {
        members.push(member??);
    }
    members.sort_by_key(|member| member.number);
    Ok(members)
}

/// Sends updates as the window allows, then waits until all of them have arrived.
async fn send(writer: &mut WriteHalf<Tls>, number: usize, ring: &Ring) -> anyhow::Result<()> {
    let flight = ring.flight(number).context("an account that is not in the ring")?;
    loop {
        let permit = tokio::time::timeout(STALL, flight.window.acquire()).await;
        permit.context("no presence gets through any more")??.forget();
        if !ring.take() {
            break;
        }
        let now = ring.now();
        flight.written.borrow_mut().push_back(now);
        let text =
            format!("<presence>{STATUS}{number} at {now}</status>{}</presence>", ring.content);
        writer.write_all(text.as_bytes()).await?;
        writer.flush().await?;
    }
    let rest = tokio::time::timeout(STALL, flight.window.acquire_many(ring.window - 1)).await;
    rest.context("the last presences do not get through")??.forget();
    Ok(())
}

const STATUS: &str = "<status>";
const WARM_UPDATES: u64 = 10;
