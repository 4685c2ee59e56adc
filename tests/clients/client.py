"""What a scenario asks of a client library. with_slixmpp.py and with_aioxmpp.py answer it."""

import asyncio
import collections

# `archived`: the id under which the own archive has it (XEP-0359), or None.
Message = collections.namedtuple("Message", "sender body delayed archived", defaults=(None,))
Kept = collections.namedtuple("Kept", "archived sender body")
Presence = collections.namedtuple("Presence", "kind sender")
Push = collections.namedtuple("Push", "jid subscription asked")

WAIT_SECONDS = 15


class Refused(Exception):
    """The login was refused. The text is the SASL or stream condition."""


class Client:
    """One account on one connection. Whatever arrives lies in a queue until it is asked for."""

    library = "?"
    # When a session is resumed, the library sends what was not acknowledged in its old order.
    resends_in_order = True

    def __init__(
        self, server, user, password, direct_tls=False, resource=None, proxy=None, new=False
    ):
        """`proxy`: what to connect through. `new`: makes the account first (XEP-0077)."""
        from server import DOMAIN

        self.server = server
        self.bare = f"{user}@{DOMAIN}"
        self.domain = DOMAIN
        self.password = password
        self.direct_tls = direct_tls
        self.resource = resource
        self.new = new
        self.port = server.c2s_tls if direct_tls else server.c2s
        if proxy is not None:
            assert proxy.target == self.port
            self.port = proxy.port
        self.messages = asyncio.Queue()
        self.presences = asyncio.Queue()
        self.pushes = asyncio.Queue()
        self.resumptions = asyncio.Queue()
        # Resolved with the stream error's condition when the server ends the stream.
        self.closed = asyncio.get_running_loop().create_future()

    async def message(self):
        return await within(self.messages.get(), "a message")

    async def presence(self, kind, sender):
        """The next presence of this kind from this bare address; others are passed over."""
        while True:
            found = await within(self.presences.get(), f"presence {kind} from {sender}")
            if found.kind == kind and found.sender.split("/")[0] == sender:
                return found

    async def push(self, jid, subscription):
        """The next roster push about `jid` with this subscription; others are passed over."""
        while True:
            found = await within(self.pushes.get(), f"push of {jid} as {subscription}")
            if found.jid == jid and found.subscription == subscription:
                return found

    async def resumed(self):
        """Waits until the session goes on after its connection was lost (XEP-0198)."""
        await within(self.resumptions.get(), "the resumption")

    async def acknowledges(self):
        """Until the server knows what has come; else it comes again at the next login.

        Its request (XEP-0198 §4) is written no later than its first answer, and is answered
        before the second one is asked for.
        """
        for _ in range(2):
            await within(self.ping(), "the pong")

    async def __aenter__(self):
        await within(self.login(), "the login")
        return self

    async def __aexit__(self, *_):
        await self.logout()

    # The library's part.

    async def login(self):
        """Logs in and sends initial presence. Raises Refused."""
        raise NotImplementedError

    async def logout(self):
        raise NotImplementedError

    async def say(self, to, body):
        raise NotImplementedError

    async def roster(self):
        """The roster as the server has it: {jid: (name, subscription)}."""
        raise NotImplementedError

    async def add_contact(self, jid, name):
        raise NotImplementedError

    async def remove_contact(self, jid):
        raise NotImplementedError

    async def subscribe(self, jid):
        raise NotImplementedError

    async def approve(self, jid):
        raise NotImplementedError

    async def ping(self):
        raise NotImplementedError

    async def disco(self):
        """Identities as (category, type) and features of the server."""
        raise NotImplementedError

    async def history(self, contact):
        """What the own archive has of the talk with `contact`, oldest first, page by page."""
        raise NotImplementedError

    async def preferences(self):
        """What is archived by default (XEP-0441): always, never or roster."""
        raise NotImplementedError

    async def set_preferences(self, default):
        raise NotImplementedError

    async def block(self, jid):
        raise NotImplementedError

    async def unblock(self, jid):
        raise NotImplementedError

    async def blocked(self):
        """The addresses on the block list (XEP-0191)."""
        raise NotImplementedError

    async def set_name(self, name):
        """The full name on the own card (XEP-0054)."""
        raise NotImplementedError

    async def name_of(self, jid):
        """The full name on the card of somebody."""
        raise NotImplementedError

    async def remove_account(self):
        """For ever (XEP-0077)."""
        raise NotImplementedError


# Messages on one page of `history`: fewer than there are.
PAGE = 3


async def within(awaitable, what):
    try:
        return await asyncio.wait_for(awaitable, WAIT_SECONDS)
    except asyncio.TimeoutError:
        raise AssertionError(f"waited {WAIT_SECONDS} s for {what}") from None
