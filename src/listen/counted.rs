//! An open connection in the metrics and in the budget of connections.

use std::net::IpAddr;

use prometheus_client::metrics::gauge::Gauge;

use crate::limit::{BudgetScope, Budgets, Permit};
use crate::metrics::Metrics;

/// Counts a connection until this is dropped.
#[derive(Debug)]
pub struct Counted {
    open: Gauge,
    permit: Option<Permit>,
}

impl Counted {
    /// Counts a connection that has this permit. Without one it uses up no budget: the connection of
    /// a test.
    #[must_use]
    pub fn new(metrics: &Metrics, permit: Option<Permit>) -> Self {
        let open = metrics.connections.clone();
        open.inc();
        Self { open, permit }
    }

    /// Counts the connection as one from this address, and no longer as one from another. For a connection from a
    /// proxy, once the proxy has said where its client is: all clients of a proxy come from one address.
    ///
    /// # Errors
    /// Whose budget is used up. The connection uses up none then, and is to be closed.
    pub fn count_for(&mut self, address: IpAddr, budgets: &Budgets) -> Result<(), BudgetScope> {
        // Give it back first: the address may be the same.
        if self.permit.take().is_some() {
            self.permit = Some(budgets.connections.permit(Some(address))?);
        }
        Ok(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}
