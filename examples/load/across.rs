//! `across`: what a message costs that goes from one server to another.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::client::Target;
use crate::report::Report;
use crate::talk::{Manner, Pair, Plan, Until, talk, warm_up};
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the other server listens for clients.
    #[arg(long)]
    pub(crate) other: SocketAddr,
    /// The domain of its accounts, which are called as those of the first one.
    #[arg(long)]
    pub(crate) other_domain: String,
    /// Its process.
    #[arg(long)]
    other_pid: Option<u32>,
    /// Pairs; each takes one account of each server. Every second one writes in the other direction.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages of a pair that are on their way at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
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

pub(crate) async fn run(
    one: Rc<Target>,
    other: Rc<Target>,
    meter: Meter,
    args: Args,
) -> anyhow::Result<Report> {
    let manner = Manner::window(Until::Received, args.window, args.bytes);
    let here = one.login_all(args.pairs).await?;
    let there = other.login_all(args.pairs).await?;
    let mut pairs = Vec::new();
    for (number, (mut here, mut there)) in here.into_iter().zip(there).enumerate() {
        here.appear(&one.domain).await?;
        there.appear(&other.domain).await?;
        let (writer, reader) = if number % 2 == 0 { (here, there) } else { (there, here) };
        let to = reader.jid.clone();
        pairs.push(Pair::new(writer, Some(reader), to));
    }
    // The link is open afterwards.
    let pairs = warm_up(pairs, manner).await?;
    let other_meter = Meter::new(args.other_pid);
    let (before, other_before) = (meter.sample()?, other_meter.sample()?);
    let plan = Rc::new(Plan::new(args.messages, Duration::from_secs(args.seconds), manner));
    let (pairs, micros) = talk(pairs, &plan).await?;
    let elapsed = plan.started.elapsed();
    let (after, other_after) = (meter.sample()?, other_meter.sample()?);
    drop(pairs);
    let mut report = Report::default();
    let messages = micros.len() as f64;
    report.add("messages", messages);
    let cpu = report.add_cpu(elapsed, before, after);
    report.add("messages_per_second", messages / elapsed.as_secs_f64());
    if let Some(cpu) = cpu {
        report.add("messages_per_cpu_second", messages / cpu);
    }
    if let (Some(before), Some(after)) = (other_before.server, other_after.server) {
        report.add("other_cpu_seconds", after.cpu - before.cpu);
        report.add("other_messages_per_cpu_second", messages / (after.cpu - before.cpu));
    }
    report.add_latencies(micros);
    report.add_memory(after);
    Ok(report)
}
