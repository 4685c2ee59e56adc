"""Group chat (XEP-0045) with slixmpp: people who come together in a room, talk, and keep order."""

import asyncio
import collections

import slixmpp

from client import PAGE, Kept, within
from with_slixmpp import SlixmppClient

Said = collections.namedtuple("Said", "nick body archived")
Seen = collections.namedtuple("Seen", "kind nick codes affiliation role stanza")
CONFIG = "muc#roomconfig_"


class Guest(SlixmppClient):
    """Somebody who knows rooms."""

    more = ("xep_0004", "xep_0045", "xep_0249", "xep_0410")

    def _listen(self):
        super()._listen()
        self.said, self.seen = asyncio.Queue(), asyncio.Queue()
        self.subjects, self.invitations = asyncio.Queue(), asyncio.Queue()
        self.changes = asyncio.Queue()
        on = self.xmpp.add_event_handler
        on("groupchat_message", self._said)
        on("groupchat_presence", self._seen)
        on("groupchat_subject", lambda message: self.subjects.put_nowait(message["subject"]))
        on("groupchat_invite", lambda message: self.invitations.put_nowait(
            ("mediated", message["from"].bare, message["muc"]["invite"]["reason"])
        ))
        on("groupchat_direct_invite", lambda message: self.invitations.put_nowait(
            ("direct", str(message["groupchat_invite"]["jid"]), message["groupchat_invite"]["reason"])
        ))
        on("groupchat_config_status", lambda message: self.changes.put_nowait(
            set(message["muc"]["status_codes"])
        ))

    @property
    def muc(self):
        return self.xmpp["xep_0045"]

    def _message(self, message):
        if message["type"] != "groupchat":
            super()._message(message)

    def _said(self, message):
        ids = message.xml.findall("{urn:xmpp:sid:0}stanza-id")
        own = [each.get("id") for each in ids if each.get("by") == message["from"].bare]
        assert len(own) <= 1, own
        self.said.put_nowait(Said(message["from"].resource, message["body"], *own or [None]))

    def _seen(self, presence):
        muc = presence["muc"]
        kind = presence.xml.get("type") or "available"
        codes = set(muc["status_codes"])
        seen = Seen(
            kind, presence["from"].resource, codes, muc["affiliation"], muc["role"], presence
        )
        self.seen.put_nowait(seen)

    async def enters(self, room, nick):
        """The codes of the own presence, and the nicknames of those who are there already."""
        joined = self.muc.join_muc_wait(slixmpp.JID(room), nick, maxstanzas=0)
        own, _, occupants, _ = await within(joined, f"the entry of {nick}")
        return set(own["muc"]["status_codes"]), {each["from"].resource for each in occupants}

    async def makes(self, room, nick, **values):
        """Makes a room with these values in its configuration; without any, an instant room."""
        codes, _ = await self.enters(room, nick)
        assert {110, 201} <= codes, codes
        await self.configures(room, **values)

    async def configures(self, room, **values):
        form = await within(self.muc.get_room_config(room), "the form")
        form.set_values({CONFIG + name: value for name, value in values.items()})
        await within(self.muc.set_room_config(room, form), "the answer to the form")

    def says(self, room, body):
        self.xmpp.send_message(room, body, mtype="groupchat")

    async def hears(self, nick, body):
        """The next message in a room is this one. Returns its id in the archive of the room."""
        found = await within(self.said.get(), f"{body} of {nick}")
        assert (found.nick, found.body) == (nick, body), found
        assert found.archived, "no id of the archive"
        return found.archived

    async def sees(self, kind, nick, **wanted):
        """The next presence of this kind with this nickname and these values; others are passed over."""
        while True:
            found = await within(self.seen.get(), f"{kind} of {nick} with {wanted}")
            values = found._asdict()
            if (found.kind, found.nick) == (kind, nick) and all(
                values[name] == value for name, value in wanted.items() if name != "codes"
            ) and wanted.get("codes", set()) <= found.codes:
                return found

    async def history_of(self, room):
        pages = self.xmpp["xep_0313"].iterate(jid=slixmpp.JID(room), rsm={"max": PAGE})
        kept = []
        async for each in pages:
            result = each["mam_result"]
            message = result["forwarded"]["stanza"]
            kept.append(Kept(result["id"], message["from"].resource, message["body"]))
        return [each for each in kept if each.body]


def room_of(client):
    return f"orchard-{client.bare.split('@')[0]}@conference.{client.domain}"


async def is_refused(request, *conditions):
    try:
        await request
    except (slixmpp.exceptions.IqError, slixmpp.exceptions.PresenceError) as error:
        assert error.condition in conditions, error.condition
    else:
        raise AssertionError(f"not refused by {conditions}")


async def people_talk_in_a_room(a, b):
    """XEP-0045 §7: they enter, talk, see each other, write in private, change names, and leave."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        await romeo.makes(room, "Romeo")
        codes, others = await juliet.enters(room, "Juliet")
        assert 110 in codes and 201 not in codes and others >= {"Romeo"}, (codes, others)
        await romeo.sees("available", "Juliet", affiliation="none", role="participant")
        for speaker, nick, body in (
            (romeo, "Romeo", "wherefore <art> thou & I"), (juliet, "Juliet", "here 🌹"),
        ):
            speaker.says(room, body)
            assert await romeo.hears(nick, body) == await juliet.hears(nick, body)
        await juliet.say(f"{room}/Romeo", "between us")
        found = await romeo.message()
        assert (found.sender, found.body) == (f"{room}/Juliet", "between us"), found
        romeo.muc.set_subject(room, "Love")
        for client in (romeo, juliet):
            while (found := await within(client.subjects.get(), "the subject")) != "Love":
                assert not found, found
        nick = await within(juliet.muc.set_self_nick(slixmpp.JID(room), "Capulet"), "the new name")
        assert nick == "Capulet", nick
        gone = await romeo.sees("unavailable", "Juliet", codes={303})
        assert gone.stanza["muc"]["item_nick"] == "Capulet", gone
        await romeo.sees("available", "Capulet")
        status = await within(
            juliet.xmpp["xep_0410"].send_self_ping(slixmpp.JID(f"{room}/Capulet")), "the pong"
        )
        assert status.name == "JOINED", status
        juliet.muc.leave_muc(slixmpp.JID(room), "Capulet")
        await romeo.sees("unavailable", "Capulet")
        status = await within(
            juliet.xmpp["xep_0410"].send_self_ping(slixmpp.JID(f"{room}/Capulet")), "the refusal"
        )
        assert status.name != "JOINED", status


async def moderators_keep_order(a, b):
    """XEP-0045 §8, §9: kick, voice, ban, lists of affiliations."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        await romeo.makes(room, "Romeo")
        await juliet.enters(room, "Juliet")
        await within(romeo.muc.set_role(room, "Juliet", "none", reason="hush"), "the kick")
        await juliet.sees("unavailable", "Juliet", codes={110, 307})
        await romeo.sees("unavailable", "Juliet", codes={307})
        await juliet.enters(room, "Juliet")

        await romeo.configures(room, moderatedroom=True)
        await within(romeo.muc.set_role(room, "Juliet", "visitor"), "the answer")
        await juliet.sees("available", "Juliet", role="visitor")
        await within(romeo.muc.set_role(room, "Juliet", "participant"), "the answer")
        await juliet.sees("available", "Juliet", role="participant")
        juliet.says(room, "may I")
        await romeo.hears("Juliet", "may I")

        await is_refused(
            within(juliet.muc.set_role(room, "Romeo", "none"), "an error"), "not-allowed", "forbidden"
        )
        await is_refused(within(juliet.muc.get_room_config(room), "an error"), "forbidden")
        for affiliation in ("member", "admin"):
            await within(
                romeo.muc.set_affiliation(room, affiliation, jid=juliet.bare), "the answer"
            )
            await juliet.sees("available", "Juliet", affiliation=affiliation)
            found = await within(romeo.muc.get_affiliation_list(room, affiliation), "the list")
            assert [str(jid) for jid in found] == [juliet.bare], found
        await within(romeo.muc.set_affiliation(room, "outcast", jid=juliet.bare), "the ban")
        await juliet.sees("unavailable", "Juliet", codes={110, 301})
        found = await within(romeo.muc.get_affiliation_list(room, "outcast"), "the list")
        assert [str(jid) for jid in found] == [juliet.bare], found
        await is_refused(juliet.enters(room, "Juliet"), "forbidden")
        await within(romeo.muc.set_affiliation(room, "none", jid=juliet.bare), "the pardon")
        await juliet.enters(room, "Juliet")


async def members_are_invited(a, b):
    """XEP-0045 §7.8, §10.2 and XEP-0249: a room for members, and both kinds of invitations."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        await romeo.makes(room, "Romeo", roomname="The Orchard", membersonly=True)
        info = await within(romeo.xmpp["xep_0030"].get_info(jid=room), "what the room is")
        features = set(info["disco_info"]["features"])
        assert {"http://jabber.org/protocol/muc", "muc_membersonly"} <= features, features
        names = {each[3] for each in info["disco_info"]["identities"]}
        assert names == {"The Orchard"}, names
        await is_refused(juliet.enters(room, "Juliet"), "registration-required")
        romeo.muc.invite(room, juliet.bare, reason="come")
        # The room says it in both ways, for clients that know one of them (XEP-0249 §2). slixmpp tells one.
        kind, *found = await within(juliet.invitations.get(), "the invitation")
        assert found == [room, "come"], (kind, found)
        # Who is invited by an admin is a member (XEP-0045 §7.8.2).
        await juliet.enters(room, "Juliet")
        romeo.xmpp["xep_0249"].send_invitation(
            slixmpp.JID(juliet.bare), slixmpp.JID(room), reason="come back"
        )
        found = await within(juliet.invitations.get(), "the invitation")
        assert found == ("direct", room, "come back"), found
        await romeo.configures(room, membersonly=False)
        found = await within(juliet.changes.get(), "word of the change")
        assert 104 in found, found


async def history_of_a_room_is_in_its_archive(a, b):
    """XEP-0313 with the address of a room; XEP-0045 §7.2.13 for who enters."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        await romeo.makes(room, "Romeo", persistentroom=True)
        bodies = [f"line {number}" for number in range(8)]
        ids = []
        for body in bodies:
            romeo.says(room, body)
            ids.append(await romeo.hears("Romeo", body))
        joined = juliet.muc.join_muc_wait(slixmpp.JID(room), "Juliet", maxstanzas=3)
        _, _, _, history = await within(joined, "the entry")
        assert [each["body"] for each in history] == bodies[-3:], history
        found = await within(juliet.history_of(room), "the archive")
        assert found == [Kept(id_, "Romeo", body) for id_, body in zip(ids, bodies)], found


async def room_ends(a, b):
    """XEP-0045 §10.9; and nobody is in it afterwards."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        await romeo.makes(room, "Romeo", persistentroom=True)
        await juliet.enters(room, "Juliet")
        await is_refused(within(juliet.muc.destroy(room), "an error"), "forbidden")
        await within(romeo.muc.destroy(room, reason="dawn"), "the answer")
        found = await juliet.sees("unavailable", "Juliet")
        destroyed = found.stanza.xml.find(".//{http://jabber.org/protocol/muc#user}destroy")
        assert destroyed is not None, found.stanza
        reason = destroyed.findtext("{http://jabber.org/protocol/muc#user}reason")
        assert reason == "dawn", reason
        codes, others = await juliet.enters(room, "Juliet")
        assert 201 in codes and not others - {"Juliet"}, (codes, others)


SCENARIOS = [
    people_talk_in_a_room,
    moderators_keep_order,
    members_are_invited,
    history_of_a_room_is_in_its_archive,
    room_ends,
]
