/** Documents in browsers: live between people, devices and tabs, typed, and safe at their first use. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newDevice, signUp, start } from "./fixture.js";
import { until } from "./harness.js";

/** Two people with a conversation, each in a tab of a browser of their own; `plan` is its document there. */
async function two(t) {
  const world = await start(t);
  const [a, b] = [await newDevice(world), await newDevice(world)];
  const [ada, bob] = [await a.tab(), await b.tab()];
  await signUp(ada, "ada");
  await signUp(bob, "bob");
  const id = await ada.evaluate(async () => {
    const conversation = await client.conversations.create({ title: "Team", members: ["bob"] });
    return conversation.id;
  });
  await until("invitation", () =>
    bob.evaluate(async (id) => (await client.conversations.list.ready()).some((info) => info.id === id), id),
  );
  await bob.evaluate((id) => client.conversation(id).accept(), id);
  for (const page of [ada, bob]) await meet(page, id);
  return { world, a, b, ada, bob, id };
}

/** `plan` is the document, and `seen` what it was, in this page. */
function meet(page, id) {
  return page.evaluate((id) => {
    globalThis.conversation = client.conversation(id);
    globalThis.plan = conversation.document("plan");
    globalThis.seen = [];
    globalThis.told = [];
    plan.value.subscribe((value) => seen.push(JSON.stringify(value)));
    client.on("document", (event) => event.name === "plan" && told.push(event));
  }, id);
}

function content(page) {
  return page.evaluate(() => JSON.parse(JSON.stringify(plan.value.current ?? null)));
}

test("what one changes is on the other's screen, with what was changed, and asks nobody to look", async (t) => {
  const { ada, bob } = await two(t);
  await until("both documents", async () => (await content(ada)) && (await content(bob)));
  const atOnce = await ada.evaluate(() => {
    globalThis.made = plan.change((edit) =>
      edit.ensure(["items"], []).insert(["items", 0], { text: "milk", done: false }),
    );
    return JSON.stringify(plan.value.current);
  });
  assert.deepEqual(JSON.parse(atOnce), { items: [{ text: "milk", done: false }] }, "in the call itself");
  await ada.evaluate(() => made);
  await until("list at bob's", async () => (await content(bob)).items?.length === 1);
  await bob.evaluate(() => {
    globalThis.before = plan.value.current;
    return plan.change((edit) => edit.put(["items", 0, "done"], true).put(["title"], "Plan"));
  });
  await until("both at ada's", async () => (await content(ada)).title === "Plan");
  assert.deepEqual(await content(ada), { items: [{ text: "milk", done: true }], title: "Plan" });
  const events = await until("event", async () => {
    const events = await bob.evaluate(() => told);
    return events.some(({ by }) => by === "other") && events;
  });
  assert.ok(events.every(({ by }) => ["own", "other", null].includes(by)));
  const { account } = await ada.evaluate(() => client.status.current);
  assert.equal(events.find(({ by }) => by === "other").account, account);
});

test("who uses a document for the first time on two sides at once has one, with what both wrote", async (t) => {
  const { ada, bob } = await two(t);
  for (const page of [ada, bob]) await page.evaluate(() => client.goOffline());
  for (const page of [ada, bob]) {
    await page.evaluate(async () => {
      globalThis.list = typed(plan, { initial: { items: [], body: values.text(), count: values.counter() } });
      const { name } = client.status.current;
      await list.change((doc) => {
        doc.items.push(name);
        doc.body.splice(0, 0, name);
        doc.count.increment(2);
      });
    });
  }
  for (const page of [ada, bob]) await page.evaluate(() => client.goOnline());
  for (const page of [ada, bob]) await until("both items", async () => (await content(page)).items?.length === 2);
  const [one, other] = [await content(ada), await content(bob)];
  assert.deepEqual(one, other);
  assert.deepEqual([...one.items].sort(), ["ada", "bob"]);
  assert.deepEqual([one.body.length, one.count], [6, 4]);
});

test("positions in texts are those of the browser, and values come back as what they are", async (t) => {
  const { ada, bob } = await two(t);
  await ada.evaluate(async () => {
    await plan.change((edit) =>
      edit
        .put(["body"], values.text("a😀b"))
        .put(["count"], values.counter(1))
        .put(["at"], values.time(1_700_000_000_000))
        .put(["bytes"], values.bytes(Uint8Array.of(1, 2)))
        .put(["odd"], { $time: "noon" }),
    );
    await plan.change((edit) => edit.spliceText(["body"], "a😀".length, 0, "|"));
  });
  await until("text at bob's", async () => (await content(bob)).body === "a😀|b");
  const kinds = await bob.evaluate(async () => {
    const { body, count, at, bytes, odd } = plan.value.current;
    await plan.change((edit) => edit.put(["copy"], { body, count }).increment(["copy", "count"]));
    return [body instanceof SharedText, count instanceof SharedCounter, at instanceof Date, [...bytes], odd.$time];
  });
  assert.deepEqual(kinds, [true, true, true, [1, 2], "noon"]);
  await until("copy at ada's", async () => (await content(ada)).copy?.count === 2);
  const refused = await ada.evaluate(async () => {
    try {
      await plan.change((edit) => edit.spliceText(["body"], 2, 0, "x"));
      return undefined;
    } catch (error) {
      return [error instanceof EditError, error.kind, error.operation, error.path];
    }
  });
  assert.deepEqual(refused, [true, "invalid", "spliceText", ["body"]]);
});

test("another tab shows what this one changes, and what the engine refuses shows no longer", async (t) => {
  const { a, ada, id } = await two(t);
  const other = await a.tab();
  await meet(other, id);
  await ada.evaluate(() => plan.change((edit) => edit.put(["title"], "Plan")));
  await until("title", async () => (await content(other))?.title === "Plan");
  const refused = await ada.evaluate(async () => {
    const made = plan.change((edit) => edit.put(["title"], "x".repeat(1_000_000)));
    const shown = plan.value.current.title.length;
    try {
      await made;
      return undefined;
    } catch (error) {
      return { shown, kind: error.kind };
    }
  });
  assert.deepEqual(refused, { shown: 1_000_000, kind: "too_large" });
  const key = await ada.evaluate(async () => {
    try {
      await plan.change((edit) => edit.put(["title"], "x").put(["k".repeat(300)], 1));
      return undefined;
    } catch (error) {
      return [error instanceof EditError, error.kind, error.operation, error.path[0].length, error.reason];
    }
  });
  assert.deepEqual(key, [true, "invalid", "put", 300, "a key has 1 to 256 bytes"]);
  await until("the title as it was", async () => (await content(ada)).title === "Plan");
});

test("what a tab changed in its last moment is shown by the tab that goes on", async (t) => {
  const { a, ada, id } = await two(t);
  const other = await a.tab();
  await meet(other, id);
  await until("both tabs", async () => (await content(ada)) && (await content(other)));
  // Nothing is awaited: the tab is closed while its change is on its way.
  await other.evaluate(() => void plan.change((edit) => edit.put(["last"], "words")));
  await other.close();
  await until("its change", async () => (await content(ada)).last === "words");
});

test("a list of 5,000 rows shows an own change at once, and another's by reading what it touched", async (t) => {
  const { ada, bob } = await two(t);
  await ada.evaluate(async () => {
    await plan.change((edit) => edit.ensure(["rows"], []));
    for (let from = 0; from < 5_000; from += 500) {
      await plan.change((edit) => {
        for (let n = from; n < from + 500; n++) edit.insert(["rows", n], { text: `row ${n}`, done: false });
      });
    }
  });
  await until("rows", async () => bob.evaluate(() => plan.value.current?.rows?.length === 5_000));
  const own = await ada.evaluate(async () => {
    await plan.value.ready();
    const before = plan.value.current;
    const began = performance.now();
    const made = plan.change((edit) => edit.put(["rows", 2_500, "done"], true));
    const tookMs = performance.now() - began;
    const { rows } = plan.value.current;
    await made;
    return { tookMs, isDone: rows[2_500].done, kept: rows.filter((row, n) => row === before.rows[n]).length };
  });
  assert.equal(own.isDone, true);
  assert.equal(own.kept, 4_999);
  t.diagnostic(`own change of 5,000 rows: ${own.tookMs.toFixed(2)} ms`);
  await until("bob's row", () => bob.evaluate(() => plan.value.current.rows[2_500].done));
  const theirs = await bob.evaluate(async () => {
    await plan.value.ready();
    const before = plan.value.current;
    const shown = new Promise((resolve) => {
      let toldMs;
      client.on("document", () => (toldMs ??= performance.now()));
      plan.value.subscribe(({ rows }) => {
        if (!rows[7].done) return;
        const kept = rows.filter((row, n) => row === before.rows[n]).length;
        resolve({ tookMs: performance.now() - toldMs, kept });
      });
    });
    globalThis.shown = shown;
    return before.rows.length;
  });
  assert.equal(theirs, 5_000);
  await ada.evaluate(() => plan.change((edit) => edit.put(["rows", 7, "done"], true)));
  const { tookMs, kept } = await bob.evaluate(() => shown);
  assert.equal(kept, 4_999);
  t.diagnostic(`another's change of 5,000 rows, from its notice to the value: ${tookMs.toFixed(2)} ms`);
});

test("history, conflicts, a look back, the list, archive and deletion", async (t) => {
  const { ada, bob } = await two(t);
  await ada.evaluate(() => plan.change((edit) => edit.put(["title"], "one")));
  await until("title", async () => (await content(bob))?.title === "one");
  for (const page of [ada, bob]) await page.evaluate(() => client.goOffline());
  for (const page of [ada, bob]) {
    await page.evaluate(() => plan.change((edit) => edit.put(["title"], `by ${client.status.current.name}`)));
  }
  for (const page of [ada, bob]) await page.evaluate(() => client.goOnline());
  const conflicts = await until("conflict", async () => {
    const found = await ada.evaluate(() => plan.conflicts(["title"]));
    return found.length === 2 && found;
  });
  assert.deepEqual(conflicts.map(({ value }) => value).sort(), ["by ada", "by bob"]);
  assert.equal(conflicts[0].value, (await content(ada)).title, "the one that counts first");
  const past = await ada.evaluate(async () => {
    const changes = await plan.history();
    const oldest = changes.findLast(({ account }) => account !== null);
    return { changes, past: await plan.get(["title"], { at: oldest.id }) };
  });
  assert.equal(past.past, "one");
  assert.equal(past.changes.filter(({ account }) => account !== null).length, 3);
  await ada.evaluate(() => plan.archive());
  const names = (page) => page.evaluate(async () => (await conversation.documents.ready()).documents);
  await until(
    "archived",
    async () => JSON.stringify(await names(bob)) === '[{"name":"plan","title":null,"archived":true}]',
  );
  await ada.evaluate(() => plan.delete());
  await until("deleted", async () => (await names(bob)).length === 0);
  await until("nothing", async () => JSON.stringify(await content(bob)) === "{}");
});

test("who was added without history waits for documents, and has them when somebody is there", async (t) => {
  const { world, ada, bob, id } = await two(t);
  await ada.evaluate(() => plan.change((edit) => edit.put(["title"], "before dan")));
  await bob.evaluate(() => client.wait("up_to_date"));
  const c = await newDevice(world);
  const dan = await c.tab();
  await signUp(dan, "dan");
  await ada.evaluate(() => conversation.add("dan"));
  await until("invitation", () =>
    dan.evaluate(async (id) => (await client.conversations.list.ready()).some((info) => info.id === id), id),
  );
  await dan.evaluate((id) => client.conversation(id).accept(), id);
  await meet(dan, id);
  await until("title at dan's", async () => (await content(dan))?.title === "before dan");
  assert.ok(
    (await dan.evaluate(() => seen)).every((value) => value !== "{}"),
    "never taken for empty",
  );
  await dan.evaluate(() => plan.change((edit) => edit.put(["dan"], 1)));
  for (const page of [ada, bob]) await until("dan's change", async () => (await content(page)).dan === 1);
});

test("a fork of a document is merged, and a foreign file is refused", async (t) => {
  const { ada } = await two(t);
  const outcome = await ada.evaluate(async () => {
    await plan.change((edit) => edit.put(["a"], 1));
    const bytes = await plan.export();
    const other = client.document("other");
    await other.import(bytes);
    const refused = await client
      .document("third")
      .import(new Uint8Array())
      .then(
        () => "taken",
        (error) => error.kind,
      );
    return { copy: await other.get(["a"]), refused };
  });
  assert.deepEqual(outcome, { copy: 1, refused: "invalid" });
});
