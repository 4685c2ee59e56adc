//! A client that asks for slots and sends messages, over BOSH.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxwing::auth::derive_keys;
use waxwing::jid::BareJid;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::{FileId, NewAccount};

use crate::test_server::{Slot, TestServer, path_of};

pub(crate) struct Client<'a> {
    server: &'a TestServer,
    sid: String,
    rid: u64,
}

impl<'a> Client<'a> {
    /// A user with a new account, who has logged in.
    pub(crate) async fn new(server: &'a TestServer, name: &str) -> Client<'a> {
        let account = NewAccount {
            user: BareJid::parse(&format!("{name}@localhost")).unwrap(),
            keys: derive_keys("secret", 2).unwrap(),
            created: Timestamp::from_micros(0),
            admin: false,
        };
        server.server.state().storage.accounts().create(&[account]).await.unwrap();
        let mut client = Self { server, sid: String::new(), rid: 100 };
        let begun = client.say("to='localhost' ver='1.6' wait='5' hold='1'", "", "PLAIN").await;
        client.sid = between(&begun, " sid='", "'");
        let login = STANDARD.encode(format!("\0{name}\0secret"));
        let login = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{login}</auth>"
        );
        client.say("", &login, "<success").await;
        client.say("xmpp:restart='true'", "", "urn:ietf:params:xml:ns:xmpp-bind").await;
        let bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
        client.say("", &format!("<iq type='set' id='b'>{bind}</iq>"), "<jid>").await;
        client
    }

    /// Sends stanzas, and reads until this has come.
    async fn say(&mut self, attributes: &str, inside: &str, wanted: &str) -> String {
        let (mut heard, mut attributes, mut inside) = (String::new(), attributes, inside);
        while !heard.contains(wanted) {
            self.rid += 1;
            let sid = match self.sid.as_str() {
                "" => String::new(),
                sid => format!("sid='{sid}'"),
            };
            let body = format!(
                "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' \
                 rid='{}' {sid} {attributes}>{inside}</body>",
                self.rid
            );
            let answer = self.server.ask("POST", "/http-bind", "", body.as_bytes()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            heard += &String::from_utf8(answer.body).unwrap();
            assert!(!heard.contains("type='terminate'"), "{heard}");
            (attributes, inside) = ("", "");
        }
        heard
    }

    /// Sends stanzas, and waits until the server has handled them.
    pub(crate) async fn sends(&mut self, stanzas: &str) {
        let id = format!("ping{}", self.rid);
        let ping = format!("<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.say("", &format!("{stanzas}{ping}"), &format!("id='{id}'")).await;
    }

    /// Runs the command `files` of an account with this form, and returns the answer.
    pub(crate) async fn command(&mut self, to: &str, form: &str) -> String {
        let request = format!(
            "<iq type='set' id='command{}' to='{to}'><command node='files' \
             xmlns='http://jabber.org/protocol/commands'>{form}</command></iq>",
            self.rid
        );
        self.say("", &request, "</iq>").await
    }

    /// Asks for a slot for five bytes with this purpose.
    pub(crate) async fn slot(&mut self, purpose: &str) -> Slot {
        let request = format!(
            "<iq type='get' id='slot{}' to='upload.localhost'><request \
             xmlns='urn:xmpp:http:upload:0' filename='a.txt' size='5'>{purpose}</request></iq>",
            self.rid
        );
        let answer = self.say("", &request, "</iq>").await;
        let path = |name: &str| {
            let url = between(&answer, &format!("<{name} url='"), "'");
            path_of(&url.replace("&amp;", "&"))
        };
        let (put, get) = (path("put"), path("get"));
        let id = FileId::parse(get.split('/').nth(2).unwrap()).unwrap();
        Slot { id, path: get, put }
    }

    /// Uploads `hello` with this purpose.
    pub(crate) async fn file(&mut self, purpose: &str) -> Slot {
        let slot = self.slot(purpose).await;
        let answer = self.server.put(&slot, b"hello", "").await;
        assert_eq!(answer.status, 201, "{answer:?}");
        slot
    }
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split(after).next().unwrap().to_owned()
}
