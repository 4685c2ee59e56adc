//! `check dns`: whether others find this server. It asks the DNS for all that clients and other servers ask for, connects
//! to what it finds, looks at the certificates there, and says in a sentence each what is missing, with the records to
//! add to the zone.

mod found;
mod look;
mod network;
mod outside;
mod reach;
mod records;
#[cfg(test)]
mod tests;
mod web;

use serde_json::json;

use super::arguments::Options;
use super::exit::{Exit, Problem};
use super::instance;
use super::output::Output;
use crate::clock::Clock;
use crate::modules;
use crate::tls::Looker;
use found::{Level, Report};
use network::Network;

/// Checks all domains of the configuration. The exit code is 6 if something is missing.
pub(super) fn run(options: &Options, output: &Output) -> Result<Exit, Problem> {
    let place = instance::find(options)?;
    let config = &place.config;
    let looker = Looker::load(&config.s2s)
        .map_err(|error| Problem::new(Exit::Configuration, error.to_string()))?;
    let registry = modules::registry(config);
    let services: Vec<_> =
        registry.services().iter().map(|service| service.prefix().to_owned()).collect();
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reports = runtime.block_on(async {
        let network = Network::new(config.s2s.resolver, looker, clock.clone());
        look::all(config, &services, clock.now(), &network).await
    });
    // The program does not wait for a connection that hangs.
    runtime.shutdown_background();
    let text = reports.iter().map(Report::text).collect::<Vec<_>>().join("\n");
    let json = json!({ "domains": reports });
    output.say(text.trim_end(), &json)?;
    let is_missing = reports.iter().any(|report| report.has(Level::Missing));
    Ok(if is_missing { Exit::Configuration } else { Exit::Ok })
}
