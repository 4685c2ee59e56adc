"""Group chat (XEP-0045) with aioxmpp, which keeps a picture of the room of its own."""

import asyncio
import collections

import aioxmpp
import aioxmpp.im.conversation
import aioxmpp.muc
import aioxmpp.muc.xso

from client import Kept, within
from rooms import room_of
from with_aioxmpp import MAM, AioxmppClient, Query

Said = collections.namedtuple("Said", "nick body")


class Guest(AioxmppClient):
    """Somebody who knows rooms."""

    def _listen(self):
        super()._listen()
        self.muc = self.xmpp.summon(aioxmpp.muc.MUCClient)
        self.said, self.happened = asyncio.Queue(), asyncio.Queue()
        self.invitations = asyncio.Queue()
        self.muc.on_muc_invitation.connect(self._invited)

    def _message(self, message):
        if message.type_ != aioxmpp.MessageType.GROUPCHAT:
            return super()._message(message)
        if message.waxwing_result:
            self._results.append(message.waxwing_result)
        return message

    def _invited(self, stanza, mucjid, inviter, mode, *, password=None, reason=None, **_):
        self.invitations.put_nowait((mode.name, str(mucjid), reason))

    async def enters(self, room, nick):
        history = aioxmpp.muc.xso.History(maxstanzas=0)
        found, joined = self.muc.join(
            aioxmpp.JID.fromstr(room), nick, history=history, autorejoin=False
        )
        found.on_message.connect(
            lambda message, member, source, **_: self.said.put_nowait(
                Said(member.nick, message.body.any())
            ) if message.body else None
        )
        note = self.happened.put_nowait
        found.on_join.connect(lambda member, **_: note(("joins", member.nick)))
        found.on_leave.connect(
            lambda member, muc_leave_mode=None, **_: note(("leaves", member.nick, muc_leave_mode.name))
        )
        found.on_exit.connect(
            lambda muc_leave_mode=None, **_: note(("is out", muc_leave_mode.name))
        )
        found.on_nick_changed.connect(
            lambda member, old, new, **_: note(("is renamed", old, new))
        )
        found.on_topic_changed.connect(
            lambda member, topic, **_: note(("topic", topic.any())) if topic else None
        )
        await within(joined, f"the entry of {nick}")
        return found

    async def makes(self, room, nick, **values):
        found = await self.enters(room, nick)
        jid = aioxmpp.JID.fromstr(room)
        data = await within(self.muc.get_room_config(jid), "the form")
        form = aioxmpp.muc.xso.ConfigurationForm.from_xso(data)
        for name, value in values.items():
            getattr(form, name).value = value
        await within(self.muc.set_room_config(jid, form.render_reply()), "the answer to the form")
        return found

    async def says(self, room, body):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
        message.body[None] = body
        await within(room.send_message(message), "the message on its way")

    async def hears(self, nick, body):
        found = await within(self.said.get(), f"{body} of {nick}")
        assert found == (nick, body), found

    async def notes(self, *wanted):
        """This happens in the room; what else happens is passed over."""
        while (found := await within(self.happened.get(), f"{wanted}")) != wanted:
            pass

    async def history_of(self, room):
        self._results = []
        form = aioxmpp.forms.Data(type_=aioxmpp.forms.DataType.SUBMIT)
        form.fields.append(aioxmpp.forms.Field(var="FORM_TYPE", values=[MAM]))
        query = Query()
        query.form = form
        iq = aioxmpp.IQ(
            type_=aioxmpp.IQType.SET, to=aioxmpp.JID.fromstr(room), payload=query
        )
        fin = await self.xmpp.send(iq)
        assert fin.complete, fin
        kept = [(each.id_, each.forwarded.stanza) for each in self._results]
        return [
            Kept(id_, of.from_.resource, of.body.any()) for id_, of in kept if of.body
        ]


async def people_talk_in_a_room(a, b):
    """XEP-0045 §7: they enter, talk, see each other, write in private, change names, and leave."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        his = await romeo.makes(room, "Romeo", roomname="The Orchard")
        hers = await juliet.enters(room, "Juliet")
        await romeo.notes("joins", "Juliet")
        assert {each.nick for each in hers.members} == {"Romeo", "Juliet"}, hers.members
        for client, where, nick, body in (
            (romeo, his, "Romeo", "wherefore <art> thou & I"), (juliet, hers, "Juliet", "here 🌹"),
        ):
            await client.says(where, body)
            for each in (romeo, juliet):
                await each.hears(nick, body)
        kept = await within(juliet.history_of(room), "the archive")
        bodies = [each[1:] for each in kept]
        assert bodies == [("Romeo", "wherefore <art> thou & I"), ("Juliet", "here 🌹")], kept

        await romeo.say(f"{room}/Juliet", "between us")
        found = await juliet.message()
        assert (found.sender, found.body) == (f"{room}/Romeo", "between us"), found
        await within(his.set_topic({None: "Love"}), "the topic on its way")
        for each in (romeo, juliet):
            await each.notes("topic", "Love")
        await within(hers.set_nick("Capulet"), "the name on its way")
        await romeo.notes("is renamed", "Juliet", "Capulet")
        await juliet.notes("is renamed", "Juliet", "Capulet")
        await within(hers.leave(), "the way out")
        await romeo.notes("leaves", "Capulet", "NORMAL")


async def owners_keep_order(a, b):
    """XEP-0045 §8, §9, §7.8: invitation, kick, ban, lists."""
    async with a() as romeo, b() as juliet:
        room = room_of(romeo)
        his = await romeo.makes(room, "Romeo", membersonly=True)
        address = aioxmpp.JID.fromstr(juliet.bare)
        token, _ = await within(
            his.invite(address, text="come", mode=aioxmpp.im.InviteMode.MEDIATED), "the invitation"
        )
        await within(token, "the invitation on its way")
        found = await within(juliet.invitations.get(), "the invitation")
        assert found == ("MEDIATED", room, "come"), found
        await juliet.enters(room, "Juliet")
        await romeo.notes("joins", "Juliet")
        (guest,) = [each for each in his.members if each.nick == "Juliet"]
        # aioxmpp keeps the real address without its resource.
        assert str(guest.direct_jid) == juliet.bare, guest
        await within(his.kick(guest, reason="hush"), "the kick")
        await juliet.notes("is out", "KICKED")
        await romeo.notes("leaves", "Juliet", "KICKED")
        await juliet.enters(room, "Juliet")
        await romeo.notes("joins", "Juliet")
        (guest,) = [each for each in his.members if each.nick == "Juliet"]
        await within(his.ban(guest, reason="begone"), "the ban")
        await juliet.notes("is out", "BANNED")
        await romeo.notes("leaves", "Juliet", "BANNED")
        found = await within(
            romeo.muc.get_affiliated(aioxmpp.JID.fromstr(room), "outcast"), "the list"
        )
        assert [str(jid) for jid in found] == [juliet.bare], found
        try:
            await juliet.enters(room, "Juliet")
        except aioxmpp.errors.XMPPAuthError as error:
            assert error.condition == aioxmpp.ErrorCondition.FORBIDDEN, error
        else:
            raise AssertionError("an outcast has entered")


SCENARIOS = [people_talk_in_a_room, owners_keep_order]
