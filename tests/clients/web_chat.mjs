// Two users log in through the page that `waxwing web-chat` has written, chat, and send a file. The page is the server's own: all
// is done as a user does it, and the browser obeys the server's Content-Security-Policy.
// Arguments: the address of the page, the domain, name and password of each user, and a file for a picture.

import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

import { PICTURE } from "./picture.mjs";

const modules = process.env.WAXWING_NODE_MODULES;
const playwright = await import(pathToFileURL(path.join(modules, "playwright-core/index.mjs")));
const [address, domain, ...rest] = process.argv.slice(2);
const [julietName, julietPassword, romeoName, romeoPassword, picture] = rest;

const browser = await playwright.chromium.launch({
  executablePath: process.env.WAXWING_CHROMIUM,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const users = [];

async function enter(name, password) {
  // The certificate is the server's own.
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, viewport: { width: 1100, height: 700 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const log = [];
  page.on("console", (message) => log.push(message.text()));
  page.on("pageerror", (error) => log.push(String(error)));
  const user = { jid: `${name}@${domain}`, log, name, page };
  users.push(user);
  await page.goto(address);
  await page.fill("input[name=jid]", name);
  await page.fill("input[name=password]", password);
  await page.click("input[type=submit], button[type=submit]");
  await page.waitForSelector("converse-user-profile .username, .controlbox-head");
  await page.waitForSelector("input[name=password]", { state: "detached" });
  return user;
}

async function chatWith(user, other) {
  for (let left = 5; ; left -= 1) {
    await user.page.evaluate((jid) => {
      window.location.hash = "";
      window.location.hash = `#converse/chat?jid=${jid}`;
    }, other.jid);
    const opened = user.page.waitForSelector(".chat-textarea:visible", { timeout: 6000 });
    const error = await opened.then(() => undefined, (error) => error);
    if (!error) return;
    if (left === 0) throw error;
  }
}

async function say(user, text) {
  await user.page.fill(".chat-textarea:visible", text);
  await user.page.press(".chat-textarea:visible", "Enter");
}

const sees = (user, text) =>
  user.page.waitForFunction((wanted) => {
    const found = [...document.querySelectorAll(".chat-msg__text")];
    return found.filter((each) => each.innerText.trim() === wanted).length === 1;
  }, text);

try {
  const juliet = await enter(julietName, julietPassword);
  const romeo = await enter(romeoName, romeoPassword);
  await chatWith(juliet, romeo);
  await chatWith(romeo, juliet);
  for (const [user, other, text] of [
    [romeo, juliet, "But soft, what light through yonder window breaks?"],
    [juliet, romeo, "Romeo! The orchard walls are high and hard to climb."],
    [romeo, juliet, "With love's light wings did I o'er-perch these walls."],
    [juliet, romeo, "Good night, good night! Parting is such sweet sorrow."],
  ]) {
    await say(user, text);
    await sees(user, text);
    await sees(other, text);
  }
  // A file: the page may send it and show it, as far as the policy of the server is concerned.
  await romeo.page.setInputFiles(".chat-toolbar .fileupload", {
    name: "rose.png", mimeType: "image/png", buffer: PICTURE,
  });
  for (const user of users) {
    await user.page.waitForFunction(() => {
      const image = document.querySelector(".chat-msg img.chat-image");
      return image?.complete && image.naturalWidth === 8;
    });
  }
  const refused = users.flatMap((user) => user.log).filter((line) => line.includes("Content Security Policy"));
  if (refused.length > 0) throw new Error(`the policy of the server refuses: ${refused.join("\n")}`);
  if (picture) {
    // Whether they want to be contacts.
    await juliet.page.getByText("Dismiss").first().click();
    await juliet.page.getByText("Dismiss").first().waitFor({ state: "detached" });
    await juliet.page.screenshot({ path: picture });
  }
} catch (error) {
  for (const user of users) {
    console.error(`--- ${user.name}\n${user.log.slice(-40).join("\n")}`);
    if (picture) await user.page.screenshot({ path: `${picture}.${user.name}-failed.png` }).catch(() => {});
  }
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
process.exit();
