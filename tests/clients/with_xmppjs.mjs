// xmpp.js: two accounts log in and chat both ways.
// Arguments: starttls|tls, port, domain, certificate, user, password, user, password.
// The certificate reaches node by NODE_EXTRA_CA_CERTS.

import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const [way, port, domain, , ...accounts] = process.argv.slice(2);
const module = path.join(process.env.WAXWING_NODE_MODULES, "@xmpp/client/index.js");
const { client, xml } = await import(pathToFileURL(module));

const service = `${way === "tls" ? "xmpps" : "xmpp"}://${domain}:${port}`;
const WAIT_MS = 15_000;

function within(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`waited for ${what}`)), WAIT_MS).unref();
  });
  return Promise.race([promise, late]);
}

async function login(username, password) {
  const entity = client({ service, domain, username, password });
  entity.reconnect.stop();
  entity.on("error", () => {}); // start() rejects with the same
  const queue = [];
  const waiting = [];
  entity.on("stanza", (stanza) => {
    if (!stanza.is("message") || !stanza.getChild("body")) return;
    const found = { from: stanza.attrs.from, body: stanza.getChildText("body") };
    const next = waiting.shift();
    next ? next(found) : queue.push(found);
  });
  entity.message = () =>
    queue.length ? Promise.resolve(queue.shift()) : new Promise((done) => waiting.push(done));
  entity.full = String(await within(entity.start(), `the login of ${username}`));
  await entity.send(xml("presence"));
  return entity;
}

function say(entity, to, body) {
  return entity.send(xml("message", { to, type: "chat" }, xml("body", {}, body)));
}

async function expectMessage(entity, from, body) {
  const found = await within(entity.message(), body);
  if (found.from !== from || found.body !== body) {
    throw new Error(`expected ${body} from ${from}, got ${JSON.stringify(found)}`);
  }
}

const romeo = await login(accounts[0], accounts[1]);
const juliet = await login(accounts[2], accounts[3]);
await say(romeo, juliet.full, "wherefore <art> thou & I");
await expectMessage(juliet, romeo.full, "wherefore <art> thou & I");
await say(juliet, romeo.full, "here 🌹");
await expectMessage(romeo, juliet.full, "here 🌹");
const pong = await romeo.iqCaller.get(xml("ping", "urn:xmpp:ping"), domain);
if (pong !== undefined && pong.attrs?.type === "error") throw new Error("no pong");
await romeo.iqCaller.get(xml("query", "jabber:iq:roster"));
await within(Promise.all([romeo.stop(), juliet.stop()]), "the end of the streams");

const stranger = login(accounts[0], "wrong");
const refusal = await stranger.then(() => "logged in", (error) => error.condition ?? String(error));
if (refusal !== "not-authorized") throw new Error(`a wrong password: ${refusal}`);
process.exit(0);
