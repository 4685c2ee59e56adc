"""nbxmpp (Gajim's library): two accounts log in and chat both ways.

Arguments: starttls|tls, port, domain, certificate, user, password, user, password.
Runs in a Python of its own, since GLib comes from the distribution.
"""

import sys

from gi.repository import Gio, GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType
from nbxmpp.protocol import Message, Presence
from nbxmpp.structs import StanzaHandler

WAIT_SECONDS = 15


class Person:
    def __init__(self, way, port, domain, certificate, user, password):
        self.user = user
        self.messages = []
        self.state = None
        self.client = Client(log_context=user)
        self.client.set_domain(domain)
        self.client.set_username(user)
        self.client.set_password(password)
        self.client.set_resource(f"nbxmpp-{user}")
        kind = ConnectionType.DIRECT_TLS if way == "tls" else ConnectionType.START_TLS
        self.client.set_custom_host(f"{domain}:{port}", ConnectionProtocol.TCP, kind)
        # The whole check of the certificate, but for who signed it.
        trusted = Gio.TlsCertificate.new_from_file(certificate)
        self.client.set_accepted_certificates([trusted])
        for signal, state in (
            ("connected", "connected"),
            ("connection-failed", "failed"),
            ("disconnected", "disconnected"),
        ):
            self.client.subscribe(signal, lambda *_, state=state: setattr(self, "state", state))
        self.client.register_handler(StanzaHandler(name="message", callback=self._message))
        self.client.connect()

    def _message(self, _client, stanza, _properties):
        if stanza.getBody():
            self.messages.append((str(stanza.getFrom()), stanza.getBody()))

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


def main():
    way, port, domain, certificate, *accounts = sys.argv[1:]
    romeo = Person(way, port, domain, certificate, *accounts[:2])
    juliet = Person(way, port, domain, certificate, *accounts[2:])
    for person in (romeo, juliet):
        wait_for(lambda: person.state, f"the login of {person.user}")
        if person.state != "connected":
            sys.exit(f"{person.user}: {person.state}: {person.client.get_error()}")
        person.client.send_stanza(Presence())
    for one, other, body in ((romeo, juliet, "wherefore <art> & thou"), (juliet, romeo, "here 🌹")):
        one.say(other.full, body)
        wait_for(lambda: other.messages, body)
        assert other.messages.pop() == (one.full, body)
    romeo.client.disconnect()
    juliet.client.disconnect()
    for person in (romeo, juliet):
        wait_for(lambda: person.state == "disconnected", "the end of the stream")
    stranger = Person(way, port, domain, certificate, accounts[0], "wrong")
    wait_for(lambda: stranger.state, "the refusal")
    error = stranger.client.get_error()
    assert stranger.state != "connected" and error[1] == "not-authorized", error


main()
