"""Users of two servers talk: Waxwing with Waxwing, with Prosody, and with ejabberd. Called by federation.sh.

Each pair of servers is tried with certificates that both trust; with dialback (XEP-0220), because neither knows who has signed
the other's certificate; and so that Waxwing finds the other's certificate in a signed DNS (DANE), and others call back. Pairs
run in processes of their own, as many at the same time as there are processors, and no more than two.
"""

import argparse
import asyncio
import concurrent.futures
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

import federation_scenarios as scenarios
from names import Authority, Names
from other_servers import SERVERS, Links

SCENARIO_SECONDS = 120
PAIR_SECONDS = 600
HOW = ("certificates", "dialback", "dane")
# In both directions. The others begin in both, or belong to Waxwing.
BOTH_WAYS = (scenarios.offline, scenarios.room, scenarios.file, scenarios.nobody)
ORDER = ("test", "chat", "subscription", "events", "offline", "room", "file", "nobody", "cut", "restart", "forged")
# Whom one believes for another reason is believed as much.
WITH_DANE = ("test", "chat", "room", "forged")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="Waxwing's program")
    parser.add_argument("--peer", action="append", choices=SERVERS, help="only these peers")
    parser.add_argument("--how", action="append", choices=HOW, help="only these ways to prove a domain")
    parser.add_argument("--only", action="append", choices=ORDER, help="only these scenarios")
    parser.add_argument("--log", help="keep the logs of the servers in this directory")
    args = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    args.binary = str(pathlib.Path(args.binary).resolve())
    peers, ways = args.peer or list(SERVERS), args.how or HOW
    if len(peers) == len(ways) == 1:
        results = pair(args, peers[0], ways[0])
        print(f"{results.count(True)} passed, {results.count(False)} failed")
        return 0 if all(results) and results else 1
    return all_pairs(args, [(peer, how) for peer in peers for how in ways])


def all_pairs(args, pairs):
    """Each in a process. What it says is shown as soon as it has ended."""
    more = [word for each in args.only or () for word in ("--only", each)]
    more += ["--log", args.log] if args.log else []

    def run(peer, how):
        command = [sys.executable, __file__, args.binary, "--peer", peer, "--how", how, *more]
        return subprocess.run(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PAIR_SECONDS)

    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for running in concurrent.futures.as_completed([pool.submit(run, *each) for each in pairs]):
            *lines, last = running.result().stdout.splitlines()
            words = last.split()
            if words[1:2] != ["passed,"]:
                lines, words = [*lines, last], ["0", "", "1"]
            print("\n".join(lines), flush=True)
            passed, failed = passed + int(words[0]), failed + int(words[2])
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def pair(args, peer, how):
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as folder:
        names, links, authority = Names(), Links(), Authority(folder, how == "certificates")
        one, other = (
            SERVERS[name](folder, domain, names, links, authority, args.binary)
            for name, domain in (("waxwing", "montague.example"), (peer, "capulet.example")))
        names.keys = {each.link: each.tlsa for each in (one, other)}
        names.anchor = pathlib.Path(folder) / "anchor"
        if how == "dane":
            names.sign(names.anchor)
        results = []
        try:
            for server in (one, other):
                server.how, server.links = how, links
                server.prepare(["romeo", "juliet"], how)
            one.start()
            other.start()
            wanted = WITH_DANE if how == "dane" else ORDER[:-1]
            if peer != "waxwing":
                wanted = [name for name in wanted if name != "forged"]
            for name in ORDER:
                if name in wanted and name in (args.only or ORDER):
                    scenario = getattr(scenarios, name)
                    ways = [(one, other, "")]
                    if scenario in BOTH_WAYS:
                        ways = [(one, other, " there"), (other, one, " back")]
                    for first, second, way in ways:
                        results.append(attempt(f"{peer} {how}: {name}{way}", scenario, first, second))
        except Exception:
            traceback.print_exc(file=sys.stdout)
            results.append(False)
        finally:
            one.stop()
            other.stop()
            if not all(results) or args.log:
                keep_logs(args, f"{peer}-{how}", (one, other))
    return results


def keep_logs(args, name, servers):
    for server in servers:
        if not args.log:
            print(f"--- {server.domain} ({server.name})\n{server.tail()}\n---")
            continue
        place = pathlib.Path(args.log)
        place.mkdir(exist_ok=True)
        for log in server.folder.glob("*.log"):
            (place / f"{name}-{server.name}-{server.domain}-{log.name}").write_bytes(log.read_bytes())


def attempt(name, scenario, one, other):
    began = time.monotonic()
    try:
        said = asyncio.run(asyncio.wait_for(scenario(one, other), SCENARIO_SECONDS))
    except Exception as error:
        one.links.admit()
        print(f"FAILED {name}: {type(error).__name__}: {error}")
        if os.environ.get("TRACE"):
            traceback.print_exc()
        return False
    print(f"ok     {name} ({time.monotonic() - began:.1f} s){': ' + said if said else ''}")
    return True


if __name__ == "__main__":
    sys.exit(main())
