/** A shared text in ProseMirror. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Schema } from "prosemirror-model";
import { EditorState, TextSelection, type Transaction } from "prosemirror-state";
import type { EditorView } from "prosemirror-view";
import { DocumentHandle } from "../src/document/handle.js";
import { SharedText, type DocumentValue } from "../src/index.js";
import { sharedParagraphs, textOf } from "../src/prosemirror.js";
import { FakeEngine } from "./engine.js";

const schema = new Schema({
  nodes: {
    doc: { content: "paragraph+" },
    paragraph: { content: "(text | break | link)*" },
    text: {},
    break: { inline: true, leafText: () => "\n" },
    link: { inline: true, content: "text*" },
  },
  marks: { strong: {} },
});

/** An editor without a page: what the plugin has of one. */
async function editor(t: TestContext, content: DocumentValue) {
  const engine = new FakeEngine();
  engine.content = content;
  const document = new DocumentHandle(engine, "s", "plan");
  const plugin = sharedParagraphs(document, ["body"]);
  const view = {
    state: EditorState.create({ schema, plugins: [plugin] }),
    dispatch(transaction: Transaction): void {
      const before = view.state;
      view.state = before.apply(transaction);
      binding?.update?.(view as unknown as EditorView, before);
    },
  };
  const binding = plugin.spec.view?.(view as unknown as EditorView);
  t.after(() => {
    binding?.destroy?.();
    document.close();
  });
  const isEditable = (): boolean => plugin.props.editable?.call(plugin, view.state) === true;
  const isEditableAtFirst = isEditable();
  await engine.quiet(document);
  const kept = (): string => String((engine.content as { body: SharedText }).body);
  return { engine, document, view, isEditable, isEditableAtFirst, kept, text: () => textOf(view.state.doc) };
}

void test("an editor shows the text, and what is typed is in the document", async (t) => {
  const { engine, document, view, isEditable, isEditableAtFirst, text, kept } = await editor(t, {
    body: new SharedText("a😀b\n\nc"),
  });
  assert.deepEqual([isEditableAtFirst, isEditable()], [false, true]);
  assert.equal(text(), "a😀b\n\nc");
  assert.equal(view.state.doc.childCount, 3);
  view.dispatch(view.state.tr.insertText("!", 5));
  view.dispatch(view.state.tr.split(2));
  assert.equal(String((document.value.current as { body: SharedText }).body), text(), "at once");
  await engine.quiet(document);
  assert.equal(kept(), text());
  view.dispatch(view.state.tr.delete(1, view.state.doc.content.size - 1));
  await engine.quiet(document);
  assert.deepEqual([kept(), text()], ["", ""]);
});

void test("what others write comes into the editor, around selection and marks", async (t) => {
  const { engine, document, view, text } = await editor(t, { body: new SharedText("one\ntwo\nthree") });
  view.dispatch(view.state.tr.addMark(11, 14, schema.marks.strong.create()));
  view.dispatch(view.state.tr.setSelection(TextSelection.create(view.state.doc, 12)));
  const splice = (index: number, remove: number, insert: string) =>
    ({ op: "spliceText", path: ["body"], index, deleted: remove, inserted: insert }) as const;
  engine.remote([["body"]], splice(3, 0, "\nand a half"));
  await engine.quiet(document);
  assert.equal(text(), "one\nand a half\ntwo\nthree");
  const { $from } = view.state.selection;
  assert.equal($from.parent.textContent, "three");
  assert.equal($from.parentOffset, 1);
  assert.equal(view.state.doc.child(3).firstChild?.marks.length, 1);
  engine.remote([["body"]], splice(3, 12, " "));
  await engine.quiet(document);
  assert.equal(text(), "one two\nthree");
  assert.equal(engine.asked.filter(({ method }) => method === "document.change").length, 0);
});

void test("what is no letter is this editor's alone, and no letter to anybody", async (t) => {
  const { engine, document, view, text, kept } = await editor(t, { body: new SharedText("one two\nthree") });
  const link = schema.nodes.link.create(null, schema.text("and"));
  view.dispatch(view.state.tr.insert(4, schema.nodes.break.create()).insert(9, link));
  await engine.quiet(document);
  assert.equal(kept(), "one twoand\nthree");
  view.dispatch(view.state.tr.insertText("!", 1));
  engine.remote([["body"]], { op: "spliceText", path: ["body"], index: 7, deleted: 2, inserted: "O t" });
  await engine.quiet(document);
  assert.deepEqual([kept(), text()], ["!one twO tnd\nthree", "!one twO tnd\nthree"]);
  const kinds: string[] = [];
  view.state.doc.child(0).forEach(({ type }) => kinds.push(type.name));
  assert.deepEqual(kinds, ["text", "break", "text", "link"]);
  engine.remote([["body"]], { op: "spliceText", path: ["body"], index: 14, deleted: 0, inserted: "\n\nR" });
  await engine.quiet(document);
  assert.equal(text(), "!one twO tnd\nt\n\nRhree");
});

void test("where something else is put, nothing can be typed until it is a text", async (t) => {
  const { engine, document, view, isEditable, text } = await editor(t, { body: new SharedText("shared") });
  engine.remote([["body"]], { op: "put", path: ["body"], value: "plain" });
  await engine.quiet(document);
  assert.equal(isEditable(), false);
  view.dispatch(view.state.tr.insertText("!", 1));
  assert.equal(text(), "shared");
  engine.remote([["body"]], { op: "put", path: ["body"], value: new SharedText("again") });
  await engine.quiet(document);
  assert.deepEqual([isEditable(), text()], [true, "again"]);
});

void test("the first that is typed makes the text", async (t) => {
  const { engine, document, view, kept } = await editor(t, {});
  view.dispatch(view.state.tr.insertText("Dear all,", 1));
  await engine.quiet(document);
  assert.equal(kept(), "Dear all,");
});

void test("any edits of both sides end equal", async (t) => {
  const { engine, document, view, text, kept } = await editor(t, { body: new SharedText("") });
  let seed = 7;
  const draw = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let round = 0; round < 60; round += 1) {
    const size = view.state.doc.content.size;
    const from = 1 + draw(size - 1);
    if (draw(3) === 0 && view.state.doc.resolve(from).parent.isTextblock) view.dispatch(view.state.tr.split(from));
    else view.dispatch(view.state.tr.insertText("xy"[draw(2)] ?? "", from, Math.min(size - 1, from + draw(3))));
    await engine.quiet(document);
    const length = kept().length;
    const index = draw(length + 1);
    engine.remote([["body"]], {
      op: "spliceText",
      path: ["body"],
      index,
      deleted: draw(length - index + 1),
      inserted: ["", "z", "\n", "a\nb"][draw(4)] ?? "",
    });
    await engine.quiet(document);
    assert.equal(text(), kept());
  }
});
