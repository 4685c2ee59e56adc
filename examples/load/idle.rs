//! `idle`: what a connection costs that does nothing.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::bosh;
use crate::capabilities::Capabilities;
use crate::client::{Connection, Target, Transport};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Connections, one per account.
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// Connections made and closed before the first look, so that late loading is not counted.
    #[arg(long, default_value_t = 5)]
    warm: usize,
    /// Each client uses what modern clients do: capabilities with nodes that it wants to hear of (XEP-0115, XEP-0163),
    /// carbons (XEP-0280), stream management with resumption (XEP-0198), and nobody looks at it (XEP-0352). Over BOSH
    /// it has no effect. With `--mechanism sasl2-scram-sha-1`, it also logs in by XEP-0388 and XEP-0386.
    #[arg(long)]
    modern: bool,
    /// Seconds of rest before each look at the server's memory.
    #[arg(long, default_value_t = 5)]
    settle: u64,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let settle = Duration::from_secs(args.settle);
    for connection in Idle::present(&target, args.warm, args.modern).await? {
        connection.close().await?;
    }
    tokio::time::sleep(settle).await;
    let before = meter.sample()?;
    let connections = Idle::present(&target, args.count, args.modern).await?;
    tokio::time::sleep(settle).await;
    let rested = meter.sample()?;
    let started = Instant::now();
    tokio::time::sleep(settle).await;
    let after = meter.sample()?;
    let mut report = Report::default();
    report.add("connections", connections.len() as f64);
    report.add_cpu(started.elapsed(), rested, after);
    if let (Some(before), Some(after)) = (before.server, after.server) {
        let each = |after: u64, before: u64| (after as f64 - before as f64) / args.count as f64;
        report.add("rss_kib_per_connection", each(after.rss_kib, before.rss_kib));
        report.add("pss_kib_per_connection", each(after.pss_kib, before.pss_kib));
        report.add("server_rss_kib_before", before.rss_kib as f64);
    }
    report.add_memory(after);
    for connection in connections {
        connection.close().await?;
    }
    Ok(report)
}

/// A client that does nothing.
enum Idle {
    Bosh(Box<bosh::Session>),
    Stream(Connection),
}

impl Idle {
    /// Logs in, sends initial presence, and waits until the server has dealt with it.
    async fn present(target: &Rc<Target>, count: usize, modern: bool) -> anyhow::Result<Vec<Self>> {
        if target.transport == Transport::Bosh {
            let sessions = bosh::present(target, count).await?;
            return Ok(sessions.into_iter().map(|session| Self::Bosh(Box::new(session))).collect());
        }
        let mut connections = target.login_all(count).await?;
        let capabilities = Capabilities::of_a_client();
        for connection in &mut connections {
            match modern {
                true => be_modern(connection, &capabilities, &target.domain).await?,
                false => connection.appear(&target.domain).await?,
            }
        }
        Ok(connections.into_iter().map(Self::Stream).collect())
    }

    /// Closes the stream. A session of BOSH is left to its end.
    async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Bosh(session) => drop(session),
            Self::Stream(connection) => connection.close().await?,
        }
        Ok(())
    }
}

/// Appears with capabilities, and enables what modern clients do.
async fn be_modern(
    connection: &mut Connection,
    capabilities: &Capabilities,
    domain: &str,
) -> anyhow::Result<()> {
    capabilities.appear(connection, domain).await?;
    connection
        .send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        .await?;
    connection.expect_tag("carbons").await?;
    connection.manage().await?;
    connection.send("<inactive xmlns='urn:xmpp:csi:0'/>").await
}
