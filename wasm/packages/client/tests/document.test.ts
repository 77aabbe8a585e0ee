/** A document as a tab follows and changes it. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { EditError, RejoinderError, SharedCounter, SharedText, values } from "../src/index.js";
import { DocumentHandle } from "../src/document/handle.js";
import { share } from "../src/document/tree.js";
import type { DocumentValue } from "../src/types.js";
import { followText, type TextDelta } from "../src/typed/index.js";
import { FakeEngine } from "./engine.js";

async function followed(t: TestContext, content: DocumentValue) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  const seen: unknown[] = [];
  document.value.subscribe((value) => seen.push(value));
  t.after(() => document.close());
  await engine.settle();
  return { engine, document, seen, now: (): unknown => document.value.current };
}

const ITEMS = {
  items: [
    { text: "milk", done: false },
    { text: "bread", done: false },
  ],
  title: "Plan",
};

test("an own edit shows within the call that makes it, and once", async (t) => {
  const { engine, document, seen, now } = await followed(t, ITEMS);
  const made = document.change((edit) => edit.put(["items", 0, "done"], true));
  assert.deepEqual((now() as typeof ITEMS).items[0], { text: "milk", done: true });
  await engine.until(made);
  assert.equal(seen.length, 2, "when it was loaded, and when it was edited");
});

test("an edit of a document that is being read for the first time shows as soon as it is read", async (t) => {
  const engine = new FakeEngine();
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  document.value.subscribe(() => undefined);
  // Asked before the edit, the reading does not have it.
  const first = document.change((edit) => edit.put(["s"], values.text("a")));
  while (document.value.current === undefined) {
    engine.step();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const second = document.change((edit) => edit.spliceText(["s"], 1, 0, "b"));
  await engine.quiet(document);
  await Promise.all([first, second]);
  assert.deepEqual(document.value.current, { s: values.text("ab") });
});

test("an edit that the engine refuses shows no longer, and says why", async (t) => {
  const { engine, document, now } = await followed(t, ITEMS);
  const details = { op: 0, operation: "put", path: ["title"], reason: "too_large" };
  engine.refusals.set(
    "document.change",
    new RejoinderError("too_large", 'op 0 (put at ["title"]): nested objects: more than 64', { details }),
  );
  const refused = document.change((edit) => edit.put(["title"], "x"));
  refused.catch(() => undefined);
  assert.equal((now() as typeof ITEMS).title, "x");
  await engine.settle();
  await assert.rejects(refused, (error: EditError) => {
    assert.ok(error instanceof EditError);
    assert.deepEqual([error.kind, error.operation, error.path], ["too_large", "put", ["title"]]);
    assert.equal(error.message, 'put ["title"]: nested objects: more than 64');
    return true;
  });
  assert.deepEqual(now(), ITEMS);
});

test("an edit that can't be made of what is shown is refused at once, whole, and nothing is sent", async (t) => {
  const { engine, document, seen, now } = await followed(t, ITEMS);
  const asked = engine.asked.length;
  await assert.rejects(
    document.change((edit) => edit.put(["title"], "x").insert(["items", 7], "y")),
    { message: 'insert ["items",7]: the list at ["items"] has 2 elements: there is no index 7' },
  );
  assert.equal(engine.asked.length, asked);
  assert.equal(seen.length, 1);
  assert.deepEqual(now(), ITEMS);
});

test("what did not change keeps its reference, and only what was named is read", async (t) => {
  const { engine, now } = await followed(t, ITEMS);
  const before = now() as typeof ITEMS;
  const asked = engine.asked.length;
  engine.remote([["items", 0, "done"]], { op: "put", path: ["items", 0, "done"], value: true });
  await engine.settle();
  const after = now() as typeof ITEMS;
  assert.deepEqual(after.items[0], { text: "milk", done: true });
  assert.equal(after.items[1], before.items[1]);
  assert.deepEqual(
    engine.asked.slice(asked).map(({ params }) => params["path"]),
    [["items", 0, "done"]],
  );
});

test("a list is read as a whole, and its elements keep their references wherever they move", async (t) => {
  const { engine, now } = await followed(t, ITEMS);
  const before = now() as typeof ITEMS;
  engine.remote([["items"]], { op: "insert", path: ["items", 0], value: { text: "eggs", done: false } });
  await engine.settle();
  const after = now() as typeof ITEMS;
  assert.deepEqual(
    after.items.map((item) => item.text),
    ["eggs", "milk", "bread"],
  );
  assert.equal(after.items[1], before.items[0]);
  assert.equal(after.items[2], before.items[1]);
});

test("elements that were moved keep their references", async (t) => {
  const rows = Array.from({ length: 20 }, (_, n) => ({ n }));
  const { engine, document, now } = await followed(t, { rows });
  const before = (now() as { rows: typeof rows }).rows;
  engine.remote([["rows"]], { op: "move", path: ["rows", 3], to: 12 });
  await engine.quiet(document);
  const after = (now() as { rows: typeof rows }).rows;
  assert.equal(after[12], before[3]);
  assert.ok(after.every((row) => before.includes(row)));
});

test("values that are alike as JSON and of another kind are not taken for one another", () => {
  const old = [{ a: values.text("1") }, { b: 1 }, { c: values.counter(1) }];
  const now = [{ b: values.counter(1) }, { a: "1" }, { c: 1 }, { d: 1 }];
  assert.deepEqual(share(old, now), now);
  assert.deepEqual(share([new Date(1), 1], [1, new Date(1)]), [1, new Date(1)]);
});

test("what somebody deleted goes, and null stays", async (t) => {
  const { engine, now } = await followed(t, { a: 1, b: 2 });
  engine.remote([["a"]], { op: "delete", path: ["a"] });
  engine.remote([["b"]], { op: "put", path: ["b"], value: null });
  await engine.settle();
  assert.deepEqual(now(), { b: null });
});

test("what comes while an own edit is under way is merged with it", async (t) => {
  const { engine, document, seen, now } = await followed(t, ITEMS);
  engine.remote([["title"]], { op: "put", path: ["title"], value: "Theirs" });
  const first = document.change((edit) => edit.insert(["items", 2], { text: "tea", done: false }));
  engine.remote([["note"]], { op: "put", path: ["note"], value: "n" });
  const second = document.change((edit) => edit.put(["items", 2, "done"], true));
  await engine.until(Promise.all([first, second]));
  assert.deepEqual(now(), engine.content);
  const lengths = seen.map((value) => (value as typeof ITEMS).items.length);
  assert.deepEqual([...lengths].sort(), lengths, "the own element never went away between");
});

/** Of each change that was asked for, how many operations it has. */
const sizes = (engine: FakeEngine): readonly number[] =>
  engine.asked
    .filter(({ method }) => method === "document.change")
    .map(({ params }) => (params["ops"] as readonly unknown[]).length);

test("letters that are typed faster than they are made go together, each with its own answer", async (t) => {
  const { engine, document, now } = await followed(t, { text: new SharedText() });
  const typed = Array.from("abcdefgh", (letter, n) =>
    document.change((edit) => edit.spliceText(["text"], n, 0, letter)),
  );
  assert.equal(engine.kept.size, 7, "what waits is written down");
  await engine.until(Promise.all(typed));
  assert.deepEqual(sizes(engine), [1, 7]);
  assert.deepEqual([now(), engine.content], [{ text: values.text("abcdefgh") }, { text: values.text("abcdefgh") }]);
  assert.equal(engine.kept.size, 0, "and crossed out");
});

test("of edits that go together the one that can't be made is refused alone", async (t) => {
  const { engine, document, now } = await followed(t, ITEMS);
  const put = (key: string, value: string) => document.change((edit) => edit.put([key], value));
  const edits = [put("first", "1"), put("bad", "no"), put("last", "3")];
  const ended = Promise.allSettled(edits);
  engine.unmakeable = (op) => op.path[0] === "bad";
  await engine.until(ended);
  await engine.quiet(document);
  assert.deepEqual(
    (await ended).map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(sizes(engine), [1, 2, 1, 1], "together, then each by itself");
  assert.deepEqual([now(), engine.content], [{ ...ITEMS, first: "1", last: "3" }, engine.content]);
  assert.equal(engine.kept.size, 0);
});

test("edits that go together and come too late are made of what the document has become", async (t) => {
  const { engine, document, now } = await followed(t, { text: values.text("end") });
  const typed = Array.from("abc", (letter, n) => document.change((edit) => edit.spliceText(["text"], n, 0, letter)));
  engine.remote([["text"]], { op: "spliceText", path: ["text"], index: 0, deleted: 0, inserted: "é" });
  await engine.until(Promise.all(typed));
  await engine.quiet(document);
  const { value } = (engine.content as { text: SharedText }).text;
  assert.deepEqual(now(), { text: values.text(value) });
  assert.ok(["éabcend", "abcéend"].includes(value), value);
  assert.equal(engine.kept.size, 0);
});

test("a message of edits that go together has no more than the journal takes", async (t) => {
  const { engine, document } = await followed(t, {});
  const long = "x".repeat(40 * 1024);
  const edits = ["a", "b", "c", "d"].map((key) => document.change((edit) => edit.put([key], long)));
  await engine.until(Promise.all(edits));
  assert.deepEqual(sizes(engine), [1, 1, 1, 1]);
});

test("any interleaving of own edits, others' and answers ends as the engine has it", async (t) => {
  let state = 7;
  const below = (most: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * most);
  };
  for (let world = 0; world < 300; world++) {
    const { engine, document, now } = await followed(t, { items: [], text: new SharedText(), n: new SharedCounter() });
    const edit = (edits: Parameters<DocumentHandle["change"]>[0]): unknown =>
      document.change(edits).catch(() => undefined);
    for (let turn = 0; turn < 25; turn++) {
      const list = (engine.content as { items: readonly unknown[] }).items;
      const shown = (now() as { items: readonly unknown[] }).items;
      const doing = below(9);
      if (doing === 0) edit((edit) => edit.insert(["items", below(shown.length + 1)], { n: turn }));
      else if (doing === 1 && shown.length > 0) edit((edit) => edit.delete(["items", below(shown.length)]));
      else if (doing === 2) edit((edit) => edit.increment(["n"], 1 + below(3)));
      else if (doing === 3)
        engine.remote([["items"]], { op: "insert", path: ["items", below(list.length + 1)], value: { r: turn } });
      else if (doing === 4 && list.length > 0)
        engine.remote([["items"]], { op: "delete", path: ["items", below(list.length)] });
      else if (doing === 5)
        engine.otherTab([["text"]], { op: "spliceText", path: ["text"], index: 0, deleted: 0, inserted: "é" });
      else if (doing === 6) engine.refusals.set("document.change", new RejoinderError("store", "the disk is full"));
      else engine.step();
      if (below(3) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await engine.quiet(document);
    assert.deepEqual(now(), engine.content, `world ${world}`);
    document.close();
  }
});

test("a path is followed by itself", async (t) => {
  const { engine, document } = await followed(t, ITEMS);
  const done: unknown[] = [];
  const part = document.at<boolean>(["items", 1, "done"]);
  part.subscribe((value) => done.push(value));
  assert.equal(part.current, false);
  engine.remote([["title"]], { op: "put", path: ["title"], value: "x" });
  engine.remote([["items", 0, "done"]], { op: "put", path: ["items", 0, "done"], value: true });
  await engine.settle();
  assert.deepEqual(done, []);
  engine.remote([["items", 1, "done"]], { op: "put", path: ["items", 1, "done"], value: true });
  await engine.settle();
  assert.deepEqual(done, [true]);
});

test("a document that is yet to be handed over is not ready, and is once it comes", async (t) => {
  const engine = new FakeEngine();
  engine.refusals.set("document.get", new RejoinderError("waiting", "nobody has handed it over", { retry: true }));
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const ready = document.value.ready();
  await engine.settle();
  assert.equal(document.value.current, undefined);
  engine.content = { a: 1 };
  engine.tell("document", { space: "s", name: "", paths: null, by: null, account: null });
  await engine.settle();
  assert.deepEqual(await ready, { a: 1 });
});

test("a failure to read rejects those who wait", async (t) => {
  const engine = new FakeEngine();
  engine.refusals.set("document.get", new RejoinderError("no_account", "there is none"));
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const ready = document.value.ready();
  ready.catch(() => undefined);
  await engine.until(assert.rejects(ready, { kind: "no_account" }));
});

test("counters, texts, times and bytes come back as what they are", async (t) => {
  const time = new Date(1_700_000_000_000);
  const content = {
    n: values.counter(3),
    s: values.text("héllo"),
    at: values.time(time),
    b: values.bytes(Uint8Array.of(1, 2)),
    o: { $time: "noon" },
  };
  const { engine, document, now } = await followed(t, content);
  assert.deepEqual(now(), content);
  assert.equal(
    JSON.stringify(now()),
    '{"n":3,"s":"héllo","at":"2023-11-14T22:13:20.000Z","b":{"0":1,"1":2},"o":{"$time":"noon"}}',
  );
  const made = document.change((edit) =>
    edit
      .put(["copy"], now() as DocumentValue)
      .increment(["copy", "n"])
      .spliceText(["copy", "s"], 5, 0, "!"),
  );
  await engine.until(made);
  assert.deepEqual(engine.content, {
    ...content,
    copy: { ...content, n: values.counter(4), s: values.text("héllo!") },
  });
});

test("positions in texts are in UTF-16 units, and split no character", async (t) => {
  const { engine, document, now } = await followed(t, { s: values.text("a😀b") });
  const made = document.change((edit) => edit.spliceText(["s"], 3, 0, "|"));
  await engine.until(made);
  assert.equal(String((now() as { s: SharedText }).s), "a😀|b");
  assert.equal(engine.asked.at(-1)?.params["ops"] !== undefined, true);
  await assert.rejects(
    document.change((edit) => edit.spliceText(["s"], 2, 0, "x")),
    /inside of a character/,
  );
});

test("what a document can't hold is refused by operation, path and reason", async (t) => {
  const { document } = await followed(t, { list: [], n: 1, none: null });
  const cycle: { [key: string]: unknown } = {};
  cycle["self"] = cycle;
  const cases: readonly [unknown, RegExp][] = [
    [Number.NaN, /put \["x"\]: NaN is no number/],
    [Number.POSITIVE_INFINITY, /Infinity is no number/],
    [1n, /a document holds no bigint/],
    [undefined, /a document holds no undefined/],
    [() => 1, /a document holds no function/],
    ["\uD800", /half of a character/],
    [{ a: { b: ["\uDC00"] } }, /put \["x","a","b",0\]: the text has half/],
    [new Map(), /a document holds no Map/],
    [new Date(Number.NaN), /the date is no date/],
    [{ "": 1 }, /a key is not empty/],
    [new SharedCounter(0.5), /whole numbers/],
    [cycle, /nested deeper/],
  ];
  for (const [value, reason] of cases) {
    await assert.rejects(
      document.change((edit) => edit.put(["x"], value as DocumentValue)),
      { name: "RejoinderError", kind: "invalid", message: reason },
    );
  }
  const edits: readonly [Parameters<DocumentHandle["change"]>[0], RegExp][] = [
    [(edit) => edit.put([], {}), /put \[\]: the path is empty/],
    [(edit) => edit.put(["no", "such"], 1), /there is nothing at \["no"\]/],
    [(edit) => edit.increment(["n"]), /increment \["n"\]: it is no counter/],
    [(edit) => edit.spliceText(["n"], 0, 0, "x"), /it is no shared text/],
    [(edit) => edit.delete(["gone"]), /delete \["gone"\]: there is nothing/],
    [(edit) => edit.insert(["x"], 1), /is a map, not a list/],
    [(edit) => edit.put(["list", -1], 1), /there is no index -1/],
    [(edit) => edit.put(["list", "x"], 1), /is a list: an index leads into it/],
    [(edit) => edit.put(["n", "x"], 1), /\["n"\] is neither a map nor a list/],
    [(edit) => edit.ensure(["list", 0], 1), /keys of maps, and elements that are there, alone/],
    [(edit) => edit.ensure(["none", "x"], 1), /keys of maps, and elements that are there, alone/],
    [(edit) => edit.move(["list", 0], 0), /there is no index 0/],
  ];
  for (const [edit, reason] of edits) await assert.rejects(document.change(edit), { kind: "invalid", message: reason });
  const later = (async (edit: { put: (path: string[], value: number) => unknown }) => edit.put(["x"], 1)) as never;
  await assert.rejects(document.change(later), /must not return a promise/);
});

test("what another tab changed is read, what this one did is not", async (t) => {
  const { engine, document, now } = await followed(t, ITEMS);
  engine.otherTab([["title"]], { op: "put", path: ["title"], value: "Theirs" });
  await engine.settle();
  assert.equal((now() as typeof ITEMS).title, "Theirs");
  const asked = engine.asked.length;
  const made = document.change((edit) => edit.put(["title"], "Mine"));
  engine.tell("edited", { method: "document.change", tab: engine.tab, space: "s", name: "plan", paths: [["title"]] });
  engine.tell("document", { space: "s", name: "app/plan", paths: [["title"]], by: "own", account: "me" });
  await engine.until(made);
  assert.equal(engine.asked.length, asked + 1, "the change alone");
});

test("a text is followed by what becomes of it", async (t) => {
  const { engine, document } = await followed(t, { s: values.text("a😀b") });
  const deltas: TextDelta[] = [];
  let editor = "";
  const stop = followText(document, ["s"], (delta, text) => {
    deltas.push(delta);
    editor = editor.slice(0, delta.index) + delta.inserted + editor.slice(delta.index + delta.deleted);
    assert.equal(editor, text);
  });
  engine.remote([["s"]], { op: "spliceText", path: ["s"], index: 1, deleted: 2, inserted: "😁" });
  await engine.quiet(document);
  const made = document.change((edit) => edit.spliceText(["s"], 4, 0, "!"));
  assert.equal(editor, "a😁b!");
  await engine.quiet(document);
  await made;
  stop();
  assert.deepEqual(deltas, [
    { index: 0, deleted: 0, inserted: "a😀b" },
    { index: 1, deleted: 2, inserted: "😁" },
    { index: 4, deleted: 0, inserted: "!" },
  ]);
});

test("what could not be read is read the next time that anything is told, or that somebody waits for it", async (t) => {
  const { engine, document, now } = await followed(t, { a: 1, b: 1 });
  engine.refusals.set("document.get", new RejoinderError("store", "the disk is away"));
  engine.remote([["a"]], { op: "put", path: ["a"], value: 2 });
  await engine.settle();
  assert.deepEqual(now(), { a: 1, b: 1 });
  engine.remote([["b"]], { op: "put", path: ["b"], value: 2 });
  await engine.quiet(document);
  assert.deepEqual(now(), { a: 2, b: 2 });
});

test("who asks again for what failed to load is given it", async (t) => {
  const engine = new FakeEngine();
  engine.content = { a: 1 };
  engine.refusals.set("document.get", new RejoinderError("store", "the disk is away"));
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  await engine.until(assert.rejects(document.value.ready(), { kind: "store" }));
  let again: unknown;
  void document.value.ready().then((value) => (again = value));
  await engine.settle();
  assert.deepEqual(again, { a: 1 });
});

test("null that stood at a place then is told from nothing", async (t) => {
  const { engine, document } = await followed(t, { a: null, l: [null] });
  const then = async (path: readonly (string | number)[]): Promise<unknown> =>
    engine.until(document.get(path, { at: "change" }));
  assert.equal(await then(["a"]), null);
  assert.equal(await then(["l", 0]), null);
  for (const path of [["b"], ["a", "b"], ["l", 1], ["b", "c", 0]]) assert.equal(await then(path), undefined);
});
