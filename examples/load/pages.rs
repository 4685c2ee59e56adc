//! `pages`: what a page of an archive costs (XEP-0313).
//!
//! Each client reads its whole archive backwards, page by page, as one does who scrolls up; then
//! it begins again.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use memchr::memmem;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Connection, Target, between};
use crate::report::Report;
use crate::talk::{Manner, Pair, Plan, Until, talk};
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Clients that read at the same time; an even number.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// Messages in the archive of each before it reads.
    #[arg(long, default_value_t = 4000)]
    messages: usize,
    /// Messages of a page.
    #[arg(long, default_value_t = 50)]
    max: usize,
    /// Seconds to read.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Length of a body.
    #[arg(long, default_value_t = 100)]
    bytes: usize,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    anyhow::ensure!(args.clients.is_multiple_of(2) && args.clients > 0, "clients come in pairs");
    fill(&target, &args).await?;
    let mut clients = Vec::new();
    for mut connection in target.login_all(args.clients).await? {
        connection.appear(&target.domain).await?;
        clients.push(Reader { connection, max: args.max, before: String::new(), pages: 0 });
    }
    // All of it once: it is complete, and in memory.
    let (clients, warm) = read(clients, None).await?;
    let expected = args.clients * args.messages;
    anyhow::ensure!(
        warm.rows * 10 >= expected * 9,
        "the archives hold {} messages of {expected}",
        warm.rows
    );
    let (before, started) = (meter.sample()?, Instant::now());
    let (_clients, found) =
        read(clients, Some(started + Duration::from_secs(args.seconds))).await?;
    let elapsed = started.elapsed();
    let after = meter.sample()?;
    let mut report = Report::default();
    let pages = found.micros.len() as f64;
    report.add("archived", warm.rows as f64);
    report.add("pages", pages);
    report.add("rows_per_page", found.rows as f64 / pages);
    report.add("bytes_per_page", found.bytes as f64 / pages);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("pages_per_second", pages / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_ms_per_page", cpu * 1000.0 / pages);
    }
    report.add_latencies(found.micros);
    report.add_memory(after);
    Ok(report)
}

/// The clients write to each other, in pairs, until their archives hold enough.
async fn fill(target: &Rc<Target>, args: &Args) -> anyhow::Result<()> {
    let pairs = Pair::present(target, args.clients / 2, false).await?;
    let messages = (args.clients / 2 * args.messages) as u64;
    let manner = Manner::window(Until::Received, FILL_WINDOW, args.bytes);
    let plan = Plan::new(messages, FILL_TIME, manner);
    let (pairs, _) = talk(pairs, &Rc::new(plan)).await?;
    for pair in pairs {
        pair.close().await?;
    }
    Ok(())
}

/// One who reads his archive.
struct Reader {
    connection: Connection,
    max: usize,
    /// The id of the oldest message that was read; empty: begin with the newest.
    before: String,
    pages: usize,
}

#[derive(Default)]
struct Found {
    rows: usize,
    bytes: usize,
    micros: Vec<u32>,
}

/// Lets all read at the same time: until `deadline`, or once through everything.
async fn read(
    readers: Vec<Reader>,
    deadline: Option<Instant>,
) -> anyhow::Result<(Vec<Reader>, Found)> {
    let mut all = JoinSet::new();
    for mut reader in readers {
        all.spawn_local(async move {
            let mut found = Found::default();
            loop {
                reader.page(&mut found).await?;
                let is_over = match deadline {
                    Some(deadline) => Instant::now() >= deadline,
                    None => reader.before.is_empty(),
                };
                if is_over {
                    return anyhow::Ok((reader, found));
                }
            }
        });
    }
    let (mut readers, mut total) = (Vec::new(), Found::default());
    while let Some(done) = all.join_next().await {
        let (reader, mut found) = done??;
        readers.push(reader);
        total.rows += found.rows;
        total.bytes += found.bytes;
        total.micros.append(&mut found.micros);
    }
    Ok((readers, total))
}

impl Reader {
    /// Asks for the next older page (XEP-0059 §2.3), and after the oldest for the newest again.
    async fn page(&mut self, found: &mut Found) -> anyhow::Result<()> {
        self.pages += 1;
        let query = format!(
            "<iq type='set' id='p{}'><query xmlns='urn:xmpp:mam:2'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>{}</max><before>{}</before></set>\
             </query></iq>",
            self.pages, self.max, self.before
        );
        let started = Instant::now();
        self.connection.send(&query).await?;
        let page = self.connection.expect("</iq>").await?;
        found.micros.push(started.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
        found.bytes += page.len();
        found.rows += memmem::find_iter(page.as_bytes(), "<result ").count();
        let fin = &page[page.find("<fin").with_context(|| format!("no page: {page}"))?..];
        let tag = &fin[..fin.find('>').unwrap_or(fin.len())];
        let is_complete = tag.contains("complete='true'") || tag.contains("complete=\"true\"");
        self.before = match between(fin, "<first", "</first>") {
            Some(first) if !is_complete => {
                first.split_once('>').context("no id of the oldest message")?.1.to_owned()
            }
            _ => String::new(),
        };
        Ok(())
    }
}

const FILL_WINDOW: u32 = 64;
const FILL_TIME: Duration = Duration::from_secs(300);
