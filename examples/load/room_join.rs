//! `room-join`: many enter one room (XEP-0045 §7.2): how long that takes, and how much everybody is told of the
//! others. If each is told of each other one, that grows with the square of their number.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::client::Target;
use crate::occupants::{Crowd, Plan, Rooms};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Occupants; each takes an account.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(2..))]
    occupants: u32,
    /// Occupants who are on their way into the room at the same time.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    at_once: u32,
    /// The domain of the service; by default `conference.` and the domain of the accounts.
    #[arg(long)]
    service: Option<String>,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let service = args.service.unwrap_or_else(|| format!("conference.{}", target.domain));
    let rooms = Rooms { service, count: 1, occupants: args.occupants as usize };
    let mut crowd = Crowd::gather(&target, rooms).await?;
    let (before, started, bytes) = (meter.sample()?, Instant::now(), crowd.bytes());
    let micros = crowd.enter(args.at_once as usize).await?;
    let entered = started.elapsed();
    // Whoever has a later message has heard of all who came before it.
    crowd.talk(1, &Plan::new(1, STALL, 1, None, 0)).await?;
    let elapsed = started.elapsed();
    let (after, bytes) = (meter.sample()?, (crowd.bytes() - bytes) as f64);
    let (count, mut report) = (micros.len() as f64, Report::default());
    report.add("entered", count);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("seconds_until_all_are_in", entered.as_secs_f64());
    report.add("entered_per_second", count / entered.as_secs_f64());
    report.add("received_mib", bytes / f64::from(1 << 20));
    report.add("received_kib_per_occupant", bytes / 1024.0 / f64::from(args.occupants));
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_ms_per_entry", cpu * 1000.0 / count);
    }
    report.add_latencies(micros);
    report.add_memory(after);
    Ok(report)
}

const STALL: Duration = Duration::from_secs(120);
