// What the scripts for Converse.js share: a browser, pages in which users log in, and what they do and see. With
// WAXWING_SCREENSHOTS, pictures are put there. WAXWING_CHROMIUM is the browser's program.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import process from "node:process";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const modules = process.env.WAXWING_NODE_MODULES;
const playwright = await import(pathToFileURL(path.join(modules, "playwright-core/index.mjs")));
const WAIT_MS = 30_000;

// The way is ws or wss, or http or https for BOSH.
const door = (way, port, domain) =>
  way.startsWith("http")
    ? `bosh_service_url: "${way}://${domain}:${port}/http-bind"`
    : `websocket_url: "${way}://${domain}:${port}/xmpp-websocket"`;

const page = (way, port, domain) => `<!doctype html><meta charset="utf-8"><title>Converse</title>
<link rel="stylesheet" href="/converse.min.css"><body>
<script type="module">
  import converse from "/converse.min.js";
  window.converse = converse;
  converse.plugins.add("look", { initialize() { window.look = this._converse; } });
  converse.initialize({
    allow_non_roster_messaging: true, assets_path: "/", auto_reconnect: true,
    discover_connection_methods: false, i18n: "en", loglevel: "debug",
    view_mode: "fullscreen", ${door(way, port, domain)},
    whitelisted_plugins: ["look"],
  });
</script>`;

// The files of Converse.js, from an origin of their own.
function serve(page) {
  const dist = path.join(modules, "converse.js/dist");
  const types = { ".css": "text/css", ".js": "text/javascript", ".json": "application/json",
    ".wasm": "application/wasm" };
  const server = http.createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname;
    if (name === "/") return response.setHeader("content-type", "text/html").end(page);
    const file = path.join(dist, path.normalize(name));
    if (!fs.existsSync(file) || !fs.statSync(file).isFile()) return response.writeHead(404).end();
    response.setHeader("content-type", types[path.extname(file)] ?? "application/octet-stream");
    return response.end(fs.readFileSync(file));
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export async function askFor(deed) {
  process.stdout.write(`${deed}\n`);
  await answers.next();
}

export async function picture(user, name) {
  const folder = process.env.WAXWING_SCREENSHOTS;
  if (folder) await user.page.screenshot({ path: path.join(folder, `${user.name}-${name}.png`) });
}

async function open(browser, address, domain, name) {
  const context = await browser.newContext({
    // The certificate is the server's own; whether names and chains are right is for the others.
    ignoreHTTPSErrors: true,
    viewport: { width: 1100, height: 800 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const log = [];
  page.on("console", (message) => log.push(message.text()));
  page.on("pageerror", (error) => log.push(String(error)));
  await page.goto(address);
  const count = (word) => log.filter((line) => line.includes(word)).length;
  return { context, count, jid: `${name}@${domain}`, log, name, page };
}

export async function logIn(user, password) {
  await user.page.fill("input[name=jid]", user.jid);
  await user.page.fill("input[name=password]", password);
  await picture(user, "login");
  await user.page.click("input[type=submit], button[type=submit]");
  await user.page.waitForFunction(() => window.look?.api.connection.connected());
  await user.page.waitForFunction(() => window.look.state.roster !== undefined);
}

// A chat is open, and one can write there. Converse.js is still starting when the roster is there, and then
// may close what was opened: it is opened again.
export async function chatWith(user, other) {
  for (let left = 5; ; left -= 1) {
    await user.page.evaluate((jid) => window.look.api.chats.open(jid, {}, true), other.jid);
    const opened = user.page.waitForSelector(".chat-textarea:visible", { timeout: 6000 });
    const error = await opened.then(() => undefined, (error) => error);
    if (!error) return;
    if (left === 0) throw error;
  }
}

export async function say(user, text) {
  await user.page.fill(".chat-textarea:visible", text);
  await user.page.press(".chat-textarea:visible", "Enter");
}

// What stands in the open chat, each text as often as it is shown.
function shown(user) {
  return user.page.$$eval(".chat-msg__text", (found) => found.map((each) => each.innerText.trim()));
}

export async function sees(user, ...texts) {
  await user.page.waitForFunction((wanted) => {
    const found = [...document.querySelectorAll(".chat-msg__text")].map((e) => e.innerText.trim());
    return wanted.every((text) => found.includes(text));
  }, texts);
  const found = await shown(user);
  for (const text of texts) {
    const count = found.filter((each) => each === text).length;
    if (count !== 1) throw new Error(`${user.name} sees "${text}" ${count} times`);
  }
}

// Each other's contacts, who see that the other is there.
export async function befriend(...users) {
  for (const user of users) {
    const others = users.filter((other) => other !== user).map((other) => other.jid);
    await user.page.evaluate(([jid]) => {
      if (window.look.state.roster.get(jid)?.get("subscription") === "both") return;
      for (const type of ["subscribe", "subscribed"]) {
        window.look.api.send(window.converse.env.$pres({ to: jid, type }));
      }
    }, others);
  }
  for (const user of users) {
    const others = users.filter((other) => other !== user).map((other) => other.jid);
    await user.page.waitForFunction(([jid]) => {
      const contact = window.look.state.roster.get(jid);
      return contact?.get("subscription") === "both" && contact.getStatus() === "online";
    }, others);
  }
}

export async function until(what, condition) {
  const end = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

// Runs a scenario with `enter`, which opens a page for a user; shows what its users saw if it fails.
export async function run([way, port, domain], scenario) {
  const server = await serve(page(way, port, domain));
  const address = `http://localhost:${server.address().port}/`;
  const browser = await playwright.chromium.launch({
    executablePath: process.env.WAXWING_CHROMIUM,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
  const users = [];
  const enter = async (name) => {
    const user = await open(browser, address, domain, name);
    users.push(user);
    return user;
  };
  try {
    await scenario(enter);
  } catch (error) {
    for (const user of users) {
      await picture(user, "failed").catch(() => {});
      console.error(`--- ${user.name}\n${user.log.slice(-40).join("\n")}`);
    }
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
    server.close();
  }
  process.exit();
}
