//! `component`: what a message costs that an external component passes on (XEP-0114): two stanzas for the server, one to
//! the component and one from it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use memchr::memmem;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Target, between};
use crate::elements::{self, Element};
use crate::report::Report;
use crate::talk::{Manner, Pair, Plan, Until, talk, warm_up};
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the server listens for components.
    #[arg(long, default_value = "127.0.0.1:5347")]
    component: SocketAddr,
    /// The domain of the component.
    #[arg(long, default_value = "echo.localhost")]
    component_domain: String,
    /// Its secret.
    #[arg(long, default_value = "secret")]
    secret: String,
    /// Pairs; each takes two accounts, and one writes to the other through the component.
    #[arg(long, default_value_t = 20)]
    pairs: usize,
    /// Messages of a pair that are on their way at the same time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Messages in all; none is sent any more after that.
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// No message is sent after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let manner = Manner::window(Until::Received, args.window, args.bytes);
    let component = connect(&args).await?;
    let echo = format!("echo@{}", args.component_domain);
    let passing_on = tokio::task::spawn_local(pass_on(component, echo, target.domain.clone()));
    let mut connections = target.login_all(args.pairs * 2).await?.into_iter();
    let mut pairs = Vec::new();
    while let (Some(mut writer), Some(mut reader)) = (connections.next(), connections.next()) {
        writer.appear(&target.domain).await?;
        reader.appear(&target.domain).await?;
        let local = reader.jid.split('@').next().unwrap_or_default();
        let to = format!("{local}@{}", args.component_domain);
        pairs.push(Pair::new(writer, Some(reader), to));
    }
    let pairs = warm_up(pairs, manner).await?;
    let before = meter.sample()?;
    let plan = Rc::new(Plan::new(args.messages, Duration::from_secs(args.seconds), manner));
    let (pairs, micros) = talk(pairs, &plan).await?;
    let elapsed = plan.started.elapsed();
    let after = meter.sample()?;
    drop(pairs);
    passing_on.abort();
    let mut report = Report::default();
    let stanzas = micros.len() as f64 * 2.0;
    report.add("stanzas", stanzas);
    let cpu = report.add_cpu(elapsed, before, after);
    report.add("stanzas_per_second", stanzas / elapsed.as_secs_f64());
    if let Some(cpu) = cpu {
        report.add("stanzas_per_cpu_second", stanzas / cpu);
    }
    report.add_latencies(micros);
    report.add_memory(after);
    Ok(report)
}

/// Makes the handshake.
async fn connect(args: &Args) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(args.component).await?;
    stream.set_nodelay(true)?;
    let header = format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{}'>",
        args.component_domain
    );
    stream.write_all(header.as_bytes()).await?;
    let said = until(&mut stream, " id=").await?;
    let (said, quote) = match said.contains(" id='") {
        true => (said, "'"),
        false => (said, "\""),
    };
    let id = between(&said, &format!(" id={quote}"), quote).context("a stream without an id")?;
    let proof = Sha1::digest(format!("{id}{}", args.secret));
    let proof: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
    stream.write_all(format!("<handshake>{proof}</handshake>").as_bytes()).await?;
    until(&mut stream, "<handshake").await?;
    Ok(stream)
}

async fn until(stream: &mut TcpStream, mark: &str) -> anyhow::Result<String> {
    let mut read = Vec::new();
    loop {
        let count = tokio::time::timeout(PATIENCE, stream.read_buf(&mut read)).await??;
        anyhow::ensure!(count > 0, "the server closes the stream of the component");
        let text = String::from_utf8_lossy(&read);
        if text.split_once(mark).is_some_and(|(_, rest)| rest.contains('>')) {
            return Ok(text.into_owned());
        }
    }
}

/// Sends each message for `user@component` on to `user` at this domain.
async fn pass_on(mut stream: TcpStream, echo: String, domain: String) -> anyhow::Result<()> {
    let (mut unread, mut out) = (Vec::new(), Vec::new());
    loop {
        unread.reserve(READ_BYTES);
        if stream.read_buf(&mut unread).await? == 0 {
            return Ok(());
        }
        let mut done = 0;
        while let Some((element, length)) = elements::first(&unread[done..])? {
            if let Element::Message(message) = element
                && let Some(user) = recipient(message)
                && let Some(end) = memchr::memchr(b'>', message)
            {
                let open = format!("<message from='{echo}' to='{user}@{domain}/load' type='chat'");
                out.extend_from_slice(open.as_bytes());
                out.extend_from_slice(&message[end..]);
            }
            done += length;
        }
        unread.drain(..done);
        stream.write_all(&out).await?;
        out.clear();
    }
}

/// The local part of the address in `to`.
fn recipient(message: &[u8]) -> Option<&str> {
    let start = memmem::find(message, b" to=")? + 5;
    let rest = &message[start..];
    std::str::from_utf8(&rest[..memchr::memchr(b'@', rest)?]).ok()
}

const READ_BYTES: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
