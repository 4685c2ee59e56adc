// Converse.js in Chromium enters a room that is there, as one of many clients (`together.py`). Arguments: way, port, domain,
// user, password, room, nickname, and the lines that it must see. It prints `in` when it is in the room, waits for a line
// on its standard input, says its own line, and ends when it has seen all of them.

import process from "node:process";

import { askFor, logIn, run, say, sees } from "./converse.mjs";

const [way, port, domain, name, password, room, nick, own, ...lines] = process.argv.slice(2);
// Converse's number for somebody who is in a room.
const ENTERED = 5;

await run([way, port, domain], async (enter) => {
  const user = await enter(name);
  await logIn(user, password);
  await user.page.evaluate(() => window.look.api.waitUntil("bookmarksInitialized"));
  await user.page.evaluate(([jid, nick]) => {
    window.look.api.rooms.open(jid, { nick }, true);
  }, [room, nick]);
  await user.page.waitForFunction(([jid, entered]) =>
    window.look.state.chatboxes.get(jid)?.session?.get("connection_status") === entered &&
      document.querySelector("converse-muc .chat-textarea"), [room, ENTERED]);
  await askFor("in");
  await say(user, own);
  await sees(user, own, ...lines);
});
