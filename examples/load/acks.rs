//! `acks`: how long a client waits until the server has taken its message over (XEP-0198), and how long
//! the message is on its way to its recipient.
//!
//! The load is fixed and does not wait for answers: a server that is slow for a moment gets
//! messages all the same, and their waiting counts.

use std::rc::Rc;
use std::time::Duration;

use crate::client::Target;
use crate::report::Report;
use crate::talk::{Manner, Pair, Plan, Until, talk};
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs; each takes two accounts. All use stream management.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages a second, of all pairs together, each followed by `<r/>` in the same write.
    #[arg(long, default_value_t = 300.0)]
    rate: f64,
    /// Seconds to go on.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    anyhow::ensure!(args.rate > 0.0, "the rate must be above 0");
    let pairs = Pair::present(&target, args.pairs, true).await?;
    let manner = Manner {
        ask_every: 1,
        pace: Some(Duration::from_secs_f64(args.pairs as f64 / args.rate)),
        ..Manner::window(Until::Acknowledged, NEVER_FULL, args.bytes)
    };
    // As long as everybody needs to have had his turn a few times.
    let warm = Rc::new(Plan::new(u64::MAX, WARM_TIME, manner));
    let (pairs, _) = talk(pairs, &warm).await?;
    let before = meter.sample()?;
    let plan = Rc::new(Plan::new(u64::MAX, Duration::from_secs(args.seconds), manner));
    let (pairs, micros) = talk(pairs, &plan).await?;
    let elapsed = plan.started.elapsed();
    let after = meter.sample()?;
    drop(pairs);
    let mut report = Report::default();
    report.add("messages", micros.len() as f64);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("messages_per_second", micros.len() as f64 / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_us_per_message", cpu * 1e6 / micros.len() as f64);
    }
    report.add_latencies(micros);
    report.add_arrivals(plan.take_arrivals());
    report.add_memory(after);
    Ok(report)
}

const NEVER_FULL: u32 = 100_000;
const WARM_TIME: Duration = Duration::from_secs(2);
