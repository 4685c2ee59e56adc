//! XEP-0059: Result Set Management. A request for a page of a long result, and the description of the
//! page in the answer.
//!
//! `<before/>` without an id asks for the last page (XEP-0059 §2.5); with an id, for the page before
//! that item.

use crate::xml::{ElementRef, Node, element};

/// The namespace.
pub const NS: &str = "http://jabber.org/protocol/rsm";

/// A request for a page.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SetRequest {
    /// At most so many items; `None` lets the server choose. 0 asks only for the count (§2.7).
    pub max: Option<usize>,
    /// Where the page begins.
    pub from: Start,
}

/// Where the requested page begins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Start {
    /// After the item with this id.
    After(String),
    /// Before the item with this id (§2.3).
    Before(String),
    /// At the beginning.
    #[default]
    First,
    /// At this position, counted from 0 (§2.6).
    Index(usize),
    /// It is the last page (§2.5).
    Last,
}

/// The description of a page.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SetAnswer {
    /// The ids of the first and the last item, and the position of the first one if it is known;
    /// `None` for an empty page.
    pub page: Option<(String, String, Option<usize>)>,
    /// How many items there are in all, if that is known. The number may be approximate.
    pub count: Option<usize>,
}

/// The `<set/>` is invalid: something is not a number, or there is more than one start.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid result set")]
pub struct SetError;

impl SetRequest {
    /// Reads a `<set/>`. A number that is too large becomes the largest possible one.
    ///
    /// # Errors
    /// For values that are no numbers, negative numbers, and more than one start.
    pub fn read(set: &ElementRef<'_>) -> Result<Self, SetError> {
        let mut request = Self::default();
        let mut starts = 0;
        for child in set.children().filter(|child| child.ns() == NS) {
            let text = child.text();
            let start = match child.name() {
                "max" => {
                    request.max = Some(number(&text)?);
                    continue;
                }
                // Some clients send an empty id and mean the beginning.
                "after" if text.is_empty() => Start::First,
                "after" => Start::After(text.into_owned()),
                "before" if text.is_empty() => Start::Last,
                "before" => Start::Before(text.into_owned()),
                "index" => Start::Index(number(&text)?),
                _ => continue,
            };
            request.from = start;
            starts += 1;
        }
        if starts > 1 { Err(SetError) } else { Ok(request) }
    }

    /// Reads the `<set/>` in a query, if there is one.
    ///
    /// # Errors
    /// As [`SetRequest::read`].
    pub fn in_query(query: &ElementRef<'_>) -> Result<Option<Self>, SetError> {
        query.child(NS, "set").map(|set| Self::read(&set)).transpose()
    }

    /// How many items the answer has: as many as requested, at most `most`.
    #[must_use]
    pub fn limit(&self, most: usize) -> usize {
        self.max.map_or(most, |max| max.min(most))
    }
}

impl SetAnswer {
    /// The `<set/>` element.
    pub fn to_node(&self) -> Node {
        let mut set = element("set").ns(NS);
        if let Some((first, last, index)) = &self.page {
            let index = index.map(|index| index.to_string());
            set = set.child(element("first").maybe_attr("index", index).text(first));
            set = set.child(element("last").text(last));
        }
        match self.count {
            Some(count) => set.child(element("count").text(&count.to_string())),
            None => set,
        }
    }
}

/// A whole number that is not negative. One that is too large becomes the largest possible one.
fn number(text: &str) -> Result<usize, SetError> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SetError);
    }
    Ok(text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SetAnswer, SetError, SetRequest, Start};
    use crate::xml::Frame;

    fn read(inner: &str) -> Result<SetRequest, SetError> {
        let xml = format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>");
        SetRequest::read(&Frame::from_bytes(xml).unwrap().root())
    }

    #[test]
    fn each_wish_is_understood() {
        let set = |max, from| Ok(SetRequest { max, from });
        assert_eq!(read(""), set(None, Start::First));
        assert_eq!(read("<max>10</max>"), set(Some(10), Start::First));
        assert_eq!(
            read("<max> 5 </max><after>a</after>"),
            set(Some(5), Start::After("a".to_owned()))
        );
        assert_eq!(read("<before>b</before>"), set(None, Start::Before("b".to_owned())));
        assert_eq!(read("<before/>"), set(None, Start::Last));
        assert_eq!(read("<after/>"), set(None, Start::First));
        assert_eq!(read("<index>371</index>"), set(None, Start::Index(371)));
        assert_eq!(read("<max>0</max>"), set(Some(0), Start::First));
        assert_eq!(read("<other xmlns='urn:a'/>"), set(None, Start::First));
    }

    #[test]
    fn absurd_numbers_are_clamped_or_refused() {
        let huge = read("<max>999999999999999999999999999999</max>").unwrap();
        assert_eq!(huge.max, Some(usize::MAX));
        assert_eq!(huge.limit(50), 50);
        assert_eq!(read("<max>3</max>").unwrap().limit(50), 3);
        for wrong in ["<max>-1</max>", "<max/>", "<max>ten</max>", "<max>1.5</max>", "<index/>"] {
            assert_eq!(read(wrong), Err(SetError), "{wrong}");
        }
        assert_eq!(read("<before/><after>a</after>"), Err(SetError));
    }

    proptest! {
        /// A number is read as it stands, or as the largest possible one. All else is refused.
        #[test]
        fn a_number_is_what_it_says(text in "( |-|\\+|[0-9]){0,30}|[ -~&&[^<&]]{0,6}") {
            let max = read(&format!("<max>{text}</max>")).map(|set| set.max);
            let trimmed = text.trim();
            match trimmed.bytes().all(|b| b.is_ascii_digit()) && !trimmed.is_empty() {
                true => {
                    let number = trimmed.parse::<u128>().unwrap_or(u128::MAX);
                    let expected = usize::try_from(number).unwrap_or(usize::MAX);
                    prop_assert_eq!(max, Ok(Some(expected)));
                }
                false => prop_assert_eq!(max, Err(SetError)),
            }
        }

        /// A page never has more items than allowed, wherever it begins.
        #[test]
        fn no_page_is_larger_than_it_may_be(max in any::<usize>(), most in any::<usize>()) {
            let set = SetRequest { max: Some(max), from: Start::Last };
            prop_assert!(set.limit(most) <= most);
            prop_assert!(set.limit(most) <= max);
        }

        /// An id is read exactly as the client wrote it.
        #[test]
        fn an_id_is_taken_as_it_is(id in "[ -~\u{E9}\u{1F339}&&[^<&]]{1,40}") {
            let read = |name: &str| read(&format!("<{name}>{id}</{name}>")).map(|set| set.from);
            prop_assert_eq!(read("after"), Ok(Start::After(id.clone())));
            prop_assert_eq!(read("before"), Ok(Start::Before(id.clone())));
        }
    }

    #[test]
    fn a_page_names_its_ends_and_an_empty_one_its_count_alone() {
        let page = Some(("a".to_owned(), "b".to_owned(), Some(0)));
        let full = SetAnswer { page, count: Some(800) };
        let expected = "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first>\
            <last>b</last><count>800</count></set>";
        assert_eq!(full.to_node().to_xml(), expected);
        let empty = SetAnswer { page: None, count: Some(0) };
        let expected = "<set xmlns='http://jabber.org/protocol/rsm'><count>0</count></set>";
        assert_eq!(empty.to_node().to_xml(), expected);
    }
}
