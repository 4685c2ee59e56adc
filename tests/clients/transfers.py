"""Files from client to client through the server's proxy (XEP-0065), with slixmpp's plugin."""

import asyncio

from client import within
from with_slixmpp import SlixmppClient

FILE = bytes(range(256)) * 4000


class Sender(SlixmppClient):
    """A client that takes part in bytestreams."""

    more = ("xep_0030", "xep_0065")

    def accept(self):
        """Takes every bytestream from now on. The future has all bytes that come, when the stream ends."""
        self.xmpp["xep_0065"].auto_accept = True
        done, got = asyncio.get_running_loop().create_future(), bytearray()

        def closed(_):
            if not done.done():
                done.set_result(bytes(got))

        self.xmpp.add_event_handler("socks5_data", lambda data: got.extend(data))
        self.xmpp.add_event_handler("socks5_closed", closed)
        return done


async def a_file_passes_through_the_proxy(make, other):
    """The library finds the proxy by itself, and the bytes come as they were sent."""
    async with make() as romeo, other() as juliet:
        # Requests go to sessions that have shown themselves.
        juliet.xmpp.send_presence(pto=romeo.full)
        heard = juliet.accept()
        socket = await within(
            romeo.xmpp["xep_0065"].handshake(juliet.full, ifrom=romeo.full), "a bytestream"
        )
        assert socket is not None, "the target has used no proxy"
        socket.transport.write(FILE)
        socket.transport.write_eof()
        assert await within(heard, "the file") == FILE


SCENARIOS = [a_file_passes_through_the_proxy]
