// Converse.js in Chromium in a room (XEP-0045). Arguments: the name of a scenario, then those of with_converse.mjs.

import assert from "node:assert/strict";
import process from "node:process";

import { logIn, picture, run, say, sees, until } from "./converse.mjs";

const [scenario, way, port, domain, , ...accounts] = process.argv.slice(2);
const [romeo, romeosPassword, juliet, julietsPassword] = accounts;
const room = `orchard-${romeo}@conference.${domain}`;

// Converse's numbers for what it is in a room.
const NICKNAME_REQUIRED = 2;
const ENTERED = 5;

const wait = (user, condition, argument) => user.page.waitForFunction(condition, argument);
const sent = (user, ...words) =>
  user.log.filter((line) => words.every((word) => line.includes(word))).length > 0;

// The room is shown, the user is in it, and can write.
const isIn = (user) => wait(user, ([jid, entered]) =>
  window.look.state.chatboxes.get(jid)?.session?.get("connection_status") === entered &&
    document.querySelector("converse-muc .chat-textarea"), [room, ENTERED]);

const statusOf = (user) => user.page.evaluate((jid) =>
  window.look.state.chatboxes.get(jid)?.session?.get("connection_status"), room);

// What the page knows of an occupant; with no values, that there is none.
const knows = (user, nick, values) => wait(user, ([jid, nick, values]) => {
  const { occupants } = window.look.state.chatboxes.get(jid);
  const found = occupants.find((each) => each.get("nick") === nick && each.get("presence") === "online");
  return values ? found && Object.entries(values).every(([name, value]) => found.get(name) === value) : !found;
}, [room, nick, values]);

// The nicknames under which an account is in the room, as the page of a moderator knows it.
const nicksOf = (user, name) => user.page.evaluate(([jid, whom]) => {
  const { occupants } = window.look.state.chatboxes.get(jid);
  const online = occupants.filter((each) => each.get("presence") === "online");
  return online.filter((each) => each.get("jid")?.split("/")[0] === whom).map((each) => each.get("nick"));
}, [room, `${name}@${domain}`]);

// A room is made, somebody is invited, all by the means that the page shows to its users; then talk, subject, a new
// nickname, a page that is loaded again, another browser, and a kick.
async function peopleTalkInARoom(enter) {
  const [one, other] = [await enter(romeo), await enter(juliet)];
  await logIn(one, romeosPassword);
  await logIn(other, julietsPassword);
  // Each page has looked at its bookmarks: what is opened before may be closed again.
  for (const user of [one, other]) {
    await user.page.evaluate(() => window.look.api.waitUntil("bookmarksInitialized"));
  }
  await one.page.evaluate(([jid, nick]) => {
    window.look.api.rooms.open(jid, { nick }, true);
  }, [room, "Romeo"]);
  await isIn(one);
  // Converse accepts what is preset, and then asks for the list of owners.
  await until("the room is made", () => sent(one, "muc#owner", "jabber:x:data"));
  await knows(one, "Romeo", { affiliation: "owner", role: "moderator" });

  await one.page.evaluate(([jid, whom]) => {
    window.look.state.chatboxes.get(jid).directInvite(whom, "come to the orchard");
  }, [room, other.jid]);
  await other.page.waitForSelector("form.confirm >> text=come to the orchard");
  await picture(other, "invited");
  await other.page.click("form.confirm button[type=submit]");
  // The form is drawn anew when more is known of the room; what was typed may go with it.
  await until("the nickname is taken", async () => {
    await other.page.fill("converse-muc input[name=nick]", "Juliet", { timeout: 500 }).catch(() => {});
    await other.page.click("converse-muc input[type=submit]", { timeout: 500 }).catch(() => {});
    return (await statusOf(other)) !== NICKNAME_REQUIRED;
  });
  await isIn(other);
  await knows(one, "Juliet", { role: "participant" });
  await knows(other, "Romeo", { affiliation: "owner", role: "moderator" });

  await say(one, "wherefore <art> thou & I");
  await say(other, "here 🌹");
  for (const user of [one, other]) await sees(user, "wherefore <art> thou & I", "here 🌹");
  await picture(other, "room");
  await say(one, "/topic Love in Verona");
  await wait(other, (jid) =>
    window.look.state.chatboxes.get(jid).get("subject")?.text === "Love in Verona", room);
  await say(other, "/nick Capulet");
  await knows(one, "Juliet", null);
  await knows(one, "Capulet", { role: "participant" });
  await say(other, "by another name");
  await sees(one, "by another name");

  // A page that is loaded again resumes its session (XEP-0198), and is in the room without entering. What was missed
  // comes at once. Converse 14 does not show it if it comes before the page has set up the room, so that it has come,
  // and only once, is read from its log.
  const address = other.page.url();
  await other.page.goto("about:blank");
  const before = other.log.length;
  await say(one, "while you are away");
  await sees(one, "while you are away");
  await other.page.goto(address);
  await wait(other, () => window.look?.api.connection.connected());
  await isIn(other);
  const received = (word) => other.log.slice(before).filter((line) =>
    line.includes("darkgoldenrod") && line.includes(word) && !line.includes("urn:xmpp:mam:2")).length;
  await until("the session is resumed", () => received("<resumed "));
  await until("what was missed", () => received("while you are away"));
  await say(other, "here again");
  await sees(one, "here again");
  assert.equal(received("while you are away"), 1);
  assert.equal(received("<stream:error"), 0);
  const all = ["wherefore <art> thou & I", "here 🌹", "by another name", "while you are away"];

  // Another browser finds the bookmark that the first one wrote, and reads the archive (XEP-0402, XEP-0313).
  const elsewhere = await enter(juliet);
  await logIn(elsewhere, julietsPassword);
  await elsewhere.page.evaluate(() => window.look.api.waitUntil("bookmarksInitialized"));
  await wait(elsewhere, ([jid, entered]) =>
    window.look.state.chatboxes.get(jid)?.session?.get("connection_status") === entered, [room, ENTERED]);
  await elsewhere.page.evaluate((jid) => {
    window.look.api.rooms.open(jid, {}, true);
  }, room);
  await isIn(elsewhere);
  await sees(elsewhere, ...all, "here again");

  // A page may have gone back to the nickname of its bookmark.
  await until("juliet is out", async () => {
    for (const nick of await nicksOf(one, juliet)) {
      await say(one, `/kick ${nick} hush`);
      await knows(one, nick, null);
    }
    return (await nicksOf(one, juliet)).length === 0;
  });
  for (const user of [other, elsewhere]) {
    await user.page.waitForSelector("converse-muc .disconnect-msg >> text=hush");
  }
  await picture(other, "kicked");
  assert.ok(!sent(one, "not-allowed") && !sent(one, "forbidden"), "something was refused");
}

const scenarios = { "people talk in a room": peopleTalkInARoom };
await run([way, port, domain], scenarios[scenario]);
