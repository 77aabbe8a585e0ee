/** Many tabs, one store: whose tab owns it, how it is handed over, and what survives that. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newDevice, open, ownerOf, signUp, start, textsIn } from "./fixture.js";
import { startChat, until } from "./harness.js";

/** How often the owning tab is killed. */
const KILLS = Number(process.env.KILLS ?? 50);

/** Ends a tab's process, as a crash would. */
async function crash(page) {
  const crashed = page.waitForEvent("crash");
  page.goto("chrome://crash").catch(() => undefined);
  await crashed;
  await page.close();
}

function newConversation(page) {
  return page.evaluate(async () => (await client.conversations.create({ title: "Notes" })).id);
}

/** Writes numbered messages from now on, faster than anybody types, and keeps count. */
async function type(page, conversation, name) {
  await page.evaluate(
    ([id, name]) => {
      globalThis.typed = 0;
      globalThis.write = () => {
        globalThis.typed += 1;
        client
          .conversation(id)
          .send(`${name} ${globalThis.typed}`)
          .catch((error) => console.error(`lost: ${error.kind} ${error.message}`));
        return globalThis.typed;
      };
      globalThis.typing = setInterval(write, 400);
    },
    [conversation, name],
  );
}

/** Writes some more in one go: they are under way when the tab ends. */
function burst(page) {
  return page.evaluate(() => {
    for (let n = 0; n < 4; n++) write();
    return write();
  });
}

function stopTyping(page) {
  return page.evaluate(() => {
    clearInterval(globalThis.typing);
    return globalThis.typed;
  });
}

test("many tabs are one device", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const first = await device.tab();
  const { device: id } = await signUp(first, "ada");
  const others = await Promise.all(Array.from({ length: 5 }, () => device.tab()));
  const conversation = await newConversation(first);
  await Promise.all(
    others.map((page, n) =>
      page.evaluate(async ([id, n]) => void (await client.conversation(id).send(`tab ${n}`)), [conversation, n]),
    ),
  );
  for (const page of [first, ...others]) {
    assert.equal(await page.evaluate(() => client.status.current.device), id);
    assert.deepEqual((await textsIn(page, conversation)).sort(), ["tab 0", "tab 1", "tab 2", "tab 3", "tab 4"]);
  }
});

test("another tab goes on within a second when the owner is closed or crashes", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const pages = [await device.tab(), await device.tab(), await device.tab()];
  await signUp(pages[0], "ada");
  const conversation = await newConversation(pages[0]);
  for (const end of [(page) => page.close(), crash]) {
    const owner = await ownerOf(pages);
    pages.splice(pages.indexOf(owner), 1);
    const [survivor] = pages;
    const ended = Date.now();
    await end(owner);
    await survivor.evaluate(async (id) => void (await client.conversation(id).send("still here")), conversation);
    const tookMs = Date.now() - ended;
    t.diagnostic(`handed over in ${tookMs} ms`);
    // The limit is a second; a loaded machine is given more, and the time is told.
    assert.ok(tookMs < 5_000, `${tookMs} ms`);
    assert.ok((await ownerOf(pages)) !== undefined);
  }
  assert.deepEqual(await textsIn(pages[0], conversation), ["still here", "still here"]);
});

test("what a tab wrote in its last moment is there, once", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const [watcher, writer] = [await device.tab(), await device.tab()];
  await signUp(watcher, "ada");
  const conversation = await newConversation(watcher);
  // One after the other: not the owner, closed; not the owner, crashed; the owner; the last tab of all.
  const send = (page, text) =>
    page.evaluate(([id, text]) => void client.conversation(id).send(text), [conversation, text]);
  await send(writer, "closed");
  await writer.close();
  await until("message of a closed tab", async () => (await textsIn(watcher, conversation)).includes("closed"));
  const second = await device.tab();
  await send(second, "crashed");
  await crash(second);
  await until("message of a crashed tab", async () => (await textsIn(watcher, conversation)).includes("crashed"));
  const third = await device.tab();
  assert.ok((await ownerOf([third, watcher])) === watcher);
  await send(watcher, "owner");
  await watcher.close();
  await until("message of a closed owner", async () => (await textsIn(third, conversation)).includes("owner"));
  await send(third, "last");
  await third.close();
  const fourth = await device.tab();
  await until("message of the last tab", async () => (await textsIn(fourth, conversation)).includes("last"));
  assert.deepEqual(await textsIn(fourth, conversation), ["closed", "crashed", "owner", "last"]);
  const left = await fourth.evaluate(() => Object.keys(localStorage).length);
  assert.equal(left, 0, "the journal is empty");
});

test("a reload in the middle of sending loses and doubles nothing", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const page = await device.tab();
  await signUp(page, "ada");
  const conversation = await newConversation(page);
  const expected = [];
  for (let round = 0; round < 5; round++) {
    await page.evaluate(
      ([id, round]) => {
        for (let n = 0; n < 20; n++)
          client
            .conversation(id)
            .send(`${round} ${n}`)
            .catch(() => undefined);
      },
      [conversation, round],
    );
    for (let n = 0; n < 20; n++) expected.push(`${round} ${n}`);
    await open(page, world.origin, { relay: world.relay.url });
  }
  await until("last message", async () => (await textsIn(page, conversation)).length >= expected.length);
  assert.deepEqual(await textsIn(page, conversation), expected);
});

test("offline, a closed tab's edits wait in the store, and reach the others later", async (t) => {
  const world = await start(t);
  const chat = await startChat(t, world.relay.url);
  await chat.call("account.create", { address: "bob", name: "Bob" });
  const device = await newDevice(world);
  const page = await device.tab();
  await signUp(page, "ada");
  const conversation = await page.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Team", members: ["bob"] });
    await client.wait("stored");
    await client.goOffline();
    return conversation.id;
  });
  await page.evaluate((id) => void client.conversation(id).send("written offline"), conversation);
  await page.close();
  const next = await device.tab();
  await until("connection", () => next.evaluate(() => client.wait("stored", 1_000)));
  const listed = async () => (await chat.call("message.list", { conversation })).map((message) => message.text);
  await until("message at bob's", async () => (await listed()).includes("written offline"));
  assert.deepEqual(await listed(), ["written offline"]);
});

test(`the owning tab is killed ${KILLS} times while two tabs write`, async (t) => {
  const world = await start(t);
  const chat = await startChat(t, world.relay.url);
  await chat.call("account.create", { address: "bob", name: "Bob" });
  const device = await newDevice(world);
  const writers = new Map();
  let opened = 0;
  const newWriter = async (conversation) => {
    const page = await device.tab();
    opened += 1;
    const name = `w${opened}`;
    writers.set(page, name);
    if (conversation !== undefined) await type(page, conversation, name);
    return page;
  };
  const first = await newWriter();
  await signUp(first, "ada");
  const conversation = await first.evaluate(
    async () => (await client.conversations.create({ title: "Typing", members: ["bob"] })).id,
  );
  await type(first, conversation, "w1");
  await newWriter(conversation);
  const counts = new Map();
  const pauses = [];
  for (let kill = 0; kill < KILLS; kill++) {
    // The newcomer stands last in the queue, so each tab comes to own the store and is killed.
    await newWriter(conversation);
    const owner = await until("owner", () => ownerOf([...writers.keys()]));
    const name = writers.get(owner);
    writers.delete(owner);
    // What was written by then is known; what is written after it, until the end, may be more.
    counts.set(name, await burst(owner));
    const [survivor] = writers.keys();
    const endedMs = Date.now();
    if (kill % 2 === 0) await crash(owner);
    else await owner.close();
    await survivor.evaluate(() => client.settings.set("beat", Date.now()));
    pauses.push(Date.now() - endedMs);
  }
  for (const [page, name] of writers) counts.set(name, await stopTyping(page));
  const [page] = writers.keys();
  const total = () => page.evaluate(() => Object.keys(localStorage).length);
  await until("empty journal", async () => (await total()) === 0);

  const texts = await page.evaluate(async (id) => {
    const list = client.conversation(id).messages({ page: 1000 });
    await list.ready();
    while (await list.loadOlder());
    return list.current.messages.map((message) => message.text);
  }, conversation);
  assert.equal(new Set(texts).size, texts.length, "nothing twice");
  for (const [name, count] of counts) {
    const numbers = texts.filter((text) => text.startsWith(`${name} `)).map((text) => Number(text.split(" ")[1]));
    assert.deepEqual(
      numbers,
      Array.from(numbers, (_, n) => n + 1),
      `${name}: in order, without gaps`,
    );
    assert.ok(numbers.length >= count, `${name}: ${numbers.length} of ${count}`);
  }
  // And all of it is at somebody else's.
  assert.ok(await page.evaluate(() => client.wait("stored", 60_000)));
  await until("all messages at bob's", async () => {
    const there = await chat.call("message.list", { conversation, limit: 1000 });
    return there.length === Math.min(texts.length, 1000);
  });
  pauses.sort((a, b) => a - b);
  t.diagnostic(
    `${texts.length} messages; hand-over in ms: median ${pauses[pauses.length >> 1]}, worst ${pauses.at(-1)}`,
  );
});
