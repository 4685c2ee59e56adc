//! `offline`: what a message to somebody absent costs, and its delivery at his next login.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Target;
use crate::report::Report;
use crate::talk::{Manner, Pair, Plan, Side, Until, talk, warm_up};
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs; each takes two accounts, the second of which logs in at the end only.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages of a pair that are not acknowledged (XEP-0198).
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Messages in all; none is sent any more after that.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// No message is sent after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let mut pairs = Vec::with_capacity(args.pairs);
    for (number, mut writer) in (1..).zip(target.login_all(args.pairs).await?) {
        writer.appear(&target.domain).await?;
        writer.manage().await?;
        let absent = target.address(args.pairs + number);
        pairs.push(Pair::new(writer, None, absent));
    }
    let manner = Manner::window(Until::Acknowledged, args.window, args.bytes);
    let pairs = warm_up(pairs, manner).await?;
    let before = meter.sample()?;
    let time = Duration::from_secs(args.seconds);
    let plan = Rc::new(Plan::new(args.messages, time, manner));
    let (pairs, micros) = talk(pairs, &plan).await?;
    let elapsed = plan.started.elapsed();
    let after = meter.sample()?;
    let mut report = Report::default();
    let stored = micros.len() as f64;
    report.add("stored", stored);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("stored_per_second", stored / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_ms_per_stored", cpu * 1000.0 / stored);
    }
    report.add_latencies(micros);
    deliver(&target, &meter, &pairs, &mut report).await?;
    report.add_memory(meter.sample()?);
    Ok(report)
}

/// Logs in all who were absent; then they appear at once, and read all that has waited.
async fn deliver(
    target: &Rc<Target>,
    meter: &Meter,
    pairs: &[Pair],
    report: &mut Report,
) -> anyhow::Result<()> {
    let connections = target.login_range(pairs.len() + 1, pairs.len()).await?;
    let (before, started) = (meter.sample()?, Instant::now());
    let mut readers = JoinSet::new();
    for (connection, pair) in connections.into_iter().zip(pairs) {
        let (mut side, waiting) = (Side::new(connection), pair.sent());
        readers.spawn_local(async move {
            side.write("<presence/>").await?;
            side.read_messages(waiting).await?;
            anyhow::Ok((side, waiting))
        });
    }
    let (mut sides, mut delivered) = (Vec::new(), 0.0);
    while let Some(reader) = readers.join_next().await {
        let (side, waiting) = reader??;
        delivered += f64::from(waiting);
        sides.push(side);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let after = meter.sample()?;
    report.add("delivered", delivered);
    report.add("delivery_seconds", elapsed);
    report.add("delivered_per_second", delivered / elapsed);
    report.add("delivery_own_cpu_share", (after.own_cpu - before.own_cpu) / elapsed);
    if let (Some(before), Some(after)) = (before.server, after.server) {
        report.add("server_cpu_ms_per_delivered", (after.cpu - before.cpu) * 1000.0 / delivered);
    }
    Ok(())
}
