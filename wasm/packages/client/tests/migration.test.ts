/** Documents of older versions are brought up to date, by each device alone and the same on all. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import * as v from "valibot";
import { DocumentHandle } from "../src/document/handle.js";
import { apply } from "../src/document/tree.js";
import { EditError, SharedText, values, type DocumentValue } from "../src/index.js";
import { typed, type Migration } from "../src/typed/index.js";
import { migrated } from "../src/typed/migration.js";
import { FakeEngine } from "./engine.js";

interface Old {
  body?: unknown;
  items: { name?: string; title?: string; tags?: unknown }[];
  notes?: unknown[];
}

const MIGRATIONS: readonly Migration[] = [
  (doc: Old) => {
    if (typeof doc.body === "string") doc.body = values.text(doc.body);
    for (const item of doc.items) {
      if (item.name === undefined) continue;
      item.title ??= item.name;
      delete item.name;
    }
  },
  (doc: Old) => {
    for (const item of doc.items) item.tags ??= [];
    for (const [n, note] of (doc.notes ?? []).entries()) {
      if (typeof note === "string" && doc.notes !== undefined) doc.notes[n] = { text: note };
    }
  },
];

const OLD = {
  body: "hello",
  items: [
    { name: "milk", fromTheFuture: 1 },
    { title: "tea", tags: ["x"] },
  ],
  notes: ["a"],
};
const NEW = {
  body: new SharedText("hello"),
  items: [
    { fromTheFuture: 1, title: "milk", tags: [] },
    { title: "tea", tags: ["x"] },
  ],
  notes: [{ text: "a" }],
};

async function open(t: TestContext, content: DocumentValue, migrations = MIGRATIONS) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const schema = v.looseObject({ items: v.array(v.looseObject({ title: v.string(), tags: v.array(v.string()) })) });
  const plan = typed(document, schema, { initial: { items: [] }, migrations });
  plan.value.subscribe(() => undefined);
  await engine.quiet(document);
  return { engine, document, plan };
}

test("an old document is shown as a new one, and written as one with the first change", async (t) => {
  const { engine, document, plan } = await open(t, OLD);
  assert.deepEqual(plan.value.current, NEW);
  assert.deepEqual(engine.content, OLD, "looking writes nothing");
  const made = plan.change((doc) => void doc.items[0]?.tags.push("mine"));
  await engine.quiet(document);
  await made;
  const [milk, tea] = NEW.items;
  assert.deepEqual(engine.content, { ...NEW, items: [{ ...milk, tags: ["mine"] }, tea] });
  const sent = engine.asked.find(({ method }) => method === "document.change")?.params["ops"] as { op: string }[];
  assert.deepEqual(
    sent.map(({ op }) => op),
    ["convert", "ensure", "delete", "ensure", "convert", "insert"],
  );
  const again = plan.change((doc) => void doc.items[1]?.tags.push("mine"));
  await engine.quiet(document);
  await again;
  const last = engine.asked.findLast(({ method }) => method === "document.change")?.params["ops"] as unknown[];
  assert.equal(last.length, 1, "what is up to date is left alone");
});

test("a document in which nothing was written has nothing to bring up to date", async (t) => {
  const { engine, document, plan } = await open(t, {});
  assert.deepEqual(plan.issues.current, []);
  assert.deepEqual(plan.value.current, { items: [] });
  const made = plan.change((doc) => void doc.items.push({ title: "milk", tags: [] }));
  await engine.quiet(document);
  await made;
  assert.deepEqual(engine.content, { items: [{ title: "milk", tags: [] }] });
});

test("what somebody with an older version brings later is brought up to date, too", async (t) => {
  const { engine, document, plan } = await open(t, NEW);
  const before = plan.value.current?.items[0];
  engine.remote([["items"]], { op: "insert", path: ["items", 2], value: { name: "old" } });
  await engine.quiet(document);
  assert.deepEqual(plan.value.current?.items[2], { title: "old", tags: [] });
  assert.equal(plan.value.current.items[0], before, "and what did not change keeps its reference");
});

test("it is done once: what is up to date gives no operation", () => {
  const ops = migrated(OLD, MIGRATIONS);
  const now = ops.reduce(apply, OLD as DocumentValue);
  assert.deepEqual(now, NEW);
  assert.deepEqual(migrated(now, MIGRATIONS), []);
});

test("what is built anew of what is up to date is left alone", () => {
  const whole: Migration = (doc: { items: object[] }) => {
    doc.items = doc.items.map((item) => ({ tags: [], ...item, left: undefined }));
  };
  const now = migrated(OLD, [whole]).reduce(apply, OLD as DocumentValue);
  assert.deepEqual((now as unknown as typeof OLD).items[0], { ...OLD.items[0], tags: [] });
  assert.deepEqual(migrated(now, [whole]), []);
});

test("what two devices would do twice is refused", () => {
  const twice: readonly ((doc: { l: unknown[]; s: SharedText; a?: unknown; n: unknown }) => void)[] = [
    (doc) => void doc.l.push(1),
    (doc) => void doc.l.splice(0, 1),
    (doc) => void doc.l.unshift(1),
    (doc) => doc.s.splice(0, 0, "x"),
    (doc) => (doc.n = 5),
    (doc) => {
      delete doc.a;
      doc.a = 1;
    },
  ];
  const content = { l: [1], s: new SharedText("a"), a: 0, n: values.counter(1) };
  for (const migration of twice) assert.throws(() => migrated(content, [migration]), EditError);
});

test("a migration that fails is told as what is wrong with the document, and changes nothing", async (t) => {
  const broken: Migration = () => {
    throw new TypeError("no such thing");
  };
  const { engine, plan } = await open(t, OLD, [broken]);
  assert.equal(plan.value.current, undefined);
  assert.match(plan.issues.current[0]?.message ?? "", /a migration failed: TypeError: no such thing/);
  assert.deepEqual(engine.content, OLD);
});

test("where a migration fails, what fits the schema no less than before can be changed", async (t) => {
  const broken: Migration = () => {
    throw new TypeError("no such thing");
  };
  const { engine, document, plan } = await open(t, OLD, [broken]);
  const made = plan.change((doc) => void Object.assign(doc, { mended: true }));
  made.catch(() => undefined);
  await engine.quiet(document);
  await made;
  assert.deepEqual(engine.content, { ...OLD, mended: true });
});

test("who brings a document up to date in the moment in which another does takes nothing of theirs away", async (t) => {
  const { engine, document, plan } = await open(t, OLD);
  engine.remote(
    [["body"], ["items"], ["notes"]],
    ...migrated(OLD, MIGRATIONS),
    { op: "spliceText", path: ["body"], index: 5, deleted: 0, inserted: " from another" },
    { op: "put", path: ["notes", 0, "text"], value: "theirs" },
  );
  const made = plan.change((doc) => {
    (doc["body"] as SharedText).splice(0, 0, "oh, ");
    doc.items[0]?.tags.push("mine");
  });
  made.catch(() => undefined);
  await engine.quiet(document);
  await made;
  const [milk, tea] = NEW.items;
  assert.deepEqual(engine.content, {
    ...NEW,
    body: new SharedText("oh, hello from another"),
    items: [{ ...milk, tags: ["mine"] }, tea],
    notes: [{ text: "theirs" }],
  });
});
