// xmpp.js: two accounts log in, chat, lose their connections and go on.
// Arguments: starttls|tls|ws|wss, port, domain, certificate, user, password, user, password.
// The certificate reaches node by NODE_EXTRA_CA_CERTS. The port is that of a proxy: `cut`, `admit` or
// `restart` on standard output is done by run.py.

import process from "node:process";

import { askFor, expectMessage, login, say, serviceOf, within, xml } from "./xmppjs.mjs";

const [way, port, domain, , ...accounts] = process.argv.slice(2);
const service = serviceOf(way, domain, port);
const enter = (username, password) => login({ service, domain, username, password });

const romeo = await enter(accounts[0], accounts[1]);
const juliet = await enter(accounts[2], accounts[3]);
await say(romeo, juliet.full, "wherefore <art> thou & I");
await expectMessage(juliet, romeo.full, "wherefore <art> thou & I");
await say(juliet, romeo.full, "here 🌹");
const ids = [await expectMessage(romeo, juliet.full, "here 🌹")];

// What was said before the connection broke, and what was said without one.
for (const deeds of [["cut", "admit"], ["restart"]]) {
  const bodies = Array.from({ length: 8 }, (_, line) => `around ${deeds[0]} ${line}`);
  for (const body of bodies) await say(romeo, juliet.full, body);
  await expectMessage(juliet, romeo.full, bodies[0]);
  for (const body of bodies) await say(juliet, romeo.full, body);
  for (const deed of deeds) await askFor(deed);
  await Promise.all([romeo.resumptions.next(), juliet.resumptions.next()]);
  for (const body of bodies.slice(1)) await expectMessage(juliet, romeo.full, body);
  for (const body of bodies) ids.push(await expectMessage(romeo, juliet.full, body));
  await say(romeo, juliet.full, "nothing came twice");
  await expectMessage(juliet, romeo.full, "nothing came twice");
}

// Not earlier: xmpp.js 0.14 does not count answers to its own requests among the stanzas that it has
// handled, so that it gets as many again when it resumes.
const pong = await romeo.iqCaller.get(xml("ping", "urn:xmpp:ping"), domain);
if (pong !== undefined && pong.attrs?.type === "error") throw new Error("no pong");
await romeo.iqCaller.get(xml("query", "jabber:iq:roster"));

const form = xml("x", { xmlns: "jabber:x:data", type: "submit" }, [
  xml("field", { var: "FORM_TYPE", type: "hidden" }, xml("value", {}, "urn:xmpp:mam:2")),
]);
const page = xml("set", "http://jabber.org/protocol/rsm", xml("max", {}, "50"));
const query = xml("query", "urn:xmpp:mam:2", form, page);
const answer = await romeo.iqCaller.request(xml("iq", { type: "set" }, query));
const fin = answer.getChild("fin", "urn:xmpp:mam:2");
if (fin.attrs.complete !== "true") throw new Error(`not all of the history: ${fin}`);
const wanted = JSON.stringify(ids);
const known = JSON.stringify(romeo.history.filter(([id]) => ids.some(([each]) => each === id)));
if (known !== wanted) throw new Error(`history ${known}, delivered ${wanted}`);

for (const entity of [romeo, juliet]) entity.reconnect.stop();
await within(Promise.all([romeo.stop(), juliet.stop()]), "the end of the streams");

const stranger = enter(accounts[0], "wrong");
const refusal = await stranger.then(() => "logged in", (error) => error.condition ?? String(error));
if (refusal !== "not-authorized") throw new Error(`a wrong password: ${refusal}`);
process.exit(0);
