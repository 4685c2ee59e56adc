"""Profanity uploads files (XEP-0363), and sends their addresses. The other person is slixmpp.

poezio 0.14 of Debian 12 cannot: its library does not fit to its Python there.
"""

import hashlib
import pathlib
import tempfile

from devices import Device
from scenarios import subscription_handshake
from terminals import Profanity
from uploads import PICTURE, Sender


class Receiver(Device, Sender):
    """Downloads what it gets."""

    more = tuple({*Device.more, *Sender.more})


async def profanity_sends_a_file(a, b):
    """`/sendfile` in a chat: the contact gets the address, and the same bytes there."""
    await subscription_handshake(a, b)
    async with b() as juliet:
        with tempfile.TemporaryDirectory() as home:
            picture = saved(home)
            async with Profanity(a(), home) as profanity:
                await profanity.types(f"/msg {juliet.bare} look")
                assert (await juliet.message()).body == "look"
                await profanity.types(f"/sendfile {picture}")
                await is_the_picture(juliet)


def saved(home):
    picture = pathlib.Path(home) / "balcony.png"
    picture.write_bytes(PICTURE)
    return picture


async def is_the_picture(client):
    url = (await client.message()).body
    assert url.startswith("https://") and url.endswith("/balcony.png"), url
    content, headers = await client.download(url)
    found = hashlib.sha256(content).hexdigest()
    assert found == hashlib.sha256(PICTURE).hexdigest(), (len(content), found)
    assert headers["content-type"] == "image/png", headers
