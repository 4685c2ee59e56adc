//! Accounts that are online and have each other as contacts. If they are not contacts yet, they become
//! contacts over the protocol first (RFC 6121 §3.1).

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::capabilities::Capabilities;
use crate::client::{Connection, Target};
use crate::elements::{self, Element};

/// One account with its connection.
pub(crate) struct Member {
    pub(crate) number: usize,
    pub(crate) reader: ReadHalf<Tls>,
    pub(crate) writer: WriteHalf<Tls>,
    pub(crate) unread: Vec<u8>,
}

/// Who has whom as a contact; numbers count from 1 on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Circle {
    /// The accounts form a ring; the contacts of one are its nearest neighbours on both sides.
    Ring { accounts: usize, contacts: usize },
    /// The first account has all others as contacts, and they have nobody else.
    Star { accounts: usize },
}

impl Circle {
    pub(crate) fn accounts(self) -> usize {
        match self {
            Self::Ring { accounts, .. } | Self::Star { accounts } => accounts,
        }
    }

    /// The numbers of the contacts of this account.
    pub(crate) fn contacts(self, number: usize) -> Vec<usize> {
        match self {
            Self::Ring { accounts, contacts } => {
                let place = number - 1 + accounts;
                (1..=contacts / 2)
                    .flat_map(|distance| [place - distance, place + distance])
                    .map(|place| place % accounts + 1)
                    .collect()
            }
            Self::Star { accounts } if number == 1 => (2..=accounts).collect(),
            Self::Star { .. } => vec![1],
        }
    }
}

pub(crate) use crate::client::AnyStream as Tls;

impl Member {
    /// Logs in all accounts of the circle. All are online and contacts of each other afterwards, and have
    /// said in their presence what they can do, if that is wanted.
    pub(crate) async fn all_online(
        target: &Rc<Target>,
        circle: Circle,
        capabilities: Option<&Capabilities>,
    ) -> anyhow::Result<Vec<Self>> {
        let (mut members, mut strangers) = (Vec::with_capacity(circle.accounts()), 0);
        for (n, mut connection) in
            target.login_all(circle.accounts()).await?.into_iter().enumerate()
        {
            let number = n + 1;
            connection.send(ROSTER).await?;
            let roster = connection.expect("</iq>").await?;
            let friends = roster.matches("subscription='both'").count();
            let friends = friends + roster.matches("subscription=\"both\"").count();
            strangers += usize::from(friends < circle.contacts(number).len());
            match capabilities {
                Some(capabilities) => capabilities.appear(&mut connection, &target.domain).await?,
                None => connection.appear(&target.domain).await?,
            }
            members.push(Self::new(number, connection));
        }
        match strangers {
            0 => {}
            _ if strangers == circle.accounts() => befriend(target, &mut members, circle).await?,
            _ => bail!("some accounts have too few contacts: take new accounts"),
        }
        Ok(members)
    }

    pub(crate) fn new(number: usize, connection: Connection) -> Self {
        let (stream, unread) = connection.into_parts();
        let (reader, writer) = tokio::io::split(stream);
        Self { number, reader, writer, unread }
    }

    /// Writes a presence of this type to each contact.
    async fn send_to_contacts(
        &mut self,
        target: &Target,
        circle: Circle,
        kind: &str,
    ) -> anyhow::Result<()> {
        let to = circle.contacts(self.number).into_iter().map(|number| target.address(number));
        let text: String = to.map(|to| format!("<presence to='{to}' type='{kind}'/>")).collect();
        self.writer.write_all(text.as_bytes()).await?;
        Ok(self.writer.flush().await?)
    }

    /// Reads until so many presences of this type have come.
    async fn expect_presences(&mut self, kind: &str, count: usize) -> anyhow::Result<()> {
        let mut come = 0;
        while come < count {
            let read = read(&mut self.reader, &mut self.unread, |element| {
                if let Element::Presence(presence) = element {
                    come += usize::from(type_of(presence) == Some(kind.as_bytes()));
                }
            });
            let read = tokio::time::timeout(STALL, read).await;
            read.with_context(|| format!("only {come} of {count} {kind} come"))??;
        }
        Ok(())
    }
}

/// All ask their contacts for a subscription, and all approve.
async fn befriend(target: &Target, members: &mut [Member], circle: Circle) -> anyhow::Result<()> {
    for kind in ["subscribe", "subscribed"] {
        for member in &mut *members {
            member.send_to_contacts(target, circle, kind).await?;
        }
        for member in &mut *members {
            member.expect_presences(kind, circle.contacts(member.number).len()).await?;
        }
    }
    Ok(())
}

/// Reads once, and shows each element that has come.
pub(crate) async fn read(
    reader: &mut ReadHalf<Tls>,
    unread: &mut Vec<u8>,
    mut each: impl FnMut(Element<'_>),
) -> anyhow::Result<()> {
    unread.reserve(READ_BYTES);
    if reader.read_buf(unread).await? == 0 {
        bail!("connection closed");
    }
    let mut done = 0;
    while let Some((element, length)) = elements::first(&unread[done..])? {
        each(element);
        done += length;
    }
    unread.drain(..done);
    Ok(())
}

/// The type of a presence; `None` if its sender is online.
fn type_of(presence: &[u8]) -> Option<&[u8]> {
    let tag = &presence[..memchr::memchr(b'>', presence)?];
    let value = &tag[memmem::find(tag, b" type=")? + " type=".len()..];
    let (quote, value) = value.split_first()?;
    value.get(..memchr::memchr(*quote, value)?)
}

const ROSTER: &str = "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>";
const READ_BYTES: usize = 16 * 1024;
/// So long nothing may come before the run has failed.
pub(crate) const STALL: Duration = Duration::from_secs(60);
