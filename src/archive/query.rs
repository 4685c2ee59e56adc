//! Reads queries of an archive (XEP-0313 §4): a form, and the request for a page.

use super::FULLTEXT;
use crate::ns::MAM as NS;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind, Submitted, VALIDATE};
use crate::payload::datetime::Timestamp;
use crate::payload::result_set::{SetRequest, Start};
use crate::stanza::{Condition, StanzaError};
use crate::storage::{MessageId, Query, WireIds};
use crate::xml::{ElementRef, Node, element};

/// A query that was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// The query for the store.
    pub query: Query,
    /// The `queryid`, which is repeated in each message (XEP-0313 §4.2).
    pub query_id: Option<String>,
    /// Whether the newest message of the page comes first (XEP-0313 §4.3.4).
    pub flip: bool,
}

/// The largest and the default number of messages on a page. Profanity does not page, and wants the last week.
pub const MOST: usize = 250;

/// The largest number of bytes of a `queryid`, which each message repeats.
const MOST_OF_ID: usize = 1_000;

/// Reads a `<query/>`. `search`: whether it may search for words.
///
/// # Errors
/// `feature-not-implemented` for an unknown field (XEP-0313 §4.1.5) and for pubsub nodes; `item-not-found` for
/// an id that this server did not make; `policy-violation` for too many ids or a `queryid` that is too long;
/// `jid-malformed`; `bad-request` for everything that cannot be read.
pub fn read(query: &ElementRef<'_>, ids: &WireIds, search: bool) -> Result<Asked, StanzaError> {
    refuse_node(query)?;
    let query_id = query.attr("queryid").map(|id| id.into_owned());
    if query_id.as_ref().is_some_and(|id| id.len() > MOST_OF_ID) {
        return Err(Condition::PolicyViolation.text("the queryid is too long"));
    }
    let mut asked = Asked {
        query: Query { max: MOST, ..Query::default() },
        query_id,
        flip: query.has_child(NS, "flip-page"),
    };
    if let Some(form) = query.child(data_form::NS, "x") {
        read_form(&form, &mut asked.query, ids, search)?;
    }
    let set = SetRequest::in_query(query)
        .map_err(|_| Condition::BadRequest.text("invalid result set"))?;
    if let Some(set) = set {
        read_set(&set, &mut asked.query, ids)?;
    }
    Ok(asked)
}

/// Refuses nodes: they are for archives of pubsub (XEP-0313 §6.1.3), which accounts do not have.
///
/// # Errors
/// `feature-not-implemented` if there is a node.
pub fn refuse_node(query: &ElementRef<'_>) -> Result<(), StanzaError> {
    match query.attr("node") {
        Some(_) => Err(Condition::FeatureNotImplemented.text("archives have no nodes")),
        None => Ok(()),
    }
}

/// The query form (XEP-0313 §4.1.5), in its `<query/>`.
pub fn form(search: bool) -> Node {
    let mut form = Form::new(FormKind::Form)
        .form_type(NS)
        .field(Field::new("with", FieldKind::JidSingle))
        .field(Field::new("start", FieldKind::TextSingle))
        .field(Field::new("end", FieldKind::TextSingle))
        .field(Field::new("before-id", FieldKind::TextSingle))
        .field(Field::new("after-id", FieldKind::TextSingle))
        .field(Field::new("include-groupchat", FieldKind::Boolean));
    if search {
        form = form
            .field(Field::new(&fulltext(), FieldKind::TextSingle))
            .field(Field::new(WITH_TEXT, FieldKind::TextSingle));
    }
    // An open list: its options are all existing ids (XEP-0122 §3.2.1).
    let ids =
        element("field").attr("var", "ids").attr("type", FieldKind::ListMulti.as_str()).child(
            element("validate").ns(VALIDATE).attr("datatype", "xs:string").child(element("open")),
        );
    let mut written = form.to_node().to_bytes();
    // Forms have no other fields like this one.
    written.truncate(written.len() - b"</x>".len());
    ids.write(&mut written);
    written.extend_from_slice(b"</x>");
    element("query").ns(NS).raw(written)
}

fn read_form(
    x: &ElementRef<'_>,
    query: &mut Query,
    ids: &WireIds,
    search: bool,
) -> Result<(), StanzaError> {
    let bad = |_| StanzaError::from(Condition::BadRequest);
    let form = Submitted::read(x).map_err(bad)?;
    if form.form_type() != Some(NS) {
        return Err(Condition::BadRequest.text("the FORM_TYPE is wrong"));
    }
    let fulltext = fulltext();
    for var in form.vars() {
        let known = FIELDS.contains(&var) || (search && (var == fulltext || var == WITH_TEXT));
        if !known {
            return Err(Condition::FeatureNotImplemented.text("unknown field"));
        }
    }
    // An empty field counts as not filled in.
    let text = |var: &str| form.text(var).map_err(bad).map(|t| t.filter(|text| !text.is_empty()));
    if text("with")?.is_some() {
        query.with = form.jid("with").map_err(|_| StanzaError::from(Condition::JidMalformed))?;
    }
    query.start = text("start")?.map(time).transpose()?;
    query.end = text("end")?.map(time).transpose()?.map(end_of_millisecond);
    if let Some(id) = text("after-id")? {
        query.above = Some(named(query, id, ids)?);
    }
    if let Some(id) = text("before-id")? {
        query.below = Some(named(query, id, ids)?);
    }
    let texts = form.values("ids").unwrap_or_default().iter().filter(|text| !text.is_empty());
    if texts.clone().next().is_some() {
        if texts.clone().count() > MOST {
            return Err(Condition::PolicyViolation.text("too many ids"));
        }
        let only = texts.map(|id| named(query, id, ids)).collect::<Result<_, _>>()?;
        query.ids = Some(only);
    }
    // The archive of an account contains no such messages, so the field changes nothing.
    form.boolean("include-groupchat").map_err(bad)?;
    query.text = match (text(&fulltext)?, text(WITH_TEXT)?) {
        (Some(one), Some(other)) if one != other => {
            return Err(Condition::BadRequest.text("two searches in one query"));
        }
        (one, other) => one.or(other).map(str::to_owned),
    };
    Ok(())
}

fn read_set(set: &SetRequest, query: &mut Query, ids: &WireIds) -> Result<(), StanzaError> {
    query.max = set.limit(MOST);
    // XEP-0059 §2.7: the client wants only the count.
    query.count = set.max == Some(0);
    match &set.from {
        Start::First => {}
        Start::Last => query.backwards = true,
        Start::After(id) => query.after = Some(named(query, id, ids)?),
        Start::Before(id) => {
            query.before = Some(named(query, id, ids)?);
            query.backwards = true;
        }
        Start::Index(index) => {
            query.index = Some(*index as u64);
            // XEP-0059 §2.6: the answer repeats the position.
            query.count = true;
        }
    }
    Ok(())
}

/// Reads an id that must be in the archive (XEP-0313 §4.1.3, §4.3.2).
fn named(query: &mut Query, text: &str, ids: &WireIds) -> Result<MessageId, StanzaError> {
    let id = ids.read(text).ok_or_else(not_found)?;
    query.named.push(id);
    Ok(id)
}

/// The error for an id that is not in this archive, even if it is in another one.
#[must_use]
pub fn not_found() -> StanzaError {
    Condition::ItemNotFound.text("this archive has no such id")
}

fn time(text: &str) -> Result<Timestamp, StanzaError> {
    Timestamp::parse(text).ok_or_else(|| Condition::BadRequest.text("invalid time"))
}

/// The last microsecond of a millisecond. Clients know the times of messages in milliseconds, as this server
/// writes them.
fn end_of_millisecond(end: Timestamp) -> Timestamp {
    let micros = end.as_micros();
    Timestamp::from_micros(if micros % 1_000 == 0 { micros + 999 } else { micros })
}

fn fulltext() -> String {
    format!("{{{FULLTEXT}}}fulltext")
}

const FIELDS: &[&str] =
    &["after-id", "before-id", "end", "ids", "include-groupchat", "start", "with"];

/// COMPAT: what clients called the search for words before XEP-0431 gave it a name (2020).
const WITH_TEXT: &str = "withtext";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smallvec::SmallVec;

    use super::*;
    use crate::jid::Jid;
    use crate::xml::Frame;

    fn wire() -> WireIds {
        WireIds::new(&[3; 32])
    }

    fn id(number: i64) -> MessageId {
        MessageId::new(number).unwrap()
    }

    fn read_query(inner: &str, search: bool) -> Result<Asked, Condition> {
        let xml = format!("<query xmlns='urn:xmpp:mam:2' {inner}</query>");
        let frame = Frame::from_bytes(xml).unwrap();
        read(&frame.root(), &wire(), search).map_err(|e| e.condition)
    }

    fn fields(fields: &[(&str, &str)]) -> String {
        let field = |(var, value): &(&str, &str)| {
            format!("<field var='{var}'><value>{value}</value></field>")
        };
        let fields: String = fields.iter().map(field).collect();
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>urn:xmpp:mam:2</value></field>{fields}</x>"
        )
    }

    fn set(inner: &str) -> String {
        format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>")
    }

    #[test]
    fn a_query_without_anything_asks_for_the_first_page() {
        let asked = read_query(">", false).unwrap();
        assert_eq!(asked.query, Query { max: MOST, ..Query::default() });
        assert_eq!((asked.query_id, asked.flip), (None, false));
    }

    #[test]
    fn every_field_is_understood() {
        let (a, b, c) = (wire().write(id(5)), wire().write(id(9)), wire().write(id(7)));
        let form = fields(&[
            ("with", "Juliet@capulet.lit"),
            ("start", "1970-01-01T00:00:01Z"),
            ("end", "1970-01-01T01:00:02.5+01:00"),
            ("after-id", &a),
            ("before-id", &b),
            ("ids", &c),
            ("include-groupchat", "true"),
            ("{urn:xmpp:fulltext:0}fulltext", "hi there"),
        ]);
        let page = set(&format!("<max>10</max><before>{c}</before>"));
        let asked = read_query(&format!("queryid='f27'>{form}{page}<flip-page/>"), true).unwrap();
        assert_eq!((asked.query_id.as_deref(), asked.flip), (Some("f27"), true));
        let expected = Query {
            with: Some(Jid::parse("juliet@capulet.lit").unwrap()),
            start: Some(Timestamp::from_micros(1_000_000)),
            end: Some(Timestamp::from_micros(2_500_999)),
            above: Some(id(5)),
            below: Some(id(9)),
            after: None,
            before: Some(id(7)),
            index: None,
            ids: Some(vec![id(7)]),
            named: SmallVec::from_slice(&[id(5), id(9), id(7), id(7)]),
            text: Some("hi there".into()),
            backwards: true,
            max: 10,
            count: false,
        };
        assert_eq!(asked.query, expected);
    }

    #[test]
    fn pages_are_asked_for_in_each_way() {
        let id7 = wire().write(id(7));
        let query = |inner: &str| read_query(&format!(">{}", set(inner)), false).unwrap().query;
        assert_eq!(query("<after>ID</after>".replace("ID", &id7).as_str()).after, Some(id(7)));
        let last = query("<max>5</max><before/>");
        assert_eq!((last.backwards, last.before, last.max), (true, None, 5));
        let count = query("<max>0</max>");
        assert_eq!((count.max, count.count), (0, true));
        let at = query("<max>5</max><index>371</index>");
        assert_eq!((at.index, at.max, at.count, at.backwards), (Some(371), 5, true, false));
        assert_eq!(query("<max>99999999999999999999</max>").max, MOST);
        // An empty field counts as not filled in.
        let empty = fields(&[("with", ""), ("start", ""), ("after-id", ""), ("ids", "")]);
        let empty = read_query(&format!(">{empty}"), false).unwrap().query;
        assert_eq!(empty, Query { max: MOST, ..Query::default() });
    }

    #[test]
    fn what_is_wrong_has_its_error() {
        use Condition::{
            BadRequest, FeatureNotImplemented, ItemNotFound, JidMalformed, PolicyViolation,
        };
        let values = format!("<value>{}</value>", wire().write(id(1))).repeat(MOST + 1);
        let many_ids = fields(&[("ids", "x")]).replace("<value>x</value>", &values);
        let cases: &[(String, Condition)] = &[
            (fields(&[("colour", "red")]), FeatureNotImplemented),
            (fields(&[("{urn:xmpp:fulltext:0}fulltext", "x")]), FeatureNotImplemented),
            (fields(&[(WITH_TEXT, "x")]), FeatureNotImplemented),
            (fields(&[("with", "@")]), JidMalformed),
            (fields(&[("start", "yesterday")]), BadRequest),
            (fields(&[("end", "2010-06-07")]), BadRequest),
            (fields(&[("after-id", "28482-98726-73623")]), ItemNotFound),
            (fields(&[("before-id", "0123456789ABCDEF")]), ItemNotFound),
            (fields(&[("ids", "x")]), ItemNotFound),
            (fields(&[("start", "a"), ("start", "b")]), BadRequest),
            (fields(&[("include-groupchat", "perhaps")]), BadRequest),
            (fields(&[]).replace("mam:2", "mam:1"), BadRequest),
            ("<x xmlns='jabber:x:data' type='submit'/>".into(), BadRequest),
            ("<x xmlns='jabber:x:data' type='form'/>".into(), BadRequest),
            (many_ids, PolicyViolation),
            (fields(&[("with", &"a".repeat(5_000))]), JidMalformed),
            (fields(&[("start", "2010-06-31T00:00:00Z")]), BadRequest),
            (fields(&[("start", "2010-06-07T00:00:00")]), BadRequest),
            (fields(&[("start", "20100607T00:00:00Z")]), BadRequest),
            (set("<max>-1</max>"), BadRequest),
            (set("<max>many</max>"), BadRequest),
            (set("<after>unknown</after>"), ItemNotFound),
            (set("<before>unknown</before>"), ItemNotFound),
            (set("<index>many</index>"), BadRequest),
        ];
        for (inner, condition) in cases {
            assert_eq!(read_query(&format!(">{inner}"), false), Err(*condition), "{inner}");
        }
        assert_eq!(read_query("node='a'>", false), Err(FeatureNotImplemented));
        let long = format!("queryid='{}'>", "q".repeat(MOST_OF_ID + 1));
        assert_eq!(read_query(&long, false), Err(PolicyViolation));
    }

    #[test]
    fn the_form_has_every_field_and_can_be_read() {
        let node = form(true);
        let frame = Frame::from_bytes(node.to_bytes()).unwrap();
        let x = frame.root().child(data_form::NS, "x").unwrap();
        let vars: Vec<String> =
            x.children().filter_map(|f| f.attr("var").map(|v| v.into_owned())).collect();
        for var in FIELDS.iter().copied().chain([fulltext().as_str(), WITH_TEXT]) {
            assert!(vars.iter().any(|v| v == var), "{var}");
        }
        assert!(x.children().all(|f| !f.has_child(data_form::NS, "required")));
        let ids = x.children().find(|f| f.attr("var").is_some_and(|v| v == "ids")).unwrap();
        assert!(ids.child(VALIDATE, "validate").unwrap().has_child(VALIDATE, "open"));
    }

    proptest! {
        #[test]
        fn no_time_is_too_strange(text in "[0-9TZ:.+-]{0,40}") {
            drop(read_query(&format!(">{}", fields(&[("start", &text), ("end", &text)])), false));
        }
    }
}
