// Converse.js (Strophe.js) in Chromium over BOSH: two accounts log in, become contacts, chat, lose their connections and
// go on in the same session; one loads its page anew, and is still logged in. Arguments as for with_converse.mjs; the
// way is http or https.

import process from "node:process";

import { askFor, befriend, chatWith, logIn, picture, run, say, sees, until } from "./converse.mjs";

const [way, port, domain, , ...accounts] = process.argv.slice(2);

const connected = (user) => user.page.waitForFunction(() => window.look?.api.connection.connected());

await run([way, port, domain], async (enter) => {
  const romeo = await enter(accounts[0]);
  const juliet = await enter(accounts[2]);
  await logIn(romeo, accounts[1]);
  await chatWith(romeo, juliet);
  await say(romeo, "while you are away");
  await sees(romeo, "while you are away");
  await logIn(juliet, accounts[3]);
  await chatWith(juliet, romeo);
  await sees(juliet, "while you are away");
  await befriend(romeo, juliet);
  await say(romeo, "wherefore <art> thou & I");
  await sees(juliet, "wherefore <art> thou & I");
  await say(juliet, "here 🌹");
  await sees(romeo, "here 🌹");
  await picture(juliet, "bosh");

  // The requests that wait are lost; they are sent again.
  for (const deed of ["cut", "admit"]) await askFor(deed);
  for (let i = 0; i < 5; i += 1) {
    await say(romeo, `after the cut ${i}`);
    await say(juliet, `it was the nightingale ${i}`);
  }
  for (let i = 0; i < 5; i += 1) {
    await sees(juliet, `after the cut ${i}`);
    await sees(romeo, `it was the nightingale ${i}`);
  }

  // The page ends, and the session goes on.
  const jid = await juliet.page.evaluate(() => window.look.state.session.get("jid"));
  await juliet.page.reload();
  await connected(juliet);
  await until("the same session", async () =>
    (await juliet.page.evaluate(() => window.look.state.session?.get("jid"))) === jid);
  await chatWith(juliet, romeo);
  await say(romeo, "on a new page");
  await sees(juliet, "on a new page");
  await say(juliet, "still the same");
  await sees(romeo, "still the same");
});
