//! Occupants of rooms (XEP-0045): they log in, enter, write and listen.
//!
//! What a room says to thousands comes to one thread here. So nothing is parsed: bytes are searched for a few
//! patterns, and only the bytes in which a pattern may have begun are kept.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use memchr::memmem::Finder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Connection, Target};
use crate::friends::Tls;

/// The rooms of a run. Each has occupants of its own.
pub(crate) struct Rooms {
    /// The domain of the service.
    pub(crate) service: String,
    pub(crate) count: usize,
    /// Occupants of each room.
    pub(crate) occupants: usize,
}

impl Rooms {
    /// No room of an earlier run has the same address, so all rooms are new.
    fn address(&self, number: usize) -> String {
        format!("load{}-{number}@{}", std::process::id(), self.service)
    }
}

/// All who are in rooms, or on their way there.
pub(crate) struct Crowd {
    rooms: Rooms,
    hall: Rc<Hall>,
    occupants: Vec<Occupant>,
    readers: JoinSet<anyhow::Error>,
}

impl Crowd {
    /// Logs in everybody. The first of each room makes it, enters it and opens it to the others.
    pub(crate) async fn gather(target: &Rc<Target>, rooms: Rooms) -> anyhow::Result<Self> {
        let hall = Rc::new(Hall::new());
        let (mut occupants, mut readers) = (Vec::new(), JoinSet::new());
        let connections = target.login_all(rooms.count * rooms.occupants).await?;
        for (number, mut connection) in connections.into_iter().enumerate() {
            connection.appear(&target.domain).await?;
            let (room, place) = (number / rooms.occupants, number % rooms.occupants);
            let room = rooms.address(room);
            let (told, entered) = oneshot::channel();
            let (mut told, mut entered) = (Some(told), Some(entered));
            if place == 0 {
                open(&mut connection, &room).await.with_context(|| format!("making {room}"))?;
                (told, entered) = (None, None);
            }
            let (stream, unread) = connection.into_parts();
            let (reader, writer) = tokio::io::split(stream);
            readers.spawn_local(listen(reader, unread, Rc::clone(&hall), told));
            occupants.push(Occupant { room, place, writer, entered });
        }
        Ok(Self { rooms, hall, occupants, readers })
    }

    /// Lets in all who are not in yet, so many at a time. Returns the microseconds that each took.
    pub(crate) async fn enter(&mut self, at_once: usize) -> anyhow::Result<Vec<u32>> {
        let permits = Semaphore::new(at_once);
        let outside = self.occupants.iter_mut().filter(|occupant| occupant.entered.is_some());
        let entering = try_join_all(outside.map(|occupant| occupant.enter(&permits)));
        tokio::select! {
            entered = entering => entered,
            Some(failed) = self.readers.join_next() => Err(failed?),
        }
    }

    /// The first of each room write, so many of them, until the plan is fulfilled and everybody has
    /// everything.
    pub(crate) async fn talk(
        &mut self,
        speakers: usize,
        plan: &Plan,
    ) -> anyhow::Result<Rc<Flight>> {
        let flight = Rc::new(Flight::new(self.rooms.occupants));
        self.hall.flight.replace(Some(Rc::clone(&flight)));
        let count = (self.rooms.count * speakers) as f64;
        let writers = self.occupants.iter_mut().filter(|occupant| occupant.place < speakers);
        let talks = writers
            .enumerate()
            .map(|(nth, occupant)| occupant.speak(&flight, plan, nth as f64 / count));
        let talking = try_join_all(talks);
        tokio::select! {
            talked = talking => drop(talked?),
            Some(failed) = self.readers.join_next() => return Err(failed?),
        }
        Ok(flight)
    }

    /// Bytes that have come to all connections since everybody is logged in, without TLS.
    pub(crate) fn bytes(&self) -> u64 {
        self.hall.bytes.get()
    }
}

/// Makes a room as it is by default (an instant room, XEP-0045 §10.1.2), by its first occupant.
async fn open(connection: &mut Connection, room: &str) -> anyhow::Result<()> {
    connection.send(&entrance(room, 0)).await?;
    connection.expect_tag("<subject").await?;
    connection
        .send(&format!(
            "<iq type='set' id='unlock' to='{room}'>\
             <query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'/></query></iq>"
        ))
        .await?;
    let answer = connection.expect_tag("unlock").await?;
    let tag = &answer[answer.rfind('<').unwrap_or_default()..];
    let is_refused = tag.contains("type='error'") || tag.contains("type=\"error\"");
    anyhow::ensure!(!is_refused, "the configuration is refused: {answer}");
    Ok(())
}

/// The presence by which the occupant at this place enters (XEP-0045 §7.2). Nobody wants history.
fn entrance(room: &str, place: usize) -> String {
    format!(
        "<presence to='{room}/occupant{place}'><x xmlns='http://jabber.org/protocol/muc'>\
         <history maxstanzas='0'/></x></presence>"
    )
}

/// One account in one room.
struct Occupant {
    room: String,
    /// The how manieth of its room it is, from 0 on.
    place: usize,
    writer: WriteHalf<Tls>,
    /// Comes true when it has entered. `None`: somebody has waited for that.
    entered: Option<oneshot::Receiver<()>>,
}

impl Occupant {
    async fn enter(&mut self, permits: &Semaphore) -> anyhow::Result<u32> {
        let entered = self.entered.take().context("it is in the room already")?;
        let _permit = permits.acquire().await?;
        let started = Instant::now();
        self.write(&entrance(&self.room, self.place)).await?;
        let entered = tokio::time::timeout(STALL, entered).await;
        entered.with_context(|| format!("occupant {} cannot enter", self.place))??;
        Ok(micros_since(started))
    }

    /// Writes as window and pace allow, then waits until all have everything. `place` spreads those who have a
    /// pace: from 0 to 1.
    async fn speak(&mut self, flight: &Flight, plan: &Plan, place: f64) -> anyhow::Result<()> {
        let window = Rc::new(Semaphore::new(plan.window as usize));
        let mut next = plan.pace.map(|pace| flight.started + pace.mul_f64(place));
        let mut text = String::new();
        loop {
            let permit = tokio::time::timeout(STALL, window.acquire()).await;
            permit.context("no message gets through any more")??.forget();
            if let (Some(at), Some(pace)) = (next, plan.pace) {
                tokio::time::sleep_until(at).await;
                next = Some(at + pace);
            }
            if !plan.take() {
                break;
            }
            let (number, now) = (flight.add(&window), micros_since(flight.started));
            text.clear();
            write!(
                text,
                "<message type='groupchat' id='m{number}' to='{}'><body>{MARK}\
                 {number:0>NUMBER_DIGITS$}{now:0>STAMP_DIGITS$}",
                self.room
            )?;
            text.extend(std::iter::repeat_n('x', plan.bytes.saturating_sub(MARK.len() + DIGITS)));
            text.push_str("</body></message>");
            self.write(&text).await?;
        }
        let rest = tokio::time::timeout(STALL, window.acquire_many(plan.window - 1)).await;
        rest.context("the last messages do not get through")??.forget();
        Ok(())
    }

    async fn write(&mut self, xml: &str) -> anyhow::Result<()> {
        self.writer.write_all(xml.as_bytes()).await?;
        Ok(self.writer.flush().await?)
    }
}

/// What is to be written.
pub(crate) struct Plan {
    left: Cell<u64>,
    deadline: Instant,
    /// Messages of a speaker that are on their way at the same time.
    window: u32,
    /// Time from a message of a speaker to its next; `None`: as soon as the window allows.
    pace: Option<Duration>,
    /// Length of a body, at least.
    bytes: usize,
}

impl Plan {
    /// `messages` of all speakers together, none written later than `time` from now.
    pub(crate) fn new(
        messages: u64,
        time: Duration,
        window: u32,
        pace: Option<Duration>,
        bytes: usize,
    ) -> Self {
        Self { left: Cell::new(messages), deadline: Instant::now() + time, window, pace, bytes }
    }

    /// Takes one message from those that are left.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0 && Instant::now() < self.deadline
    }
}

/// The messages of one run.
pub(crate) struct Flight {
    pub(crate) started: Instant,
    /// How many get each message; its author is one of them.
    occupants: usize,
    /// By their numbers.
    messages: RefCell<Vec<Underway>>,
    times: RefCell<Times>,
}

/// A message that has not come to everybody yet.
struct Underway {
    window: Rc<Semaphore>,
    /// What each delivery took, in microseconds.
    micros: Vec<u32>,
}

/// Microseconds from the author to occupants.
#[derive(Default)]
pub(crate) struct Times {
    /// Of each delivery.
    pub(crate) all: Vec<u32>,
    /// Of each message: until half of the occupants had it.
    pub(crate) median: Vec<u32>,
    /// Of each message: until the last occupant had it.
    pub(crate) slowest: Vec<u32>,
}

impl Flight {
    fn new(occupants: usize) -> Self {
        let (messages, times) = (RefCell::default(), RefCell::default());
        Self { started: Instant::now(), occupants, messages, times }
    }

    /// A message is about to be written. Returns its number.
    fn add(&self, window: &Rc<Semaphore>) -> usize {
        let mut messages = self.messages.borrow_mut();
        let micros = Vec::with_capacity(self.occupants);
        messages.push(Underway { window: Rc::clone(window), micros });
        messages.len() - 1
    }

    /// A message has come to an occupant. When it has come to all, it is over, and the window has room.
    fn note(&self, digits: &[u8]) -> anyhow::Result<()> {
        let (number, stamp) = std::str::from_utf8(digits)?.split_at(NUMBER_DIGITS);
        let (number, stamp): (usize, u32) = (number.parse()?, stamp.parse()?);
        let took = micros_since(self.started).saturating_sub(stamp);
        let mut messages = self.messages.borrow_mut();
        let message = messages.get_mut(number).context("a message that nobody has written")?;
        message.micros.push(took);
        if message.micros.len() == self.occupants {
            message.micros.sort_unstable();
            let mut times = self.times.borrow_mut();
            times.median.push(message.micros[self.occupants / 2]);
            times.slowest.push(message.micros[self.occupants - 1]);
            times.all.append(&mut message.micros);
            // What it has allocated goes.
            message.micros = Vec::new();
            message.window.add_permits(1);
        }
        Ok(())
    }

    pub(crate) fn take_times(&self) -> Times {
        self.times.take()
    }
}

/// What all readers share.
struct Hall {
    bytes: Cell<u64>,
    flight: RefCell<Option<Rc<Flight>>>,
    mark: Finder<'static>,
    subject: Finder<'static>,
    error: Finder<'static>,
}

impl Hall {
    fn new() -> Self {
        Self {
            bytes: Cell::new(0),
            flight: RefCell::default(),
            mark: Finder::new(MARK),
            // The last thing that a newcomer gets (XEP-0045 §7.1).
            subject: Finder::new("<subject"),
            error: Finder::new("<error"),
        }
    }

    /// Looks at what has come. Returns how many bytes need not be looked at again.
    fn look(&self, bytes: &[u8], told: &mut Option<oneshot::Sender<()>>) -> anyhow::Result<usize> {
        if let Some(at) = self.error.find(bytes) {
            let from = at.saturating_sub(500);
            bail!("the server refuses: {}", String::from_utf8_lossy(&bytes[from..]));
        }
        if told.is_some()
            && self.subject.find(bytes).is_some()
            && let Some(told) = told.take()
        {
            // Nobody waits any more if the run has failed.
            told.send(()).ok();
        }
        let mut done = 0;
        while let Some(at) = self.mark.find(&bytes[done..]) {
            let start = done + at + MARK.len();
            // The rest comes later.
            let Some(digits) = bytes.get(start..start + DIGITS) else { return Ok(done + at) };
            let flight = self.flight.borrow();
            flight.as_ref().context("a message before the first one")?.note(digits)?;
            done = start + DIGITS;
        }
        // A pattern may have begun at the end. The mark is the longest.
        Ok(done.max(bytes.len().saturating_sub(MARK.len() - 1)))
    }
}

/// Reads what comes to one occupant, until that fails.
async fn listen(
    mut reader: ReadHalf<Tls>,
    mut unread: Vec<u8>,
    hall: Rc<Hall>,
    mut told: Option<oneshot::Sender<()>>,
) -> anyhow::Error {
    loop {
        match hall.look(&unread, &mut told) {
            Ok(done) => drop(unread.drain(..done)),
            Err(error) => return error,
        }
        unread.reserve(READ_BYTES);
        match reader.read_buf(&mut unread).await {
            Ok(0) => return anyhow::anyhow!("connection closed"),
            Ok(count) => hall.bytes.set(hall.bytes.get() + count as u64),
            Err(error) => return error.into(),
        }
    }
}

fn micros_since(started: Instant) -> u32 {
    started.elapsed().as_micros().try_into().unwrap_or(u32::MAX)
}

/// In each body, before the number of the message and the time at which it was written.
const MARK: &str = "room stamp ";
const NUMBER_DIGITS: usize = 8;
const STAMP_DIGITS: usize = 10;
const DIGITS: usize = NUMBER_DIGITS + STAMP_DIGITS;
/// Few: there may be thousands of connections.
const READ_BYTES: usize = 4 * 1024;
/// Long: a room with thousands may need its time to let one in.
const STALL: Duration = Duration::from_secs(120);
