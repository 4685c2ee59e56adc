// Converse.js in Chromium with what keeps windows in step and contacts informed.
// Arguments: the name of a scenario, then those of with_converse.mjs.

import assert from "node:assert/strict";
import process from "node:process";

import { befriend, chatWith, logIn, picture, run, say, sees, until } from "./converse.mjs";

const [scenario, way, port, domain, , ...accounts] = process.argv.slice(2);
const [romeo, romeosPassword, juliet, julietsPassword] = accounts;
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const wait = (user, condition, argument) => user.page.waitForFunction(condition, argument);

// What Converse.js writes to the console of what has come, and of what went out.
const lines = (user, ...words) =>
  user.log.filter((line) => words.every((word) => line.includes(word)));

// XEP-0280 and XEP-0402 between two windows of one user. A contact sees the user's card (XEP-0054, XEP-0153), and
// newer clients the same picture in nodes (XEP-0398).
async function windowsAgree(enter) {
  const [one, two, other] = [await enter(romeo), await enter(romeo), await enter(juliet)];
  for (const window of [one, two]) await logIn(window, romeosPassword);
  await logIn(other, julietsPassword);
  for (const window of [one, two]) await chatWith(window, other);
  await chatWith(other, one);
  await say(one, "wherefore art thou");
  for (const user of [other, one, two]) await sees(user, "wherefore art thou");
  assert.ok(lines(two, "<sent ", "urn:xmpp:carbons:2", "wherefore").length, "no carbon");
  await say(other, "here");
  for (const user of [one, two]) await sees(user, "here");

  const room = `orchard@rooms.${domain}`;
  await bookmarks(one, room);
  // Converse 14 wants to hear of the list of older clients only, and reads only items when it logs in: the
  // event comes, but shows nothing.
  await until("the event", () => lines(two, "#event", "storage:bookmarks", room).length === 1);
  assert.equal(lines(other, room).length, 0, "the contact hears of it");

  await befriend(one, other);
  await one.page.evaluate(
    ([jid, image]) => window.look.api.vcard.set(jid, {
      email: "", fn: "Romeo Montague", image, image_type: "image/png", nickname: "", role: "", url: "",
    }),
    [one.jid, PNG],
  );
  await wait(other, ([jid, image]) => {
    const card = window.look.state.vcards.get(jid);
    return card?.get("fullname") === "Romeo Montague" && card.get("image") === image;
  }, [one.jid, PNG]);
  const published = await other.page.evaluate(async (jid) => {
    const { $iq, Strophe } = window.converse.env;
    const ask = $iq({ type: "get", to: jid }).c("pubsub", { xmlns: Strophe.NS.PUBSUB })
      .c("items", { node: "urn:xmpp:avatar:data" });
    const answer = await window.look.api.sendIQ(ask);
    return answer.querySelector("data").textContent;
  }, one.jid);
  assert.equal(published, PNG);
}

const bookmarks = (user, room) => user.page.evaluate(
  (jid) => window.look.api.bookmarks.set({ jid, name: "The Orchard", nick: "Romeo", autojoin: false }),
  room,
);

// XEP-0313: what was said while nobody was there is unread, once, also after a reload and elsewhere, where
// bookmarks (XEP-0402) are found, too.
async function historyComesBack(enter) {
  const other = await enter(juliet);
  await logIn(other, julietsPassword);
  await chatWith(other, { jid: `${romeo}@${domain}` });
  const bodies = ["one", "two", "three"].map((body) => `${body} of many`);
  for (const body of bodies) await say(other, body);
  await sees(other, ...bodies);

  // How many of them are counted depends on which comes first, the archive or the server by itself.
  const unread = (wanted) => [
    ([jid, wanted]) => window.look.state.chatboxes.get(jid)?.get("num_unread") > 0 === wanted,
    [other.jid, wanted],
  ];
  const first = await enter(romeo);
  await logIn(first, romeosPassword);
  await wait(first, ...unread(true));
  await picture(first, "unread");
  await chatWith(first, other);
  await sees(first, ...bodies);
  await wait(first, ...unread(false));

  const room = `orchard@rooms.${domain}`;
  await bookmarks(first, room);
  await until("the bookmark", () => lines(first, "<publish", "urn:xmpp:bookmarks:1", 'type="result"').length);

  // The session of the old page ends when the page goes; the new one logs in by the keys that it kept.
  await first.page.reload();
  await wait(first, () => window.look?.api.connection.connected());
  await chatWith(first, other);
  await sees(first, ...bodies);

  const elsewhere = await enter(romeo);
  await logIn(elsewhere, romeosPassword);
  await wait(elsewhere, (jid) => window.look.state.bookmarks?.get(jid)?.get("nick") === "Romeo", room);
  await chatWith(elsewhere, other);
  await sees(elsewhere, ...bodies);
  await say(elsewhere, "an answer");
  for (const user of [other, first, elsewhere]) await sees(user, "an answer");
}

// XEP-0384: keys are found in open nodes, and nobody between sees what is said.
async function nobodyElseReads(enter) {
  const [one, other] = [await enter(romeo), await enter(juliet)];
  await logIn(one, romeosPassword);
  await logIn(other, julietsPassword);
  // Both kinds of OMEMO, the list of devices and the keys of this one. A chat looks for them when it opens.
  const nodes = ["axolotl.devicelist", "axolotl.bundles:", "omemo:2:devices", "omemo:2:bundles"];
  for (const user of [one, other]) {
    for (const node of nodes) {
      await until(node, () => lines(user, "<publish node=", node, 'type="result"').length > 0);
    }
  }
  for (const [user, contact] of [[one, other], [other, one]]) {
    await chatWith(user, contact);
    await wait(user, (jid) => window.look.state.chatboxes.get(jid)?.get("omemo_supported"), contact.jid);
    await user.page.evaluate(
      (jid) => window.look.state.chatboxes.get(jid).save({ omemo_active: true }),
      contact.jid,
    );
  }
  for (const [user, contact, body] of [[one, other, "a secret"], [other, one, "another secret"]]) {
    await say(user, body);
    await sees(contact, body);
    assert.equal(lines(contact, "<message", body).length, 0, "it was not encrypted");
    await until("the message on the wire", () => lines(contact, "<encrypted ").length > 0);
  }
}

const scenarios = {
  "windows agree": windowsAgree,
  "history comes back": historyComesBack,
  "nobody else reads": nobodyElseReads,
};
await run([way, port, domain], scenarios[scenario]);
