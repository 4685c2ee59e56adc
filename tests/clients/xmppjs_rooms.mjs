// xmpp.js in rooms (XEP-0045), by plain stanzas.
// Arguments: the name of a scenario, then those of with_xmppjs.mjs.

import assert from "node:assert/strict";
import process from "node:process";

import { askFor, expectMessage, login, mailbox, serviceOf, within, xml } from "./xmppjs.mjs";

const [scenario, way, port, domain, , ...accounts] = process.argv.slice(2);
const service = serviceOf(way, domain, port);
const MUC = "http://jabber.org/protocol/muc";
const room = `orchard-${accounts[0]}@conference.${domain}`;

async function comesIn(user) {
  const [username, password] = accounts.slice(2 * user, 2 * user + 2);
  const entity = await login({ service, domain, username, password });
  entity.bare = `${username}@${domain}`;
  entity.seen = mailbox(`a presence in a room for ${username}`);
  entity.invitations = mailbox(`an invitation for ${username}`);
  entity.on("stanza", (stanza) => {
    const x = stanza.getChild("x", `${MUC}#user`);
    if (stanza.is("presence") && stanza.attrs.from.startsWith(room)) {
      const codes = (x?.getChildren("status") ?? []).map((each) => each.attrs.code);
      const error = stanza.getChild("error")?.children[0]?.name;
      const kind = stanza.attrs.type ?? "available";
      entity.seen.put({ kind, nick: stanza.attrs.from.split("/")[1], codes, error, x });
    } else if (x?.getChild("invite")) {
      entity.invitations.put([stanza.attrs.from, x.getChild("invite").getChildText("reason")]);
    }
  });
  return entity;
}

const enters = (entity, nick) =>
  entity.send(xml("presence", { to: `${room}/${nick}` },
    xml("x", MUC, xml("history", { maxstanzas: "0" }))));

// The next presence of this kind and nickname; others are passed over.
async function sees(entity, kind, nick, ...codes) {
  for (;;) {
    const found = await entity.seen.next();
    const fits = found.kind === kind && found.nick === nick;
    if (fits && codes.every((code) => found.codes.includes(code))) return found;
  }
}

const configures = (entity, values) =>
  entity.iqCaller.set(
    xml("query", `${MUC}#owner`, xml("x", { xmlns: "jabber:x:data", type: "submit" },
      ...Object.entries({ FORM_TYPE: `${MUC}#roomconfig`, ...values }).map(([name, value]) =>
        xml("field", { var: name }, xml("value", {}, value))))),
    room,
  );

async function makes(entity, nick, values) {
  await enters(entity, nick);
  await sees(entity, "available", nick, "110", "201");
  await configures(entity, values);
}

const says = (entity, body) =>
  entity.send(xml("message", { to: room, type: "groupchat" }, xml("body", {}, body))).catch(() => {});

const asks = (entity, type, ns, ...children) =>
  entity.iqCaller[type](xml("query", ns, ...children), room);

const isRefused = (request, condition) =>
  assert.rejects(request, (error) => error.condition === condition);

const leaves = (entity) => {
  entity.reconnect.stop();
  return within(entity.stop(), "the end of the stream");
};

// XEP-0045 §7 to §10.
async function ownersKeepOrder() {
  const [romeo, juliet] = [await comesIn(0), await comesIn(1)];
  await makes(romeo, "Romeo", { "muc#roomconfig_membersonly": "1" });
  await enters(juliet, "Juliet");
  assert.equal((await sees(juliet, "error", "Juliet")).error, "registration-required");
  await romeo.send(xml("message", { to: room }, xml("x", `${MUC}#user`,
    xml("invite", { to: juliet.bare }, xml("reason", {}, "come")))));
  assert.deepEqual(await juliet.invitations.next(), [room, "come"]);
  await enters(juliet, "Juliet");
  await sees(juliet, "available", "Juliet", "110");
  for (const [entity, nick, body] of [[romeo, "Romeo", "wherefore"], [juliet, "Juliet", "here 🌹"]]) {
    await says(entity, body);
    const ids = [romeo, juliet].map((each) => expectMessage(each, `${room}/${nick}`, body));
    const [[one], [other]] = await Promise.all(ids);
    assert.ok(one && one === other, `${one} and ${other}`);
  }
  await juliet.send(xml("presence", { to: `${room}/Capulet` }));
  await sees(romeo, "unavailable", "Juliet", "303");
  await sees(romeo, "available", "Capulet");
  await juliet.iqCaller.get(xml("ping", "urn:xmpp:ping"), `${room}/Capulet`);

  const item = (attributes) => xml("item", attributes);
  await isRefused(asks(juliet, "get", `${MUC}#owner`), "forbidden");
  await asks(romeo, "set", `${MUC}#admin`, item({ nick: "Capulet", role: "none" }));
  await sees(juliet, "unavailable", "Capulet", "110", "307");
  await enters(juliet, "Juliet");
  await sees(juliet, "available", "Juliet", "110");
  await asks(romeo, "set", `${MUC}#admin`, item({ jid: juliet.bare, affiliation: "outcast" }));
  await sees(juliet, "unavailable", "Juliet", "110", "301");
  const list = await asks(romeo, "get", `${MUC}#admin`, item({ affiliation: "outcast" }));
  assert.deepEqual(list.getChildren("item").map((each) => each.attrs.jid), [juliet.bare]);
  await enters(juliet, "Juliet");
  assert.equal((await sees(juliet, "error", "Juliet")).error, "forbidden");
  await asks(romeo, "set", `${MUC}#owner`, xml("destroy", {}, xml("reason", {}, "dawn")));
  await sees(romeo, "unavailable", "Romeo");
  await Promise.all([leaves(romeo), leaves(juliet)]);
}

// XEP-0198: whoever resumes is still in the room, and has missed nothing.
async function roomOutlivesCutsAndARestart() {
  // The library does not count answers to its own requests (xmppjs.mjs): another client makes the room.
  const maker = await comesIn(0);
  await makes(maker, "Maker", { "muc#roomconfig_persistentroom": "1" });
  await leaves(maker);
  const [romeo, juliet] = [await comesIn(0), await comesIn(1)];
  await enters(romeo, "Romeo");
  await sees(romeo, "available", "Romeo", "110");
  await enters(juliet, "Juliet");
  await sees(juliet, "available", "Juliet", "110");
  for (const deeds of [["cut", "admit"], ["restart"]]) {
    const bodies = Array.from({ length: 8 }, (_, line) => `around ${deeds[0]} ${line}`);
    for (const body of bodies) await says(romeo, body);
    await expectMessage(juliet, `${room}/Romeo`, bodies[0]);
    for (const deed of deeds) await askFor(deed);
    await Promise.all([romeo.resumptions.next(), juliet.resumptions.next()]);
    await says(romeo, "still here");
    for (const body of [...bodies.slice(1), "still here"]) {
      await expectMessage(juliet, `${room}/Romeo`, body);
    }
    for (const body of [...bodies, "still here"]) await expectMessage(romeo, `${room}/Romeo`, body);
  }
  await Promise.all([leaves(romeo), leaves(juliet)]);
}

const scenarios = {
  "owners keep order": ownersKeepOrder,
  "a room outlives cuts and a restart": roomOutlivesCutsAndARestart,
};
await scenarios[scenario]();
process.exit(0);
