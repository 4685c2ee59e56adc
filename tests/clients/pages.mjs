// A visit to the web pages in Chromium: an invitation is opened, an account is made, its page is used, and it is closed. No
// page may be wider than the window, each field has a label, and no page may be refused anything by its own policy. It works
// without scripts: Chromium runs none here.
// Arguments: the address of the pages, the width of the window, "light" or "dark", the token of an invitation, and who
// invites. With WAXWING_SCREENSHOTS, pictures are put there.

import assert from "node:assert";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const modules = process.env.WAXWING_NODE_MODULES;
const playwright = await import(pathToFileURL(path.join(modules, "playwright-core/index.mjs")));
const [address, widthText, colorScheme, token, inviter] = process.argv.slice(2);
const width = Number(widthText);

const browser = await playwright.chromium.launch({
  executablePath: process.env.WAXWING_CHROMIUM,
  args: ["--no-sandbox"],
});

async function visit() {
  const context = await browser.newContext({
    // The certificate is the server's own.
    ignoreHTTPSErrors: true,
    javaScriptEnabled: false,
    colorScheme,
    viewport: { width, height: 800 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on("console", (message) => {
    // A mistake in a form is answered with 422, an invitation that was used with 410: Chromium calls that errors.
    if (message.type() === "error" && !/status of 4(10|22)/.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));

  const look = async (name) => {
    const body = await page.locator("html").evaluate((html) => html.scrollWidth);
    assert.ok(body <= width, `${name}: ${body} pixels on ${width}`);
    const unlabelled = await page.locator("input:not([type=hidden])").evaluateAll(
      (inputs) => inputs.filter((input) => !input.labels.length).map((input) => input.name),
    );
    assert.deepEqual(unlabelled, [], name);
    const folder = process.env.WAXWING_SCREENSHOTS;
    if (!folder) return;
    await page.screenshot({ fullPage: true, path: path.join(folder, `${width}-${colorScheme}-${name}.png`) });
  };
  const says = async (text) => assert.match(await page.textContent("main"), text);
  const send = (selector) => page.click(`${selector} button[type=submit]`);

  await page.goto(`${address}/invite/${token}`);
  await says(new RegExp(`${inviter} invites you`));
  assert.match(await page.getAttribute("a.deed", "href"), /^xmpp:localhost\?register;preauth=/);
  const picture = await page.locator("img.qr").evaluate((image) => image.naturalWidth);
  assert.ok(picture > 100, "the QR code is shown");
  await look("invitation");

  await page.click("a[href^='/register/']");
  const name = `juliet-${width}-${colorScheme}`;
  const [first, later] = ["a rose by any name", "what's in a name?"];
  await page.getByLabel("Name", { exact: false }).first().fill(name);
  await page.fill("input[name=password]", first);
  await page.fill("input[name=again]", later);
  await send("form");
  await says(/not the same/);
  assert.equal(await page.inputValue("input[name=name]"), name);
  await look("mistake");
  await page.fill("input[name=password]", first);
  await page.fill("input[name=again]", first);
  await send("form");
  await says(new RegExp(`${name}@localhost`));
  await look("registered");
  await page.goto(`${address}/invite/${token}`);
  await says(/used already/);
  await look("used");

  await page.goto(`${address}/account`);
  await look("login");
  await page.fill("input[name=address]", `${name}@localhost`);
  await page.fill("input[name=password]", first);
  await send("form");
  await says(/You are/);
  const cookies = await context.cookies();
  const sameSite = { "__Host-waxwing-form": "Lax", "__Host-waxwing-session": "Strict" };
  for (const cookie of cookies) {
    const isRight = cookie.httpOnly && cookie.secure && cookie.sameSite === sameSite[cookie.name];
    assert.ok(isRight, JSON.stringify(cookie));
  }
  assert.deepEqual(cookies.map((cookie) => cookie.name).sort(), ["__Host-waxwing-form", "__Host-waxwing-session"]);
  await look("account");

  await send("form[action='/account/invite']");
  await says(/Send this link/);
  await look("own-invitation");
  await page.click("a[href='/account']");
  await look("account-with-invitation");
  await send("form[action='/account/revoke']");
  await says(/does not work any more/);

  const form = "form[action='/account/password']";
  await page.fill(`${form} input[name=password]`, first);
  await page.fill(`${form} input[name=new]`, later);
  await page.fill(`${form} input[name=again]`, later);
  await send(form);
  await says(/password was changed/);

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("a[href='/account/export']")]);
  assert.equal(download.suggestedFilename(), "account.json");
  await page.click("a[href='/account/close']");
  await page.fill("input[name=password]", first);
  await send("form");
  await says(/password is wrong/);
  await look("close");
  await page.fill("input[name=password]", later);
  await send("form");
  await says(/were deleted/);
  await look("closed");
  assert.deepEqual(complaints, []);
  await context.close();
}

try {
  await visit();
} finally {
  await browser.close();
}
