// What the scripts for xmpp.js share: logins, and what has come.

import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const module = path.join(process.env.WAXWING_NODE_MODULES, "@xmpp/client/index.js");
const { client, xml } = await import(pathToFileURL(module));
export { xml };

const WAIT_MS = 15_000;
const SM = "urn:xmpp:sm:3";

export function within(promise, what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`waited for ${what}`)), WAIT_MS).unref();
  });
  return Promise.race([promise, late]);
}

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export async function askFor(deed) {
  process.stdout.write(`${deed}\n`);
  await within(answers.next(), deed);
}

// What has come and was not yet asked for, and who asks for what has not yet come.
export function mailbox(what) {
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

export function serviceOf(way, domain, port) {
  return {
    starttls: `xmpp://${domain}:${port}`,
    tls: `xmpps://${domain}:${port}`,
    ws: `ws://${domain}:${port}/xmpp-websocket`,
    wss: `wss://${domain}:${port}/xmpp-websocket`,
  }[way];
}

// `prepare` is given the client before it connects.
export async function login(options, prepare = () => {}) {
  const { username } = options;
  const entity = client(options);
  prepare(entity);
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

export function say(entity, to, body) {
  // Without a connection this fails, and is sent when the session is resumed.
  return entity.send(xml("message", { to, type: "chat" }, xml("body", {}, body))).catch(() => {});
}

export async function expectMessage(entity, from, body) {
  const found = await entity.messages.next();
  if (found.from !== from || found.body !== body) {
    throw new Error(`expected ${body} from ${from}, got ${JSON.stringify(found)}`);
  }
  return [found.id, body];
}
