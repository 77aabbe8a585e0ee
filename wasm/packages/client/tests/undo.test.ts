/** Undo takes back what one did, and nothing that others did. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { DocumentHandle } from "../src/document/handle.js";
import { apply, type Op } from "../src/document/tree.js";
import { RejoinderError, SharedCounter, SharedText, type DocumentValue } from "../src/index.js";
import { typed, undoHistory } from "../src/typed/index.js";
import { record } from "../src/typed/record.js";
import { revert } from "../src/typed/revert.js";
import { FakeEngine } from "./engine.js";

interface Doc {
  title: string;
  items: { text: string; done: boolean }[];
  body: SharedText;
  count: SharedCounter;
}

const DOC = {
  title: "Plan",
  items: [
    { text: "milk", done: false },
    { text: "bread", done: false },
    { text: "tea", done: false },
  ],
  body: new SharedText("hello world"),
  count: new SharedCounter(5),
};

/** The document after an own edit, others' edits, and the undo of the own one. */
function undone(own: (doc: Doc) => void, theirs: (doc: Doc) => void): Doc {
  const after = record<Doc>(DOC, own as never).reduce(apply, DOC as DocumentValue);
  const now = record<Doc>(after, theirs as never).reduce(apply, after);
  return revert(DOC, after, now).reduce(apply, now) as unknown as Doc;
}

/** The document after others' edits alone. */
function only(theirs: (doc: Doc) => void): Doc {
  return record<Doc>(DOC, theirs as never).reduce(apply, DOC as DocumentValue) as unknown as Doc;
}

const EDITS: readonly ((doc: Doc) => void)[] = [
  (doc) => (doc.title = "Mine"),
  (doc) => (doc.items as unknown[]).splice(1, 1),
  (doc) => (doc.items as unknown[]).splice(1, 0, { text: "mine", done: false }, { text: "mine too", done: true }),
  (doc) => ((doc.items[1] as { done: boolean }).done = true),
  (doc) => doc.body.splice(6, 5, "there"),
  (doc) => doc.body.splice(5, 0, ", 😀"),
  (doc) => doc.count.increment(3),
  (doc) => delete (doc as Partial<Doc>).title,
  (doc) => Object.assign(doc, { more: { a: [1] } }),
];

const OTHERS: readonly ((doc: Doc) => void)[] = [
  () => undefined,
  (doc) => doc.items.unshift({ text: "theirs", done: false }),
  (doc) => doc.items.push({ text: "theirs", done: false }),
  (doc) => ((doc.items[0] as { text: string }).text = "oat milk"),
  (doc) => doc.body.splice(0, 0, "oh, "),
  (doc) => doc.body.splice(doc.body.length, 0, "!"),
  (doc) => doc.count.increment(100),
  (doc) => Object.assign(doc, { note: "theirs" }),
];

test("whatever others do elsewhere, undo leaves what they did, and nothing else", () => {
  for (const [mine, own] of EDITS.entries()) {
    for (const [others, theirs] of OTHERS.entries()) {
      assert.deepEqual(undone(own, theirs), only(theirs), `${mine} ${others}`);
    }
  }
});

test("what others changed in what one changed oneself stays theirs", () => {
  const title = undone(
    (doc) => (doc.title = "Mine"),
    (doc) => (doc.title = "Theirs"),
  );
  assert.equal(title.title, "Theirs");
  const edited = undone(
    (doc) => doc.items.push({ text: "mine", done: false }),
    (doc) => ((doc.items[3] as { text: string }).text = "theirs now"),
  );
  assert.equal(edited.items[3]?.text, "theirs now", "what was put in is not taken out with their edit");
  const both = undone(
    (doc) => ((doc.items[1] as { done: boolean }).done = true),
    (doc) => ((doc.items[1] as { text: string }).text = "rolls"),
  );
  assert.deepEqual(both.items[1], { text: "rolls", done: false });
  const within = undone(
    (doc) => doc.body.splice(5, 0, "12345"),
    (doc) => doc.body.splice(8, 0, "THEIRS"),
  );
  assert.equal(String(within.body), "helloTHEIRS world");
  const gone = undone(
    (doc) => ((doc.items[1] as { done: boolean }).done = true),
    (doc) => (doc.items as unknown[]).splice(1, 1),
  );
  assert.equal(gone.items.length, 2);
});

async function open(t: TestContext) {
  const engine = new FakeEngine();
  engine.content = DOC;
  const handle = new DocumentHandle(engine, "s", "plan");
  t.after(() => handle.close());
  const plan = typed<Doc>(handle);
  plan.value.subscribe(() => undefined);
  await engine.quiet(handle);
  return { engine, handle, plan, history: undoHistory(plan), now: (): Doc => plan.value.current as Doc };
}

test("own changes are taken back and made again, one by one, at once", async (t) => {
  const { engine, handle, plan, history, now } = await open(t);
  assert.deepEqual([history.canUndo.current, history.canRedo.current], [false, false]);
  const all = [plan.change((doc) => void (doc.title = "One")), plan.change((doc) => void doc.items.pop())];
  engine.remote([["body"]], { op: "spliceText", path: ["body"], index: 0, deleted: 0, inserted: "theirs: " });
  await engine.quiet(handle);
  await Promise.all(all);
  const first = history.undo();
  assert.equal(now().items.length, 3, "at once");
  assert.equal(now().title, "One");
  const second = history.undo();
  assert.equal(now().title, "Plan");
  assert.deepEqual([history.canUndo.current, history.canRedo.current], [false, true]);
  await engine.quiet(handle);
  assert.deepEqual(await Promise.all([first, second, history.undo()]), [true, true, false]);
  const again = history.redo();
  assert.equal(now().title, "One");
  await engine.quiet(handle);
  assert.equal(await again, true);
  assert.equal(String(now().body), "theirs: hello world");
  const more = plan.change((doc) => doc.count.increment());
  await engine.quiet(handle);
  await more;
  assert.equal(history.canRedo.current, false, "what is new ends what could be made again");
  assert.deepEqual(now(), engine.content);
});

test("what nobody follows is taken back in its order, too, however fast", async (t) => {
  const engine = new FakeEngine();
  const handle = new DocumentHandle(engine, "s", "plan");
  t.after(() => handle.close());
  const list = typed<{ items: string[] }>(handle, { initial: { items: ["theirs"] } });
  const history = undoHistory(list);
  for (const item of ["one", "two", "three"]) await engine.until(list.change((doc) => void doc.items.unshift(item)));
  assert.deepEqual(engine.content, { items: ["three", "two", "one", "theirs"] });
  await engine.until(Promise.all([history.undo(), history.undo()]));
  assert.deepEqual(engine.content, { items: ["one", "theirs"] });
  await engine.until(Promise.all([history.redo(), history.redo()]));
  assert.deepEqual(engine.content, { items: ["three", "two", "one", "theirs"] });
});

test("a change that could not be made is not there to be taken back", async (t) => {
  const { engine, handle, plan, history } = await open(t);
  engine.refusals.set("document.change", new RejoinderError("store", "full"));
  const failed = plan.change((doc) => void (doc.title = "x"));
  failed.catch(() => undefined);
  assert.equal(history.canUndo.current, true);
  await engine.quiet(handle);
  await assert.rejects(failed);
  assert.equal(history.canUndo.current, false);
});

test("an undo that could not be made can be tried again, and so can a redo", async (t) => {
  const { engine, handle, plan, history, now } = await open(t);
  const made = plan.change((doc) => void (doc.title = "Mine"));
  await engine.quiet(handle);
  await made;
  for (const [again, before, after] of [
    ["undo", "Mine", "Plan"],
    ["redo", "Plan", "Mine"],
  ] as const) {
    const can = (): unknown => [history.canUndo.current, history.canRedo.current];
    const could = can();
    engine.refusals.set("document.change", new RejoinderError("store", "full"));
    const failed = history[again]();
    failed.catch(() => undefined);
    await engine.quiet(handle);
    await assert.rejects(failed, { kind: "store" });
    assert.deepEqual(can(), could);
    assert.equal(now().title, before);
    const step = history[again]();
    await engine.quiet(handle);
    assert.equal(await step, true);
    assert.equal(now().title, after);
  }
});

test("undoing all that one did, in any order of others' edits, leaves what they did alone", async (t) => {
  let state = 3;
  const below = (most: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * most);
  };
  for (let world = 0; world < 60; world++) {
    const { engine, handle, plan, history, now } = await open(t);
    // Theirs, made of a document in which nobody else ever did anything.
    let alone: DocumentValue = { theirs: [], body: new SharedText("") };
    engine.content = { ...(engine.content as object), theirs: [] } as DocumentValue;
    engine.tell("lagged", {});
    await engine.quiet(handle);
    const own: Promise<unknown>[] = [];
    for (let turn = 0; turn < 12; turn++) {
      const doing = below(3);
      if (doing === 0) {
        const op: Op = { op: "insert", path: ["theirs", 0], value: { turn } };
        alone = apply(alone, op);
        engine.remote([["theirs"]], op);
      } else if (doing === 1) {
        own.push(
          plan.change(
            (doc) => void doc.items.splice(below(doc.items.length + 1), 0, { text: `own ${turn}`, done: false }),
          ),
        );
      } else {
        own.push(plan.change((doc) => doc.body.splice(below(doc.body.length + 1), 0, "x")));
      }
      if (below(2) === 0) await engine.quiet(handle);
    }
    await engine.quiet(handle);
    await Promise.all(own);
    while (history.canUndo.current) {
      const step = history.undo();
      await engine.quiet(handle);
      await step;
    }
    assert.deepEqual(now(), { ...DOC, theirs: (alone as { theirs: unknown }).theirs }, `world ${world}`);
    assert.deepEqual(engine.content, now());
    handle.close();
  }
});

interface Row {
  readonly id: string;
  n: number;
  by: string;
}

interface Shared {
  rows: Row[];
  body: SharedText;
  count: SharedCounter;
  map: { [key: string]: number };
}

test("whatever both do in the same places, all undone, what others did is there, and once", () => {
  let state = 11;
  const below = (most: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * Math.max(most, 1));
  };
  for (let world = 0; world < 1_500; world++) {
    let now: DocumentValue = {
      rows: [0, 1, 2, 3].map((n) => ({ id: `i${n}`, n: 0, by: "start" })),
      body: new SharedText("start"),
      count: new SharedCounter(0),
      map: {},
    };
    const own: { before: DocumentValue; after: DocumentValue }[] = [];
    const theirs = { ids: new Set<string>(), set: new Map<string, number>(), letters: 0, count: 0 };
    const edit = (make: (doc: Shared) => void): void => {
      now = record<Shared>(now, make as never).reduce(apply, now);
    };
    for (let turn = 0; turn < 14; turn++) {
      const before: DocumentValue = now;
      const any = (doc: Shared): number => below(doc.rows.length);
      const letter = (doc: Shared): number => {
        const letters = Array.from(doc.body.value);
        return letters.slice(0, below(letters.length + 1)).join("").length;
      };
      const doing = below(13);
      edit((doc) => {
        const row = doc.rows[any(doc)];
        if (doing === 0) doc.rows.splice(any(doc), 0, { id: `o${turn}`, n: 0, by: "own" });
        else if (doing === 1) doc.rows.splice(any(doc), 1);
        else if (doing === 2 && row !== undefined) row.n = 1_000 + turn;
        else if (doing === 3 && row !== undefined) {
          const from = doc.rows.indexOf(row);
          const [taken] = doc.rows.splice(from, 1);
          if (taken !== undefined) doc.rows.splice(below(doc.rows.length + 1), 0, taken);
        } else if (doing === 4) doc.body.splice(letter(doc), 0, "o😀");
        else if (doing === 5) doc.count.increment(1 + below(5));
        else if (doing === 6) doc.map[`k${below(3)}`] = turn;
        else if (doing === 7) doc.body.update(doc.body.value.replace(/o/u, ""));
        else if (doing === 8) {
          doc.rows.splice(below(doc.rows.length + 1), 0, { id: `r${turn}`, n: 0, by: "theirs" });
          theirs.ids.add(`r${turn}`);
        } else if (doing === 9 && row !== undefined) {
          row.by = `theirs ${turn}`;
          theirs.set.set(row.id, turn);
        } else if (doing === 10) {
          doc.body.splice(letter(doc), 0, "T");
          theirs.letters += 1;
        } else if (doing === 11) {
          doc.count.increment(100);
          theirs.count += 100;
        } else if (doing === 12) doc.map[`theirs${turn}`] = turn;
      });
      if (doing < 8 && now !== before) own.push({ before, after: now });
    }
    for (const { before, after } of own.reverse()) now = revert(before, after, now).reduce(apply, now);
    const { rows, body, count, map } = now as unknown as Shared;
    const ids = rows.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, `world ${world}: ${ids.join()}`);
    for (const id of [...theirs.ids, "i0", "i1", "i2", "i3"]) assert.ok(ids.includes(id), `world ${world}: ${id}`);
    for (const [id, turn] of theirs.set) {
      const row = rows.find((row) => row.id === id);
      if (row !== undefined) assert.equal(row.by, `theirs ${turn}`, `world ${world}`);
    }
    assert.equal(body.value.split("T").length - 1, theirs.letters, `world ${world}: ${body.value}`);
    assert.equal(count.value, theirs.count, `world ${world}`);
    for (const [key, n] of Object.entries(map)) if (key.startsWith("theirs")) assert.equal(key, `theirs${n}`);
  }
});

test("a row that was put in another's place, or changed places with it, is not made that one", () => {
  const row = (id: string): DocumentValue => ({ id, text: id });
  const [a, b, c] = [row("a"), row("b"), row("c")];
  const theirs = { id: "c", text: "theirs" };
  const undo = (before: DocumentValue, after: DocumentValue, now: DocumentValue): DocumentValue =>
    revert(before, after, now).reduce(apply, now);
  assert.deepEqual(undo({ l: [a, b, c] }, { l: [c, b, a] }, { l: [theirs, b, a] }), { l: [a, b, theirs] });
  const { l } = undo({ l: [a, b] }, { l: [c, b] }, { l: [theirs, b] }) as { l: readonly DocumentValue[] };
  assert.deepEqual(new Set(l), new Set([a, b, theirs]));
  assert.deepEqual(undo({ l: [a, b] }, { l: [c, b] }, { l: [c, b] }), { l: [a, b] });
});

test("in a long text undo finds its place, whatever others write at both ends, and says little", () => {
  const long = Array.from({ length: 4_000 }, (_, n) => String.fromCharCode(97 + ((n * 7) % 26))).join("");
  const at = (text: string, index: number, deleted: number, inserted: string): string =>
    text.slice(0, index) + inserted + text.slice(index + deleted);
  const own: readonly [index: number, deleted: number, inserted: string][] = [
    [2_000, 0, "OWN".repeat(1_000)],
    [1_000, 1_500, ""],
    [1_000, 3, "OWN"],
  ];
  for (const [index, deleted, inserted] of own) {
    const after = at(long, index, deleted, inserted);
    const now = { s: new SharedText(`THEIRS${after}THEIRS`) } as DocumentValue;
    const ops = revert({ s: new SharedText(long) }, { s: new SharedText(after) }, now);
    assert.deepEqual(ops.reduce(apply, now), { s: new SharedText(`THEIRS${long}THEIRS`) });
    assert.ok(ops.length <= 2, String(ops.length));
  }
});
