//! `push`: how long after a message a push service hears of it (XEP-0357).
//!
//! The push service is one of the server's own: `pubsub.<domain>`, which takes notifications as any push service does,
//! and tells an account that plays the app's server. The phones register, each with a node of its own, and go. So the time
//! is from before the write of a message until the app's server has read of it, and the work of the service, which is
//! small, is in it.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::{Connection, Target, between};
use crate::elements::Element;
use crate::friends::{Member, read};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Phones that are woken.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    phones: u32,
    /// Messages to each phone.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// The sessions of the phones wait for them (XEP-0198); else nobody is online.
    #[arg(long)]
    resumable: bool,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let Args { phones, rounds, resumable } = args;
    let mut app = target.login(2).await?;
    app.appear(&target.domain).await?;
    register_all(&target, &mut app, phones, resumable).await?;
    let mut writer = target.login(1).await?;
    writer.appear(&target.domain).await?;
    let Member { mut reader, mut writer, mut unread, .. } = Member::new(1, writer);
    let mut app = Member::new(2, app);
    let written = RefCell::new(vec![None::<Instant>; phones as usize]);
    let micros = RefCell::new(Vec::new());
    let reading = async {
        loop {
            let noted = read(&mut app.reader, &mut app.unread, |element| {
                if let Element::Message(message) = element {
                    let took = phone_of(message)
                        .and_then(|phone| written.borrow_mut().get_mut(phone)?.take());
                    let took = took.map(|at| u32::try_from(at.elapsed().as_micros()));
                    micros.borrow_mut().extend(took.and_then(Result::ok));
                }
            });
            if let Err(error) = noted.await {
                return error;
            }
        }
    };
    let (before, started) = (meter.sample()?, Instant::now());
    let writing = write_all(&target, &mut writer, phones, rounds, &written);
    let bounces = async {
        let mut is_error = false;
        loop {
            let noted = read(&mut reader, &mut unread, |element| {
                is_error |= matches!(element, Element::Message(_));
            });
            match noted.await {
                Ok(()) if is_error => return anyhow::anyhow!("a message came back"),
                Ok(()) => {}
                Err(error) => return error,
            }
        }
    };
    tokio::select! {
        done = writing => done?,
        failed = reading => return Err(failed.context("the app's server failed")),
        failed = bounces => return Err(failed.context("the writer failed")),
    }
    let (elapsed, after) = (started.elapsed(), meter.sample()?);
    let (micros, messages) = (micros.take(), phones * rounds);
    ensure!(micros.len() as u32 == messages, "{} of {messages} wake a phone", micros.len());
    let mut report = Report::default();
    report.add("pushes", f64::from(messages));
    if let Some(cpu) = report.add_cpu(elapsed, before, after) {
        report.add("server_cpu_seconds_per_10000", cpu * 10_000.0 / f64::from(messages));
    }
    report.add_latencies(micros);
    Ok(report)
}

/// Writes to all phones, evenly over each period.
async fn write_all(
    target: &Target,
    writer: &mut (impl AsyncWriteExt + Unpin),
    phones: u32,
    rounds: u32,
    written: &RefCell<Vec<Option<Instant>>>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    for round in 0..rounds {
        for phone in 0..phones {
            let share = f64::from(phone) / f64::from(phones);
            sleep_until(started + PERIOD * round + PERIOD.mul_f64(share)).await;
            let to = target.address(account(phone));
            let text = format!("<message to='{to}' type='chat'><body>{round}</body></message>");
            written.borrow_mut()[phone as usize] = Some(Instant::now());
            writer.write_all(text.as_bytes()).await?;
            writer.flush().await?;
        }
    }
    tokio::time::sleep(PERIOD).await;
    Ok(())
}

async fn register_all(
    target: &Target,
    app: &mut Connection,
    phones: u32,
    resumable: bool,
) -> anyhow::Result<()> {
    let service = format!("pubsub.{}", target.domain);
    for phone in 0..phones {
        register(target, app, &service, phone, resumable).await?;
    }
    // Its answer is one tag: nothing of the answers before it is left to be read.
    app.send("<iq type='get' id='registered'><ping xmlns='urn:xmpp:ping'/></iq>").await?;
    app.expect_tag("registered").await?;
    Ok(())
}

/// The app's server makes a node for a phone, and the phone registers with it, and goes.
async fn register(
    target: &Target,
    app: &mut Connection,
    service: &str,
    phone: u32,
    resumable: bool,
) -> anyhow::Result<()> {
    let node = format!("{NODE}{phone}");
    let own = between(&app.jid, "", "/").unwrap_or_default().to_owned();
    let mut form = String::new();
    let kind = "http://jabber.org/protocol/pubsub#node_config";
    for (var, value) in [
        ("FORM_TYPE", kind),
        ("pubsub#publish_model", "open"),
        ("pubsub#persist_items", "false"),
        ("pubsub#send_last_published_item", "never"),
    ] {
        write!(form, "<field var='{var}'><value>{value}</value></field>")?;
    }
    let subscribe = format!("<subscribe node='{node}' jid='{own}'/>");
    let create = format!(
        "<create node='{node}'/><configure><x xmlns='jabber:x:data' type='submit'>{form}</x></configure>"
    );
    for (id, what) in [("create", create), ("subscribe", subscribe)] {
        let pubsub = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{what}</pubsub>");
        // A node that another run has made is as good.
        ask(app, &format!("{id}-{phone}-"), service, &pubsub).await?;
    }
    let mut connection = target.login_as(account(phone), "phone").await?;
    connection.appear(&target.domain).await?;
    let enable = format!("<enable xmlns='urn:xmpp:push:0' jid='{service}' node='{node}'/>");
    connection.send(&format!("<iq type='set' id='wake-me'>{enable}</iq>")).await?;
    let answer = connection.expect_tag("wake-me").await?;
    if !answer.contains("result") {
        bail!("the phone cannot register: {answer}");
    }
    if resumable {
        connection.manage().await?;
        drop(connection);
    } else {
        connection.close().await?;
    }
    Ok(())
}

/// Asks the service, and waits for the answer, whatever it is.
async fn ask(app: &mut Connection, id: &str, to: &str, payload: &str) -> anyhow::Result<()> {
    app.send(&format!("<iq type='set' id='{id}' to='{to}'>{payload}</iq>")).await?;
    let answer = timeout(PATIENCE, app.expect_tag(id)).await;
    answer.with_context(|| format!("no answer of {to}"))??;
    Ok(())
}

/// The phone that a notification is about.
fn phone_of(message: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(message).replace('"', "'");
    between(&text, &format!("node='{NODE}"), "'")?.parse().ok()
}

/// The account of a phone: the first is the writer's, the second that of the app's server.
fn account(phone: u32) -> usize {
    phone as usize + 3
}

/// Before the number of a phone.
const NODE: &str = "load-push-";
/// Between two messages to a phone: a server may wait a second between two notifications to a device.
const PERIOD: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);
