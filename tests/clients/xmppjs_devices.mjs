// xmpp.js with what it knows of logging in anew: SASL 2, Bind 2, tokens; and nodes, by plain requests.
// Arguments: the name of a scenario, then those of with_xmppjs.mjs.

import assert from "node:assert/strict";
import process from "node:process";

import { askFor, expectMessage, login, mailbox, say, serviceOf, within, xml } from "./xmppjs.mjs";

const [scenario, way, port, domain, , ...accounts] = process.argv.slice(2);
const service = serviceOf(way, domain, port);
const SASL2 = "urn:xmpp:sasl:2";
const BIND2 = "urn:xmpp:bind:0";
const FAST = "urn:xmpp:fast:0";
const CARBONS = "urn:xmpp:carbons:2";
const PUBSUB = "http://jabber.org/protocol/pubsub";
const EVENT = `${PUBSUB}#event`;

// A device has an id that lasts, and keeps its token where the next client of it finds it.
function device(user, id) {
  const [username, password] = accounts.slice(2 * user, 2 * user + 2);
  const kept = { token: undefined };
  return {
    kept,
    async comesIn() {
      const userAgent = xml("user-agent", { id }, xml("software", {}, "xmpp.js"));
      const options = { service, domain, username, password, userAgent, resource: "test" };
      const entity = await login(options, (entity) => {
        Object.assign(entity.fast, {
          fetchToken: async () => kept.token,
          saveToken: async (token) => { kept.token = token; },
          deleteToken: async () => { kept.token = undefined; },
        });
        entity.tried = [];
        entity.on("send", (sent) => {
          if (sent.is("authenticate", SASL2)) entity.tried.push(sent);
        });
        entity.on("nonza", (came) => {
          if (came.is("success", SASL2)) entity.success = came;
        });
        entity.carbons = mailbox(`a carbon for ${username}`);
        entity.on("stanza", (stanza) => {
          for (const kind of ["sent", "received"]) {
            const copy = stanza.getChild(kind, CARBONS)?.getChild("forwarded")?.getChild("message");
            if (copy) entity.carbons.put([kind, copy.getChildText("body")]);
          }
        });
        entity.bind2.use(CARBONS, async () => xml("enable", CARBONS));
        entity.events = mailbox(`an event for ${username}`);
        entity.on("stanza", (stanza) => {
          const event = stanza.getChild("event", EVENT);
          if (event) entity.events.put([stanza.attrs.from, event]);
        });
      });
      entity.bare = `${username}@${domain}`;
      return entity;
    },
  };
}

const leaves = (entity) => {
  entity.reconnect.stop();
  return within(entity.stop(), "the end of the stream");
};
const mechanisms = (entity) => entity.tried.map((each) => each.attrs.mechanism);

// XEP-0484, XEP-0386: the token of a device, and of no other, is as good as the password, in one step with
// the session; a token that is none costs a second step on the same stream.
async function tokenOpensTheDoor() {
  const phone = device(0, "d4565fa7-4d72-4749-b3d3-740edbf87770");
  let romeo = await phone.comesIn();
  assert.deepEqual(mechanisms(romeo), ["SCRAM-SHA-1"]);
  assert.ok(romeo.tried[0].getChild("request-token", FAST), String(romeo.tried[0]));
  assert.ok(romeo.success.getChild("bound", BIND2), String(romeo.success));
  assert.match(romeo.full, new RegExp(`^${romeo.bare}/test`));
  const first = phone.kept.token;
  assert.equal(first?.mechanism, "HT-SHA-256-NONE");
  assert.ok(new Date(first.expiry) > Date.now(), JSON.stringify(first));
  await leaves(romeo);

  romeo = await phone.comesIn();
  assert.deepEqual(mechanisms(romeo), ["HT-SHA-256-NONE"]);
  assert.ok(romeo.success.getChild("bound", BIND2), String(romeo.success));
  await leaves(romeo);

  for (const [id, token] of [
    ["d4565fa7-4d72-4749-b3d3-740edbf87770", { ...first, token: `${first.token}x` }],
    ["6e3ac6ab-d25e-4fc3-8e2e-42b6cd7e3b6c", phone.kept.token],
  ]) {
    const other = device(0, id);
    other.kept.token = token;
    romeo = await other.comesIn();
    assert.deepEqual(mechanisms(romeo), ["HT-SHA-256-NONE", "SCRAM-SHA-1"]);
    assert.notEqual(other.kept.token?.token, token.token);
    await leaves(romeo);
    romeo = await other.comesIn();
    assert.deepEqual(mechanisms(romeo), ["HT-SHA-256-NONE"]);
    await leaves(romeo);
  }
}

// XEP-0198 §5 with XEP-0388 and a token: the cut session is taken again in the login, and nothing is lost.
async function tokenTakesTheOldSession() {
  const romeo = await device(0, "d4565fa7-4d72-4749-b3d3-740edbf87770").comesIn();
  const juliet = await device(1, "b3e0d5a9-a1b4-4b0a-b2bc-11c2bd4a77dd").comesIn();
  await askFor("cut");
  const missed = ["while", "you", "were", "away"];
  await askFor("admit");
  await juliet.resumptions.next();
  for (const body of missed) await say(juliet, romeo.full, body);
  await romeo.resumptions.next();
  assert.deepEqual(mechanisms(romeo), ["SCRAM-SHA-1", "HT-SHA-256-NONE"]);
  assert.ok(romeo.tried[1].getChild("resume", "urn:xmpp:sm:3"), String(romeo.tried[1]));
  assert.ok(romeo.success.getChild("resumed", "urn:xmpp:sm:3"), String(romeo.success));
  for (const body of missed) await expectMessage(romeo, juliet.full, body);
  await Promise.all([leaves(romeo), leaves(juliet)]);
}

// XEP-0280 asked for within the login (XEP-0386 §3.2).
async function carbonsComeWithTheLogin() {
  const one = await device(0, "d4565fa7-4d72-4749-b3d3-740edbf87770").comesIn();
  const two = await device(0, "6e3ac6ab-d25e-4fc3-8e2e-42b6cd7e3b6c").comesIn();
  const juliet = await device(1, "b3e0d5a9-a1b4-4b0a-b2bc-11c2bd4a77dd").comesIn();
  assert.notEqual(one.full, two.full);
  assert.ok(two.tried[0].getChild("bind", BIND2).getChild("enable", CARBONS));
  await say(one, juliet.full, "wherefore art thou");
  await expectMessage(juliet, one.full, "wherefore art thou");
  assert.deepEqual(await two.carbons.next(), ["sent", "wherefore art thou"]);
  await say(juliet, one.full, "here");
  await expectMessage(one, juliet.full, "here");
  assert.deepEqual(await two.carbons.next(), ["received", "here"]);
  await Promise.all([leaves(one), leaves(two), leaves(juliet)]);
}

// XEP-0060, with requests that a script would send, and errors that it would read.
async function nodesByPlainRequests() {
  const romeo = await device(0, "d4565fa7-4d72-4749-b3d3-740edbf87770").comesIn();
  const juliet = await device(1, "b3e0d5a9-a1b4-4b0a-b2bc-11c2bd4a77dd").comesIn();
  const news = `pubsub.${domain}`;
  const item = (id, text) => xml("item", { id }, xml("entry", { xmlns: "http://www.w3.org/2005/Atom" },
    xml("title", {}, text)));
  const asks = (entity, type, child, xmlns = PUBSUB) =>
    entity.iqCaller[type](xml("pubsub", { xmlns }, child), news);
  const isRefused = (request, condition) =>
    assert.rejects(request, (error) => error.condition === condition);

  const made = await asks(romeo, "set", xml("create"));
  const node = made.getChild("create").attrs.node;
  assert.ok(node, String(made));
  const subscription = await asks(juliet, "set", xml("subscribe", { node, jid: juliet.bare }));
  assert.equal(subscription.getChild("subscription").attrs.subscription, "subscribed");
  await isRefused(asks(juliet, "set", xml("subscribe", { node, jid: romeo.bare })), "bad-request");
  await isRefused(asks(juliet, "set", xml("publish", { node }, item("x", "x"))), "forbidden");
  await isRefused(asks(juliet, "get", xml("items", { node: "no such" })), "item-not-found");

  for (const id of ["1", "2"]) await asks(romeo, "set", xml("publish", { node }, item(id, `number ${id}`)));
  for (const id of ["1", "2"]) {
    const [from, event] = await juliet.events.next();
    const found = event.getChild("items").getChild("item");
    assert.deepEqual([from, found.attrs.id], [news, id]);
    assert.equal(found.getChild("entry").getChildText("title"), `number ${id}`);
  }
  const kept = await asks(juliet, "get", xml("items", { node, max_items: "1" }));
  assert.deepEqual(kept.getChild("items").getChildren("item").map((each) => each.attrs.id), ["2"]);
  await asks(romeo, "set", xml("retract", { node, notify: "true" }, xml("item", { id: "2" })));
  let [, event] = await juliet.events.next();
  assert.equal(event.getChild("items").getChild("retract").attrs.id, "2");
  await asks(romeo, "set", xml("delete", { node }), `${PUBSUB}#owner`);
  [, event] = await juliet.events.next();
  assert.equal(event.getChild("delete").attrs.node, node);
  await Promise.all([leaves(romeo), leaves(juliet)]);
}

const scenarios = {
  "token opens the door": tokenOpensTheDoor,
  "token takes the old session": tokenTakesTheOldSession,
  "carbons come with the login": carbonsComeWithTheLogin,
  "nodes by plain requests": nodesByPlainRequests,
};
await scenarios[scenario]();
process.exit(0);
