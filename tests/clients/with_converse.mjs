// Converse.js in Chromium: two accounts log in, become contacts, chat, lose their connections and go on.
// Arguments as for with_xmppjs.mjs; the way is ws or wss.

import process from "node:process";

import { askFor, befriend, chatWith, logIn, picture, run, say, sees, until } from "./converse.mjs";

const [way, port, domain, , ...accounts] = process.argv.slice(2);

await run([way, port, domain], async (enter) => {
  // Converse 14 resumes a session once and begins a new one when it loses its connection again: each
  // loss has its own pages.
  for (const deeds of [["cut", "admit"], ["restart"]]) {
    const romeo = await enter(accounts[0]);
    const juliet = await enter(accounts[2]);
    const users = [romeo, juliet];
    await logIn(romeo, accounts[1]);
    await chatWith(romeo, juliet);
    const away = `while you are away, ${deeds[0]}`;
    await say(romeo, away);
    await sees(romeo, away);
    await logIn(juliet, accounts[3]);
    await chatWith(juliet, romeo);
    await sees(juliet, away);
    await befriend(romeo, juliet);

    await say(romeo, `wherefore <art> thou & I, ${deeds[0]}`);
    await sees(juliet, `wherefore <art> thou & I, ${deeds[0]}`);
    await say(juliet, `here 🌹 ${deeds[0]}`);
    await sees(romeo, `here 🌹 ${deeds[0]}`);
    await picture(juliet, `${deeds[0]}-before`);

    await say(romeo, `before ${deeds[0]}`);
    for (const deed of deeds) await askFor(deed);
    for (const user of users) {
      await until(`the resumption of ${user.name}`, () => user.count("<resumed ") === 1);
    }
    await say(juliet, `after ${deeds[0]}`);
    await sees(romeo, `after ${deeds[0]}`);
    await say(romeo, `again after ${deeds[0]}`);
    await sees(juliet, away, `before ${deeds[0]}`, `again after ${deeds[0]}`);
    for (const user of users) {
      await picture(user, `${deeds[0]}-after`);
      if (user.count("<failed ") > 0) throw new Error(`${user.name} has failed at something`);
      await user.context.close();
    }
  }
});
