"""Clients with windows against a real server. Called by desktop.sh, which says what this needs."""

import argparse
import asyncio
import contextlib
import itertools
import subprocess
import sys
import tempfile
import warnings
import xml.etree.ElementTree as ElementTree

import desktop_clients
import rooms
import uploads
from client import within
from devices import BOOKMARKS, Device
from run import attempt
from server import Waxwing

SECONDS = 120


class Speaker(rooms.Guest, Device, uploads.Sender):
    """Who is in the room with the client, and reads what it says of itself."""

    more = tuple({*rooms.Guest.more, *Device.more, *uploads.Sender.more})

    async def bookmarks(self, room, nick):
        """The room is to be entered by all clients of the account (XEP-0402)."""
        bookmark = ElementTree.Element(
            f"{{{BOOKMARKS}}}conference", {"name": "The Orchard", "autojoin": "true"}
        )
        ElementTree.SubElement(bookmark, f"{{{BOOKMARKS}}}nick").text = nick
        await within(self.publish(BOOKMARKS, room, bookmark), "the answer")

    async def name_of_client(self, jid):
        answer = await within(self.xmpp["xep_0030"].get_info(jid=jid), f"what {jid} is")
        return [name for category, _, _, name in answer["disco_info"]["identities"] if category == "client"]


async def people_meet(one, other):
    """Both are in each other's contacts, before any client with windows is there."""
    for client, contact in ((one, other), (other, one)):
        await client.subscribe(contact.bare)
        await contact.presence("subscribe", client.bare)
        await contact.approve(client.bare)
        await client.push(contact.bare, "both" if client is other else "to")


async def is_in_a_room(kind, romeo, juliet):
    """It enters by a bookmark, hears what was said before and what is said then, talks, is kicked, and chats."""
    room = rooms.room_of(romeo)
    await romeo.makes(room, "Romeo", persistentroom=True, enablearchiving=True)
    romeo.says(room, "before you came")
    await romeo.hears("Romeo", "before you came")
    async with juliet:
        await people_meet(romeo, juliet)
        # Psi+ asks at once for the name of a user who has none.
        await juliet.set_name("Juliet Capulet")
        await juliet.bookmarks(room, "Desk")
    with tempfile.TemporaryDirectory(prefix="desktop-") as home:
        async with kind(juliet, home, room) as client:
            try:
                return await talk(client, romeo, juliet, room)
            finally:
                await client.picture("last")


async def are_in_a_room_together(romeo, people):
    """Each enters, each speaks, and each hears the others. `people`: kinds of clients, with their accounts."""
    room = rooms.room_of(romeo)
    await romeo.makes(room, "Romeo", persistentroom=True)
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for kind, account in people:
            async with account:
                await account.bookmarks(room, kind.program)
                await account.set_name(kind.program)
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="desktop-"))
            client = kind(account, home, room, kind.program)
            clients.append(await stack.enter_async_context(client))
            await romeo.sees("available", kind.program, role="participant")
        for speaker in clients:
            body = f"this is {speaker.program}"
            await speaker.says(room, body, in_room=True)
            await romeo.hears(speaker.program, body)
            for client in clients:
                if client.keeps_rooms:
                    await client.keeps(body)
        await clients[0].picture("together")
    return f"{', '.join(client.program for client in clients)} hear each other"


async def is_in_a_chat(kind, romeo, juliet):
    """It logs in, is seen by its contact, gets what waited and what is said then, and talks."""
    async with juliet:
        await people_meet(romeo, juliet)
        await juliet.set_name("Juliet Capulet")
    await romeo.say(juliet.bare, "before you came")
    with tempfile.TemporaryDirectory(prefix="desktop-") as home:
        async with kind(juliet, home) as client:
            try:
                await romeo.presence("unavailable", juliet.bare)
                await romeo.presence("available", juliet.bare)
                seen = ["is seen"]
                await romeo.say(juliet.bare, "here and now")
                for text in ("before you came", "here and now"):
                    await client.keeps(text)
                seen.append("gets what waited and what is said")
                if client.chats:
                    await client.says(romeo.bare, "from desk to chat")
                    message = await romeo.message()
                    assert message.body == "from desk to chat", message
                    seen.append("chats")
            finally:
                await client.picture("last")
    return told(client, seen)


def told(client, seen):
    return f"{client.program} {version_of(client.package or client.program)}: {', '.join(seen)}"


async def talk(client, romeo, juliet, room):
    await romeo.sees("available", "Desk", role="participant")
    seen = [f"enters by {'its bookmark' if client.reads_bookmarks else 'its own list'}"]
    romeo.says(room, "here and now")
    await romeo.hears("Romeo", "here and now")
    if client.keeps_rooms:
        await client.keeps("before you came")
        await client.keeps("here and now")
        seen.append("hears what was said before and what is said")
    if client.speaks:
        await client.says(room, "from the desk", in_room=True)
        await romeo.hears("Desk", "from the desk")
        seen.append("speaks")
    await client.picture("room")
    await romeo.say(juliet.bare, "between us")
    await client.keeps("between us")
    if client.chats:
        await client.says(romeo.bare, "from desk to chat")
        message = await romeo.message()
        assert message.body == "from desk to chat", message
        seen.append("chats")
    if client.uploads:
        picture = client.home / "balcony.png"
        picture.write_bytes(uploads.PICTURE)
        await client.sends_file(romeo.bare, picture)
        content, headers = await romeo.download((await romeo.message()).body)
        assert content == uploads.PICTURE and headers["content-type"] == "image/png", headers
        seen.append("uploads a file")
    if client.tells_its_name:
        (name,) = await romeo.name_of_client(f"{room}/Desk")
        assert client.program.split("-")[0] in name.lower(), name
        seen.append("says through the room what it is")
    await within(romeo.muc.set_role(room, "Desk", "none", reason="hush"), "the kick")
    await romeo.sees("unavailable", "Desk", codes={307})
    seen.append("is kicked")
    return told(client, seen)


def version_of(package):
    shown = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package], capture_output=True, text=True
    )
    return shown.stdout or "of another system"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="the server's program")
    parser.add_argument("--only", default="", help="only clients whose name contains this, alone")
    args = parser.parse_args()
    numbers = itertools.count(1)
    results = []
    with tempfile.TemporaryDirectory(prefix="waxwing-desktop-") as folder:
        server = Waxwing(folder, args.binary)
        results.append(attempt("waxwing starts", server.start))
        for kind in desktop_clients.CLIENTS:
            if args.only in kind.program:
                results.append(attempt(
                    f"{kind.program}: is in a {'room' if kind.knows_rooms else 'chat'}", lambda: with_people(server, kind, next(numbers))
                ))
        if not args.only:
            results.append(attempt(
                "all are in a room together", lambda: with_people_together(server, next(numbers))
            ))
        results.append(attempt("waxwing ends in good order", server.stop))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


def with_people(server, kind, number):
    users = [(f"romeo{number}", "soldierly"), (f"juliet{number}", "beauteous")]
    for user, password in users:
        server.add_account(user, password)

    async def run():
        (romeo, juliet) = (Speaker(server, *user) for user in users)
        async with romeo:
            scenario = is_in_a_room if kind.knows_rooms else is_in_a_chat
            print(await asyncio.wait_for(scenario(kind, romeo, juliet), SECONDS))

    asyncio.run(run())


def with_people_together(server, number):
    kinds = [kind for kind in desktop_clients.CLIENTS if kind.knows_rooms]
    users = [f"romeo{number}", *(f"{kind.program}{number}" for kind in kinds)]
    for user in users:
        server.add_account(user, "soldierly")

    async def run():
        romeo, *accounts = (Speaker(server, user, "soldierly") for user in users)
        async with romeo:
            scenario = are_in_a_room_together(romeo, list(zip(kinds, accounts)))
            print(await asyncio.wait_for(scenario, 2 * SECONDS))

    asyncio.run(run())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
