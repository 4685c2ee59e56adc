//! `chat`: what a message costs.

use std::rc::Rc;
use std::time::Duration;

use crate::client::Target;
use crate::report::Report;
use crate::talk::{Manner, Pair, Plan, Until, talk, warm_up};
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs; each takes two accounts.
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
    /// Everybody uses stream management (XEP-0198): the sender asks for an acknowledgement twice
    /// in a window, and a message counts when it has arrived and is acknowledged.
    #[arg(long)]
    sm: bool,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let until = if args.sm { Until::Both } else { Until::Received };
    let manner = Manner::window(until, args.window, args.bytes);
    let pairs = Pair::present(&target, args.pairs, args.sm).await?;
    let pairs = warm_up(pairs, manner).await?;
    let before = meter.sample()?;
    let time = Duration::from_secs(args.seconds);
    let plan = Rc::new(Plan::new(args.messages, time, manner));
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
