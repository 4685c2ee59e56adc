// xmpp.js: two accounts log in, chat, lose their connections and go on.
// Arguments: starttls|tls|ws|wss, port, domain, certificate, user, password, user, password.
// The certificate reaches node by NODE_EXTRA_CA_CERTS. The port is that of a proxy: `cut`, `admit` or
// `restart` on standard output is done by run.py.

import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const [way, port, domain, , ...accounts] = process.argv.slice(2);
const module = path.join(process.env.WAXWING_NODE_MODULES, "@xmpp/client/index.js");
const { client, xml } = await import(pathToFileURL(module));

const services = {
  starttls: `xmpp://${domain}:${port}`,
  tls: `xmpps://${domain}:${port}`,
  ws: `ws://${domain}:${port}/xmpp-websocket`,
  wss: `wss://${domain}:${port}/xmpp-websocket`,
};
const service = services[way];
const WAIT_MS = 15_000;
const SM = "urn:xmpp:sm:3";

function within(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`waited for ${what}`)), WAIT_MS).unref();
  });
  return Promise.race([promise, late]);
}

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function askFor(deed) {
  process.stdout.write(`${deed}\n`);
  await within(answers.next(), deed);
}

// What has come and was not yet asked for, and who asks for what has not yet come.
function mailbox(what) {
  const queue = [];
  const waiting = [];
  return {
    put: (found) => (waiting.length ? waiting.shift()(found) : queue.push(found)),
    next: () =>
      queue.length
        ? Promise.resolve(queue.shift())
        : within(new Promise((done) => waiting.push(done)), what),
  };
}

async function login(username, password) {
  const entity = client({ service, domain, username, password });
  entity.reconnect.stop();
  entity.on("error", () => {}); // start() rejects with the same
  entity.messages = mailbox(`a message to ${username}`);
  entity.resumptions = mailbox(`the resumption of ${username}`);
  entity.history = [];
  entity.on("stanza", (stanza) => {
    if (!stanza.is("message")) return;
    const result = stanza.getChild("result", "urn:xmpp:mam:2");
    if (result) {
      const kept = result.getChild("forwarded").getChild("message");
      entity.history.push([result.attrs.id, kept.getChildText("body")]);
    } else if (stanza.getChild("body")) {
      const id = stanza.getChild("stanza-id", "urn:xmpp:sid:0")?.attrs.id;
      entity.messages.put({ from: stanza.attrs.from, body: stanza.getChildText("body"), id });
    }
  });
  // xmpp.js 0.14 begins to count in a later turn than that in which it reads `<enabled/>`; Node may
  // give it the next stanza in the same turn over WebSocket, and the count is one too low. It comes alone, or
  // with the session that is bound together with the login (XEP-0386).
  const enabled = new Promise((done) => {
    entity.on("element", (element) => {
      const bound = element.getChild("bound", "urn:xmpp:bind:0");
      const isEnabled = element.is("enabled", SM) || bound?.getChild("enabled", SM);
      if (isEnabled) setImmediate(done);
    });
  });
  entity.full = String(await within(entity.start(), `the login of ${username}`));
  await within(enabled, `stream management of ${username}`);
  entity.streamManagement.on("resumed", () => entity.resumptions.put());
  entity.reconnect.delay = 10;
  entity.reconnect.start();
  await entity.send(xml("presence"));
  return entity;
}

function say(entity, to, body) {
  // Without a connection this fails, and is sent when the session is resumed.
  return entity.send(xml("message", { to, type: "chat" }, xml("body", {}, body))).catch(() => {});
}

async function expectMessage(entity, from, body) {
  const found = await entity.messages.next();
  if (found.from !== from || found.body !== body) {
    throw new Error(`expected ${body} from ${from}, got ${JSON.stringify(found)}`);
  }
  return [found.id, body];
}

const romeo = await login(accounts[0], accounts[1]);
const juliet = await login(accounts[2], accounts[3]);
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

const stranger = login(accounts[0], "wrong");
const refusal = await stranger.then(() => "logged in", (error) => error.condition ?? String(error));
if (refusal !== "not-authorized") throw new Error(`a wrong password: ${refusal}`);
process.exit(0);
