//! `status`: the state of a running server, or the configuration of a stopped one.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::facts::facts;
use crate::config::Config;
use crate::host::command::{
    Argument, Arguments, Command, CommandCx, CommandError, Outcome, Permission,
};

/// `status`
pub(super) struct Status;

#[async_trait]
impl Command for Status {
    fn path(&self) -> &'static [&'static str] {
        &["status"]
    }

    fn about(&self) -> &'static str {
        "Show server status"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    fn without_server(&self, config: &Config) -> Option<Result<Outcome, CommandError>> {
        Some(Ok(facts(&known(config, false))))
    }

    async fn run(&self, cx: &CommandCx, _: &Arguments) -> Result<Outcome, CommandError> {
        let mut all = known(&cx.config, cx.running.is_some());
        all.push((
            "accounts",
            json!(cx.storage.accounts().count(cx.only_domain.as_deref()).await?),
        ));
        if let Some(running) = &cx.running {
            for fact in running.status() {
                match all.iter_mut().find(|(name, _)| *name == fact.0) {
                    Some(ours) => *ours = fact,
                    None => all.push(fact),
                }
            }
        }
        Ok(facts(&all))
    }
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
