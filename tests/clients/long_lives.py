"""What outlives a connection: sessions (XEP-0198), archives (XEP-0313, XEP-0441), accounts.

Scenarios as in scenarios.py, on which see there.
"""

import asyncio

from client import Refused, within
from proxy import Proxy


async def cut_client_resumes_and_misses_nothing(a, b):
    """XEP-0198 §5: what others sent meanwhile comes once, in order, and so does what it sent."""
    for direct_tls in (False, True):
        async with Proxy(a.server.c2s_tls if direct_tls else a.server.c2s) as proxy:
            async with a(proxy=proxy, direct_tls=direct_tls) as romeo, b() as juliet:
                await talk(romeo, juliet, ["before"])
                proxy.cut()
                missed = [f"missed {number}" for number in range(5)]
                for body in missed:
                    await juliet.say(romeo.bare, body)
                await within(juliet.ping(), "the pong")
                proxy.admit()
                await romeo.resumed()
                await heard(romeo, juliet, missed)
                await talk(romeo, juliet, ["after"])
                # Nobody knows how much of this is read before the connection breaks.
                unsure = [f"unsure {number}" for number in range(50)]
                await say_all(romeo, juliet.full, unsure)
                await heard(juliet, romeo, unsure[:1])
                proxy.cut()
                proxy.admit()
                await romeo.resumed()
                await heard(juliet, romeo, unsure[1:], resent=True)
                await talk(romeo, juliet, ["at last"])


async def restart_loses_and_doubles_nothing(a, b):
    """The server ends by SIGTERM under two who talk; the next one goes on with their sessions."""
    async with Proxy(a.server.c2s) as proxy:
        async with a(proxy=proxy) as romeo, b(proxy=proxy) as juliet:
            await talk(romeo, juliet, ["before"])
            bodies = [f"around the restart {number}" for number in range(20)]
            await say_all(romeo, juliet.full, bodies)
            await say_all(juliet, romeo.bare, bodies)
            proxy.hold()
            await asyncio.to_thread(a.server.restart)
            proxy.admit()
            for client in (romeo, juliet):
                await client.resumed()
            for one, other in ((romeo, juliet), (juliet, romeo)):
                await heard(one, other, bodies, resent=True)
                await talk(other, one, ["after"])


async def archive_has_all_under_the_ids_that_were_delivered(a, b):
    """XEP-0313 §3.5, XEP-0359: of what was delivered at once and of what waited; in pages."""
    async with b() as juliet:
        async with a() as romeo:
            await talk(juliet, romeo, ["one", "two"])
            delivered = romeo.seen
            await romeo.acknowledges()
        for body in ("three", "four"):
            await juliet.say(romeo.bare, body)
        await within(juliet.ping(), "the pong")
        async with a() as romeo:
            await heard(romeo, juliet, ["three", "four"], delayed=True)
            delivered = delivered + romeo.seen
            await romeo.say(juliet.bare, "five")
            await heard(juliet, romeo, ["five"])
            kept = await within(romeo.history(juliet.bare), "the history")
            assert [each.body for each in kept] == ["one", "two", "three", "four", "five"], kept
            assert all(each.archived for each in delivered), delivered
            for had, each in zip(delivered, kept):
                assert (had.archived, had.sender) == (each.archived, each.sender), (had, each)
            theirs = await within(juliet.history(romeo.bare), "the history")
            assert [each.body for each in theirs] == [each.body for each in kept], theirs
            assert theirs[-1].archived == juliet.seen[-1].archived, (theirs, juliet.seen)


async def what_is_archived_is_the_users_choice(a, b):
    """XEP-0441: who wants no archive gets the message all the same, and the other keeps it."""
    async with a() as romeo, b() as juliet:
        assert await within(romeo.preferences(), "the answer") == "always"
        await within(romeo.set_preferences("never"), "the answer")
        assert await within(romeo.preferences(), "the answer") == "never"
        await talk(juliet, romeo, ["between us"])
        assert romeo.seen[-1].archived is None, romeo.seen
        assert await within(romeo.history(juliet.bare), "the history") == []
        kept = await within(juliet.history(romeo.bare), "the history")
        assert [each.body for each in kept] == ["between us"], kept


async def blocked_contact_is_not_heard(a, b):
    """XEP-0191: neither at once nor later; and heard again when unblocked."""
    async with a() as romeo, b() as juliet:
        await within(romeo.block(juliet.bare), "the answer")
        assert await within(romeo.blocked(), "the list") == {juliet.bare}
        await juliet.say(romeo.bare, "unheard")
        await within(juliet.ping(), "the pong")
        await within(romeo.unblock(juliet.bare), "the answer")
        assert await within(romeo.blocked(), "the list") == set()
        await talk(juliet, romeo, ["heard"])


async def card_is_seen_by_others(a, b):
    """XEP-0054: also when its owner is away."""
    async with a() as romeo:
        await within(romeo.set_name("Romeo Montague"), "the answer")
        owner = romeo.bare
    async with b() as juliet:
        assert await within(juliet.name_of(owner), "the card") == "Romeo Montague"


async def account_is_made_and_removed_by_its_user(a, b):
    """XEP-0077: before SASL and after it; the name is gone with the account."""
    async with a(user="new-" + a.user, new=True) as newcomer, b() as juliet:
        await talk(newcomer, juliet, ["I am new here"])
        await within(newcomer.remove_account(), "the answer")
    again = a(user="new-" + a.user)
    try:
        await within(again.login(), "the login")
    except Refused as refused:
        assert str(refused) == "not-authorized", refused
    else:
        raise AssertionError("logged in to an account that was removed")
    finally:
        await again.logout()


async def say_all(one, to, bodies):
    for body in bodies:
        await one.say(to, body)


async def heard(one, other, bodies, delayed=None, resent=False):
    """The next messages of `one` are these, from `other`, in this order.

    `resent`: some of them were sent again by the library, which may have mixed them up.
    """
    one.seen = [await one.message() for _ in bodies]
    senders = {found.sender for found in one.seen}
    assert senders == {other.full}, one.seen
    found = [found.body for found in one.seen]
    if resent and not other.resends_in_order:
        found, bodies = sorted(found), sorted(bodies)
    assert found == bodies, f"{found}, not {bodies}"
    assert delayed is None or all(found.delayed == delayed for found in one.seen), one.seen


async def talk(one, other, bodies):
    """`one` says this, and `other` hears it, and nothing before."""
    await say_all(one, other.full, bodies)
    await heard(other, one, bodies)


SCENARIOS = [
    cut_client_resumes_and_misses_nothing,
    restart_loses_and_doubles_nothing,
    archive_has_all_under_the_ids_that_were_delivered,
    what_is_archived_is_the_users_choice,
    blocked_contact_is_not_heard,
    card_is_seen_by_others,
    account_is_made_and_removed_by_its_user,
]
NEED_KEPT_SESSIONS = [restart_loses_and_doubles_nothing]
