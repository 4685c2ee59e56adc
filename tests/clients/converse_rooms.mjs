// Converse.js in Chromium in rooms (XEP-0045).
// Arguments: the name of a scenario, then those of with_converse.mjs.

import assert from "node:assert/strict";
import process from "node:process";

import { logIn, picture, run, say, sees, until } from "./converse.mjs";

const [scenario, way, port, domain, , ...accounts] = process.argv.slice(2);
const [romeo, romeosPassword, juliet, julietsPassword] = accounts;
const room = `orchard-${romeo}@conference.${domain}`;
const ENTERED = 5;

const wait = (user, condition, argument) => user.page.waitForFunction(condition, argument);

// The room is open, and the user is in it. Converse.js is still starting when the roster is there, and then may
// close what was opened: it is opened again.
async function enters(user, nick) {
  for (let left = 5; ; left -= 1) {
    await user.page.evaluate(
      ([jid, nick]) => window.look.api.rooms.open(jid, { nick }, true), [room, nick],
    );
    const opened = user.page.waitForFunction(
      ([jid, entered]) => {
        const status = window.look.state.chatboxes.get(jid)?.session?.get("connection_status");
        return status === entered && document.querySelector("converse-muc .chat-textarea");
      },
      [room, ENTERED], { timeout: 6000 },
    );
    const error = await opened.then(() => undefined, (error) => error);
    if (!error) return;
    if (left === 0) throw error;
  }
}

// What the page knows of an occupant.
const isThere = (user, nick, values = {}) =>
  wait(user, ([jid, nick, values]) => {
    const occupants = window.look.state.chatboxes.get(jid).occupants;
    const found = occupants.find((occupant) => occupant.get("nick") === nick);
    const shows = found && found.get("show") !== "offline" && found.get("presence") !== "offline";
    return shows && Object.entries(values).every(([name, value]) => found.get(name) === value);
  }, [room, nick, values]);

// XEP-0045 §7, §8: they enter, talk, set the subject, write with a command, are kicked; what was said comes back.
async function peopleTalkInARoom(enter) {
  const [one, other] = [await enter(romeo), await enter(juliet)];
  await logIn(one, romeosPassword);
  await logIn(other, julietsPassword);
  await enters(one, "Romeo");
  await isThere(one, "Romeo", { affiliation: "owner", role: "moderator" });
  // Converse.js accepts the defaults by itself; this is answered after that.
  await one.page.evaluate(async (jid) => {
    await window.look.state.chatboxes.get(jid).sendConfiguration();
  }, room);
  await enters(other, "Juliet");
  await isThere(one, "Juliet", { affiliation: "none", role: "participant" });
  await isThere(other, "Romeo");
  await say(one, "wherefore <art> thou & I");
  await say(other, "here 🌹");
  for (const user of [one, other]) await sees(user, "wherefore <art> thou & I", "here 🌹");
  await picture(other, "room");

  await say(one, "/topic Love in Verona");
  await wait(other, (jid) =>
    window.look.state.chatboxes.get(jid).get("subject")?.text === "Love in Verona", room);
  await say(other, "/nick Capulet");
  await isThere(one, "Capulet");
  await say(other, "by another name");
  await sees(one, "by another name");

  // Whoever comes later reads the archive of the room (XEP-0313).
  const later = await enter(juliet);
  await logIn(later, julietsPassword);
  await enters(later, "Capulet");
  await sees(later, "wherefore <art> thou & I", "here 🌹", "by another name");

  const kicked = await one.page.evaluate(async (jid) => {
    const { $iq, Strophe } = window.converse.env;
    const ask = $iq({ type: "set", to: jid }).c("query", { xmlns: Strophe.NS.MUC_ADMIN })
      .c("item", { nick: "Capulet", role: "none" });
    return (await window.look.api.sendIQ(ask)).getAttribute("type");
  }, room);
  assert.equal(kicked, "result");
  for (const user of [other, later]) {
    await until(`the kick of ${user.name}`, () => user.page.evaluate(([jid, entered]) => {
      const status = window.look.state.chatboxes.get(jid)?.session?.get("connection_status");
      return status !== entered;
    }, [room, ENTERED]));
  }
}

const scenarios = { "people talk in a room": peopleTalkInARoom };
await run([way, port, domain], scenarios[scenario]);
