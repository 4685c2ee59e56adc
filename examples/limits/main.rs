//! The limits of the machine: what TLS alone costs, without any XMPP.
//!
//! The program starts itself a second time as the server: one thread, tokio, rustls, the same
//! settings of TLS as Waxwing, and no protocol. What that server needs for a handshake, an idle
//! connection and a relayed message is the least that a server built on these libraries can need.
//! `docs/performance.md` gives the figures of Waxwing as ratios to these.

#![expect(clippy::print_stdout, reason = "the report is the purpose of this program")]

#[allow(dead_code, reason = "the load generator uses all of it")]
#[path = "../load/report.rs"]
mod report;
mod server;
#[path = "../load/tls.rs"]
mod tls;
#[path = "../load/usage.rs"]
mod usage;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::report::Report;
use crate::tls::client_config;
use crate::usage::Meter;

#[derive(Parser)]
#[command(about = "Measures what TLS alone costs on this machine")]
struct Args {
    /// Handshakes, without resumption, eight at a time.
    #[arg(long, default_value_t = 2000)]
    handshakes: usize,
    /// Idle connections.
    #[arg(long, default_value_t = 1000)]
    idle: usize,
    /// Pairs of connections for the relay.
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Messages that are relayed as fast as possible, eight in flight in each pair.
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// Messages a second, over all pairs, that are relayed at a fixed rate for ten seconds.
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Measure handshakes, and nothing else.
    #[arg(long)]
    handshakes_only: bool,
    /// The core to which the server is pinned, by `taskset`. The client stays where this program is.
    #[arg(long)]
    server_core: Option<usize>,
    /// Report as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Be the server; the program calls this itself.
    Serve,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    if args.role.is_some() {
        return tasks.block_on(&runtime, server::serve());
    }
    let program = std::env::current_exe()?;
    let mut command = match args.server_core {
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    };
    let mut child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let report = tasks.block_on(&runtime, measure(&args, &mut child));
    child.kill()?;
    child.wait()?;
    let report = report?;
    if args.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn measure(args: &Args, child: &mut Child) -> anyhow::Result<Report> {
    let address = server::address_from(child)?;
    let meter = Meter::new(Some(child.id()));
    let client = Client { address, tls: TlsConnector::from(Arc::new(client_config()?)) };
    let mut report = Report::default();

    report.add("handshake_cpu_ms", handshakes(&client, &meter, args.handshakes).await?);
    if args.handshakes_only {
        return Ok(report);
    }

    tokio::time::sleep(SETTLE).await;
    let before = meter.sample()?;
    let idle = client.connect_all(args.idle).await?;
    tokio::time::sleep(SETTLE).await;
    let after = meter.sample()?;
    let rss = |sample: usage::Sample| sample.server.map_or(0.0, |server| server.rss_kib as f64);
    report.add("idle_connection_kib", (rss(after) - rss(before)) / args.idle as f64);
    drop(idle);

    let pairs = client.pairs(args.pairs).await?;
    let started = Instant::now();
    let before = meter.sample()?;
    let (pairs, relayed) = relay(pairs, args.messages / args.pairs).await?;
    let after = meter.sample()?;
    report.add("relay_messages_per_second", relayed as f64 / started.elapsed().as_secs_f64());
    report.add("relay_cpu_s_per_10000", server_cpu(before, after) * 10_000.0 / relayed as f64);

    let before = meter.sample()?;
    let sent = paced(pairs, args.rate).await?;
    let after = meter.sample()?;
    report.add("paced_messages_per_second", f64::from(args.rate));
    report.add("paced_cpu_s_per_10000", server_cpu(before, after) * 10_000.0 / sent as f64);
    Ok(report)
}

/// Milliseconds of server CPU for a handshake, as the mean of so many.
async fn handshakes(client: &Client, meter: &Meter, count: usize) -> anyhow::Result<f64> {
    drop(client.connect_all(5).await?); // what is loaded at the first use is not counted
    let before = meter.sample()?;
    let mut left = count;
    while left > 0 {
        let count = left.min(8);
        drop(client.connect_all(count).await?);
        left -= count;
    }
    let cpu = server_cpu(before, meter.sample()?);
    Ok(cpu * 1000.0 / count as f64)
}

fn server_cpu(before: usage::Sample, after: usage::Sample) -> f64 {
    let cpu = |sample: usage::Sample| sample.server.map_or(0.0, |server| server.cpu);
    cpu(after) - cpu(before)
}

/// Two connections: what one writes, the other reads.
type Pair = (TlsStream<TcpStream>, BufReader<TlsStream<TcpStream>>);

struct Client {
    address: SocketAddr,
    tls: TlsConnector,
}

impl Client {
    async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let mut tls = self.tls.connect(ServerName::try_from("localhost")?, stream).await?;
        // The answer shows that the server has done its part of the handshake.
        tls.write_all(b"?").await?;
        tls.read_exact(&mut [0]).await?;
        Ok(tls)
    }

    async fn connect_all(&self, count: usize) -> anyhow::Result<Vec<TlsStream<TcpStream>>> {
        let mut open = Vec::with_capacity(count);
        while open.len() < count {
            let next = (count - open.len()).min(8);
            open.extend(
                futures_util::future::try_join_all((0..next).map(|_| self.connect())).await?,
            );
        }
        Ok(open)
    }

    async fn pairs(&self, count: usize) -> anyhow::Result<Vec<Pair>> {
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (mut one, mut other) = (self.connect().await?, self.connect().await?);
            // The server joins the two that ask for it one after the other.
            one.write_all(b"+").await?;
            one.read_exact(&mut [0]).await?;
            other.write_all(b"+").await?;
            other.read_exact(&mut [0]).await?;
            pairs.push((one, BufReader::new(other)));
        }
        Ok(pairs)
    }
}

/// Each pair relays `count` messages with [`WINDOW`] in flight.
async fn relay(pairs: Vec<Pair>, count: usize) -> anyhow::Result<(Vec<Pair>, usize)> {
    let mut running = JoinSet::new();
    for (mut sender, mut reader) in pairs {
        running.spawn_local(async move {
            let (mut sent, mut received) = (0, 0);
            let mut message = vec![0; MESSAGE.len()];
            while received < count {
                while sent < count && sent - received < WINDOW {
                    sender.write_all(MESSAGE).await?;
                    sent += 1;
                }
                sender.flush().await?;
                reader.read_exact(&mut message).await?;
                received += 1;
            }
            anyhow::Ok((sender, reader))
        });
    }
    let mut pairs = Vec::new();
    while let Some(done) = running.join_next().await {
        pairs.push(done.context("a pair ended")??);
    }
    let relayed = pairs.len() * count;
    Ok((pairs, relayed))
}

/// The pairs take turns; each message is read before the next one is sent. Answers how many.
async fn paced(mut pairs: Vec<Pair>, rate: u32) -> anyhow::Result<usize> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let count = rate as usize * PACED.as_secs() as usize;
    let mut message = vec![0; MESSAGE.len()];
    for number in 0..count {
        ticks.tick().await;
        let turn = number % pairs.len();
        let (sender, reader) = &mut pairs[turn];
        sender.write_all(MESSAGE).await?;
        sender.flush().await?;
        reader.read_exact(&mut message).await?;
    }
    Ok(count)
}

/// About the size of a chat message of 100 bytes as the load generator sends it.
const MESSAGE: &[u8] = &[b'm'; 220];
/// Messages in flight in a pair.
const WINDOW: usize = 8;
/// How long messages are sent at a fixed rate.
const PACED: Duration = Duration::from_secs(10);
/// Rest before each look at the server's memory.
const SETTLE: Duration = Duration::from_secs(3);
