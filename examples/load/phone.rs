//! `phone`: what comes to an idle phone whose contacts are busy, with and without XEP-0352.
//!
//! In ten minutes each contact changes its presence five times, is seen to write and to stop writing three
//! times, and publishes an item twice. One message comes in ten minutes.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::capabilities::{Capabilities, TUNE};
use crate::client::{Target, between};
use crate::elements::Element;
use crate::friends::{Circle, Member, read};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Contacts of the phone.
    #[arg(long, default_value_t = 50)]
    contacts: usize,
    /// How long to watch.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The phone says that nobody looks at it (XEP-0352).
    #[arg(long)]
    csi: bool,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let Args { contacts, seconds, csi } = args;
    let capabilities = Capabilities::of_a_client();
    let circle = Circle::Star { accounts: contacts + 1 };
    let mut members = Member::all_online(&target, circle, Some(&capabilities)).await?;
    let mut phone = members.remove(0);
    if csi {
        phone.writer.write_all(b"<inactive xmlns='urn:xmpp:csi:0'/>").await?;
        phone.writer.flush().await?;
    }
    let started = Instant::now();
    let end = started + Duration::from_secs(seconds);
    let (to, mut tasks) = (target.address(1), JoinSet::new());
    for (place, member) in members.into_iter().enumerate() {
        let (to, element) = (to.clone(), capabilities.element.clone());
        tasks.spawn_local(be_busy(member, place, contacts, to, element, started));
    }
    let before = meter.sample()?;
    let seen = tokio::select! {
        seen = watch(phone, end) => seen?,
        Some(failed) = tasks.join_next() => {
            failed??;
            anyhow::bail!("a contact has gone");
        }
    };
    let (hours, mut report) = (seconds as f64 / 3600.0, Report::default());
    report.add_cpu(started.elapsed(), before, meter.sample()?);
    report.add("bytes_per_hour", seen.bytes as f64 / hours);
    report.add("stanzas_per_hour", f64::from(seen.stanzas) / hours);
    report.add("messages_with_body_per_hour", f64::from(seen.bodies) / hours);
    report.add("presences_per_hour", f64::from(seen.presences) / hours);
    report.add(
        "events_per_hour",
        f64::from(seen.stanzas - seen.presences - seen.requests - seen.bodies) / hours,
    );
    report.add("requests_per_hour", f64::from(seen.requests) / hours);
    report.add("wake_ups_per_hour", f64::from(seen.wake_ups) / hours);
    report.add("awake_share", seen.awake.as_secs_f64() / seconds as f64);
    Ok(report)
}

#[derive(Default)]
struct Seen {
    bytes: usize,
    stanzas: u32,
    bodies: u32,
    presences: u32,
    requests: u32,
    /// How often the radio was asleep when something came.
    wake_ups: u32,
    /// How long the radio was awake.
    awake: Duration,
}

/// Counts what comes to the phone until `end`, and answers pings.
async fn watch(phone: Member, end: Instant) -> anyhow::Result<Seen> {
    let Member { mut reader, mut writer, mut unread, .. } = phone;
    let (mut seen, mut last) = (Seen::default(), None::<Instant>);
    loop {
        let mut answers = String::new();
        let mut bytes = 0;
        let reading = read(&mut reader, &mut unread, |element| {
            seen.stanzas += 1;
            match element {
                Element::Message(message) => {
                    bytes += message.len();
                    seen.bodies += u32::from(memchr::memmem::find(message, b"<body").is_some());
                }
                Element::Presence(presence) => {
                    bytes += presence.len();
                    seen.presences += 1;
                }
                Element::Iq(iq) => {
                    bytes += iq.len();
                    seen.requests += 1;
                    answers.push_str(&answer(iq));
                }
                Element::Acknowledged(_) | Element::Asked => {}
            }
        });
        tokio::select! {
            read = reading => read?,
            () = sleep_until(end) => return Ok(seen),
        }
        seen.bytes += bytes;
        let since = last.map_or(Duration::MAX, |last| last.elapsed());
        seen.wake_ups += u32::from(since > AWAKE);
        // It stays awake for a while after this; what the last data had given it ends here.
        seen.awake += AWAKE;
        seen.awake -= last.map_or(Duration::ZERO, |_| AWAKE.saturating_sub(since));
        last = Some(Instant::now());
        if !answers.is_empty() {
            writer.write_all(answers.as_bytes()).await?;
            writer.flush().await?;
        }
    }
}

/// The answer to a request; nothing for what is an answer itself.
fn answer(iq: &[u8]) -> String {
    let text = String::from_utf8_lossy(iq);
    let tag = text.split('>').next().unwrap_or_default().replace('"', "'");
    match (between(&tag, " type='", "'"), between(&tag, " id='", "'")) {
        (Some("get" | "set"), Some(id)) => format!("<iq type='result' id='{id}'/>"),
        _ => String::new(),
    }
}

/// A contact: what it does is spread evenly over ten minutes, and not at the same moments as what others do.
async fn be_busy(
    member: Member,
    place: usize,
    contacts: usize,
    to: String,
    element: String,
    started: Instant,
) -> anyhow::Result<()> {
    let Member { mut reader, mut writer, mut unread, .. } = member;
    let reading = async {
        loop {
            if let Err(error) = read(&mut reader, &mut unread, |_| ()).await {
                return error;
            }
        }
    };
    let acting = async {
        for number in 0_u32.. {
            let slot = number as usize % SLOTS.len();
            let share = PERIOD.mul_f64(place as f64 / contacts as f64 / SLOTS.len() as f64);
            sleep_until(started + PERIOD / SLOTS.len() as u32 * number + share).await;
            let text = match SLOTS[slot] {
                Act::Presence => {
                    format!("<presence><status>{number}</status>{element}</presence>")
                }
                Act::State(state) => format!(
                    "<message to='{to}' type='chat'>\
                     <{state} xmlns='http://jabber.org/protocol/chatstates'/></message>"
                ),
                Act::Item => format!(
                    "<iq type='set' id='item{number}'>\
                     <pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{TUNE}'>\
                     <item id='current'><tune xmlns='{TUNE}'><title>{number}</title></tune></item>\
                     </publish></pubsub></iq>"
                ),
                Act::Message if place == 0 => format!(
                    "<message to='{to}' type='chat'><body>Are you there? {number}</body></message>"
                ),
                Act::Message => continue,
            };
            writer.write_all(text.as_bytes()).await?;
            writer.flush().await?;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        done = acting => done,
        failed = reading => Err(failed),
    }
}

#[derive(Clone, Copy)]
enum Act {
    Item,
    Message,
    Presence,
    State(&'static str),
}

/// What a contact does in [`PERIOD`], one after another.
const SLOTS: [Act; 14] = [
    Act::Presence,
    Act::State("composing"),
    Act::State("paused"),
    Act::Item,
    Act::Presence,
    Act::State("composing"),
    Act::Presence,
    Act::State("paused"),
    Act::Message,
    Act::Presence,
    Act::Item,
    Act::State("composing"),
    Act::State("paused"),
    Act::Presence,
];
const PERIOD: Duration = Duration::from_secs(600);
/// So long a phone's radio stays awake after data.
const AWAKE: Duration = Duration::from_secs(10);
