//! `status`: how the server does; of one that does not run, what is kept.

use async_trait::async_trait;
use serde_json::json;

use super::facts;
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
        "Show how the server does"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    fn permission(&self) -> Permission {
        Permission::Read
    }

    async fn run(&self, cx: &CommandCx, _: &Arguments) -> Result<Outcome, CommandError> {
        let domains: Vec<_> = cx.config.hosts.iter().map(|host| &host.domain).collect();
        let mut all = vec![
            ("running", json!(cx.running.is_some())),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("domains", json!(domains)),
            ("data", json!(cx.config.data)),
            ("accounts", json!(cx.storage.accounts().count(None).await?)),
        ];
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
