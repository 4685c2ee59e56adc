//! Which clients want to hear of a node (XEP-0163 §4.3.3): what their entity capabilities say.

use crate::session::SessionRef;

/// Whether the client of a session wants to hear of this node.
pub(super) fn wants(session: &SessionRef, node: &str) -> bool {
    session.wants(node)
}
