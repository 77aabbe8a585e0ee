/** Edits that were made of a document mean the same elements and letters in what it became meanwhile. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { DocumentHandle } from "../src/document/handle.js";
import { rebase } from "../src/document/rebase.js";
import { apply, type Op } from "../src/document/tree.js";
import { EditError, RejoinderError, SharedText, values, type DocumentValue } from "../src/index.js";
import { FakeEngine } from "./engine.js";

const ROWS = { rows: [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }], body: values.text("hello 😀 world") };

/** What becomes of an edit after somebody else's. */
function after(theirs: readonly Op[], own: readonly Op[], of: DocumentValue = ROWS): DocumentValue {
  const now = theirs.reduce(apply, of);
  return rebase(of, now, own).reduce(apply, now);
}

const unshift: Op = { op: "insert", path: ["rows", 0], value: { n: -1 } };

test("an index leads to the element that was meant", () => {
  const rows = (of: DocumentValue): unknown => (of as unknown as { rows: unknown }).rows;
  assert.deepEqual(rows(after([unshift], [{ op: "put", path: ["rows", 2, "n"], value: 9 }])), [
    { n: -1 },
    { n: 0 },
    { n: 1 },
    { n: 9 },
    { n: 3 },
  ]);
  assert.deepEqual(rows(after([unshift], [{ op: "delete", path: ["rows", 0] }])), [
    { n: -1 },
    { n: 1 },
    { n: 2 },
    { n: 3 },
  ]);
  assert.deepEqual(
    rows(after([{ op: "delete", path: ["rows", 0] }], [{ op: "insert", path: ["rows", 4], value: "end" }])),
    [{ n: 1 }, { n: 2 }, { n: 3 }, "end"],
  );
  assert.deepEqual(rows(after([unshift], [{ op: "move", path: ["rows", 3], to: 1 }])), [
    { n: -1 },
    { n: 0 },
    { n: 3 },
    { n: 1 },
    { n: 2 },
  ]);
  // Several operations of one edit, the later about what the earlier put in.
  const several: readonly Op[] = [
    { op: "insert", path: ["rows", 1], value: { n: 5 } },
    { op: "put", path: ["rows", 1, "n"], value: 6 },
    { op: "delete", path: ["rows", 2] },
  ];
  assert.deepEqual(rows(after([unshift], several)), [{ n: -1 }, { n: 0 }, { n: 6 }, { n: 2 }, { n: 3 }]);
  assert.throws(
    () => after([{ op: "delete", path: ["rows", 2] }], [{ op: "put", path: ["rows", 2, "n"], value: 9 }]),
    EditError,
  );
});

test("a position in a text stands behind the letter that it stood behind", () => {
  const body = (of: DocumentValue): string => String((of as unknown as { body: SharedText }).body);
  const theirs: Op = { op: "spliceText", path: ["body"], index: 0, deleted: 5, inserted: "good 😁" };
  const own = (index: number, deleted: number, inserted: string): Op => ({
    op: "spliceText",
    path: ["body"],
    index,
    deleted,
    inserted,
  });
  assert.equal(body(after([theirs], [own(8, 0, "!")])), "good 😁 😀! world");
  assert.equal(body(after([theirs], [own(8, 6, ".")])), "good 😁 😀.");
  const between: Op = { op: "spliceText", path: ["body"], index: 11, deleted: 0, inserted: "THEIRS" };
  assert.equal(body(after([between], [own(8, 6, "")])), "hello 😀THEIRS", "what others put between stays");
});

test("what others took away is not taken away again, and what they converted is not converted", () => {
  const of = { a: 1, m: { b: 1 }, s: "text" };
  const theirs: readonly Op[] = [
    { op: "delete", path: ["m", "b"] },
    { op: "convert", path: ["s"], value: values.text("text!") },
  ];
  const own: readonly Op[] = [
    { op: "convert", path: ["s"], value: values.text("text") },
    { op: "spliceText", path: ["s"], index: 0, deleted: 1, inserted: "T" },
    { op: "delete", path: ["m", "b"] },
    { op: "put", path: ["a"], value: 2 },
  ];
  assert.deepEqual(after(theirs, own, of), { a: 2, m: {}, s: values.text("Text!") });
  assert.deepEqual(after([], own, of), { a: 2, m: {}, s: values.text("Text") });
  assert.throws(() => after([{ op: "put", path: ["s"], value: "theirs" }], own, of), EditError);
});

test("in long texts and lists a place is found, whatever others do at both ends", () => {
  const rows = Array.from({ length: 5_000 }, (_, n) => ({ n }));
  const body = Array.from({ length: 5_000 }, (_, n) => String.fromCharCode(97 + ((n * 7) % 26))).join("");
  const ends: readonly Op[] = [
    { op: "insert", path: ["rows", 0], value: "first" },
    { op: "insert", path: ["rows", 5_001], value: "last" },
    { op: "spliceText", path: ["body"], index: 0, deleted: 1, inserted: "FIRST" },
    { op: "spliceText", path: ["body"], index: 5_004, deleted: 0, inserted: "LAST" },
  ];
  const now = after(
    ends,
    [
      { op: "put", path: ["rows", 2_500, "done"], value: true },
      { op: "spliceText", path: ["body"], index: 2_500, deleted: 2, inserted: "OWN" },
    ],
    { rows, body: values.text(body) },
  ) as unknown as { rows: readonly unknown[]; body: SharedText };
  assert.deepEqual(now.rows[2_501], { n: 2_500, done: true });
  assert.equal(now.rows.length, 5_002);
  assert.equal(String(now.body), `FIRST${body.slice(1, 2_500)}OWN${body.slice(2_502)}LAST`);
});

async function followed(t: TestContext, content: DocumentValue) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  document.value.subscribe(() => undefined);
  await engine.quiet(document);
  return { engine, document };
}

test("letters that are typed one after the other stay in their order, whatever others type", async (t) => {
  const { engine, document } = await followed(t, { body: new SharedText("") });
  let [typed, state] = ["", 5];
  const below = (most: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * most);
  };
  const all: Promise<void>[] = [];
  for (let n = 0; n < 200; n++) {
    const shown = String((document.value.current as { body: SharedText }).body);
    const letter = String.fromCharCode(97 + (n % 26));
    typed += letter;
    // Behind the last own letter, as an editor's selection stands.
    const index = shown.replace(/[^a-z]+$/u, "").length;
    all.push(document.change((edit) => edit.spliceText(["body"], index, 0, letter)));
    if (below(3) === 0) {
      const length = (engine.content as { body: SharedText }).body.length;
      const at = below(2) * length;
      engine.remote([["body"]], { op: "spliceText", path: ["body"], index: at, deleted: 0, inserted: "É" });
    }
    for (let step = below(4); step > 0; step--) engine.step();
    if (below(4) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await engine.quiet(document);
  await Promise.all(all);
  assert.deepEqual(document.value.current, engine.content);
  assert.equal(String((engine.content as { body: SharedText }).body).replaceAll("É", ""), typed);
  assert.equal(engine.kept.size, 0, "nothing is left written down");
});

test("the row that was ticked is ticked, and edits that wait are written down", async (t) => {
  const { engine, document } = await followed(t, ROWS);
  engine.remote([["rows"]], unshift);
  const ticked = document.change((edit) => edit.put(["rows", 2, "done"], true));
  const another = document.change((edit) => edit.put(["rows", 3, "done"], true));
  assert.ok(engine.kept.size > 0);
  await engine.quiet(document);
  await Promise.all([ticked, another]);
  assert.deepEqual((engine.content as unknown as typeof ROWS).rows, [
    { n: -1 },
    { n: 0 },
    { n: 1 },
    { n: 2, done: true },
    { n: 3, done: true },
  ]);
  assert.equal(engine.kept.size, 0);
});

test("an edit of what somebody took away at the same moment is told so, and the rest goes on", async (t) => {
  const { engine, document } = await followed(t, ROWS);
  engine.remote([["rows"]], { op: "delete", path: ["rows", 2] });
  const lost = document.change((edit) => edit.put(["rows", 2, "done"], true));
  lost.catch(() => undefined);
  const made = document.change((edit) => edit.put(["rows", 3, "done"], true));
  await engine.quiet(document);
  await assert.rejects(lost, { kind: "invalid", message: /somebody else took it away/ });
  await made;
  assert.deepEqual((engine.content as unknown as typeof ROWS).rows, [{ n: 0 }, { n: 1 }, { n: 3, done: true }]);
  assert.deepEqual(document.value.current, engine.content);
  assert.equal(engine.kept.size, 0);
});

test("whatever others do meanwhile, an own edit is of the row that was meant", async (t) => {
  let state = 5;
  const below = (most: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * Math.max(most, 1));
  };
  interface Row {
    readonly id: string;
    readonly mark?: string;
  }
  const rowsOf = (value: unknown): readonly Row[] => (value as { rows: readonly Row[] }).rows;
  for (let world = 0; world < 150; world++) {
    const engine = new FakeEngine();
    engine.content = { rows: [{ id: "a" }, { id: "b" }, { id: "c" }] };
    const document = new DocumentHandle(engine, "s", "plan");
    document.value.subscribe(() => undefined);
    await engine.quiet(document);
    const gone = new Set<string>();
    const kept = new Set(["a", "b", "c"]);
    const marked = new Map<string, string>();
    const made: Promise<unknown>[] = [];
    for (let turn = 0; turn < 20; turn++) {
      const shown = rowsOf(document.value.current);
      const there = rowsOf(engine.content);
      const n = below(shown.length);
      const id = shown[n]?.id;
      const doing = below(7);
      if (doing === 0 && id !== undefined) {
        // It may be gone by the time that it would be taken out, and then that is told.
        const change = document.change((edit) => edit.delete(["rows", n]));
        made.push(change.then(() => gone.add(id)).catch(() => undefined));
      } else if (doing === 1 && id !== undefined) {
        const mark = `m${turn}`;
        const change = document.change((edit) => edit.put(["rows", n, "mark"], mark));
        made.push(change.then(() => marked.set(mark, id)).catch(() => undefined));
      } else if (doing === 2) {
        const change = document.change((edit) => edit.insert(["rows", below(shown.length + 1)], { id: `own${turn}` }));
        made.push(change.then(() => kept.add(`own${turn}`)).catch(() => undefined));
      } else if (doing === 5 && below(2) === 0) {
        engine.refusals.set("document.change", new RejoinderError("store", "the disk is full"));
      } else if (doing === 3) {
        kept.add(`r${turn}`);
        engine.remote([["rows"]], { op: "insert", path: ["rows", below(there.length + 1)], value: { id: `r${turn}` } });
      } else if (doing === 4 && there.length > 0) {
        const other = below(there.length);
        gone.add(there[other]?.id ?? "");
        engine.remote([["rows"]], { op: "delete", path: ["rows", other] });
      } else engine.step();
      if (below(3) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await engine.quiet(document);
    await Promise.all(made);
    const left = new Map(rowsOf(engine.content).map((row) => [row.id, row]));
    assert.deepEqual([...left.keys()].sort(), [...kept].filter((id) => !gone.has(id)).sort(), `world ${world}`);
    for (const { id, mark } of left.values()) {
      if (mark !== undefined) assert.equal(marked.get(mark), id, `world ${world}`);
    }
    document.close();
  }
  t.diagnostic("150 worlds");
});
