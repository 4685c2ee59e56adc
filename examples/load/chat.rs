//! `chat`: what a message costs.
//!
//! Sender and receiver of a pair live in this process, so the receipt of a message opens the
//! sender's window without anything on the wire. Each message is a write of its own, as with
//! real clients.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::client::{Connection, Target};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs; each takes two accounts.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages of a pair that are on their way at the same time.
    #[arg(long, default_value_t = 8)]
    window: usize,
    /// Messages in all; none is sent any more after that.
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// No message is sent after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let mut connections = target.login_all(args.pairs * 2).await?;
    for connection in &mut connections {
        connection.appear(&target.domain).await?;
    }
    // A short run first: buffers grow, code is loaded.
    let mut pairs = Vec::new();
    let mut rest = connections.into_iter();
    while let (Some(sender), Some(receiver)) = (rest.next(), rest.next()) {
        pairs.push(Pair::new(sender, receiver));
    }
    let warm = Rc::new(Plan::new(args.pairs as u64 * WARM_MESSAGES, WARM_TIME, &args));
    let (pairs, _) = talk(pairs, &warm).await?;
    let before = meter.sample()?;
    let time = Duration::from_secs(args.seconds);
    let plan = Rc::new(Plan::new(args.messages, time, &args));
    let (pairs, micros) = talk(pairs, &plan).await?;
    let elapsed = plan.started.elapsed();
    let after = meter.sample()?;
    drop(pairs);
    let mut report = Report::default();
    let messages = micros.len() as f64;
    report.add("messages", messages);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("messages_per_second", messages / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_seconds_per_10000", cpu * 10_000.0 / messages);
    }
    report.add_latencies(micros);
    report.add_memory(after);
    Ok(report)
}

/// How long to go on, and what is left to send.
struct Plan {
    started: Instant,
    deadline: Instant,
    left: Cell<u64>,
    window: usize,
    bytes: usize,
}

impl Plan {
    fn new(messages: u64, time: Duration, args: &Args) -> Self {
        let started = Instant::now();
        let (window, bytes) = (args.window, args.bytes);
        Self { started, deadline: started + time, left: Cell::new(messages), window, bytes }
    }

    /// Takes one message from those that are left.
    fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0 && Instant::now() < self.deadline
    }
}

struct Pair {
    sender: (ReadHalf<Tls>, WriteHalf<Tls>),
    /// The write half is only kept so that the connection stays open.
    receiver: (ReadHalf<Tls>, WriteHalf<Tls>),
    to: String,
}

type Tls = TlsStream<TcpStream>;

impl Pair {
    fn new(sender: Connection, receiver: Connection) -> Self {
        let to = receiver.jid.clone();
        let split = |connection: Connection| tokio::io::split(connection.into_stream());
        Self { sender: split(sender), receiver: split(receiver), to }
    }

    /// Sends until the plan is fulfilled and everything sent has arrived. Returns the
    /// microseconds that each message took.
    async fn talk(&mut self, plan: &Plan) -> anyhow::Result<Vec<u32>> {
        let window = Semaphore::new(plan.window);
        let mut micros = Vec::new();
        tokio::select! {
            answer = refusal(&mut self.sender.0) => bail!("the sender got {}", answer?),
            failed = receive(&mut self.receiver.0, plan, &window, &mut micros) => {
                return Err(failed.context("the receiver failed"));
            }
            sent = send(&mut self.sender.1, &self.to, plan, &window) => sent?,
        }
        Ok(micros)
    }
}

/// Sends messages as the window allows, then waits until the window is open in full again:
/// everything has arrived.
async fn send(
    writer: &mut WriteHalf<Tls>,
    to: &str,
    plan: &Plan,
    window: &Semaphore,
) -> anyhow::Result<()> {
    let mut message = String::new();
    loop {
        let permit = tokio::time::timeout(STALL, window.acquire()).await;
        permit.context("no message arrives any more")??.forget();
        if !plan.take() {
            break;
        }
        let sent = plan.started.elapsed().as_micros();
        message.clear();
        write!(message, "<message type='chat' id='m{sent}' to='{to}'><body>{sent:0>12}")?;
        message.extend(std::iter::repeat_n('x', plan.bytes.saturating_sub(STAMP_BYTES)));
        message.push_str("</body></message>");
        writer.write_all(message.as_bytes()).await?;
        writer.flush().await?;
    }
    let all = u32::try_from(plan.window.saturating_sub(1))?;
    let rest = tokio::time::timeout(STALL, window.acquire_many(all)).await;
    rest.context("the last messages do not arrive")??.forget();
    Ok(())
}

/// Takes messages off the wire, notes how long each took, and opens the window.
async fn receive(
    reader: &mut ReadHalf<Tls>,
    plan: &Plan,
    window: &Semaphore,
    micros: &mut Vec<u32>,
) -> anyhow::Error {
    let mut unread = Vec::with_capacity(READ_BYTES);
    loop {
        match reader.read_buf(&mut unread).await {
            Ok(0) => return anyhow::anyhow!("connection closed"),
            Ok(_) => {}
            Err(error) => return error.into(),
        }
        let now = plan.started.elapsed().as_micros();
        let mut done = 0;
        while let Some(length) = memmem::find(&unread[done..], b"</message>") {
            let end = done + length + "</message>".len();
            match sent_at(&unread[done..end]) {
                Some(sent) => micros.push((now - sent).try_into().unwrap_or(u32::MAX)),
                None => {
                    let message = String::from_utf8_lossy(&unread[done..end]).into_owned();
                    return anyhow::anyhow!("a message that nobody sent: {message}");
                }
            }
            window.add_permits(1);
            done = end;
        }
        unread.drain(..done);
    }
}

/// The microseconds at the beginning of the body.
fn sent_at(message: &[u8]) -> Option<u128> {
    let body = &message[memmem::find(message, b"<body>")? + "<body>".len()..];
    std::str::from_utf8(body.get(..STAMP_BYTES)?).ok()?.parse().ok()
}

/// Reads until a message or an error comes for somebody whom nobody writes to.
async fn refusal(reader: &mut ReadHalf<Tls>) -> anyhow::Result<String> {
    let mut unread = Vec::new();
    loop {
        let count = reader.read_buf(&mut unread).await?;
        let is_refusal = [&b"<message"[..], b"<stream:error", b"</stream:stream"]
            .iter()
            .any(|tag| memmem::find(&unread, tag).is_some());
        if count == 0 || is_refusal {
            return Ok(String::from_utf8_lossy(&unread).into_owned());
        }
    }
}

/// Lets all pairs talk at the same time.
async fn talk(pairs: Vec<Pair>, plan: &Rc<Plan>) -> anyhow::Result<(Vec<Pair>, Vec<u32>)> {
    let mut talks = JoinSet::new();
    for mut pair in pairs {
        let plan = Rc::clone(plan);
        talks.spawn_local(async move {
            let micros = pair.talk(&plan).await?;
            anyhow::Ok((pair, micros))
        });
    }
    let (mut pairs, mut all) = (Vec::new(), Vec::new());
    while let Some(talk) = talks.join_next().await {
        let (pair, mut micros) = talk??;
        pairs.push(pair);
        all.append(&mut micros);
    }
    Ok((pairs, all))
}

const WARM_MESSAGES: u64 = 20;
const WARM_TIME: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(20);
const STAMP_BYTES: usize = 12;
const READ_BYTES: usize = 16 * 1024;
