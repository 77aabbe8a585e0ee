import assert from "node:assert/strict";
import test from "node:test";
import {
  PHONE,
  act,
  agree,
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

test("two browsers and a terminal talk: ticks, edits, deletions, reactions, replies", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  const bob = await newDevice(t, world, PHONE);
  const cleo = await startChat(t, world.relay.url);
  await signUp(ada, "Ada", "ada");
  await signUp(bob, "Bob", "bob");
  await cleo.call("account.create", { address: "cleo", name: "Cleo" });
  await cleo.call("sync.wait", { until: "stored" });

  await begin(ada, ["bob", "cleo"], "Trip");
  const conversation = conversationOf(ada);
  await say(ada, "Who brings the tent?");
  await openConversation(bob, /Trip/);
  await bob.getByRole("button", { name: "Accept" }).click();
  await saw(bob, "Who brings the tent?");
  await until("an invitation in the terminal", async () => {
    const list = await cleo.call("conversation.list");
    return list.some((entry) => entry.conversation === conversation);
  });
  await cleo.call("conversation.accept", { conversation });
  await say(bob, "I do");
  await saw(ada, "I do");

  // The other two have it, and one of them looked at it.
  await bubble(ada, "Who brings the tent?").getByRole("img", { name: "Read" }).waitFor();
  await shows(cleo, conversation, ["Who brings the tent?", "I do"]);

  await act(ada, "I do", "Reply");
  await say(ada, "And the stove?");
  await bubble(bob, "And the stove?")
    .getByRole("button", { name: /Bob|You/ })
    .waitFor();
  await act(ada, "And the stove?", "Edit");
  await ada.getByLabel("Write a message").fill("And the stove, too?");
  await ada.getByRole("button", { name: "Save" }).click();
  await saw(bob, "And the stove, too?");
  await bubble(bob, "And the stove, too?").getByText("edited").waitFor();

  const sent = await cleo.call("message.send", { conversation, text: "I have one" });
  await saw(ada, "I have one");
  await act(ada, "I have one", "React with ❤️");
  await bubble(bob, "I have one")
    .getByRole("button", { name: /❤️ from Ada/ })
    .waitFor();
  await until("the reaction in the terminal", async () => {
    const messages = await cleo.call("message.list", { conversation });
    const own = messages.find((message) => message.message === sent.message);
    return Object.values(own.reactions).includes("❤️");
  });

  await say(bob, "Never mind");
  await saw(ada, "Never mind");
  await act(bob, "Never mind", "Delete for everyone");
  await agree(bob, "Delete");
  await bubble(ada, "This message was deleted").waitFor();
  const wanted = ["Who brings the tent?", "I do", "And the stove, too?", "I have one", "This message was deleted"];
  assert.deepEqual(await texts(ada), wanted);
  assert.deepEqual(await texts(bob), wanted);
});

test("what is unread is marked, counted, and read once it was seen", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  const bob = await startChat(t, world.relay.url);
  await signUp(ada, "Ada", "ada");
  await bob.call("account.create", { address: "bob", name: "Bob" });
  await bob.call("sync.wait", { until: "stored" });
  await begin(ada, ["bob"]);
  const conversation = conversationOf(ada);
  await say(ada, "Hello");
  await shows(bob, conversation, ["Hello"]);
  await bob.call("conversation.accept", { conversation });

  await ada.getByRole("link", { name: "Settings" }).click();
  for (const text of ["one", "two", "three"]) await bob.call("message.send", { conversation, text });
  await ada.getByRole("link", { name: /bob.*3 unread messages/i }).waitFor();
  await until("the number in the title", async () => (await ada.title()) === "(3) Rejoinder");
  await openConversation(ada, /bob/i);
  await ada.getByText("New messages").waitFor();
  await until("nothing unread", async () => (await ada.title()) === "Rejoinder");
  await until("the sender to know", async () => {
    const messages = await bob.call("message.list", { conversation });
    return messages.filter((message) => message.status === "read").length === 3;
  });
  await bob.call("conversation.typing", { conversation });
  await ada
    .getByText(/bob is typing…/i)
    .first()
    .waitFor();
});

test("a search finds, marks and walks through what is loaded", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  await signUp(ada, "Ada", "ada");
  await begin(ada, [], "Notes");
  for (const text of ["Buy apples", "Call Bob", "Sell apples", "Apples again"]) await say(ada, text);
  await ada.getByRole("button", { name: "Search in messages" }).click();
  const field = ada.getByRole("searchbox", { name: "Search in loaded messages" });
  await field.fill("apples");
  await ada.getByText("3 of 3").waitFor();
  assert.equal(await ada.locator("mark").count(), 3);
  await field.press("Enter");
  await ada.getByText("2 of 3").waitFor();
  assert.equal(await ada.locator(".found .words").textContent(), "Sell apples");
  await field.press("Escape");
  await ada.locator("mark").first().waitFor({ state: "detached" });
});

test("people are added and removed, and their safety numbers agree", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  const bob = await startChat(t, world.relay.url);
  await signUp(ada, "Ada", "ada");
  await bob.call("account.create", { address: "bob", name: "Bob" });
  await bob.call("sync.wait", { until: "stored" });
  await begin(ada, [], "Team");
  await say(ada, "Before");
  await ada.getByRole("link", { name: "About this conversation" }).click();
  await ada.getByRole("button", { name: "Add somebody" }).click();
  await ada.getByLabel("Their address").fill("bob");
  await ada.getByRole("button", { name: "Add", exact: true }).click();
  const person = ada.getByRole("listitem").filter({ hasText: "bob" });
  await person.getByRole("button", { name: "Safety number" }).click();
  const shown = await ada.getByTestId("safety-number").textContent();
  const told = await bob.call("contact.lookup", { address: "ada" });
  assert.equal(shown.replaceAll(/\s/g, ""), told.safety_number.replaceAll(/\s/g, ""));
  await ada.keyboard.press("Escape");

  await person.getByRole("button", { name: "Remove" }).click();
  await agree(ada, "Remove");
  await person.waitFor({ state: "detached" });
  await ada.getByRole("main").getByText("1 person").waitFor();
});

test("a stranger's invitation is declined, and whoever sent it is blocked", async (t) => {
  const world = await start(t);
  const ada = await newDevice(t, world);
  const eve = await startChat(t, world.relay.url);
  await signUp(ada, "Ada", "ada");
  await eve.call("account.create", { address: "eve", name: "Eve" });
  await eve.call("sync.wait", { until: "stored" });
  const { conversation } = await eve.call("conversation.create", { title: "Win!", members: ["ada"] });
  await eve.call("message.send", { conversation, text: "Click here" });
  await openConversation(ada, /Win!/);
  await ada.getByRole("button", { name: "Decline and block" }).click();
  await ada.getByText("Choose a conversation").waitFor();
  await ada.getByRole("link", { name: /Win!/ }).waitFor({ state: "detached" });
});
