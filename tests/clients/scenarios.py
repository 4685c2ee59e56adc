"""What two people do with their clients. Written once, run with every pair of libraries.

A scenario gets `a` and `b`: functions that make romeo's and juliet's client. The accounts are
fresh in every scenario. Its name and docstring say what must hold.
"""

from client import Refused, within


async def login_over_starttls(a, b):
    """STARTTLS, then SASL, then a full address of one's own."""
    async with a() as romeo:
        assert romeo.full.startswith(romeo.bare + "/"), romeo.full


async def login_over_direct_tls(a, b):
    """XEP-0368."""
    async with a(direct_tls=True) as romeo:
        assert romeo.full.startswith(romeo.bare + "/"), romeo.full


async def wished_resource_is_bound(a, b):
    """RFC 6120 §7.7."""
    async with a(resource="orchard") as romeo:
        assert romeo.full == romeo.bare + "/orchard", romeo.full


async def wrong_password_is_refused(a, b):
    """RFC 6120 §6.5.10; and the right password works afterwards."""
    for direct_tls in (False, True):
        romeo = a(password="wrong", direct_tls=direct_tls)
        try:
            await within(romeo.login(), "the login")
        except Refused as refused:
            assert str(refused) == "not-authorized", refused
        else:
            raise AssertionError("logged in with a wrong password")
        finally:
            await romeo.logout()
    async with a():
        pass


async def chat_goes_both_ways(a, b):
    """Full and bare addresses, and text that needs escaping."""
    async with a() as romeo, b(direct_tls=True) as juliet:
        for body in ("wherefore art thou", "<b>&amp; 'quoted' \"twice\" </b>", "Ünïcödé 🌹"):
            await romeo.say(juliet.full, body)
            found = await juliet.message()
            assert (found.sender, found.body, found.delayed) == (romeo.full, body, False), found
            await juliet.say(romeo.bare, body + "!")
            found = await romeo.message()
            assert (found.sender, found.body) == (juliet.full, body + "!"), found


async def messages_keep_their_order(a, b):
    """RFC 6120 §10.1."""
    async with a() as romeo, b() as juliet:
        bodies = [f"line {number}" for number in range(200)]
        for body in bodies:
            await romeo.say(juliet.full, body)
        found = [(await juliet.message()).body for _ in bodies]
        assert found == bodies, found


async def roster_change_is_pushed(a, b):
    """RFC 6121 §2: to the one who asked and to their other client; then it is in the roster."""
    async with a(resource="one") as one, a(resource="two") as two:
        await within(one.add_contact("nurse@localhost", "Nurse"), "the answer")
        for client in (one, two):
            await client.push("nurse@localhost", "none")
        roster = await within(two.roster(), "the roster")
        assert roster == {"nurse@localhost": ("Nurse", "none")}, roster
        await within(two.remove_contact("nurse@localhost"), "the answer")
        for client in (one, two):
            await client.push("nurse@localhost", "remove")
        roster = await within(one.roster(), "the roster")
        assert roster == {}, roster


async def subscription_handshake(a, b):
    """RFC 6121 §3.1, both directions, with the pushes on both sides."""
    async with a() as romeo, b() as juliet:
        await romeo.subscribe(juliet.bare)
        await juliet.presence("subscribe", romeo.bare)
        await juliet.approve(romeo.bare)
        await romeo.push(juliet.bare, "to")
        await juliet.push(romeo.bare, "from")
        # Approval brings the presence with it.
        await romeo.presence("available", juliet.bare)
        await juliet.subscribe(romeo.bare)
        await romeo.presence("subscribe", juliet.bare)
        await romeo.approve(juliet.bare)
        await juliet.push(romeo.bare, "both")
        await romeo.push(juliet.bare, "both")
        await juliet.presence("available", romeo.bare)


async def presence_follows_the_contact(a, b):
    """RFC 6121 §4: who comes is seen, who goes is seen, who was there is told of (probes)."""
    async with a() as romeo:
        async with b() as juliet:
            await romeo.subscribe(juliet.bare)
            await juliet.presence("subscribe", romeo.bare)
            await juliet.approve(romeo.bare)
            await romeo.presence("available", juliet.bare)
        await romeo.presence("unavailable", juliet.bare)
        async with b() as juliet:
            await romeo.presence("available", juliet.bare)
            async with a(resource="second") as second:
                await second.presence("available", juliet.bare)


async def subscription_request_waits_for_an_absent_contact(a, b):
    """RFC 6121 §3.1.3: a request is delivered at the contact's next login."""
    async with a() as romeo:
        juliet = b()
        await romeo.subscribe(juliet.bare)
        # An answer to a later request: the earlier one has been dealt with.
        await within(romeo.ping(), "the pong")
        async with juliet:
            await juliet.presence("subscribe", romeo.bare)


async def offline_message_arrives_at_the_next_login(a, b):
    """XEP-0160 with the stamp of XEP-0203, once, in order."""
    async with a() as romeo:
        juliet = b()
        for body in ("parting is", "such sweet sorrow"):
            await romeo.say(juliet.bare, body)
        await within(romeo.ping(), "the pong")
        async with juliet:
            for body in ("parting is", "such sweet sorrow"):
                found = await juliet.message()
                assert (found.sender, found.body) == (romeo.full, body), found
                assert found.delayed, "no delay element"
            await juliet.acknowledges()
        async with b() as juliet:
            await romeo.say(juliet.full, "good night")
            found = await juliet.message()
            assert found.body == "good night", f"delivered twice: {found}"


async def server_answers_ping(a, b):
    """XEP-0199."""
    async with a() as romeo:
        await within(romeo.ping(), "the pong")


async def server_answers_disco(a, b):
    """XEP-0030: what the server is, and that it says what it can."""
    async with a() as romeo:
        identities, features = await within(romeo.disco(), "the answer")
        assert ("server", "im") in identities, identities
        for feature in ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping"):
            assert feature in features, f"{feature} not in {sorted(features)}"


async def second_login_replaces_the_first(a, b):
    """RFC 6120 §7.7.2.2: same resource, the newer wins, the older hears `conflict`."""
    async with a(resource="balcony") as old, a(resource="balcony") as new, b() as juliet:
        assert new.full == old.full
        condition = await within(old.closed, "the end of the older stream")
        assert condition == "conflict", condition
        await juliet.say(new.full, "still there?")
        assert (await new.message()).body == "still there?"


SCENARIOS = [
    login_over_starttls,
    login_over_direct_tls,
    wished_resource_is_bound,
    wrong_password_is_refused,
    chat_goes_both_ways,
    messages_keep_their_order,
    roster_change_is_pushed,
    subscription_handshake,
    presence_follows_the_contact,
    subscription_request_waits_for_an_absent_contact,
    offline_message_arrives_at_the_next_login,
    server_answers_ping,
    server_answers_disco,
    second_login_replaces_the_first,
]
