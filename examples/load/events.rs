//! `events`: what it costs to tell contacts of an item that an account has published (XEP-0163), beside as
//! many messages.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use anyhow::Context;
use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::capabilities::{Capabilities, TUNE};
use crate::client::Target;
use crate::elements::Element;
use crate::friends::{Circle, Member, STALL, read};
use crate::report::Report;
use crate::usage::Meter;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Contacts of the account that publishes; all want to hear of it.
    #[arg(long, default_value_t = 100)]
    contacts: usize,
    /// Items to publish.
    #[arg(long, default_value_t = 1000)]
    items: u64,
    /// Items that are on their way at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Send a message to each contact instead of publishing an item.
    #[arg(long)]
    as_messages: bool,
}

pub(crate) async fn run(target: Rc<Target>, meter: Meter, args: Args) -> anyhow::Result<Report> {
    let Args { contacts, items, window, as_messages } = args;
    let capabilities = Capabilities::of_a_client();
    let circle = Circle::Star { accounts: contacts + 1 };
    let mut members = Member::all_online(&target, circle, Some(&capabilities)).await?;
    let publisher = members.remove(0);
    let addresses = as_messages.then(|| (2..=contacts + 1).map(|n| target.address(n)).collect());
    let flight = Rc::new(Flight {
        contacts: contacts as u64,
        arrived: Cell::new(0),
        written: RefCell::default(),
        micros: RefCell::default(),
        window: Semaphore::new(window as usize),
    });
    let mut readers = JoinSet::new();
    for mut member in members {
        let flight = Rc::clone(&flight);
        readers.spawn_local(async move {
            loop {
                let noted = read(&mut member.reader, &mut member.unread, |element| {
                    if let Element::Message(message) = element {
                        flight.note(message);
                    }
                });
                if let Err(error) = noted.await {
                    return error;
                }
            }
        });
    }
    let mut publisher = Publisher { member: publisher, addresses, number: 0 };
    // A few first: the node is made, buffers grow.
    publisher.publish(&flight, &mut readers, WARM, window).await?;
    flight.micros.take();
    let (before, started) = (meter.sample()?, Instant::now());
    publisher.publish(&flight, &mut readers, items, window).await?;
    let (elapsed, after) = (started.elapsed(), meter.sample()?);
    let (delivered, mut report) = ((items * flight.contacts) as f64, Report::default());
    report.add("delivered", delivered);
    let server_cpu = report.add_cpu(elapsed, before, after);
    report.add("delivered_per_second", delivered / elapsed.as_secs_f64());
    if let Some(cpu) = server_cpu {
        report.add("server_cpu_seconds_per_10000", cpu * 10_000.0 / delivered);
    }
    report.add_latencies(flight.micros.take());
    Ok(report)
}

struct Publisher {
    member: Member,
    /// To whom messages go; `None` if items are published.
    addresses: Option<Vec<String>>,
    number: u64,
}

impl Publisher {
    async fn publish(
        &mut self,
        flight: &Flight,
        readers: &mut JoinSet<anyhow::Error>,
        items: u64,
        window: u32,
    ) -> anyhow::Result<()> {
        let Self { member, addresses, number } = self;
        let Member { reader, writer, unread, .. } = member;
        let sending = async {
            for _ in 0..items {
                let permit = tokio::time::timeout(STALL, flight.window.acquire()).await;
                permit.context("nothing gets through any more")??.forget();
                *number += 1;
                flight.written.borrow_mut().push_back(Instant::now());
                writer.write_all(text(*number, addresses.as_deref()).as_bytes()).await?;
                writer.flush().await?;
            }
            let rest = tokio::time::timeout(STALL, flight.window.acquire_many(window)).await;
            rest.context("the last items do not get through")??.forget();
            flight.window.add_permits(window as usize);
            anyhow::Ok(())
        };
        let reading = async {
            loop {
                if let Err(error) = read(reader, unread, |_| ()).await {
                    return error;
                }
            }
        };
        tokio::select! {
            sent = sending => sent,
            failed = reading => Err(failed),
            Some(failed) = readers.join_next() => Err(failed?),
        }
    }
}

fn text(number: u64, addresses: Option<&[String]>) -> String {
    match addresses {
        Some(addresses) => {
            let message = |to: &String| {
                format!("<message to='{to}' type='headline'><body>{MARK}{number}</body></message>")
            };
            addresses.iter().map(message).collect()
        }
        None => format!(
            "<iq type='set' id='item{number}'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <publish node='{TUNE}'><item id='current'><tune xmlns='{TUNE}'>\
             <title>{MARK}{number}</title></tune></item></publish></pubsub></iq>"
        ),
    }
}

/// What is on its way.
struct Flight {
    contacts: u64,
    arrived: Cell<u64>,
    written: RefCell<VecDeque<Instant>>,
    /// What each item took until the last contact had it.
    micros: RefCell<Vec<u32>>,
    window: Semaphore,
}

impl Flight {
    /// An item is over when as many have come as there are contacts.
    fn note(&self, message: &[u8]) {
        if memmem::find(message, MARK.as_bytes()).is_none() {
            return;
        }
        let arrived = self.arrived.get() + 1;
        self.arrived.set(arrived);
        if arrived.is_multiple_of(self.contacts) {
            let written = self.written.borrow_mut().pop_front();
            let took = written.map_or(0, |written| written.elapsed().as_micros() as u32);
            self.micros.borrow_mut().push(took);
            self.window.add_permits(1);
        }
    }
}

const MARK: &str = "song number ";
const WARM: u64 = 20;
