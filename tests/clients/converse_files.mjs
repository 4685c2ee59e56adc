// Converse.js in Chromium sends a file (XEP-0363): the page of another origin asks for a slot, uploads, and sends the address;
// the other one sees the picture. Arguments as for with_converse.mjs.

import assert from "node:assert";
import process from "node:process";

import { chatWith, logIn, picture, run, until } from "./converse.mjs";
import { PICTURE } from "./picture.mjs";

const [way, port, domain, , ...accounts] = process.argv.slice(2);

await run([way, port, domain], async (enter) => {
  const romeo = await enter(accounts[0]);
  const juliet = await enter(accounts[2]);
  await logIn(romeo, accounts[1]);
  await logIn(juliet, accounts[3]);
  await chatWith(juliet, romeo);
  await chatWith(romeo, juliet);
  await romeo.page.waitForSelector(".chat-toolbar .fileupload", { state: "attached" });
  await romeo.page.setInputFiles(".chat-toolbar .fileupload", {
    name: "très cool.png", mimeType: "image/png", buffer: PICTURE,
  });
  const shown = ".chat-msg img.chat-image";
  for (const user of [romeo, juliet]) {
    await user.page.waitForSelector(shown);
    await until(`the picture at ${user.name}`, () =>
      user.page.$eval(shown, (image) => image.complete && image.naturalWidth === 8));
  }
  await picture(juliet, "file");
  const address = await juliet.page.$eval(shown, (image) => image.src);
  assert.match(address, /^https:\/\/localhost:\d+\/files\/[0-9a-f]{32}\/tr%C3%A8s%20cool\.png$/);

  // It comes back as it was, to a page from anywhere, and none of ours would run in it.
  const got = await juliet.page.evaluate(async (from) => {
    const answer = await fetch(from);
    return [answer.status, answer.headers.get("content-type"), [...new Uint8Array(await answer.arrayBuffer())]];
  }, address);
  assert.deepEqual(got, [200, "image/png", [...PICTURE]]);

  // A file that is larger than the server allows is refused before anything is sent.
  const before = await juliet.page.$$eval(shown, (found) => found.length);
  await romeo.page.evaluate(([jid]) => {
    const large = new File(["x"], "large.bin");
    Object.defineProperty(large, "size", { value: 2 ** 40 });
    window.look.state.chatboxes.get(jid).sendFiles([large]);
  }, [juliet.jid]);
  await romeo.page.getByText("exceeds the maximum allowed by your server").first().waitFor();
  assert.equal(await juliet.page.$$eval(shown, (found) => found.length), before);
});
