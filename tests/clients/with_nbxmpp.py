"""nbxmpp (Gajim's library): two accounts log in, chat, lose their connections and go on.

Arguments: starttls|tls, port, domain, certificate, user, password, user, password.
Runs in a Python of its own, since GLib comes from the distribution. The port is that of a proxy:
`cut`, `admit` or `restart` on standard output is done by run.py.
"""

import collections
import sys

from gi.repository import Gio, GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType
from nbxmpp.protocol import JID, Message, Presence
from nbxmpp.structs import StanzaHandler

WAIT_SECONDS = 15


class Person:
    def __init__(self, way, port, domain, certificate, user, password, resource="nbxmpp"):
        self.user = user
        self.bare = f"{user}@{domain}"
        self.messages = collections.deque()
        self.history = []
        self.answer = None
        self.state = None
        self.is_leaving = False
        self.resumptions = 0
        self.client = Client(log_context=user)
        self.client.set_domain(domain)
        self.client.set_username(user)
        self.client.set_password(password)
        self.client.set_resource(f"{resource}-{user}")
        kind = ConnectionType.DIRECT_TLS if way == "tls" else ConnectionType.START_TLS
        self.client.set_custom_host(f"{domain}:{port}", ConnectionProtocol.TCP, kind)
        # The whole check of the certificate, but for who signed it.
        trusted = Gio.TlsCertificate.new_from_file(certificate)
        self.client.set_accepted_certificates([trusted])
        for signal, state in (
            ("connected", "connected"),
            ("connection-failed", "failed"),
        ):
            self.client.subscribe(signal, lambda *_, state=state: setattr(self, "state", state))
        self.client.subscribe("disconnected", self._disconnected)
        self.client.subscribe("resume-successful", self._resumed)
        self.client.register_handler(StanzaHandler(name="message", callback=self._message))
        self.client.connect()

    def comes_in(self):
        """Waits for the login."""
        wait_for(lambda: self.state, f"the login of {self.user}")
        if self.state != "connected":
            sys.exit(f"{self.user}: {self.state}: {self.client.get_error()}")

    def ask(self, module, request, *args, **options):
        """What a request of one of the library's modules finds out. Raises what was refused."""
        self.answer = None
        getattr(self.client.get_module(module), request)(*args, callback=self._answered, **options)
        wait_for(lambda: self.answer, f"the answer to {request} of {self.user}")
        result, error = self.answer
        if error is not None:
            raise error
        return result

    def _disconnected(self, *_):
        self.state = "disconnected"
        if self.client.resumeable and not self.is_leaving:
            self.client.connect()

    def _resumed(self, *_):
        self.state = "connected"
        self.resumptions += 1

    def _message(self, _client, stanza, properties):
        if properties.is_mam_message:
            self.history.append((properties.mam.id, stanza.getBody()))
        elif stanza.getBody():
            self.messages.append(stanza)

    def _answered(self, task):
        # The library forgets the result when this returns.
        try:
            self.answer = task.finish(), None
        except Exception as error:
            self.answer = None, error

    def hears(self, sender, body):
        """The next message is this one. Answers the id that it has in the own archive."""
        wait_for(lambda: self.messages, f"{body} to {self.user}")
        found = self.messages.popleft()
        assert (str(found.getFrom()), found.getBody()) == (sender, body), f"{found}, not {body}"
        return found.getTag("stanza-id", namespace="urn:xmpp:sid:0").getAttr("id")

    def is_resumed(self, times):
        wait_for(lambda: self.resumptions == times, f"resumption {times} of {self.user}")

    def leave(self):
        self.is_leaving = True
        self.client.disconnect()
        wait_for(lambda: self.state == "disconnected", "the end of the stream")

    @property
    def full(self):
        return str(self.client.get_bound_jid())

    def say(self, to, body):
        self.client.send_stanza(Message(to=to, body=body, typ="chat"))


def wait_for(condition, what):
    context = GLib.MainContext.default()
    late = []
    timer = GLib.timeout_add_seconds(WAIT_SECONDS, late.append, True)
    while not condition():
        if late:
            sys.exit(f"waited for {what}")
        context.iteration(True)
    GLib.source_remove(timer)


def ask_for(deed):
    print(deed, flush=True)
    assert sys.stdin.readline() == "done\n"


def main():
    way, port, domain, certificate, *accounts = sys.argv[1:]
    romeo = Person(way, port, domain, certificate, *accounts[:2])
    juliet = Person(way, port, domain, certificate, *accounts[2:])
    for person in (romeo, juliet):
        person.comes_in()
        person.client.send_stanza(Presence())
    ids = []
    for one, other, body in ((romeo, juliet, "wherefore <art> & thou"), (juliet, romeo, "here 🌹")):
        one.say(other.full, body)
        ids.append((other.hears(one.full, body), body))
    ids = ids[1:]

    # What was said before the connection broke, and what was said without one.
    for number, deeds in ((1, ("cut", "admit")), (2, ("restart",))):
        bodies = [f"around {deeds[0]} {line}" for line in range(8)]
        for body in bodies:
            romeo.say(juliet.full, body)
        juliet.hears(romeo.full, bodies[0])
        for body in bodies[:4]:
            juliet.say(romeo.full, body)
        for deed in deeds:
            ask_for(deed)
        for body in bodies[4:]:
            juliet.say(romeo.full, body)
        for person in (romeo, juliet):
            person.is_resumed(number)
        for body in bodies[1:]:
            juliet.hears(romeo.full, body)
        ids.extend((romeo.hears(juliet.full, body), body) for body in bodies)
        romeo.say(juliet.full, "nothing came twice")
        juliet.hears(romeo.full, "nothing came twice")

    found = romeo.ask("MAM", "make_query", JID.from_string(romeo.bare), queryid="all", max_=50)
    assert found.complete, found
    assert [each for each in romeo.history if each in ids] == ids, (romeo.history, ids)

    for person in (romeo, juliet):
        person.leave()
    stranger = Person(way, port, domain, certificate, accounts[0], "wrong")
    wait_for(lambda: stranger.state, "the refusal")
    error = stranger.client.get_error()
    assert stranger.state != "connected" and error[1] == "not-authorized", error


if __name__ == "__main__":
    main()
