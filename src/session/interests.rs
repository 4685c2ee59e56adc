//! The interests of a client: the contacts' data of which it wants to be told (XEP-0163 §4.3.3). It announces them by
//! the hash in its presence (XEP-0115).

use std::sync::Arc;

use smol_str::SmolStr;

/// The nodes of contacts' and own data whose changes a client wants to hear of. Clients of the same kind
/// share one value.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Interests {
    /// The hash that stands for them, with its function; empty if there is none.
    key: SmolStr,
    /// They are those of the hash, and not those of the time before it.
    is_known: bool,
    /// Sorted, each once.
    nodes: Arc<[SmolStr]>,
}

impl Interests {
    /// What the hash `key` stands for. `nodes` must be sorted, and contain each once.
    #[must_use]
    pub fn new(key: SmolStr, nodes: Vec<SmolStr>) -> Self {
        Self { key, is_known: true, nodes: nodes.into() }
    }

    /// The same nodes as before, until it is known what the hash `key` stands for.
    #[must_use]
    pub fn until_known(&self, key: SmolStr) -> Self {
        Self { key, is_known: false, nodes: Arc::clone(&self.nodes) }
    }

    /// The hash with its function; empty if there is none.
    #[must_use]
    pub fn key(&self) -> &SmolStr {
        &self.key
    }

    /// They are those of the hash, and not those of the time before it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether this node is one of them.
    #[must_use]
    pub fn has(&self, node: &str) -> bool {
        self.nodes.binary_search_by(|known| known.as_str().cmp(node)).is_ok()
    }

    /// The nodes, sorted.
    #[must_use]
    pub fn nodes(&self) -> &[SmolStr] {
        &self.nodes
    }

    /// About how many bytes they occupy.
    #[must_use]
    pub fn size(&self) -> usize {
        let nodes = self.nodes.iter().map(|node| node.len() + size_of::<SmolStr>());
        nodes.sum::<usize>() + self.key.len() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::Interests;

    #[test]
    fn a_node_is_found_by_its_whole_name() {
        let nodes = ["a", "a:b", "c"].map(Into::into).to_vec();
        let interests = Interests::new("1 sha-1 x".into(), nodes);
        assert!(interests.has("a") && interests.has("a:b") && interests.has("c"));
        assert!(!interests.has("a:") && !interests.has("") && !interests.has("d"));
        let pending = interests.until_known("1 sha-1 y".into());
        assert!(pending.has("a") && !pending.is_known() && pending.key() == "1 sha-1 y");
    }
}
