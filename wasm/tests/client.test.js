/** The package, in a plain page: accounts, messages, what changes by itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newDevice, signUp, start, textsIn } from "./fixture.js";
import { until } from "./harness.js";

test("two browsers talk", async (t) => {
  const world = await start(t);
  const [a, b] = [await newDevice(world), await newDevice(world)];
  const [ada, bob] = [await a.tab(), await b.tab()];
  const account = await signUp(ada, "ada");
  assert.match(account.recoveryCode, /^\w+( \w+)+/);
  await signUp(bob, "bob");

  const conversation = await ada.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Team", members: ["bob"] });
    await conversation.send("hello");
    return conversation.id;
  });
  await until("message at bob's", async () => (await textsIn(bob, conversation)).includes("hello"));
  const invitation = await bob.evaluate(async () => {
    const [info] = await client.conversations.list.ready();
    return { pending: info.pending, title: info.title, unread: info.unread };
  });
  assert.deepEqual(invitation, { pending: true, title: "Team", unread: 1 });
  await bob.evaluate(async (id) => {
    const conversation = client.conversation(id);
    await conversation.accept();
    const list = conversation.messages();
    const { messages } = await list.ready();
    await conversation.markRead(messages.at(-1).id);
    await conversation.send("hi ada", { replyTo: messages.at(-1).id });
  }, conversation);

  const heard = await ada.evaluate(async (id) => {
    const list = client.conversation(id).messages();
    for await (const page of list) {
      const [first, second] = page?.messages ?? [];
      if (first?.status === "read" && second !== undefined) {
        list.close();
        return { first: first.text, second: second.text, mine: second.mine, answers: second.replyTo === first.id };
      }
    }
  }, conversation);
  assert.deepEqual(heard, { first: "hello", second: "hi ada", mine: false, answers: true });
});

test("a message shows before it is in the store, once, under one key", async (t) => {
  const world = await start(t);
  const ada = await (await newDevice(world)).tab();
  await signUp(ada, "ada");
  const seen = await ada.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Notes" });
    const list = conversation.messages();
    await list.ready();
    const seen = [];
    list.subscribe(({ messages }) =>
      seen.push(messages.map(({ id, key, text, status }) => ({ id, key, text, status }))),
    );
    const sent = conversation.send("one");
    const atOnce = seen.length;
    const id = await sent;
    await client.wait("stored");
    while (seen.at(-1)?.[0]?.status !== "stored") await new Promise((resolve) => setTimeout(resolve, 10));
    return { seen, atOnce, id };
  });
  assert.equal(seen.atOnce, 1, "within the call itself");
  assert.equal(seen.seen[0][0].status, "sending");
  assert.ok(
    seen.seen.every((messages) => messages.length === 1),
    "never twice",
  );
  assert.equal(new Set(seen.seen.map(([message]) => message.key)).size, 1, "one key");
  assert.equal(seen.seen.at(-1)[0].id, seen.id);
});

test("edits, reactions and deletions follow", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const [one, two] = [await device.tab(), await device.tab()];
  const { account } = await signUp(one, "ada");
  const conversation = await one.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Notes" });
    globalThis.id = await conversation.send("draft");
    return conversation.id;
  });
  await two.evaluate((id) => {
    globalThis.list = client.conversation(id).messages();
    globalThis.last = async () => (await list.ready()).messages.at(-1);
    list.subscribe(() => undefined);
  }, conversation);
  await one.evaluate((id) => client.conversation(id).edit(globalThis.id, "final"), conversation);
  await until("edit", async () => (await two.evaluate(() => last()))?.text === "final");
  await one.evaluate((id) => client.conversation(id).react(globalThis.id, "👍"), conversation);
  await until("reaction", async () => (await two.evaluate(() => last())).reactions[account] === "👍");
  await one.evaluate((id) => client.conversation(id).delete(globalThis.id), conversation);
  await until("deletion", async () => (await two.evaluate(() => last())).deleted);
});

test("older messages come by page, and a window keeps no gap", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const [one, two] = [await device.tab(), await device.tab()];
  await signUp(one, "ada");
  const conversation = await one.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Long" });
    await Promise.all(Array.from({ length: 250 }, (_, n) => conversation.send(`m${n}`)));
    return conversation.id;
  });
  const walked = await two.evaluate(async (id) => {
    const list = client.conversation(id).messages({ page: 60 });
    const first = await list.ready();
    const sizes = [first.messages.length];
    while (await list.loadOlder()) sizes.push(list.current.messages.length);
    const texts = list.current.messages.map((message) => message.text);
    await list.reset();
    return { sizes, texts, hasOlder: first.hasOlder, after: list.current.messages.length };
  }, conversation);
  assert.deepEqual(walked.sizes, [60, 120, 180, 240, 250]);
  assert.deepEqual(
    walked.texts,
    Array.from({ length: 250 }, (_, n) => `m${n}`),
  );
  assert.deepEqual([walked.hasOlder, walked.after], [true, 60]);
});

test("documents and settings are the same in all tabs", async (t) => {
  const world = await start(t);
  const device = await newDevice(world);
  const [one, two] = [await device.tab(), await device.tab()];
  await signUp(one, "ada");
  const conversation = await one.evaluate(async () => (await client.conversations.create({ title: "Plan" })).id);
  await two.evaluate((id) => {
    globalThis.followed = client.conversation(id).document("plan").value;
    globalThis.own = client.document("notes").value;
    for (const live of [followed, own, client.settings.all]) live.subscribe(() => undefined);
  }, conversation);
  await one.evaluate(async (id) => {
    const plan = client.conversation(id).document("plan");
    await plan.change((edit) =>
      edit
        .put(["title"], "Plan")
        .put(["items"], ["milk"])
        .insert(["items", 0], "bread")
        .put(["body"], values.text("héllo"))
        .put(["count"], values.counter(1))
        .increment(["count"], 2),
    );
    await plan.change((edit) => edit.spliceText(["body"], 1, 1, "e"));
    await client.document("notes").change((edit) => edit.put(["n"], 1));
    await client.settings.set("theme", "dark");
    const bytes = await plan.export();
    await client.conversation(id).document("copy").import(bytes);
  }, conversation);
  const whole = { title: "Plan", items: ["bread", "milk"], body: "hello", count: 3 };
  await until("document", async () => JSON.stringify(await two.evaluate(() => followed.current?.title)) === '"Plan"');
  await until("text", async () => (await two.evaluate(() => String(followed.current?.body))) === "hello");
  assert.deepEqual(JSON.parse(await two.evaluate(() => JSON.stringify(followed.current))), whole);
  await until("own document", async () => (await two.evaluate(() => own.current?.n)) === 1);
  await until("setting", async () => (await two.evaluate(() => client.settings.all.current?.theme)) === "dark");
  const copy = await two.evaluate((id) => client.conversation(id).document("copy").get(["items", 1]), conversation);
  assert.equal(copy, "milk");
});

test("failures have stable words, and change nothing", async (t) => {
  const world = await start(t);
  const ada = await (await newDevice(world)).tab();
  const kinds = await ada.evaluate(async () => {
    const kindOf = async (promise) => {
      try {
        await promise;
        return "none";
      } catch (error) {
        return error instanceof RejoinderError ? error.kind : String(error);
      }
    };
    const early = await kindOf(client.conversations.create({ title: "x" }));
    const odd = await kindOf(client.account.create({ address: "?", name: "x" }));
    await client.account.create({ address: "ada", name: "Ada" });
    const twice = await kindOf(client.account.create({ address: "ada2", name: "Ada" }));
    const nobody = await kindOf(client.contacts.lookup("nobody"));
    const nowhere = await kindOf(client.conversation("x").send("hi"));
    const waits = client.events("rejected")[Symbol.asyncIterator]().next();
    await client.close();
    const over = await kindOf(client.settings.set("a", 1));
    return { early, odd, twice, nobody, nowhere, over, ends: (await waits).done };
  });
  const expected = {
    early: "no_account",
    odd: "invalid",
    twice: "exists",
    nobody: "not_found",
    nowhere: "invalid",
    over: "closed",
    ends: true,
  };
  assert.deepEqual(kinds, expected);
});
