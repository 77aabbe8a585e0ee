import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import {
  DESKTOP,
  PHONE,
  act,
  bubble,
  conversationOf,
  newDevice,
  offer,
  openConversation,
  picture,
  saw,
  say,
  shows,
  signUp,
  start,
  startChat,
  wordsOf,
} from "./support.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** No rule of axe is broken on this screen. Takes its picture, too. */
async function isClean(page, name) {
  await picture(page, name);
  const known = await page.evaluate(() => "axe" in globalThis);
  if (!known) await page.addScriptTag({ path: AXE });
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run();
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(" | ")}`,
    );
  });
  assert.deepEqual(violations, [], name);
}

/** Somebody to talk with. */
async function friend(t, world, address, name) {
  const chat = await startChat(t, world.relay.url);
  await chat.call("account.create", { address, name });
  await chat.call("sync.wait", { until: "stored" });
  return chat;
}

async function everyScreen(t, look, options) {
  const world = await start(t);
  const bob = await friend(t, world, "bob", "Bob Builder");
  const cleo = await friend(t, world, "cleo", "Cleo");
  // Scripts are added to a page whose policy allows none but its own.
  const page = await newDevice(t, world, { ...options, bypassCSP: true, reducedMotion: "reduce" });
  const clean = (name) => isClean(page, `${look}-${name}`);

  await clean("01-start");
  await page.getByRole("button", { name: /Recover your account/ }).click();
  await clean("02-recover");
  await page.getByRole("button", { name: "Back" }).click();
  await offer(page, "New laptop");
  await clean("03-link-this-device");
  await page.getByRole("button", { name: "Back" }).click();
  await page.getByRole("button", { name: /Create an account/ }).click();
  await page.getByLabel("Your name").fill("Ada Lovelace");
  await page.getByLabel("Your address").fill("ada");
  await clean("04-create");
  await page.getByRole("button", { name: "Create account" }).click();
  await wordsOf(page);
  await clean("05-recovery-code");
  await page.getByLabel(/I wrote them down/).check();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByTestId("sync").getByText("Up to date").waitFor();
  await clean("06-empty");

  await page.getByRole("link", { name: "New conversation" }).click();
  await page.getByLabel("With whom").fill("bob");
  await page.getByLabel("With whom").press("Enter");
  await page.getByLabel("With whom").fill("cleo");
  await page.getByLabel("With whom").press("Enter");
  await page.getByLabel("Title").fill("Summer trip");
  await clean("07-new-conversation");
  await page.getByRole("button", { name: "Begin conversation" }).click();
  await page.getByLabel("Write a message").waitFor();
  await clean("08-empty-conversation");
  const conversation = conversationOf(page);
  await say(page, "Shall we go to the lake on Saturday?");
  for (const chat of [bob, cleo]) {
    await shows(chat, conversation, ["Shall we go to the lake on Saturday?"]);
    await chat.call("conversation.accept", { conversation });
  }
  await talk({ page, bob, cleo, conversation });
  await clean("09-conversation");

  await bubble(page, "I bring the tent, you bring the stove.").click({ button: "right" });
  await clean("10-message-menu");
  await page.getByRole("button", { name: "More emoji" }).click();
  await clean("11-emoji");
  await page.keyboard.press("Escape");
  await act(page, "Perfect 🎉", "Details");
  await clean("12-details");
  await page.getByRole("button", { name: "Close" }).click();
  await act(page, "I bring the tent, you bring the stove.", "Reply");
  await clean("13-reply");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Search in messages" }).click();
  await page.getByRole("searchbox", { name: "Search in loaded messages" }).fill("bring");
  await page.getByText("1 of 1").waitFor();
  await clean("14-search");
  await page.getByRole("button", { name: "Close the search" }).click();

  await page.getByRole("link", { name: "About this conversation" }).click();
  await page.getByRole("button", { name: "Safety number" }).first().waitFor();
  await clean("15-about");
  await page.getByRole("button", { name: "Safety number" }).first().click();
  await page.getByTestId("safety-number").waitFor();
  await clean("16-safety-number");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Leave the conversation" }).click();
  await clean("17-question");
  await page.getByRole("button", { name: "Cancel" }).click();

  const stranger = await friend(t, world, "dan", "Dan");
  const asked = await stranger.call("conversation.create", { title: "", members: ["ada"] });
  await stranger.call("message.send", { conversation: asked.conversation, text: "Hi, we met at the fair." });
  await page.goto(`${world.origin}/#/`);
  await page.getByRole("link", { name: /Dan/ }).waitFor();
  await cleo.call("message.send", { conversation, text: "What time do we leave?" });
  await page.getByRole("link", { name: /Summer trip.*1 unread/ }).waitFor();
  await clean("18-list");
  await openConversation(page, /Dan/);
  await clean("19-invitation");

  await page.goto(`${world.origin}/#/devices`);
  await page.getByText("this one").waitFor();
  await clean("20-devices");
  await page.getByRole("button", { name: "Link a device" }).click();
  await clean("21-link-another");
  await page.keyboard.press("Escape");
  await page.goto(`${world.origin}/#/settings`);
  await clean("22-settings");

  await world.relayLeaves();
  await page.goto(`${world.origin}/#/c/${encodeURIComponent(conversation)}`);
  await say(page, "I am on the train now.");
  await page.getByText("No connection.").waitFor();
  await clean("23-offline");
}

/** A conversation that has one of everything. */
async function talk({ page, bob, cleo, conversation }) {
  const send = (chat, text, more = {}) => chat.call("message.send", { conversation, text, ...more });
  await send(bob, "Yes! https://example.org/lake has the map.");
  const { message } = await send(bob, "I bring the tent, you bring the stove.");
  // It reaches Cleo by the relay: there she answers and reacts to it.
  await cleo.notice(({ method, params }) => method === "message" && params.messages.includes(message));
  await send(cleo, "Perfect 🎉", { reply_to: message });
  await send(cleo, "👍");
  await cleo.call("message.react", { conversation, message, emoji: "❤️" });
  await saw(page, "👍");
  await say(
    page,
    "Then it is settled: we meet at nine in front of the station, with bicycles, and whoever oversleeps takes the next train and walks.",
  );
  await say(page, "Wrong group, sorry");
  await act(page, "Wrong group, sorry", "Delete for everyone");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await saw(page, "This message was deleted");
}

for (const [width, options] of [
  ["desktop", DESKTOP],
  ["phone", PHONE],
]) {
  for (const colorScheme of ["light", "dark"]) {
    const look = `${width}-${colorScheme}`;
    test(`axe finds nothing on any screen: ${look}`, (t) => everyScreen(t, look, { ...options, colorScheme }));
  }
}

test("it can be installed", async (t) => {
  const world = await start(t);
  const page = await newDevice(t, world);
  await signUp(page, "Ada", "ada");
  const session = await page.context().newCDPSession(page);
  const manifest = await session.send("Page.getAppManifest");
  assert.deepEqual(manifest.errors, []);
  assert.equal(JSON.parse(manifest.data).display, "standalone");
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // Windows of a test are like private ones, in which nothing can be installed.
  assert.deepEqual(
    installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito"),
    [],
  );
});
