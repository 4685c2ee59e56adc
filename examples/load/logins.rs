//! `logins`: what a full login costs.

use std::cell::Cell;
use std::rc::Rc;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Target;
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Logins in all.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Logins at the same time.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// Accounts to take turns; at least as many as logins at the same time.
    #[arg(long, default_value_t = 100)]
    accounts: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    anyhow::ensure!(
        (1..=args.accounts).contains(&args.concurrency),
        "one account can log in only once at a time"
    );
    // Loads what the server loads late, and derives our keys.
    many(&target, args.accounts, args.concurrency, args.accounts).await?;
    let before = meter.sample()?;
    let started = Instant::now();
    let micros = many(&target, args.count, args.concurrency, args.accounts).await?;
    let elapsed = started.elapsed();
    let after = meter.sample()?;
    let mut report = Report::default();
    report.add("logins", micros.len() as f64);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("logins_per_second", micros.len() as f64 / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_ms_per_login", cpu * 1000.0 / micros.len() as f64);
    }
    report.add_latencies(micros);
    report.add_memory(after);
    Ok(report)
}

/// Logs in and out `count` times; returns the microseconds of each, without the logout.
async fn many(
    target: &Rc<Target>,
    count: usize,
    concurrency: usize,
    accounts: usize,
) -> anyhow::Result<Vec<u32>> {
    let left = Rc::new(Cell::new(count));
    let mut workers = JoinSet::new();
    for worker in 0..concurrency {
        let (target, left) = (Rc::clone(target), Rc::clone(&left));
        workers.spawn_local(async move {
            let mut micros = Vec::new();
            // Every worker has accounts of its own: no login ever replaces another.
            let mut own = (worker + 1..=accounts).step_by(concurrency).cycle();
            while left.get() > 0 {
                left.set(left.get() - 1);
                let account = own.next().expect("there are more accounts than workers");
                let started = Instant::now();
                let connection = target.login(account).await?;
                micros.push(started.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
                connection.close().await?;
            }
            anyhow::Ok(micros)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(micros) = workers.join_next().await {
        all.append(&mut micros??);
    }
    Ok(all)
}
