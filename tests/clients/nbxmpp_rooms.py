"""nbxmpp (Gajim's library) in rooms (XEP-0045).

Arguments: the name of a scenario, then those of with_nbxmpp.py.
"""

import sys

from nbxmpp.errors import StanzaError
from nbxmpp.namespaces import Namespace
from nbxmpp.protocol import JID, Message, Presence

from nbxmpp_devices import Device, House
from with_nbxmpp import wait_for


class Guest(Device):
    """Somebody who knows rooms."""

    def __init__(self, *arguments, resource):
        super().__init__(*arguments, resource=resource)
        self.seen = []
        self.subjects = []
        self.invitations = []

    def _presence(self, client, stanza, properties):
        super()._presence(client, stanza, properties)
        if "@conference." not in str(stanza.getFrom()):
            return
        codes = {code.value for code in properties.muc_status_codes or ()}
        user = properties.muc_user
        found = (user.affiliation, user.role) if user is not None else (None, None)
        rank = tuple(each.value if each is not None else None for each in found)
        kind = properties.type.value or "available"
        error = properties.error.condition if properties.error is not None else None
        self.seen.append((kind, properties.jid.resource, codes, *rank, error))

    def _message(self, client, stanza, properties):
        if properties.muc_invite is not None:
            invite = properties.muc_invite
            self.invitations.append((str(invite.muc), invite.reason))
        elif properties.is_muc_subject:
            self.subjects.append(properties.subject)
        else:
            super()._message(client, stanza, properties)

    def enters(self, room, nick):
        presence = Presence(to=f"{room}/{nick}")
        presence.setTag("x", namespace=Namespace.MUC).setTag("history", attrs={"maxstanzas": "0"})
        self.client.send_stanza(presence)

    def finds_out(self, kind, nick, codes=frozenset(), rank=None, error=None):
        """A presence of this kind with this nickname; those before it are passed over."""
        def fits(seen):
            return (
                seen[:2] == (kind, nick) and codes <= seen[2] and error == seen[5]
                and (rank is None or seen[3:5] == rank)
            )

        wait_for(lambda: any(map(fits, self.seen)), f"{kind} of {nick}, not {self.seen}")
        place = next(place for place, seen in enumerate(self.seen) if fits(seen))
        del self.seen[:place + 1]

    def makes(self, room, nick, **values):
        self.enters(room, nick)
        self.finds_out("available", nick, {"110", "201"}, ("owner", "moderator"))
        self.configures(room, **values)

    def configures(self, room, **values):
        form = self.ask("MUC", "request_config", JID.from_string(room)).form
        assert form is not None, "no form"
        form.type_ = "submit"
        for name, value in values.items():
            form[f"muc#roomconfig_{name}"].value = value
        self.ask("MUC", "set_config", JID.from_string(room), form)

    def says(self, room, body):
        self.client.send_stanza(Message(to=room, body=body, typ="groupchat"))


class Inn(House):
    def lets_in(self, name, resource="one"):
        return Guest(*self._arguments, *self._accounts[name], resource=resource).comes_in()


def room_of(person):
    return f"orchard-{person.user}@conference.localhost"


def people_talk_in_a_room(inn):
    """XEP-0045 §7, XEP-0313: they enter, talk, write in private, change names, leave; the archive has it."""
    romeo, juliet = inn.lets_in("romeo"), inn.lets_in("juliet")
    room = room_of(romeo)
    romeo.makes(room, "Romeo", persistentroom=True)
    juliet.enters(room, "Juliet")
    juliet.finds_out("available", "Romeo")
    juliet.finds_out("available", "Juliet", {"110"}, ("none", "participant"))
    romeo.finds_out("available", "Juliet")
    said = []
    for speaker, nick, body in (
        (romeo, "Romeo", "wherefore <art> & thou"), (juliet, "Juliet", "here 🌹"),
    ):
        speaker.says(room, body)
        ids = [person.hears(f"{room}/{nick}", body) for person in (romeo, juliet)]
        assert ids[0] == ids[1], ids
        said.append((ids[0], body))
    romeo.client.send_stanza(Message(to=f"{room}/Juliet", body="between us", typ="chat"))
    wait_for(lambda: juliet.messages, "the private message")
    found = juliet.messages.popleft()
    assert (str(found.getFrom()), found.getBody()) == (f"{room}/Romeo", "between us"), found
    romeo.client.get_module("MUC").set_subject(JID.from_string(room), "Love")
    for person in (romeo, juliet):
        wait_for(lambda: "Love" in person.subjects, f"the subject, not {person.subjects}")
    juliet.client.send_stanza(Presence(to=f"{room}/Capulet"))
    romeo.finds_out("unavailable", "Juliet", {"303"})
    romeo.finds_out("available", "Capulet")
    juliet.finds_out("available", "Capulet", {"110"})
    juliet.ask("Ping", "ping", JID.from_string(f"{room}/Capulet"))
    found = juliet.ask("MAM", "make_query", JID.from_string(room), queryid="room", max_=50)
    assert found.complete, found
    kept = [each for each in juliet.history if each[1]]
    assert kept == said, (kept, said)
    juliet.client.send_stanza(Presence(to=f"{room}/Capulet", typ="unavailable"))
    romeo.finds_out("unavailable", "Capulet")


def owners_keep_order(inn):
    """XEP-0045 §7.8, §8, §9, §10: members only, invitation, kick, ban, lists, and the end of the room."""
    romeo, juliet = inn.lets_in("romeo"), inn.lets_in("juliet")
    room, muc = room_of(romeo), romeo.client.get_module("MUC")
    address, guest = JID.from_string(room), JID.from_string(juliet.bare)
    romeo.makes(room, "Romeo", roomname="The Orchard", membersonly=True)
    juliet.enters(room, "Juliet")
    juliet.finds_out("error", "Juliet", error="registration-required")
    muc.invite(address, guest, None, "come")
    wait_for(lambda: juliet.invitations, "the invitation")
    assert juliet.invitations == [(room, "come")], juliet.invitations
    juliet.enters(room, "Juliet")
    juliet.finds_out("available", "Juliet", {"110"}, ("member", "participant"))
    romeo.ask("MUC", "set_role", address, "Juliet", "none", "hush")
    juliet.finds_out("unavailable", "Juliet", {"110", "307"})
    juliet.enters(room, "Juliet")
    juliet.finds_out("available", "Juliet", {"110"})
    romeo.ask("MUC", "set_affiliation", address, {guest: {"affiliation": "outcast"}})
    juliet.finds_out("unavailable", "Juliet", {"110", "301"})
    found = romeo.ask("MUC", "get_affiliation", address, "outcast")
    assert [str(jid) for jid in found.users] == [juliet.bare], found
    juliet.enters(room, "Juliet")
    juliet.finds_out("error", "Juliet", error="forbidden")
    try:
        juliet.ask("MUC", "destroy", address)
    except StanzaError as error:
        assert error.condition == "forbidden", error
    else:
        raise AssertionError("an outcast has destroyed the room")
    romeo.ask("MUC", "destroy", address, "dawn")


SCENARIOS = {
    function.__name__.replace("_", " "): function
    for function in (people_talk_in_a_room, owners_keep_order)
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Inn(*sys.argv[2:]))
