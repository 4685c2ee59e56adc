//! `status`: the state of a running server, or the configuration of a stopped one.

use serde_json::{Value, json};

use super::facts::facts;
use super::room::is_meant;
use crate::config::Config;
use crate::host::command::{
    Arguments, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::host::rooms::{RoomAdministration, RoomCount};

pub(super) static STATUS: Command = Command {
    path: &["status"],
    about: "Show server status",
    arguments: &[],
    permission: Permission::Read,
    question: None,
    without_server: WithoutServer::Answer(|config| facts(&known(config, false))),
    run: |cx, arguments| Box::pin(status(cx, arguments)),
};

async fn status(cx: &CommandCx, _: &Arguments) -> Result<Outcome, CommandError> {
    let mut all = known(&cx.config, cx.running.is_some());
    all.push(("accounts", json!(cx.storage.accounts().count(cx.only_domain.as_deref()).await?)));
    if let Some(running) = &cx.running {
        for fact in running.status() {
            match all.iter_mut().find(|(name, _)| *name == fact.0) {
                Some(ours) => *ours = fact,
                None => all.push(fact),
            }
        }
        if let Some(rooms) = running.rooms() {
            all.extend(of_rooms(cx, rooms.as_ref()).await?);
        }
    }
    Ok(facts(&all))
}

/// How many rooms there are, and who is in them.
async fn of_rooms(
    cx: &CommandCx,
    rooms: &dyn RoomAdministration,
) -> Result<[(&'static str, Value); 3], CommandError> {
    let mut sum = RoomCount::default();
    for domain in rooms.domains().into_iter().filter(|domain| is_meant(cx, domain)) {
        let count = rooms.count(&domain).await?;
        sum.stored += count.stored;
        sum.in_memory += count.in_memory;
        sum.occupants += count.occupants;
    }
    Ok([
        ("rooms", json!(sum.stored)),
        ("rooms_in_memory", json!(sum.in_memory)),
        ("room_occupants", json!(sum.occupants)),
    ])
}

/// The status from the configuration.
fn known(config: &Config, is_running: bool) -> Vec<(&'static str, Value)> {
    let domains: Vec<_> = config.hosts.iter().map(|host| &host.domain).collect();
    vec![
        ("running", json!(is_running)),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("domains", json!(domains)),
        ("data", json!(config.data)),
    ]
}
