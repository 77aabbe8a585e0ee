import assert from "node:assert/strict";
import test from "node:test";
import {
  begin,
  bubble,
  conversationOf,
  newDevice,
  openConversation,
  saw,
  say,
  shows,
  signUp,
  start,
  startChat,
  texts,
  until,
} from "./support.js";

test("without the relay one writes on, is told what waits, and it arrives in order", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  const bob = await startChat(t, world.relay.url);
  await signUp(ada, "Ada", "ada");
  await bob.call("account.create", { address: "bob", name: "Bob" });
  await bob.call("sync.wait", { until: "stored" });
  await begin(ada, ["bob"]);
  const conversation = conversationOf(ada);
  await say(ada, "first");
  await shows(bob, conversation, ["first"]);
  await bob.call("conversation.accept", { conversation });

  await world.relayLeaves();
  await ada.getByText("No connection.").waitFor();
  await say(ada, "second");
  await say(ada, "third");
  await ada.getByText(/changes? waits? to be sent/).waitFor();
  await ada.getByText(/Last confirmed/).waitFor();
  await bubble(ada, "third").getByRole("img", { name: "Only on this device" }).waitFor();

  await world.relayReturns();
  await bubble(ada, "third")
    .getByRole("img", { name: /Sent|Delivered|Read/ })
    .waitFor();
  await shows(bob, conversation, ["first", "second", "third"]);
  await ada
    .getByTestId("sync")
    .getByText(/Up to date · last confirmed/)
    .waitFor();
});

test("the app opens without any server, and what was written there is sent later", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  await say(ada, "before");
  await ada.evaluate(() => navigator.serviceWorker.ready);
  await ada.getByTestId("sync").getByText("Up to date").waitFor();
  await world.relayLeaves();

  await ada.reload();
  await openConversation(ada, /Notes/);
  await saw(ada, "before");
  await say(ada, "on the train");
  await world.relayReturns();
  await bubble(ada, "on the train").getByRole("img", { name: "Sent" }).waitFor();
});

test("who chooses to be offline stays so until they come back", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await ada.getByRole("link", { name: "Settings" }).click();
  await ada.getByLabel("Stay offline").check();
  await ada.getByText("You are offline by choice.").waitFor();
  await ada.getByRole("button", { name: "Connect" }).click();
  await ada.getByTestId("sync").getByText("Up to date").waitFor();
});

test("a tab that is closed in the middle of sending loses nothing and doubles nothing", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  const link = ada.url();
  const written = [];
  let page = ada;
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 4; n++) {
      const text = `round ${round}, line ${n}`;
      written.push(text);
      await page.getByLabel("Write a message").fill(text);
      await page.getByLabel("Write a message").press("Enter");
    }
    // Not one line was waited for.
    if (round % 2 === 0) {
      await page.reload();
    } else {
      const next = await page.context().newPage();
      await page.close();
      page = next;
      await page.goto(link);
    }
    await page.getByLabel("Write a message").waitFor();
  }
  await until("every line, once", async () => {
    const shown = await texts(page);
    return shown.length >= written.length;
  });
  assert.deepEqual(await texts(page), written);
});
