//! `devices`: what a message costs that several devices of its recipient get: one as a message, the others
//! as copies (XEP-0280), or all as messages.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use anyhow::{Context, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Connection, Target};
use crate::friends::STALL;
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs; each takes two accounts.
    #[arg(long, default_value_t = 50)]
    pairs: usize,
    /// Devices of each recipient; all have enabled copies.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    devices: u32,
    /// Messages of a pair that are on their way at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Messages in all.
    #[arg(long, default_value_t = 50_000)]
    messages: u64,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let Args { pairs, devices, window, messages, bytes } = args;
    let mut all = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        let (sender, recipient) = (2 * pair + 1, 2 * pair + 2);
        let mut sender = target.login(sender).await?;
        sender.appear(&target.domain).await?;
        let mut connections = Vec::new();
        for device in 0..devices {
            let mut connection = target.login_as(recipient, &format!("device{device}")).await?;
            connection.send(CARBONS).await?;
            connection.expect("carbons").await?;
            connection.appear(&target.domain).await?;
            connections.push(connection);
        }
        all.push((sender, connections, target.address(recipient)));
    }
    let plan = Rc::new(Plan {
        started: Instant::now(),
        left: Cell::new(messages),
        devices,
        window,
        padding: "x".repeat(bytes),
        micros: RefCell::default(),
    });
    let before = meter.sample()?;
    let mut tasks = JoinSet::new();
    for (sender, connections, to) in all {
        tasks.spawn_local(talk(sender, connections, to, Rc::clone(&plan)));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let (elapsed, after) = (plan.started.elapsed(), meter.sample()?);
    let micros = plan.micros.take();
    let (messages, mut report) = (micros.len() as f64, Report::default());
    report.add("messages", messages);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("messages_per_second", messages / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_seconds_per_10000", cpu * 10_000.0 / messages);
    }
    report.add_latencies(micros);
    Ok(report)
}

struct Plan {
    started: Instant,
    left: Cell<u64>,
    devices: u32,
    window: u32,
    padding: String,
    micros: RefCell<Vec<u32>>,
}

/// The messages of one pair that are on their way.
struct Flight {
    arrived: Cell<u32>,
    written: RefCell<VecDeque<Instant>>,
    window: Semaphore,
}

async fn talk(
    sender: Connection,
    devices: Vec<Connection>,
    to: String,
    plan: Rc<Plan>,
) -> anyhow::Result<()> {
    let flight = Rc::new(Flight {
        arrived: Cell::new(0),
        written: RefCell::default(),
        window: Semaphore::new(plan.window as usize),
    });
    let mut readers = JoinSet::new();
    for device in devices {
        readers.spawn_local(listen(device, Rc::clone(&flight), Rc::clone(&plan)));
    }
    let sending = async {
        let (mut stream, _) = sender.into_parts();
        loop {
            let permit = tokio::time::timeout(STALL, flight.window.acquire()).await;
            permit.context("no message gets through any more")??.forget();
            let left = plan.left.get();
            if left == 0 {
                break;
            }
            plan.left.set(left - 1);
            flight.written.borrow_mut().push_back(Instant::now());
            let padding = &plan.padding;
            let text = format!("<message to='{to}' type='chat'><body>{padding}</body></message>");
            stream.write_all(text.as_bytes()).await?;
            stream.flush().await?;
        }
        let rest = tokio::time::timeout(STALL, flight.window.acquire_many(plan.window - 1)).await;
        rest.context("the last messages do not get through")??.forget();
        anyhow::Ok(())
    };
    tokio::select! {
        Some(failed) = readers.join_next() => failed?,
        sent = sending => sent,
    }
}

/// Counts what comes. A message is over when all devices have it, in whichever form.
async fn listen(device: Connection, flight: Rc<Flight>, plan: Rc<Plan>) -> anyhow::Result<()> {
    let (mut stream, mut unread) = device.into_parts();
    loop {
        unread.reserve(16 * 1024);
        if stream.read_buf(&mut unread).await? == 0 {
            bail!("connection closed");
        }
        let mut done = 0;
        while let Some(at) = memmem::find(&unread[done..], BODY_END) {
            done += at + BODY_END.len();
            let arrived = flight.arrived.get() + 1;
            flight.arrived.set(arrived);
            if arrived.is_multiple_of(plan.devices) {
                let written = flight.written.borrow_mut().pop_front().context("too many copies")?;
                plan.micros.borrow_mut().push(written.elapsed().as_micros() as u32);
                flight.window.add_permits(1);
            }
        }
        // An end tag may have come in part.
        let kept = done.max(unread.len().saturating_sub(BODY_END.len() - 1));
        unread.drain(..kept);
    }
}

const BODY_END: &[u8] = b"</body>";
const CARBONS: &str = "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
