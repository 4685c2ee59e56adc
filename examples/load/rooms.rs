//! `rooms`: what a message to a room costs for each occupant who gets it (XEP-0045), and how long the last one
//! waits for it.

use std::rc::Rc;
use std::time::Duration;

use crate::client::Target;
use crate::occupants::{Crowd, Plan, Rooms};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rooms. Each has occupants of its own.
    #[arg(long, default_value_t = 10)]
    rooms: usize,
    /// Occupants of each room; each takes an account.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    occupants: u32,
    /// Occupants of each room who write. All others listen.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    speakers: u32,
    /// Messages of a speaker that are on their way at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Messages in all; none is written any more after that. The room sends each to all its occupants.
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// No message is written after this many seconds, an hour at most.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(..=3600))]
    seconds: u64,
    /// Messages a second, of all rooms together, as far as the window allows. Without it, as many as it allows.
    #[arg(long)]
    rate: Option<f64>,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
    /// The domain of the service; by default `conference.` and the domain of the accounts.
    #[arg(long)]
    service: Option<String>,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    anyhow::ensure!(args.rooms > 0, "there must be a room");
    anyhow::ensure!(args.speakers <= args.occupants, "there are fewer occupants than speakers");
    anyhow::ensure!(args.rate.is_none_or(|rate| rate > 0.0), "the rate must be above 0");
    let speakers = args.speakers as usize;
    let service = args.service.unwrap_or_else(|| format!("conference.{}", target.domain));
    let rooms = Rooms { service, count: args.rooms, occupants: args.occupants as usize };
    let mut crowd = Crowd::gather(&target, rooms).await?;
    crowd.enter(ENTER_AT_ONCE).await?;
    let all = (args.rooms * speakers) as f64;
    let pace = args.rate.map(|rate| Duration::from_secs_f64(all / rate));
    // A short run first: buffers grow, code is loaded.
    let warm = Plan::new(WARM_MESSAGES * all as u64, WARM_TIME, args.window, pace, args.bytes);
    crowd.talk(speakers, &warm).await?;
    let (before, bytes) = (meter.sample()?, crowd.bytes());
    let time = Duration::from_secs(args.seconds);
    let plan = Plan::new(args.messages, time, args.window, pace, args.bytes);
    let flight = crowd.talk(speakers, &plan).await?;
    let elapsed = flight.started.elapsed();
    let (after, bytes) = (meter.sample()?, crowd.bytes() - bytes);
    let times = flight.take_times();
    let (messages, delivered) = (times.slowest.len() as f64, times.all.len() as f64);
    let mut report = Report::default();
    report.add("messages", messages);
    report.add("delivered", delivered);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("messages_per_second", messages / elapsed.as_secs_f64());
    report.add("delivered_per_second", delivered / elapsed.as_secs_f64());
    report.add("bytes_per_delivery", bytes as f64 / delivered);
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_seconds_per_100000", cpu * 100_000.0 / delivered);
    }
    report.add_latencies(times.all);
    // Of each message, until half of the occupants had it, and until the last one had it.
    report.add_ranks(["half_p50_ms", "half_p99_ms", "half_max_ms"], times.median);
    report.add_ranks(["slowest_p50_ms", "slowest_p99_ms", "slowest_max_ms"], times.slowest);
    report.add_memory(after);
    Ok(report)
}

const ENTER_AT_ONCE: usize = 8;
const WARM_MESSAGES: u64 = 10;
const WARM_TIME: Duration = Duration::from_secs(10);
