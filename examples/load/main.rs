//! A load generator for any XMPP server on loopback: logins, idle connections, chat, presence,
//! acknowledgements, offline messages, pages of archives, several devices, events of contacts, idle phones,
//! phones that are woken, rooms.
//!
//! It speaks just enough XMPP over raw bytes (STARTTLS, SCRAM-SHA-1 or PLAIN, bind) that its own
//! cost stays small, runs on one thread so that it can be pinned beside the server, and reports
//! its own CPU time, because a generator at its limit measures itself.
//! The accounts `<prefix>1`, `<prefix>2`, … must exist, all with the same password.

#![expect(clippy::print_stdout, reason = "the report is the purpose of this program")]

mod acks;
mod across;
mod bosh;
mod capabilities;
mod chat;
mod client;
mod component;
mod devices;
mod elements;
mod events;
mod files;
mod friends;
mod idle;
mod logins;
mod occupants;
mod offline;
mod pages;
mod phone;
mod presence;
mod push;
mod report;
mod room_join;
mod rooms;
mod sasl2;
mod scram;
mod talk;
mod tls;
mod usage;
mod websocket;

use std::net::SocketAddr;
use std::rc::Rc;

use clap::{Parser, Subcommand};

use crate::client::{Mechanism, Target, Transport};
use crate::report::Report;
use crate::usage::Meter;

#[derive(Parser)]
#[command(about = "Loads an XMPP server and reports what it costs")]
struct Args {
    /// Where the server listens for clients: with STARTTLS, or for HTTPS.
    #[arg(long, default_value = "127.0.0.1:5222")]
    server: SocketAddr,
    /// What carries the streams.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// The domain of the accounts.
    #[arg(long, default_value = "localhost")]
    domain: String,
    /// Accounts are called by this prefix and a number from 1 on.
    #[arg(long, default_value = "load")]
    prefix: String,
    /// The password of all accounts.
    #[arg(long, default_value = "secret")]
    password: String,
    /// How to log in.
    #[arg(long, value_enum, default_value = "scram-sha-1")]
    mechanism: Mechanism,
    /// The server's process: its CPU time and memory, and those of its children, are reported.
    #[arg(long)]
    pid: Option<u32>,
    /// Report as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Messages at a fixed rate: how long until the server acknowledges each (XEP-0198).
    Acks(acks::Args),
    /// The same as `chat` between the accounts of two servers.
    Across(across::Args),
    /// Pairs of accounts; in each, one sends to the other with a window of messages in flight.
    Chat(chat::Args),
    /// The same as `chat`, through an external component (XEP-0114).
    Component(component::Args),
    /// Messages to accounts with several devices (XEP-0280).
    Devices(devices::Args),
    /// Items that are published to contacts (XEP-0163), or as many messages.
    Events(events::Args),
    /// A large file is uploaded and downloaded (XEP-0363).
    Files(files::Args),
    /// Connections that stay open after initial presence and do nothing.
    Idle(idle::Args),
    /// Full logins (connect, STARTTLS, TLS without resumption, SASL, bind), then close.
    Logins(logins::Args),
    /// Messages to accounts that are offline, then their delivery.
    Offline(offline::Args),
    /// Archives are filled, then read backwards page by page (XEP-0313).
    Pages(pages::Args),
    /// An idle phone with busy contacts (XEP-0352).
    Phone(phone::Args),
    /// Contacts are told of changes of presence.
    Presence(presence::Args),
    /// Phones that are woken by a push service (XEP-0357).
    Push(push::Args),
    /// Many enter one room (XEP-0045).
    RoomJoin(room_join::Args),
    /// Messages to rooms, which send them to all their occupants (XEP-0045).
    Rooms(rooms::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let json = args.json;
    let report = tasks.block_on(&runtime, run(args))?;
    if json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn run(args: Args) -> anyhow::Result<Report> {
    let target = |server, domain| {
        let (prefix, password) = (args.prefix.clone(), args.password.clone());
        let target =
            Target::new((server, args.transport), domain, prefix, password, args.mechanism);
        target.map(Rc::new)
    };
    let other = match &args.mode {
        Mode::Across(options) => Some(target(options.other, options.other_domain.clone())?),
        _ => None,
    };
    let target = target(args.server, args.domain)?;
    let meter = Meter::new(args.pid);
    match args.mode {
        Mode::Acks(options) => acks::run(target, meter, options).await,
        Mode::Across(options) => match other {
            Some(other) => across::run(target, other, meter, options).await,
            None => anyhow::bail!("there is no other server"),
        },
        Mode::Component(options) => component::run(target, meter, options).await,
        Mode::Chat(options) => chat::run(target, meter, options).await,
        Mode::Devices(options) => devices::run(target, meter, options).await,
        Mode::Events(options) => events::run(target, meter, options).await,
        Mode::Files(options) => files::run(target, meter, options).await,
        Mode::Idle(options) => idle::run(target, meter, options).await,
        Mode::Logins(options) => logins::run(target, meter, options).await,
        Mode::Offline(options) => offline::run(target, meter, options).await,
        Mode::Pages(options) => pages::run(target, meter, options).await,
        Mode::Phone(options) => phone::run(target, meter, options).await,
        Mode::Presence(options) => presence::run(target, meter, options).await,
        Mode::Push(options) => push::run(target, meter, options).await,
        Mode::RoomJoin(options) => room_join::run(target, meter, options).await,
        Mode::Rooms(options) => rooms::run(target, meter, options).await,
    }
}
