"""Files that are uploaded and downloaded by HTTP (XEP-0363), with slixmpp's plugin."""

import asyncio
import io
import ssl
import urllib.error
import urllib.request

import aiohttp
import slixmpp
from slixmpp.plugins.xep_0363 import http_upload

from client import within
from with_slixmpp import SlixmppClient

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2000


class Sender(SlixmppClient):
    """A client that uploads files."""

    more = ("xep_0004", "xep_0030", "xep_0363")

    async def upload(self, name, content, **options):
        # The library has no option for the certificates of its HTTP client.
        context = ssl.create_default_context(cafile=str(self.server.ca))
        http_upload.ClientSession = lambda **more: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), **more
        )
        upload = self.xmpp["xep_0363"].upload_file(name, input_file=io.BytesIO(content), **options)
        return await within(upload, "an upload")

    async def download(self, url):
        """The content, and the headers in lower case."""
        context = ssl.create_default_context(cafile=str(self.server.ca))

        def ask():
            with urllib.request.urlopen(url, context=context, timeout=20) as answer:
                return answer.read(), {k.lower(): v for k, v in answer.headers.items()}

        return await asyncio.get_running_loop().run_in_executor(None, ask)


async def files_are_sent(make, _):
    """A file comes back as it was, for each purpose."""
    async with make() as romeo:
        for purpose in (None, "message", "profile", "permanent"):
            url = await romeo.upload("très cool.png", PICTURE, purpose=purpose)
            assert url.endswith("/tr%C3%A8s%20cool.png"), url
            content, headers = await romeo.download(url)
            assert content == PICTURE, purpose
            assert headers["content-type"] == "image/png", headers
            assert headers["x-content-type-options"] == "nosniff", headers
            assert headers["content-security-policy"].endswith("sandbox"), headers


async def what_is_too_large_is_not_uploaded(make, _):
    """The library knows the size of the largest file; the server refuses a slot, too."""
    async with make() as romeo:
        await romeo.upload("a.txt", b"hello")
        plugin = romeo.xmpp["xep_0363"]
        assert plugin.max_file_size == 100 * 1024 * 1024, plugin.max_file_size
        try:
            await plugin.request_slot(plugin.upload_service, "a.txt", plugin.max_file_size + 1)
        except slixmpp.exceptions.IqError as error:
            assert error.condition == "not-acceptable", error
        else:
            raise AssertionError("a slot was given")


async def nobody_guesses_an_address(make, _):
    """The address of another file does not exist, nor that of a slot that was not used."""
    async with make() as romeo:
        url = await romeo.upload("a.txt", b"hello")
        for other in (url.replace("a.txt", "b.txt"), url.replace("/files/", "/files/0")):
            try:
                await romeo.download(other)
            except urllib.error.HTTPError as error:
                assert error.code == 404, error
            else:
                raise AssertionError(f"{other} is there")


SCENARIOS = (files_are_sent, what_is_too_large_is_not_uploaded, nobody_guesses_an_address)
