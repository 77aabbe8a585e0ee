/** Drafts, schemas and beginnings: what `@rejoinder/client/typed` gives. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { DocumentHandle } from "../src/document/handle.js";
import { apply } from "../src/document/tree.js";
import { EditError, RejoinderError, SharedCounter, SharedText, values, type DocumentValue } from "../src/index.js";
import { SchemaError, difference, typed, type Draft } from "../src/typed/index.js";
import { record } from "../src/typed/record.js";
import { FakeEngine } from "./engine.js";

interface Item {
  readonly text: string;
  readonly done: boolean;
}
interface Plan {
  readonly title: string;
  readonly items: readonly Item[];
  readonly body: SharedText;
  readonly count: SharedCounter;
  readonly tags?: { readonly [key: string]: boolean };
}

const PLAN = {
  title: "Plan",
  items: [
    { text: "milk", done: false },
    { text: "bread", done: false },
    { text: "tea", done: true },
  ],
  body: new SharedText("a😀b"),
  count: new SharedCounter(1),
};

/** What a draft came to, by its operations alone. */
function changed(edit: (draft: Draft<Plan>) => unknown, of: DocumentValue = PLAN): DocumentValue {
  return record<Plan>(of, edit).reduce(apply, of);
}

test("what is done to a draft comes out of its operations", () => {
  const after = changed((doc) => {
    doc.title = "Shopping";
    doc.items.push({ text: "eggs", done: false });
    const bread = doc.items.find((item) => item.text === "bread");
    doc.items.splice(0, 1);
    assert.equal(doc.items.length, 3);
    if (bread !== undefined) bread.done = true;
    doc.body.splice(4, 0, "!");
    doc.count.increment(2);
    doc.tags = { home: true };
    doc.tags["work"] = false;
    delete doc.tags["home"];
    doc.items.unshift({ text: "first", done: true });
    assert.equal(doc.items.pop()?.text, "eggs");
  });
  assert.deepEqual(after, {
    title: "Shopping",
    items: [
      { text: "first", done: true },
      { text: "bread", done: true },
      { text: "tea", done: true },
    ],
    body: new SharedText("a😀b!"),
    count: new SharedCounter(3),
    tags: { work: false },
  });
});

test("a draft reads as the document does, with what was written to it", () => {
  record<Plan>(PLAN, (doc) => {
    assert.deepEqual(Object.keys(doc), Object.keys(PLAN));
    assert.ok(Array.isArray(doc.items));
    assert.deepEqual(
      doc.items.filter((item) => !item.done).map((item) => item.text),
      ["milk", "bread"],
    );
    assert.equal(JSON.stringify(doc), JSON.stringify(PLAN));
    assert.deepEqual([...doc.items.entries()].length, 3);
    assert.ok("title" in doc && !("x" in doc));
    assert.equal(doc.body.length, 4);
    assert.equal(`${doc.body} ${doc.count}`, "a😀b 1");
    doc.items[1] = { text: "rolls", done: true };
    assert.equal(doc.items[1].text, "rolls");
    assert.equal(doc.items.indexOf(doc.items[2] as Item), 2);
  });
});

test("little is written: what is the same is not, and a text only where it differs", () => {
  const ops = record<Plan>(PLAN, (doc) => {
    doc.title = "Plan";
    doc.items[0] = doc.items[0] as Item;
    doc.body.update("a😁b");
    (doc as { count: unknown }).count = 5;
    doc.items = doc.items.map((item) => ({ ...item }));
  });
  assert.deepEqual(ops, [
    { op: "spliceText", path: ["body"], index: 1, deleted: 2, inserted: "😁" },
    { op: "increment", path: ["count"], by: 4 },
  ]);
});

test("what was copied inside of a draft is a copy", () => {
  const after = changed((doc) => {
    doc.items.push(doc.items[0] as Item);
    (doc.items[0] as { done: boolean }).done = true;
    doc.items[1] = { ...(doc.items[1] as Item), done: true };
  });
  assert.deepEqual((after as unknown as Plan).items, [
    { text: "milk", done: true },
    { text: "bread", done: true },
    { text: "tea", done: true },
    { text: "milk", done: false },
  ]);
});

test("what a document can't do is refused, by operation and path", () => {
  const refused: readonly [(doc: Draft<Plan>) => unknown, RegExp][] = [
    [(doc) => doc.items.sort(), /sort \["items"\]/],
    [(doc) => doc.items.reverse(), /reverse \["items"\]/],
    [(doc) => delete doc.items[0], /has no holes/],
    [(doc) => (doc.items.length = 9), /can't be made to have 9/],
    [(doc) => (doc.items[7] = { text: "x", done: false }), /put \["items",7\]: .*no index 7/],
    [
      (doc) => doc.items.push({ text: "x", done: (() => 1) as never }),
      /insert \["items",3,"done"\]: a document holds no function/,
    ],
    [(doc) => doc.body.splice(2, 0, "x"), /inside of a character/],
    [(doc) => doc.count.increment(0.5), /whole numbers/],
    [(doc) => Object.defineProperty(doc, "x", { value: 1 }), /no such properties/],
    [
      (doc) => {
        const [first] = doc.items;
        doc.items.shift();
        if (first !== undefined) first.done = true;
      },
      /no longer in the document/,
    ],
    [async (doc) => (doc.title = "later"), /must not return a promise/],
    // oxlint-disable-next-line unicorn/no-thenable
    [(doc) => ({ then: () => (doc.title = "later") }), /must not return a promise/],
  ];
  for (const [edit, reason] of refused) {
    assert.throws(
      () => record<Plan>(PLAN, edit),
      (error: unknown) => {
        assert.ok(error instanceof EditError, String(error));
        assert.match(error.message, reason);
        return true;
      },
    );
  }
});

test("rows may change places, and what was taken out may be put in elsewhere", () => {
  interface Row {
    n: number;
    in: { x: number };
  }
  const row = (n: number, x = 0): Row => ({ n, in: { x } });
  const made = (edit: (list: Row[] & { 0: Row; 1: Row }) => void): unknown => {
    const document = { l: [row(1), row(2), row(3)] } as unknown as DocumentValue;
    const ops = record(document, (doc) => edit((doc as { l: Row[] & { 0: Row; 1: Row } }).l));
    return (ops.reduce(apply, document) as unknown as { l: Row[] }).l;
  };
  const swapped = made((list) => {
    [list[0], list[1]] = [list[1], list[0]];
  });
  assert.deepEqual(swapped, [row(2), row(1), row(3)]);
  const moved = made((list) => {
    const second = list[1];
    const inner = second.in;
    inner.x = 6;
    list.splice(1, 1);
    list.push(second, { n: 4, in: inner });
  });
  assert.deepEqual(moved, [row(1), row(3), row(2, 6), row(4, 6)]);
  const late = (): unknown =>
    made((list) => {
      const inner = list[1].in;
      list.shift();
      list.shift();
      inner.x = 1;
    });
  assert.throws(late, { operation: "put", path: ["l", 0, "in"], reason: "it is no longer in the document" });
});

test("a list is spliced from where an array would be", () => {
  for (const start of [0.5, Number.NaN, undefined, "1", -1.9, Infinity, -Infinity, null]) {
    const [array, list] = [[1, 2, 3], { l: [1, 2, 3] }];
    array.splice(start as number, 1);
    const ops = record<{ l: number[] }>(list, (doc) => void doc.l.splice(start as number, 1));
    assert.deepEqual(ops.reduce<DocumentValue>(apply, list), { l: array }, String(start));
  }
});

test("a draft that was kept can't be used when the change is over", () => {
  let kept: Draft<Plan> | undefined;
  record<Plan>(PLAN, (doc) => (kept = doc) && undefined);
  assert.throws(() => kept?.title, /the change is over/);
  assert.throws(() => kept?.items, /the change is over/);
});

test("a text's difference is one stretch, and splits no character", () => {
  assert.deepEqual(difference("hello", "help"), { index: 3, deleted: 2, inserted: "p" });
  assert.deepEqual(difference("aaa", "aaaa"), { index: 3, deleted: 0, inserted: "a" });
  for (const [old, now] of [
    ["😀", "😁"],
    ["a😀", "a"],
    ["😀😀", "😀"],
    ["\u{1F600}x", "\u{1F900}x"],
    ["", "x"],
    ["\u{10000}", "\u{10400}"],
  ] as const) {
    const { index, deleted, inserted } = difference(old, now);
    assert.equal(old.slice(0, index) + inserted + old.slice(index + deleted), now);
    assert.ok(!/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/.test(inserted), `${old} ${now}`);
  }
});

async function open(t: TestContext, content: DocumentValue) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    return engine.until(promise);
  };
  return { engine, document, settled };
}

const ItemV = v.object({ text: v.string(), done: v.boolean() });
const SCHEMAS = {
  valibot: v.object({ items: v.array(ItemV) }),
  zod: z.object({ items: z.array(z.object({ text: z.string(), done: z.boolean() })) }),
  arktype: type({ items: type({ text: "string", done: "boolean" }).array() }),
} as const;

for (const [name, schema] of Object.entries(SCHEMAS)) {
  test(`a schema of ${name} types a document, and holds it to that at the edge`, async (t) => {
    const { engine, document, settled } = await open(t, {});
    const plan = typed(document, schema as typeof SCHEMAS.valibot, { initial: { items: [] } });
    const now = (): { readonly items: readonly Item[] } | undefined => plan.value.current;
    plan.value.subscribe(() => undefined);
    await engine.settle();
    assert.deepEqual(now(), { items: [] });
    assert.equal(
      engine.asked.some(({ method }) => method === "document.change"),
      false,
      "reading writes nothing",
    );
    const made = plan.change((doc) => {
      doc.items.push({ text: "milk", done: false });
    });
    assert.deepEqual(now()?.items[0], { text: "milk", done: false });
    await settled(made);
    assert.deepEqual(engine.content, { items: [{ text: "milk", done: false }] });
    const sent = engine.asked.find(({ method }) => method === "document.change")?.params["ops"] as readonly {
      op: string;
    }[];
    assert.deepEqual(
      sent.map(({ op }) => op),
      ["ensure", "insert"],
    );

    const asked = engine.asked.length;
    const bad = plan.change((doc) => {
      doc.items.push({ text: 1 as never, done: false });
    });
    await assert.rejects(settled(bad), SchemaError);
    assert.equal(engine.asked.length, asked, "nothing was sent");

    const before = now()?.items[0];
    engine.remote([["items"]], { op: "insert", path: ["items", 1], value: { text: "tea", done: true } });
    await engine.settle();
    assert.equal(now()?.items[0], before, "references are kept through the schema");

    engine.remote([["items", 1, "done"]], { op: "put", path: ["items", 1, "done"], value: "yes" });
    await engine.settle();
    assert.equal(now(), undefined);
    assert.equal(plan.issues.current.length, 1);
    await settled(
      plan.change((doc) => {
        (doc.items[1] as { done: boolean }).done = true;
      }),
    );
    assert.equal(now()?.items.length, 2);
    assert.deepEqual(plan.issues.current, []);
  });
}

for (const [name, schema] of Object.entries(SCHEMAS)) {
  test(`what does not fit a schema of ${name} already may come to stand elsewhere, and not more than once`, async (t) => {
    const bad = { text: "tea", done: "yes" };
    const { engine, document, settled } = await open(t, { items: [{ text: "milk", done: false }, bad] });
    const plan = typed(document, schema as typeof SCHEMAS.valibot);
    await settled(plan.change((doc) => void doc.items.shift()));
    assert.deepEqual(engine.content, { items: [bad] });
    await settled(plan.change((doc) => void doc.items.unshift({ text: "milk", done: true })));
    await assert.rejects(settled(plan.change((doc) => void doc.items.push(bad as never))), SchemaError);
    await settled(plan.change((doc) => void doc.items.pop()));
    assert.deepEqual(engine.content, { items: [{ text: "milk", done: true }] });
  });
}

test("fields that a schema doesn't know stay", async (t) => {
  const { engine, document, settled } = await open(t, { items: [], fromTheFuture: { a: 1 } });
  const plan = typed(document, SCHEMAS.valibot);
  await settled(
    plan.change((doc) => {
      doc.items.push({ text: "milk", done: false });
    }),
  );
  assert.deepEqual((engine.content as { fromTheFuture: unknown }).fromTheFuture, { a: 1 });
});

test("a later version adds what it begins with, beside what is there", async (t) => {
  const { engine, document, settled } = await open(t, { items: [1], meta: { by: "ada" } });
  const plan = typed<{ items: number[]; meta: { by: string; colour: string }; count: SharedCounter }>(document, {
    initial: { items: [], meta: { by: "", colour: "red" }, count: values.counter(0) },
  });
  await settled(
    plan.change((doc) => {
      doc.count.increment();
    }),
  );
  assert.deepEqual(engine.content, { items: [1], meta: { by: "ada", colour: "red" }, count: values.counter(1) });
});

test("a change of a document that nobody follows is made of what it is now", async (t) => {
  const { engine, document, settled } = await open(t, { items: [{ text: "old", done: false }] });
  const plan = typed(document, SCHEMAS.valibot);
  await settled(plan.value.ready());
  engine.content = {
    items: [
      { text: "new", done: false },
      { text: "x", done: false },
    ],
  };
  engine.tell("lagged", {});
  await engine.settle();
  await settled(
    plan.change((doc) => {
      assert.equal(doc.items.length, 2);
      doc.items.push({ text: "y", done: false });
    }),
  );
  assert.equal((engine.content as { items: unknown[] }).items.length, 3);
});

test("a change of a document that is yet to be handed over is refused, whether somebody follows it or not", async (t) => {
  const engine = new FakeEngine();
  const waiting = (): void => void engine.refusals.set("document.get", new RejoinderError("waiting", "not yet"));
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const plan = typed<{ title: string }>(document);
  for (const follows of [false, true]) {
    if (follows) {
      waiting();
      plan.value.subscribe(() => undefined);
      await engine.settle();
    }
    waiting();
    await assert.rejects(engine.until(plan.change((doc) => void (doc.title = "x"))), { kind: "waiting" });
  }
  await engine.until(plan.change((doc) => void (doc.title = "x")));
  assert.deepEqual(engine.content, { title: "x" });
});

test("a schema that answers later is told so", async (t) => {
  const { engine, document } = await open(t, { items: [] });
  const plan = typed(document, v.objectAsync({ items: v.array(ItemV) }) as never);
  plan.issues.subscribe(() => undefined);
  await engine.settle();
  assert.match(plan.issues.current[0]?.message ?? "", /answers later/);
});
