/** Editors and frameworks over documents and live values. */
import "./browser.js";
import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import { EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { Window } from "happy-dom";
import { get } from "svelte/store";
import { computed, effectScope, nextTick, ref, watchEffect } from "vue";
import { sharedText } from "../src/codemirror.js";
import { DocumentHandle } from "../src/document/handle.js";
import { RejoinderError, SharedText, type DocumentValue } from "../src/index.js";
import { Cell } from "../src/live.js";
import { readable } from "../src/svelte.js";
import { useDocumentAt, useLive } from "../src/vue.js";
import { FakeEngine } from "./engine.js";

const window = new Window();
before(() => {
  for (const name of [
    "document",
    "MutationObserver",
    "getComputedStyle",
    "requestAnimationFrame",
    "cancelAnimationFrame",
    "Node",
    "HTMLElement",
    "getSelection",
  ]) {
    Object.defineProperty(globalThis, name, { value: Reflect.get(window, name) as unknown, configurable: true });
  }
  Object.defineProperty(globalThis, "window", { value: window, configurable: true });
});
after(() => window.close());

async function opened(t: TestContext, content: DocumentValue) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  return { engine, document };
}

async function editor(t: TestContext, content: DocumentValue) {
  const { engine, document } = await opened(t, content);
  const view = new EditorView({ state: EditorState.create({ extensions: [sharedText(document, ["body"])] }) });
  t.after(() => view.destroy());
  const isReadOnlyAtFirst = view.state.readOnly;
  await engine.quiet(document);
  const type = (from: number, to: number, insert: string): void => view.dispatch({ changes: { from, to, insert } });
  return { engine, document, view, type, isReadOnlyAtFirst, text: () => view.state.doc.toString() };
}

test("an editor shows the text, and what is typed is in the document at once", async (t) => {
  const { engine, document, view, type, isReadOnlyAtFirst, text } = await editor(t, {
    body: new SharedText("a😀b\r\nc"),
  });
  assert.equal(isReadOnlyAtFirst, true, "until it is here");
  assert.equal(view.state.readOnly, false);
  assert.equal(text(), "a😀b\r\nc");
  type(3, 4, "B!");
  assert.equal(String((document.value.current as { body: SharedText }).body), "a😀B!\r\nc");
  view.dispatch({
    changes: [
      { from: 0, insert: "1" },
      { from: 3, insert: "2" },
      { from: 5, to: 6, insert: "" },
    ],
  });
  await engine.quiet(document);
  assert.equal(String((engine.content as { body: SharedText }).body), text());
  assert.equal(text(), "1a😀2B!\nc");
});

test("what others write comes into the editor, around the selection", async (t) => {
  const { engine, document, view, text } = await editor(t, { body: new SharedText("hello") });
  view.dispatch({ selection: { anchor: 3 } });
  engine.remote([["body"]], { op: "spliceText", path: ["body"], index: 0, deleted: 0, inserted: "oh, " });
  await engine.quiet(document);
  assert.equal(text(), "oh, hello");
  assert.equal(view.state.selection.main.anchor, 7);
  assert.equal(
    engine.asked.some(({ method }) => method === "document.change"),
    false,
    "and is not written again",
  );
});

test("the first that is typed makes the text", async (t) => {
  const { engine, document, type } = await editor(t, {});
  type(0, 0, "first");
  await engine.quiet(document);
  assert.deepEqual(engine.content, { body: new SharedText("first") });
});

test("where something else stands, nothing can be typed until it is a text", async (t) => {
  const { engine, document, view, text } = await editor(t, { body: "plain" });
  assert.equal(view.state.readOnly, true);
  engine.remote([["body"]], { op: "convert", path: ["body"], value: new SharedText("shared") });
  await engine.quiet(document);
  assert.equal(view.state.readOnly, false);
  assert.equal(text(), "shared");
  engine.remote([["body"]], { op: "put", path: ["body"], value: "plain" });
  await engine.quiet(document);
  assert.equal(view.state.readOnly, true, "nor from when something else is put there");
  engine.remote([["body"]], { op: "put", path: ["body"], value: new SharedText("again") });
  await engine.quiet(document);
  assert.deepEqual([view.state.readOnly, text()], [false, "again"]);
});

test("what can't be written leaves the editor again", async (t) => {
  const { engine, document, type, text } = await editor(t, { body: new SharedText("kept") });
  engine.refusals.set(
    "document.change",
    new RejoinderError("too_large", "full", { details: { op: 0, reason: "too_large" } }),
  );
  type(4, 4, " and lost");
  assert.equal(text(), "kept and lost");
  await engine.quiet(document);
  assert.equal(text(), "kept");
  type(0, 0, "\uD800");
  await engine.quiet(document);
  assert.equal(text(), "kept", "half of a character");
});

test("two who type at once end with one text", async (t) => {
  const { engine, document, type, text } = await editor(t, { body: new SharedText("") });
  for (let n = 0; n < 100; n++) {
    type(text().length, text().length, String(n % 10));
    if (n % 3 === 0) {
      engine.remote([["body"]], { op: "spliceText", path: ["body"], index: 0, deleted: 0, inserted: "é" });
    }
    engine.step();
    if (n % 10 === 0) await engine.settle();
  }
  await engine.quiet(document);
  assert.equal(text(), String((engine.content as { body: SharedText }).body));
  assert.equal(text().length, 134);
});

test("a live value is one of Svelte's stores", () => {
  const cell = new Cell(1);
  const store = readable(cell);
  assert.equal(get(store), 1);
  const seen: number[] = [];
  const stop = store.subscribe((value) => seen.push(value));
  cell.set(2);
  stop();
  cell.set(3);
  assert.deepEqual(seen, [1, 2]);
  assert.equal(cell.isFollowed, false);
});

test("Vue follows a live value, another one when it changes, and lets go with its scope", async () => {
  const [one, two] = [new Cell("one"), new Cell("two")];
  const which = ref(1);
  const scope = effectScope();
  const seen: string[] = [];
  scope.run(() => {
    const value = useLive(computed(() => (which.value === 1 ? one : two)));
    watchEffect(() => seen.push(value.value), { flush: "sync" });
  });
  one.set("one!");
  which.value = 2;
  await nextTick();
  one.set("unheard");
  two.set("two!");
  scope.stop();
  two.set("unheard");
  assert.deepEqual(seen, ["one", "one!", "two", "two!"]);
  assert.deepEqual([one.isFollowed, two.isFollowed], [false, false]);
});

test("Vue follows a path of a document", async (t) => {
  const { engine, document } = await opened(t, { title: "Plan", items: [1] });
  const scope = effectScope();
  const title = scope.run(() => useDocumentAt<string>(document, ["title"]));
  await engine.quiet(document);
  assert.equal(title?.value, "Plan");
  engine.remote([["title"]], { op: "put", path: ["title"], value: "New" });
  await engine.quiet(document);
  assert.equal(title?.value, "New");
  scope.stop();
});
