//! `files`: a large file is uploaded and downloaded again (XEP-0363).

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use crate::client::{Target, between};
use crate::report::Report;
use crate::usage::{Meter, Sample};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Size of the file in MiB.
    #[arg(long, default_value_t = 1024)]
    mebibytes: usize,
    /// Where the server listens for HTTPS.
    #[arg(long)]
    https: SocketAddr,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let (domain, size) = (&target.domain, args.mebibytes << 20);
    let mut connection = target.login(1).await?;
    connection
        .send(&format!(
            "<iq type='get' id='slot' to='upload.{domain}'>\
             <request xmlns='urn:xmpp:http:upload:0' filename='file.bin' size='{size}'/></iq>"
        ))
        .await?;
    let slot = connection.expect("</iq>").await?;
    let path = |tag: &str| -> anyhow::Result<String> {
        let rest = slot.split_once(tag).with_context(|| format!("no slot: {slot}"))?.1;
        let url = between(rest, "url='", "'").or_else(|| between(rest, "url=\"", "\""));
        let url = url.context("a slot without URL")?.replace("&amp;", "&");
        Ok(url.splitn(4, '/').nth(3).context("a URL without path")?.to_owned())
    };
    let (put, get) = (path("<put ")?, path("<get ")?);
    let mut report = Report::default();
    let before = meter.sample()?;
    let mut wire = target.https(args.https).await?;
    let began = Instant::now();
    wire.send(&format!(
        "PUT /{put} HTTP/1.1\r\nHost: {domain}\r\nContent-Length: {size}\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    ))
    .await?;
    let mut content = Content(1);
    for _ in 0..args.mebibytes {
        wire.send_bytes(&content.next_mebibyte()).await?;
    }
    let answer = wire.expect("\r\n\r\n").await?;
    ensure!(answer.starts_with("HTTP/1.1 201"), "the file was not taken: {answer}");
    let uploaded = meter.sample()?;
    let names = ["upload_mib_per_second", "upload_server_cpu_seconds"];
    add(&mut report, names, args.mebibytes, began, (before, uploaded));

    let mut wire = target.https(args.https).await?;
    let began = Instant::now();
    wire.send(&format!("GET /{get} HTTP/1.1\r\nHost: {domain}\r\n\r\n")).await?;
    let head = wire.expect("\r\n\r\n").await?;
    ensure!(head.starts_with("HTTP/1.1 200"), "the file is not given: {head}");
    let mut content = Content(1);
    for _ in 0..args.mebibytes {
        let piece = wire.take_bytes(1 << 20).await?;
        ensure!(piece == content.next_mebibyte(), "the file is another one");
    }
    let downloaded = meter.sample()?;
    let names = ["download_mib_per_second", "download_server_cpu_seconds"];
    add(&mut report, names, args.mebibytes, began, (uploaded, downloaded));
    for (name, sample) in [
        ("rss_kib_before", before),
        ("rss_kib_uploaded", uploaded),
        ("rss_kib_downloaded", downloaded),
    ] {
        if let Some(server) = sample.server {
            report.add(name, server.rss_kib as f64);
        }
    }
    connection.close().await?;
    Ok(report)
}

fn add(
    report: &mut Report,
    [speed, cpu]: [&'static str; 2],
    mebibytes: usize,
    began: Instant,
    (before, after): (Sample, Sample),
) {
    report.add(speed, mebibytes as f64 / began.elapsed().as_secs_f64());
    if let (Some(before), Some(after)) = (before.server, after.server) {
        report.add(cpu, after.cpu - before.cpu);
    }
}

/// Bytes that no compression makes smaller, the same in each run (xorshift, Marsaglia 2003).
struct Content(u64);

impl Content {
    fn next_mebibyte(&mut self) -> Vec<u8> {
        let words = (0..(1 << 20) / 8).flat_map(|_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.to_le_bytes()
        });
        words.collect()
    }
}
