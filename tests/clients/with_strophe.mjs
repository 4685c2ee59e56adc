// strophe.js: two accounts log in, chat and log out, over WebSocket and over BOSH.
// Arguments: ws|wss|http|https, port, domain, certificate, user, password, user, password.
// The certificate reaches node by NODE_EXTRA_CA_CERTS.

import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const modules = process.env.WAXWING_NODE_MODULES;
const load = createRequire(path.join(modules, "here.js"));
const { DOMParser } = load("@xmldom/xmldom");

// What strophe.js needs of a browser's XMLHttpRequest, which node does not have.
const answers = [];
globalThis.XMLHttpRequest = class {
  readyState = 0;
  status = 0;
  responseText = "";
  #abort = new AbortController();
  #headers = {};

  open(method, url) {
    this.request = { method, url };
    this.#change(1);
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  send(body) {
    const { method, url } = this.request;
    fetch(url, { method, body, headers: this.#headers, signal: this.#abort.signal })
      .then(async (answer) => {
        this.responseText = await answer.text();
        this.responseXML = new DOMParser().parseFromString(this.responseText, "text/xml");
        this.status = answer.status;
        answers.push({ said: body, heard: this.responseText });
      })
      .catch(() => {})
      .then(() => this.#change(4));
  }

  getAllResponseHeaders() {
    return "";
  }

  abort() {
    this.#abort.abort();
  }

  #change(state) {
    this.readyState = state;
    this.onreadystatechange?.();
  }
};

const { Strophe, $msg, $pres } = await import(
  pathToFileURL(path.join(modules, "strophe.js/dist/strophe.node.esm.js"))
);

// Standard output is for what run.py is to do.
Strophe.setLogLevel(Strophe.LogLevel.FATAL);

const [way, port, domain, , ...accounts] = process.argv.slice(2);
const service = `${way}://${domain}:${port}/${way.startsWith("ws") ? "xmpp-websocket" : "http-bind"}`;

// Rejects with what was waited for.
function within(promise, what) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} took too long`)), 20_000));
  return Promise.race([promise, late]);
}

function enter(user, password) {
  const connection = new Strophe.Connection(service);
  const messages = [];
  let heard = () => {};
  connection.addHandler((stanza) => {
    const body = stanza.getElementsByTagName("body")[0];
    if (body) messages.push(body.textContent);
    heard();
    return true;
  }, null, "message");
  const ended = {};
  ended.promise = new Promise((resolve) => (ended.resolve = resolve));
  const entered = new Promise((resolve, reject) => {
    connection.connect(`${user}@${domain}`, password, (status) => {
      if (status === Strophe.Status.CONNECTED) resolve();
      if (status === Strophe.Status.AUTHFAIL) reject(new Error("refused"));
      if (status === Strophe.Status.DISCONNECTED) ended.resolve();
    });
  });
  const client = {
    connection,
    ended: ended.promise,
    say: (to, text) => connection.send($msg({ to, type: "chat" }).c("body").t(text)),
    hear: (text) => within(new Promise((resolve) => {
      heard = () => messages.includes(text) && resolve();
      heard();
    }), `message ${text}`),
  };
  return within(entered, `login of ${user}`).then(() => {
    connection.send($pres());
    return client;
  });
}

const romeo = await enter(accounts[0], accounts[1]);
const juliet = await enter(accounts[2], accounts[3]);
for (let line = 0; line < 5; line += 1) {
  romeo.say(juliet.connection.jid, `wherefore <art> thou & I ${line}`);
  juliet.say(romeo.connection.jid, `here 🌹 ${line}`);
  await juliet.hear(`wherefore <art> thou & I ${line}`);
  await romeo.hear(`here 🌹 ${line}`);
}
for (const client of [romeo, juliet]) {
  client.connection.disconnect("good night");
  await within(client.ended, "the end of the session");
}
// XEP-0124 §13: the end is acknowledged by an answer, not by silence.
if (way.startsWith("http")) {
  const ends = answers.filter(({ heard }) => /^<body[^>]*type=['"]terminate/.test(heard));
  if (ends.length !== 2) throw new Error(`answers: ${JSON.stringify(answers.slice(-4))}`);
}
const refused = await enter(accounts[0], "wrong").then(() => "logged in", (error) => error.message);
if (refused !== "refused") throw new Error(`a wrong password: ${refused}`);
process.exit(0);
