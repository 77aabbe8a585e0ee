/** What an app may hand over or do that no document can hold or mean: each is refused by name, or means one thing. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { runInNewContext } from "node:vm";
import { DocumentFamily } from "../src/document/family.js";
import { DocumentHandle } from "../src/document/handle.js";
import { decode, encode } from "../src/document/kinds.js";
import { DocumentPresence } from "../src/document/presence.js";
import { apply, at } from "../src/document/tree.js";
import { EditError, SharedCounter, SharedText, values, type DocumentValue } from "../src/index.js";
import { Cell } from "../src/live.js";
import type { DocumentEdit, Path } from "../src/types.js";
import { typed, undoHistory } from "../src/typed/index.js";
import { record } from "../src/typed/record.js";
import { revert } from "../src/typed/revert.js";
import { FakeEngine, exact } from "./engine.js";

async function followed(t: TestContext, content: DocumentValue) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  document.value.subscribe(() => undefined);
  t.after(() => document.close());
  await engine.quiet(document);
  const done = async (promise: Promise<unknown>): Promise<void> => {
    promise.catch(() => undefined);
    await engine.quiet(document);
    await promise;
  };
  return { engine, document, done, now: (): unknown => document.value.current };
}

test("what the caller does to its own objects afterwards changes no document", async (t) => {
  const { engine, document, done, now } = await followed(t, {});
  const item = { text: "milk", tags: ["a"] };
  const bytes = Uint8Array.of(1);
  const time = new Date(5);
  const path: (string | number)[] = ["a"];
  const made = document.change((edit) => {
    for (const key of ["a", "b", "c"]) {
      path[0] = key;
      edit.put(path, { item, bytes, time });
    }
  });
  const shown = now();
  item.text = "bread";
  item.tags.push("b");
  bytes[0] = 9;
  time.setTime(9);
  await done(made);
  const each = { item: { text: "milk", tags: ["a"] }, bytes: Uint8Array.of(1), time: new Date(5) };
  assert.deepEqual(shown, { a: each, b: each, c: each });
  assert.deepEqual(now(), shown);
  assert.deepEqual(engine.content, shown);
});

test("a date and bytes of a draft that are changed in place are written, and change nothing before", async (t) => {
  const { engine, document, done, now } = await followed(t, {
    at: new Date(5),
    bytes: Uint8Array.of(1),
    list: [new Date(1)],
  });
  const before = now() as { at: Date; bytes: Uint8Array };
  const plan = typed<{ at: Date; bytes: Uint8Array; list: Date[] }>(document);
  await done(
    plan.change((doc) => {
      doc.at.setTime(6);
      doc.bytes[0] = 2;
      doc.list.unshift(new Date(0));
      doc.list[1]?.setTime(2);
    }),
  );
  assert.deepEqual(engine.content, { at: new Date(6), bytes: Uint8Array.of(2), list: [new Date(0), new Date(2)] });
  assert.deepEqual([before.at.getTime(), before.bytes[0]], [5, 1]);
  const asked = engine.asked.length;
  await plan.change((doc) => void doc.at.getTime());
  assert.equal(engine.asked.length, asked, "who only reads writes nothing");
});

test("there is one zero, and what is left out is not there", async (t) => {
  const { document, done, now } = await followed(t, {});
  await done(document.change((edit) => edit.put(["n"], [-0, { a: -0, b: undefined } as never])));
  assert.ok(Object.is(at(now() as DocumentValue, ["n", 0]), 0));
  assert.deepEqual(at(now() as DocumentValue, ["n", 1]), { a: 0 });
});

test("a path is a list of keys and indexes, whatever it is asked for", async (t) => {
  const { document } = await followed(t, { list: [1], s: values.text("ab") });
  const bad: readonly [unknown, RegExp][] = [
    ["title", /a path is a list of keys and indexes/],
    [undefined, /a path is a list of keys and indexes/],
    [[null], /a path is a list of keys and indexes/],
    [[Symbol.iterator], /a path is a list of keys and indexes/],
    [["list", -1], /there is no index -1/],
    [["list", 0.5], /there is no index 0.5/],
    [["list", Number.NaN], /there is no index NaN/],
    [["list", 2 ** 53], /there is no index/],
    [["\uD800"], /half of a character/],
    [[""], /a key is not empty/],
    [["é".repeat(129)], /a key has 1 to 256 bytes/],
  ];
  const calls: readonly ((path: Path) => Promise<unknown>)[] = [
    (path) => document.change((edit) => edit.put(path, 1)),
    (path) => document.change((edit) => edit.ensure(path, 1)),
    (path) => document.change((edit) => edit.delete(path)),
    (path) => document.change((edit) => edit.move(path, 0)),
    (path) => document.change((edit) => edit.spliceText(path, 0, 0, "x")),
    async (path) => document.at(path),
    async (path) => typed(document).at(path),
    (path) => document.conflicts(path),
    (path) => document.get(path),
  ];
  for (const [path, reason] of bad) {
    for (const call of calls) {
      if (path === undefined && call === calls.at(-1)) continue;
      await assert.rejects(call(path as Path), { name: "RejoinderError", kind: "invalid", message: reason });
    }
  }
  const path: (string | number)[] = ["list", 0];
  const [first, same] = [document.at(path), typed(document).at(path)];
  path[0] = "s";
  assert.deepEqual([first.current, same.current], [1, 1], "what becomes of the caller's path is not followed");
  await assert.doesNotReject(Promise.race([document.get(["é".repeat(128)]), Promise.resolve()]));
});

test("numbers of an operation are whole, whether somebody follows the document or not", async (t) => {
  const engine = new FakeEngine();
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const bad: readonly ((edit: DocumentEdit) => void)[] = [
    (edit) => edit.spliceText(["s"], Number.NaN, 0, "x"),
    (edit) => edit.spliceText(["s"], 0, -1, "x"),
    (edit) => edit.spliceText(["s"], 0.5, 0, "x"),
    (edit) => edit.spliceText(["s"], 0, 0, 5 as never),
    (edit) => edit.spliceText(["s"], 0, 0, "\uDC00"),
    (edit) => edit.move(["list", 0], -1),
    (edit) => edit.move(["list", 0], 1.5),
    (edit) => edit.increment(["n"], 0.1),
    (edit) => edit.increment(["n"], 1n as never),
  ];
  for (const edit of bad) {
    await assert.rejects(document.change(edit), (error: unknown) => error instanceof EditError);
  }
  assert.equal(engine.asked.length, 0, "nothing was sent");
});

test("what no document holds is refused by its kind", async (t) => {
  const { document } = await followed(t, {});
  class Mine {
    readonly a = 1;
  }
  const endless: unknown[] = [];
  endless.push({ endless });
  const refused: readonly [unknown, RegExp][] = [
    [new Set([1]), /no Set/],
    [new Mine(), /no Mine/],
    [Promise.resolve(1), /no Promise/],
    [Object.create(Object.create({}) as object), /no Object/],
    [Object.create(Object.create(Object.create(null) as object) as object), /no such object/],
    [Symbol("x"), /no symbol/],
    [new ArrayBuffer(1), /no ArrayBuffer/],
    [new String("x"), /no String/],
    [/x/, /no RegExp/],
    [Array.from({ length: 2 }), /\["x",0\]: a document holds no undefined/],
    [endless, /nested deeper than 64/],
    [values.text(5 as never), /a shared text holds a string/],
    [values.counter("5" as never), /whole numbers/],
    [values.time(Number.NaN), /no date/],
    [{ a: { ["k".repeat(257)]: 1 } }, /1 to 256 bytes/],
  ];
  for (const [value, reason] of refused) {
    for (const op of ["put", "ensure"] as const) {
      await assert.rejects(
        document.change((edit) => edit[op](["x"], value as DocumentValue)),
        { kind: "invalid", message: reason },
      );
    }
    assert.throws(() => record({ list: [] }, (doc: { x?: unknown }) => void (doc.x = value)), { message: reason });
  }
});

test("a value of another frame, or without a prototype, is a value", async (t) => {
  const { document, done, now } = await followed(t, {});
  const foreign = runInNewContext('({ list: [1, "two", { three: null }] })') as DocumentValue;
  const bare = Object.assign(Object.create(null) as object, { a: 1 }) as DocumentValue;
  await done(document.change((edit) => edit.put(["foreign"], foreign).put(["bare"], bare)));
  assert.deepEqual(now(), { foreign: { list: [1, "two", { three: null }] }, bare: { a: 1 } });
});

test("whatever is waited for is no change", async (t) => {
  const { document } = await followed(t, {});
  const wrong: unknown[] = [
    async (edit: DocumentEdit) => edit.put(["x"], 1),
    // oxlint-disable-next-line unicorn/no-thenable
    (edit: DocumentEdit) => ({ then: () => edit.put(["x"], 1) }),
  ];
  for (const edit of wrong) await assert.rejects(document.change(edit as never), /must not return a promise/);
  let kept: DocumentEdit | undefined;
  await document.change((edit) => void (kept = edit));
  assert.throws(() => kept?.put(["x"], 1), /the change is over/);
});

test("a change that throws leaves nothing, and what it threw is thrown", async (t) => {
  const { engine, document, now } = await followed(t, { a: 1 });
  const asked = engine.asked.length;
  const mine = new Error("mine");
  const broken = document.change((edit) => {
    edit.put(["a"], 2);
    throw mine;
  });
  await assert.rejects(broken, mine);
  const draft = typed<{ a: number }>(document).change((doc) => {
    doc.a = 3;
    throw mine;
  });
  await assert.rejects(draft, mine);
  assert.deepEqual(now(), { a: 1 });
  assert.equal(engine.asked.length, asked);
});

test("each value is the same after it was written and read, in whatever it lies", () => {
  const leaves: readonly DocumentValue[] = [
    null,
    true,
    0,
    -1.5,
    5e-324,
    1.797_693_134_862_315_7e308,
    2 ** 53,
    "",
    "a😀\u0000\u{10FFFF}",
    new SharedText(""),
    new SharedText("é😀"),
    new SharedCounter(-(2 ** 53) + 1),
    new Date(-1),
    new Date(8.64e15),
    new Uint8Array(0),
    Uint8Array.from({ length: 70_000 }, (_, n) => n % 256),
    [],
    {},
    { $text: "no text" },
    { $map: { $map: 1 } },
    { $counter: 1, more: 2 },
    { $: 1 },
    JSON.parse('{"__proto__": {"constructor": 1}}') as DocumentValue,
  ];
  for (const leaf of leaves) {
    for (const value of [leaf, [leaf], { leaf }, { $time: leaf }, [[{ $map: leaf }]]] as readonly DocumentValue[]) {
      const sent = JSON.parse(JSON.stringify(encode(value, "put", ["x"]))) as never;
      assert.deepEqual(decode(exact(sent)), value);
      assert.deepEqual(encode(decode(exact(sent)), "put", ["x"]), sent);
    }
  }
});

test("a number with more digits than the engine reads exactly travels by its bits", () => {
  for (const short of [0, 1, -1, 0.1, -12.5, 123_456_789.012_345, 2 ** 53 - 1, 0.000_001]) {
    assert.equal(encode(short, "put", []), short);
  }
  const long = [0.1 + 0.2, 1e-7, 1e21, 5e-324, Number.MAX_VALUE, -Math.PI, 2 ** 53, 123_456_789.012_345_6];
  for (const number of long) {
    const sent = encode(number, "put", []) as { $float: string };
    assert.match(sent.$float, /^[0-9a-f]{16}$/);
    assert.equal(decode(exact(sent)), number);
  }
  assert.deepEqual(encode({ $float: "mine" }, "put", []), { $map: { $float: "mine" } });
});

test("a list of drafts takes what an array takes, and nothing that leaves a hole", () => {
  const list = { l: [1, 2, 3] as unknown[] };
  const after = (edit: (l: unknown[]) => unknown): unknown =>
    at(record<typeof list>(list as DocumentValue, (doc) => void edit(doc.l)).reduce(apply, list as DocumentValue), [
      "l",
    ]);
  const same: readonly ((l: unknown[]) => unknown)[] = [
    (l) => l.splice(1),
    (l) => l.splice(-1, 1, "x", null),
    (l) => l.splice(9, 1, "x"),
    (l) => l.splice(1, Number.NaN, "x"),
    (l) => l.splice(0, 99),
    (l) => l.splice(0, -1, "x"),
    (l) => (l.splice as () => unknown)(),
    (l) => (l[3] = "x"),
    (l) => (l[0] = null),
    (l) => (l.length = 1),
    (l) => l.push(),
    (l) => l.push("x", ["y"]),
    (l) => l.unshift({ z: 1 }),
    (l) => [l.pop(), l.shift(), l.pop(), l.pop(), l.shift()],
  ];
  for (const [n, edit] of same.entries()) {
    const plain = [...list.l];
    edit(plain);
    assert.deepEqual(after(edit), plain, String(n));
  }
  for (const edit of [
    (l: unknown[]) => (l[0] = undefined),
    (l: unknown[]) => l.push(undefined),
    (l: unknown[]) => (l[5] = 1),
    (l: unknown[]) => l.fill(0),
    (l: unknown[]) => l.copyWithin(0, 1),
  ]) {
    assert.throws(
      () => after(edit),
      (error: unknown) => error instanceof EditError,
    );
  }
});

test("a name is the app's, whatever it says, and stays one name everywhere", async (t) => {
  const engine = new FakeEngine();
  const family = new DocumentFamily(engine, "s");
  t.after(() => family.close());
  for (const name of [
    "people/0",
    "receipts/1",
    "settings",
    "vault/0",
    "app/plan",
    "app/app/plan",
    "é😀",
    " a ",
    "a/b",
  ]) {
    assert.equal(family.named(name).name, name);
    assert.equal(family.named(name), family.named(name));
  }
  assert.notEqual(family.named("app/plan"), family.named("plan"));
  for (const name of ["\uD800", "a\uDC00", undefined, null, 5, {}]) {
    assert.throws(() => family.named(name as string), { name: "RejoinderError", kind: "invalid" });
  }
});

test("what is told of a document is heard by those of that name alone", async (t) => {
  const engine = new FakeEngine();
  const names = ["plan", "app/plan"];
  const documents = names.map((name) => new DocumentHandle(engine, "s", name));
  for (const document of documents) {
    t.after(() => document.close());
    document.value.subscribe(() => undefined);
    await engine.quiet(document);
  }
  for (const name of names) {
    const asked = engine.asked.length;
    engine.tell("document", { space: "s", name: `app/${name}`, paths: null, by: "other", account: "a" });
    await engine.settle();
    for (const document of documents) await engine.quiet(document);
    assert.deepEqual(
      engine.asked.slice(asked).map(({ params }) => params["name"]),
      [name],
    );
  }
});

test("a file is bytes, and not more than a file may have", async (t) => {
  const { engine, document } = await followed(t, {});
  const asked = engine.asked.length;
  for (const bytes of ["AQI=", [1, 2], new ArrayBuffer(2), null, new Uint8Array(16 * 1024 * 1024 + 1)]) {
    await assert.rejects(document.import(bytes as never), (error: unknown) => error instanceof EditError);
  }
  assert.equal(engine.asked.length, asked);
});

test("what is said of oneself is JSON of a bounded size, as it was when it was said", async (t) => {
  const engine = new FakeEngine();
  const presence = new DocumentPresence(engine, "s", "plan");
  t.after(() => presence.close());
  const endless: { [key: string]: unknown } = {};
  endless["self"] = endless;
  const halves = ["\uD800", { "\uD800": 1 }];
  const bad = [undefined, Number.NaN, 1n, () => 1, [undefined], { at: new Date(0) }, ...halves, endless, new Map()];
  for (const state of bad)
    assert.throws(() => presence.set(state as never), { name: "RejoinderError", kind: "invalid" });
  assert.throws(() => presence.set("é".repeat(1024)), { kind: "too_large" });
  assert.equal(engine.asked.length, 0);
  const state = { row: 1 };
  presence.set(state);
  state.row = 2;
  presence.set(state);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const said = engine.asked.map(({ params }) => params["state"]);
  assert.deepEqual(said, [{ row: 1 }, { row: 2 }], "also where it is the same object");
  presence.set(null);
});

test("a listener that changes what it is told of is told of that last", () => {
  const cell = new Cell(0);
  const heard: number[] = [];
  const stop = cell.subscribe((value) => {
    if (value === 1) cell.set(2);
    if (value === 3) stop();
  });
  const gone = cell.subscribe((value) => heard.push(value));
  cell.set(1);
  assert.deepEqual(heard, [2], "what is over already is not told after what came of it");
  cell.subscribe(() => gone());
  cell.set(3);
  cell.set(4);
  assert.deepEqual(heard, [2, 3]);
});

test("to undo a move makes no second one, whatever others made of what was moved", () => {
  const [a, b, c] = [
    { n: "a", by: 0 },
    { n: "b", by: 0 },
    { n: "c", by: 0 },
  ];
  const before = [a, b, c] as readonly DocumentValue[];
  const after = [b, c, a] as readonly DocumentValue[];
  const undo = (now: readonly DocumentValue[]): unknown => {
    const ops = revert({ l: before }, { l: after }, { l: now });
    return at(ops.reduce(apply, { l: now } as DocumentValue), ["l"]);
  };
  assert.deepEqual(undo(after), before);
  const theirs = { n: "a", by: 1 };
  assert.deepEqual(undo([b, c, theirs]), [theirs, b, c], "their change stays, and it stands once");
  assert.deepEqual(undo([b, c]), [b, c], "what they took out stays out");
  assert.deepEqual(undo([b, "x", c, a]), [a, b, "x", c]);
});

test("an undo of what nobody follows is made of what the document is by then", async (t) => {
  const engine = new FakeEngine();
  engine.content = { items: ["a", "b"] };
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const plan = typed<{ items: string[] }>(document);
  const history = undoHistory(plan);
  const settled = async (promise: Promise<unknown>): Promise<void> => {
    promise.catch(() => undefined);
    await engine.quiet(document);
    await promise;
  };
  await settled(plan.change((doc) => void doc.items.push("mine")));
  engine.remote([["items"]], { op: "insert", path: ["items", 0], value: "theirs" });
  await settled(history.undo());
  assert.deepEqual(engine.content, { items: ["theirs", "a", "b"] });
});

test("what is taken out of a draft, changed and put in elsewhere changes nothing that was shown before", async (t) => {
  const { engine, document, done, now } = await followed(t, { todo: [{ text: "a", at: new Date(1) }], done: [] });
  const before = now();
  const plan = typed<{ todo: { text: string; at: Date }[]; done: { text: string; at: Date }[] }>(document);
  await done(
    plan.change((doc) => {
      doc.todo[0]?.at.setTime(2);
      const item = doc.todo.pop();
      if (item === undefined) return;
      item.text = "b";
      doc.done.push(item);
    }),
  );
  assert.deepEqual(before, { todo: [{ text: "a", at: new Date(1) }], done: [] });
  assert.deepEqual(engine.content, { todo: [], done: [{ text: "b", at: new Date(2) }] });
});

test("what is copied in a draft has what was changed in place before, and what is changed later has not", () => {
  const content = { one: { at: new Date(1) }, two: null as unknown };
  const ops = record<typeof content>(content as DocumentValue, (doc) => {
    const { at: time } = doc.one;
    time.setTime(2);
    doc.two = doc.one;
    time.setTime(3);
  });
  assert.deepEqual(ops.reduce(apply, content as DocumentValue), { one: { at: new Date(3) }, two: { at: new Date(2) } });
});

test("a time beyond all dates is the last one, and can be written back", () => {
  for (const [sent, most] of [
    [2 ** 63, 8.64e15],
    [-(2 ** 63), -8.64e15],
  ] as const) {
    const read = decode({ $time: sent });
    assert.deepEqual(read, new Date(most));
    assert.deepEqual(encode(read, "put", []), { $time: most });
  }
});

test("what is read of an older engine or a newer one is a value all the same", () => {
  const odd = [{ $text: 5 }, { $counter: "x" }, { $time: null }, { $bytes: 1 }, { $map: [1] }, { $new: {} }];
  for (const value of odd) assert.deepEqual(decode(value as never), value);
});
