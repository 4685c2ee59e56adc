"""Real clients against a real server. Called by run.sh, which installs what this needs."""

import argparse
import asyncio
import functools
import itertools
import logging
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

import calls
import components
import devices
import formats
import long_lives
import pages
import rooms
import scenarios
import transfers
import uploads
from client import Refused
from proxy import Proxy
from server import DOMAIN, SERVERS, ServerError

SCENARIO_SECONDS = 60
HERE = pathlib.Path(__file__).parent
CUTS = "chat outlives cuts and a restart"
# Of with_strophe.mjs.
STROPHE = "log in, chat and log out"
# Of converse_bosh.mjs.
BOSH = "BOSH outlives cuts and new pages"
# Of converse_files.mjs.
FILES = "a file is sent"
# Of converse_devices.mjs.
CONVERSE_SCENARIOS = ("windows agree", "history comes back", "nobody else reads")
# Of converse_rooms.mjs.
CONVERSE_ROOMS = ("people talk in a room",)
# Of xmppjs_devices.mjs.
XMPPJS_SCENARIOS = (
    "token opens the door", "token takes the old session", "carbons come with the login",
    "nodes by plain requests",
)
# Of xmppjs_rooms.mjs.
XMPPJS_ROOMS = ("owners keep order", "a room outlives cuts and a restart")
# Of nbxmpp_rooms.py.
NBXMPP_ROOMS = ("people talk in a room", "owners keep order")
# Of nbxmpp_devices.py, which needs the Python that has GLib.
NBXMPP_SCENARIOS = (
    "devices agree", "contacts see who it is", "strangers find keys",
    "what was missed is in the archive", "contacts come and go",
)


def main():
    args = arguments()
    # Ends by SIGTERM as by Ctrl-C: the server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.basicConfig(level=logging.DEBUG if args.verbose else logging.CRITICAL)
    results = []
    with tempfile.TemporaryDirectory(prefix="waxwing-clients-") as folder:
        server = SERVERS[args.server](folder, args.binary)
        try:
            results.append(attempt(f"{server.name} starts", server.start))
            if results[0]:
                results.extend(attempt(name, run) for name, run in checks(server, args))
        finally:
            results.append(attempt(f"{server.name} ends in good order", server.stop))
        if not all(results) and server.log.exists():
            print(f"--- end of the server's log\n{server.tail()}\n---")
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", nargs="?", help="the server's program")
    parser.add_argument("--server", choices=sorted(SERVERS), default="waxwing")
    parser.add_argument("--only", default="", help="only checks whose name contains this")
    parser.add_argument("--node", help="folder whose node_modules has @xmpp/client")
    parser.add_argument("--chromium", help="a browser")
    parser.add_argument("--converse", help="folder whose node_modules has converse.js")
    parser.add_argument("--nbxmpp", help="a Python that has nbxmpp and GLib")
    parser.add_argument("--coturn", action="store_true", help="coturn is installed")
    parser.add_argument("--biboumi", action="store_true", help="biboumi is installed")
    parser.add_argument(
        "--terminal", action="append", default=[], choices=("poezio", "profanity"),
        help="a client in a terminal that is installed",
    )
    parser.add_argument("--verbose", action="store_true", help="the libraries' own logs")
    return parser.parse_args()


def checks(server, args):
    """Pairs of a name and a function that raises what is wrong."""
    import aioxmpp_devices
    import aioxmpp_rooms
    from with_aioxmpp import AioxmppClient
    from with_slixmpp import SlixmppClient

    numbers = itertools.count(1)
    pairs = [
        (SlixmppClient, SlixmppClient),
        (AioxmppClient, AioxmppClient),
        (SlixmppClient, AioxmppClient),
    ]
    for one, other in pairs:
        label = one.library if one is other else f"{one.library} with {other.library}"
        for scenario in scenarios.SCENARIOS + long_lives.SCENARIOS:
            if scenario in long_lives.NEED_KEPT_SESSIONS and not server.keeps_sessions:
                continue
            name = f"{label}: {scenario.__name__.replace('_', ' ')}"
            if args.only in name:
                yield name, lambda: in_process(server, scenario, one, other, next(numbers))
    for module in (devices, aioxmpp_devices) if server.has_all else (devices,):
        device = module.Device
        for scenario in module.SCENARIOS:
            name = f"{device.library}: {scenario.__name__.replace('_', ' ')}"
            if args.only in name:
                yield name, lambda: in_process(server, scenario, device, device, next(numbers))
    for module in (rooms, aioxmpp_rooms):
        guest = module.Guest
        for scenario in module.SCENARIOS:
            name = f"{guest.library}: {scenario.__name__.replace('_', ' ')}"
            if args.only in name:
                yield name, lambda: in_process(server, scenario, guest, guest, next(numbers))
    if server.has_all:
        for scenario in uploads.SCENARIOS:
            name = f"slixmpp: {scenario.__name__.replace('_', ' ')}"
            if args.only in name:
                sender = uploads.Sender
                yield name, lambda: in_process(server, scenario, sender, sender, next(numbers))
        for module, device in (
            (transfers, transfers.Sender), (components, components.Guest),
        ):
            for scenario in module.SCENARIOS:
                name = f"slixmpp: {scenario.__name__.replace('_', ' ')}"
                if args.only in name:
                    yield name, lambda: in_process(server, scenario, device, device, next(numbers))
    if server.has_all:
        for name, check in formats.CHECKS.items():
            if args.only in name:
                yield name, functools.partial(check, server)
    if args.chromium and server.has_all:
        modules = str(pathlib.Path(args.converse) / "node_modules")
        pictures = pathlib.Path(args.converse).parent / "pictures"
        pictures.mkdir(exist_ok=True)
        for window in pages.WINDOWS:
            name = "Chromium: web pages, {} pixels wide, {}".format(*window)
            if args.only in name:
                yield name, functools.partial(
                    pages.check, server, args.chromium, modules, *window, pictures
                )
    if args.coturn:
        name = "coturn: credentials open the relay"
        if args.only in name:
            scenario = calls.credentials_open_the_relay
            run = functools.partial(scenario, server)
            yield name, lambda: in_process(server, run, SlixmppClient, SlixmppClient, next(numbers))
    if args.biboumi:
        import gateway

        for scenario in gateway.SCENARIOS:
            name = f"biboumi: {scenario.__name__.replace('_', ' ')}"
            if args.only in name:
                yield name, lambda: in_process(server, scenario, rooms.Guest, rooms.Guest, next(numbers))
    for program in args.terminal:
        import terminal_files
        import terminals

        for module, what, device in (
            (terminals, "is one of the devices", devices.Device),
            (terminals, "is in a room", rooms.Guest),
            (terminal_files, "sends a file", terminal_files.Receiver),
        ):
            scenario = getattr(module, f"{program}_{what.replace(' ', '_')}", None)
            name = f"{program}: {what}"
            if scenario and args.only in name:
                yield name, lambda: in_process(server, scenario, device, device, next(numbers))
    if args.chromium and len(args.terminal) == 2:
        import together

        name = "all clients: are in one room"
        if args.only in name:
            modules = str(pathlib.Path(args.converse) / "node_modules")
            scenario = functools.partial(together.clients_are_in_one_room, args.chromium, modules)
            yield name, lambda: in_process(server, scenario, rooms.Guest, rooms.Guest, next(numbers))
    for library, command, environment, ways, what in outside(args):
        if what != CUTS and not server.has_all:
            continue
        for way in ways:
            name = f"{library}: {what}" + (f" over {way}" if len(ways) > 1 else "")
            if args.only in name:
                yield name, lambda: in_child(server, command, environment, way, next(numbers))


def outside(args):
    """Checks that run in a process of their own: library, command, environment, ways, what holds."""
    if args.node:
        environment = {"WAXWING_NODE_MODULES": str(pathlib.Path(args.node) / "node_modules")}
        # Node has it by default from 22 on.
        node = ["node", "--experimental-websocket"]
        command = [*node, str(HERE / "with_xmppjs.mjs")]
        yield "xmpp.js", command, environment, ("starttls", "tls", "ws", "wss"), CUTS
        for what in XMPPJS_SCENARIOS:
            command = [*node, str(HERE / "xmppjs_devices.mjs"), what]
            yield "xmpp.js", command, environment, ("starttls",), what
        for what in XMPPJS_ROOMS:
            command = [*node, str(HERE / "xmppjs_rooms.mjs"), what]
            yield "xmpp.js", command, environment, ("starttls",), what
        command = [*node, str(HERE / "with_strophe.mjs")]
        yield "strophe.js", command, environment, ("ws", "wss", "http", "https"), STROPHE
    if args.nbxmpp:
        yield "nbxmpp", [args.nbxmpp, str(HERE / "with_nbxmpp.py")], {}, ("starttls", "tls"), CUTS
        for what in NBXMPP_SCENARIOS:
            command = [args.nbxmpp, str(HERE / "nbxmpp_devices.py"), what]
            yield "nbxmpp", command, {}, ("starttls",), what
        for what in NBXMPP_ROOMS:
            command = [args.nbxmpp, str(HERE / "nbxmpp_rooms.py"), what]
            yield "nbxmpp", command, {}, ("starttls",), what
    if args.chromium:
        command = ["node", str(HERE / "with_converse.mjs")]
        modules = str(pathlib.Path(args.converse) / "node_modules")
        environment = {"WAXWING_NODE_MODULES": modules, "WAXWING_CHROMIUM": args.chromium}
        yield "Converse.js", command, environment, ("ws", "wss"), CUTS
        command = ["node", str(HERE / "converse_bosh.mjs")]
        yield "Converse.js", command, environment, ("http", "https"), BOSH
        command = ["node", str(HERE / "converse_files.mjs")]
        yield "Converse.js", command, environment, ("https", "wss"), FILES
        for what in CONVERSE_SCENARIOS:
            command = ["node", str(HERE / "converse_devices.mjs"), what]
            yield "Converse.js", command, environment, ("wss",), what
        for what in CONVERSE_ROOMS:
            command = ["node", str(HERE / "converse_rooms.mjs"), what]
            yield "Converse.js", command, environment, ("wss",), what


def attempt(name, run):
    """Runs a check, prints how it went, and returns whether it went well."""
    begun = time.monotonic()
    try:
        run()
    except (AssertionError, Refused, ServerError) as error:
        print(f"FAILED {name}: {error}", flush=True)
    except Exception as error:  # a library may raise anything
        print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
        traceback.print_exc()
    else:
        print(f"ok {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        return True
    return False


def in_process(server, scenario, one, other, number):
    users = [(f"romeo{number}", "soldierly"), (f"juliet{number}", "beauteous")]
    for user, password in users:
        server.add_account(user, password)

    def maker(library, own_name, right_password):
        def make(user=own_name, password=right_password, **options):
            return library(server, user, password, **options)
        make.server, make.user = server, own_name
        return make

    async def run():
        romeo, juliet = (maker(lib, *user) for lib, user in zip((one, other), users))
        await asyncio.wait_for(scenario(romeo, juliet), SCENARIO_SECONDS)

    asyncio.run(run())


def in_child(server, command, environment, way, number):
    """A check in a process of its own: two accounts log in, chat, lose their connections."""
    users = [(f"romeo{number}", "soldierly"), (f"juliet{number}", "beauteous")]
    for user, password in users:
        server.add_account(user, password)
    environment = {**os.environ, **environment, "NODE_EXTRA_CA_CERTS": str(server.ca)}

    async def run():
        ports = {
            "starttls": server.c2s, "tls": server.c2s_tls, "ws": server.http, "wss": server.https,
            "http": server.http, "https": server.https,
        }
        async with Proxy(ports[way]) as proxy:
            child = await asyncio.create_subprocess_exec(
                *command, way, str(proxy.port), DOMAIN, str(server.ca), *itertools.chain(*users),
                env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            try:
                errors = asyncio.ensure_future(child.stderr.read())
                await asyncio.wait_for(obey(server, proxy, child), SCENARIO_SECONDS)
                code, text = await child.wait(), (await errors).decode(errors="replace")
                assert code == 0, f"exit code {code}: {text}"
            finally:
                if child.returncode is None:
                    child.kill()

    asyncio.run(run())


async def obey(server, proxy, child):
    """Does what the child asks for, a word a line, and says when it is done."""
    deeds = {
        "cut": proxy.cut,
        "admit": proxy.admit,
        "restart": lambda: restart(server, proxy),
    }
    if not server.keeps_sessions:
        deeds["restart"] = lambda: (proxy.cut(), proxy.admit()) and None
    while word := (await child.stdout.readline()).decode().strip():
        done = deeds[word]()
        if done is not None:
            await done
        child.stdin.write(b"done\n")
        await child.stdin.drain()


async def restart(server, proxy):
    proxy.hold()
    await asyncio.to_thread(server.restart)
    proxy.admit()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    begun = time.monotonic()
    code = main()
    print(f"({time.monotonic() - begun:.1f} s)", file=sys.stderr)
    sys.exit(code)
