//! A report for the server of the reported address (XEP-0377 §5): it goes to the address for abuse that this server
//! announces (XEP-0157), if the user allows that.

use std::time::Duration;

use super::forward;
use super::report::Report;
use crate::host::Cx;
use crate::jid::Jid;
use crate::ns;
use crate::payload::data_form::{self, FormKind, Submitted};
use crate::stanza::{Iq, IqKind, Stanza};
use crate::xml::element;

/// Asks the server of the reported address for its address for abuse, and sends the report there. If it does not answer,
/// or has no such address, the report stays in our queue only.
pub(super) fn send(cx: &mut Cx<'_>, report: &Report) {
    let domain = report.about.domain();
    if !report.may_go_to_origin || cx.server.ours(domain).is_some() {
        return;
    }
    let (Ok(to), Some(route)) = (Jid::parse(domain), cx.server.route()) else { return };
    let (host, query) = (cx.host.jid.clone(), element("query").ns(ns::DISCO_INFO));
    let asked = cx.server.request(host.clone(), to, IqKind::Get, query);
    let Ok((request, answer)) = asked else { return };
    // The user does not wait for it.
    cx.outbox.send_behind(request);
    let report = report.clone();
    let work = async move {
        let Ok(answer) = answer.within(PATIENCE).await else { return };
        if let Some(to) = for_abuse(&answer, report.about.domain()) {
            let message = forward::to_origin(&host, &to, &report);
            route.route(Stanza::Message(message)).await;
        }
    };
    let stopping = cx.server.tasks.stopping();
    drop(cx.server.tasks.spawn("report", stopping.run_until_cancelled_owned(work)));
}

/// The first address for abuse that is one of the server itself: no other one gets what the user has allowed it.
fn for_abuse(answer: &Iq, domain: &str) -> Option<Jid> {
    let query = answer.payload()?;
    let forms = query.children().filter(|child| child.is(data_form::NS, "x"));
    let mut forms = forms.filter_map(|form| Submitted::read_as(&form, &[FormKind::Result]).ok());
    let form = forms.find(|form| form.form_type() == Some(ns::CONTACT_ADDRESSES))?;
    let is_own = |jid: &Jid| {
        let rest = jid.domain().strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    form.values("abuse-addresses")?.iter().take(MOST).find_map(|uri| {
        let address = uri.strip_prefix("xmpp:")?.split('?').next()?;
        Jid::parse(address).ok().filter(is_own)
    })
}

/// How long we wait for the answer of the server.
const PATIENCE: Duration = Duration::from_secs(60);
/// Addresses that are looked at.
const MOST: usize = 10;

#[cfg(test)]
mod tests {
    use super::for_abuse;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    #[test]
    fn a_report_goes_to_an_address_of_the_reported_server_only() {
        let found = |addresses: &[&str]| {
            let values: String =
                addresses.iter().map(|address| format!("<value>{address}</value>")).collect();
            let xml = format!(
                "<iq type='result' id='1' from='b.example' to='a.example'>\
                 <query xmlns='http://jabber.org/protocol/disco#info'><x xmlns='jabber:x:data' type='result'>\
                 <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>\
                 <field var='abuse-addresses'>{values}</field></x></query></iq>"
            );
            match Stanza::read(Frame::from_bytes(xml).unwrap()).unwrap() {
                Stanza::Iq(iq) => for_abuse(&iq, "b.example").map(|jid| jid.as_str().to_owned()),
                other => panic!("{other:?}"),
            }
        };
        let abuse = |jid: &str| Some(jid.to_owned());
        assert_eq!(
            found(&["mailto:a@b.example", "xmpp:abuse@b.example"]),
            abuse("abuse@b.example")
        );
        assert_eq!(found(&["xmpp:x@help.b.example?message"]), abuse("x@help.b.example"));
        for others in ["xmpp:abuse@c.example", "xmpp:a@evilb.example", "xmpp:@", "b.example"] {
            assert_eq!(found(&[others]), None, "{others}");
        }
    }
}
