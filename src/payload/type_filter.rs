//! XEP-0462: PubSub Type Filtering. Which nodes somebody wants to find, by their types.

use super::data_form::{self, Submitted};
use crate::ns::TYPE_FILTER;
use crate::xml::ElementRef;

/// The types of the nodes that are wanted, or those of the nodes that are not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TypeFilter {
    /// Only nodes with one of these types. An empty one stands for nodes without a type.
    Included(Vec<String>),
    /// Only nodes with none of these.
    Excluded(Vec<String>),
}

/// The filter is invalid: it has no form, or a form that names both what is wanted and what is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid filter")]
pub struct TypeFilterError;

impl TypeFilter {
    /// Reads the filter in a query, if there is one. One that names no types filters nothing.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn in_query(query: &ElementRef<'_>) -> Result<Option<Self>, TypeFilterError> {
        let Some(filter) = query.child(TYPE_FILTER, "filter") else { return Ok(None) };
        let x = filter.child(data_form::NS, "x").ok_or(TypeFilterError)?;
        let form = Submitted::read(&x).map_err(|_| TypeFilterError)?;
        if form.form_type() != Some(TYPE_FILTER) {
            return Err(TypeFilterError);
        }
        match (form.values("included-types"), form.values("excluded-types")) {
            (None, None) => Ok(None),
            (Some(types), None) => Ok(Some(Self::Included(types.to_vec()))),
            (None, Some(types)) => Ok(Some(Self::Excluded(types.to_vec()))),
            (Some(_), Some(_)) => Err(TypeFilterError),
        }
    }

    /// Whether a node of this type is wanted.
    #[must_use]
    pub fn passes(&self, kind: &str) -> bool {
        match self {
            Self::Included(types) => types.iter().any(|one| one == kind),
            Self::Excluded(types) => types.iter().all(|one| one != kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    #[test]
    fn a_filter_names_what_is_wanted_or_what_is_not() {
        let read = |fields: &str| {
            let xml = format!(
                "<query xmlns='http://jabber.org/protocol/disco#items'><filter \
                 xmlns='urn:xmpp:pubsub-filter:0'><x xmlns='jabber:x:data' type='submit'><field \
                 var='FORM_TYPE'><value>urn:xmpp:pubsub-filter:0</value></field>{fields}</x></filter>\
                 </query>"
            );
            TypeFilter::in_query(&Frame::from_bytes(xml).unwrap().root())
        };
        let included = "<field var='included-types'><value>urn:a</value><value/></field>";
        let excluded = "<field var='excluded-types'><value>urn:a</value></field>";
        let filter = read(included).unwrap().unwrap();
        assert_eq!(["urn:a", "", "urn:b"].map(|kind| filter.passes(kind)), [true, true, false]);
        let filter = read(excluded).unwrap().unwrap();
        assert_eq!(["urn:a", "", "urn:b"].map(|kind| filter.passes(kind)), [false, true, true]);
        assert_eq!(read(&(included.to_owned() + excluded)), Err(TypeFilterError));
        assert_eq!(read(""), Ok(None));
        let bad = "<query><filter xmlns='urn:xmpp:pubsub-filter:0'/></query>";
        let bad = Frame::from_bytes(bad).unwrap();
        assert_eq!(TypeFilter::in_query(&bad.root()), Err(TypeFilterError));
    }
}
