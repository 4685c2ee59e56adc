//! A request: reads what it wants.

use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::{FormKind, Submitted};
use crate::pubsub::error::Problem;
use crate::stanza::StanzaError;
use crate::xml::{ElementRef, Node, element};

/// A request to a place.
pub(super) struct Request<'a> {
    pub(super) from: &'a Jid,
    /// The `<pubsub/>` element.
    pub(super) pubsub: ElementRef<'a>,
    /// The element in it that says what is wanted.
    pub(super) action: ElementRef<'a>,
}

impl Request<'_> {
    /// The name of the node.
    pub(super) fn node(&self) -> Result<String, StanzaError> {
        self.maybe_node()?.ok_or_else(|| Problem::NodeidRequired.into())
    }

    /// The name of the node, if one is named.
    pub(super) fn maybe_node(&self) -> Result<Option<String>, StanzaError> {
        match self.action.attr("node") {
            None => Ok(None),
            Some(name) if name.is_empty() => Ok(None),
            Some(name) if name.len() > MAX_NAME => Err(Problem::NotAcceptable.into()),
            Some(name) => Ok(Some(name.into_owned())),
        }
    }

    /// The child of `<pubsub/>` that says more about what is wanted. It stands behind it, and names neither the node nor
    /// the subscriber again (§6.3.7, §8.1.3).
    pub(super) fn companion(&self, name: &str) -> Result<Option<ElementRef<'_>>, StanzaError> {
        let namespace = self.pubsub.ns();
        let mut known = self.pubsub.children().filter(|child| child.ns() == namespace);
        let Some(found) = self.pubsub.child(namespace, name) else { return Ok(None) };
        let is_first = known.next().is_some_and(|first| first.name() == name);
        if is_first || found.attr("node").is_some() || found.attr("jid").is_some() {
            return Err(Problem::Malformed.into());
        }
        Ok(Some(found))
    }

    /// The form in a child of `<pubsub/>`, if there is one.
    pub(super) fn form(
        &self,
        child: &str,
        form_type: &str,
    ) -> Result<Option<Submitted>, StanzaError> {
        let Some(child) = self.pubsub.child(self.pubsub.ns(), child) else { return Ok(None) };
        let form = submitted(&child, form_type)?;
        Ok(form.map(|(form, _)| form))
    }
}

/// The form in an element, if there is one, and whether it is cancelled.
pub(super) fn submitted(
    parent: &ElementRef<'_>,
    form_type: &str,
) -> Result<Option<(Submitted, bool)>, StanzaError> {
    let Some(x) = parent.child(crate::payload::data_form::NS, "x") else { return Ok(None) };
    let is_cancelled = x.attr("type").as_deref() == Some(FormKind::Cancel.as_str());
    let form = Submitted::read_as(&x, &[FormKind::Submit, FormKind::Cancel])
        .map_err(|_| Problem::Malformed)?;
    if !is_cancelled && form.form_type().is_some_and(|kind| kind != form_type) {
        return Err(Problem::NotAcceptable.into());
    }
    Ok(Some((form, is_cancelled)))
}

/// The error for a request that has changed all but some entries of a list of a node. It contains these entries, as they
/// are (§8.8.2.4, §8.9.2.4).
pub(super) fn refused(
    problem: Problem,
    list: &'static str,
    node: &str,
    as_they_are: Vec<Node>,
) -> StanzaError {
    let list = element(list).attr("node", node).children(as_they_are);
    let refused = element("pubsub").ns(ns::PUBSUB_OWNER).child(list);
    StanzaError { refused: Some(Box::new(refused)), ..problem.into() }
}

/// Bytes of the name of a node or of an item, at most.
pub(super) const MAX_NAME: usize = 1023;
/// The name under which changes by requests of clients are told.
pub(super) const NAME: &str = "pubsub";
