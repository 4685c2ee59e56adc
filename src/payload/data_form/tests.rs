//! Forms as tables: what is read, what is written, what is refused.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Field, FieldKind, Form, FormError, FormKind, Submitted};
use crate::jid::Jid;
use crate::xml::Frame;

fn read(xml: &str) -> Result<Submitted, FormError> {
    Submitted::read(&Frame::from_bytes(xml.to_owned()).unwrap().root())
}

fn submitted(fields: &str) -> Result<Submitted, FormError> {
    read(&format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>"))
}

#[test]
fn values_are_read_by_the_type_that_is_wanted() {
    let form = submitted(
        "<field var='FORM_TYPE' type='hidden'><value>urn:a</value></field>\
         <field type='fixed'><value>Hello</value></field>\
         <field var='yes'><value>1</value></field><field var='no'><value>false</value></field>\
         <field var='who'><value>Romeo@Montague.lit</value></field>\
         <field var='many'><value>a</value><value>b</value></field><field var='empty'/>",
    )
    .unwrap();
    assert_eq!(form.form_type(), Some("urn:a"));
    assert_eq!(form.vars().collect::<Vec<_>>(), ["yes", "no", "who", "many", "empty"]);
    assert_eq!(form.boolean("yes"), Ok(Some(true)));
    assert_eq!(form.boolean("no"), Ok(Some(false)));
    assert_eq!(form.boolean("empty"), Ok(None));
    assert_eq!(form.boolean("who"), Err(FormError::Value));
    assert_eq!(form.jid("who").unwrap().unwrap().as_str(), "romeo@montague.lit");
    assert_eq!(form.jids("many").unwrap().unwrap().len(), 2);
    assert_eq!(form.text("many"), Err(FormError::Value));
    assert_eq!(form.text("none"), Ok(None));
}

#[test]
fn what_is_no_submitted_form_is_refused() {
    assert_eq!(read("<x xmlns='jabber:x:data' type='form'/>"), Err(FormError::Malformed));
    assert_eq!(read("<x xmlns='jabber:x:data'/>"), Err(FormError::Malformed));
    assert_eq!(read("<x xmlns='urn:a' type='submit'/>"), Err(FormError::Malformed));
    assert_eq!(submitted("<field><value>a</value></field>"), Err(FormError::Malformed));
    let twice = "<field var='a'><value>1</value></field><field var='a'/>";
    assert_eq!(submitted(twice), Err(FormError::Twice));
}

#[test]
fn an_address_that_is_named_twice_counts_once() {
    let values = ["A@b", "a@b/c", "a@B", "a@b"].map(|jid| format!("<value>{jid}</value>"));
    let form = submitted(&format!("<field var='who'>{}</field>", values.concat())).unwrap();
    let jids = form.jids("who").unwrap().unwrap();
    assert_eq!(jids.iter().map(Jid::as_str).collect::<Vec<_>>(), ["a@b", "a@b/c"]);
    let bad = submitted("<field var='who'><value>a@b</value><value>@</value></field>");
    assert_eq!(bad.unwrap().jids("who"), Err(FormError::Value));
}

#[test]
fn a_form_that_is_given_up_is_read_where_that_is_wanted() {
    let xml = "<x xmlns='jabber:x:data' type='cancel'><field var='a'><value>1</value></field></x>";
    assert_eq!(read(xml), Err(FormError::Malformed));
    let frame = Frame::from_bytes(xml).unwrap();
    let both = [FormKind::Cancel, FormKind::Submit];
    assert_eq!(Submitted::read_as(&frame.root(), &both).unwrap().text("a"), Ok(Some("1")));
}

/// The fields of a form, each with its own name: as XML, and as they must be read.
fn fields() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    let text = "[ -~\u{E9}\u{1F339}]{0,12}";
    proptest::collection::btree_map(
        "[a-zA-Z#_ <&']{1,8}",
        proptest::collection::vec(text, 0..4),
        0..8,
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(fields in fields()) {
        let built = fields.iter().fold(Form::new(FormKind::Submit), |form, (var, values)| {
            form.field(Field::new(var, FieldKind::TextMulti).values(values))
        });
        let frame = Frame::from_bytes(built.to_node().to_bytes()).unwrap();
        let form = Submitted::read(&frame.root()).unwrap();
        prop_assert_eq!(form.vars().count(), fields.len());
        for (var, values) in &fields {
            prop_assert_eq!(form.values(var).unwrap(), values.as_slice());
            match values.as_slice() {
                [] => prop_assert_eq!(form.text(var), Ok(None)),
                [one] => prop_assert_eq!(form.text(var), Ok(Some(one.as_str()))),
                _ => prop_assert_eq!(form.text(var), Err(FormError::Value)),
            }
        }
    }

    /// Any content gives an error, or a form whose fields can be read as every type.
    #[test]
    fn nothing_breaks_the_reading(
        kind in "(submit|cancel|form|result|)",
        vars in proptest::collection::vec("(a|b|FORM_TYPE||[ -~&&[^<&']]{1,4})", 0..6),
        value in "[ -~&&[^<&]]{0,9}",
    ) {
        let field = |var: &String| {
            format!("<field var='{var}'><value>{value}</value><option/><x/></field>")
        };
        let fields: String = vars.iter().map(field).collect();
        let xml = format!("<x xmlns='jabber:x:data' type='{kind}'>{fields}</x>");
        let Ok(form) = read(&xml) else { return Ok(()) };
        prop_assert_eq!(kind, "submit");
        let names: BTreeSet<_> = vars.iter().collect();
        prop_assert_eq!(names.len(), vars.len());
        for var in &vars {
            prop_assert_eq!(form.values(var).map(<[_]>::len), Some(1));
            prop_assert!(!matches!(form.boolean(var), Ok(None)));
            prop_assert_eq!(form.jid(var).is_ok(), form.jids(var).is_ok());
        }
    }
}

#[test]
fn a_form_is_written_as_it_was_built() {
    let kinds = Field::new("kind", FieldKind::ListSingle).option("a", "The <first>");
    let form = Form::new(FormKind::Form)
        .title("T")
        .form_type("urn:a")
        .field(Field::new("name", FieldKind::TextSingle).label("Name").required(true))
        .field(kinds.value("a"));
    let expected = "<x xmlns='jabber:x:data' type='form'><title>T</title>\
        <field var='FORM_TYPE' type='hidden'><value>urn:a</value></field>\
        <field var='name' type='text-single' label='Name'><required/></field>\
        <field var='kind' type='list-single'><value>a</value>\
        <option label='The &lt;first&gt;'><value>a</value></option></field></x>";
    assert_eq!(form.to_node().to_xml(), expected);
    assert_eq!(form.as_form_type(), Some("urn:a"));
}

#[test]
fn a_table_has_its_columns_once() {
    let table = super::table("T", &["jid"], [vec!["a@b".to_owned()]]);
    let expected = "<x xmlns='jabber:x:data' type='result'><title>T</title>\
        <reported><field var='jid' type='text-single' label='jid'/></reported>\
        <item><field var='jid'><value>a@b</value></field></item></x>";
    assert_eq!(table.to_xml(), expected);
}

#[test]
fn a_field_says_which_numbers_are_valid() {
    let field = Field::new("n", FieldKind::TextSingle).at_least(0).value("20");
    let expected = "<x xmlns='jabber:x:data' type='form'><field var='n' type='text-single'>\
        <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:integer'>\
        <range min='0'/></validate><value>20</value></field></x>";
    assert_eq!(Form::new(FormKind::Form).field(field).to_node().to_xml(), expected);
}
