/**
 * A shared text in ProseMirror, a paragraph a line: `@rejoinder/client/prosemirror`.
 *
 * ```ts
 * const plugins = [sharedParagraphs(conversation.document("page"), ["body"]), history()];
 * new EditorView(parent, { state: EditorState.create({ schema, plugins }) });
 * ```
 */
import { Fragment, Slice, type Node, type Schema } from "prosemirror-model";
import { Plugin, PluginKey, TextSelection, type EditorState, type Transaction } from "prosemirror-state";
import type { EditorView } from "prosemirror-view";
import { BoundText } from "./document/bound.js";
import { difference } from "./document/difference.js";
import type { Path, SharedDocument } from "./types.js";

/** Whether the text is here: as long as it is not, nothing can be typed. */
interface State {
  readonly isLoaded: boolean;
}

const KEY = new PluginKey<State>("rejoinder");

/**
 * Keeps an editor and a text of a document the same, for a schema whose document is a row of `paragraph`s. What is typed
 * shows in the document at once; what others write comes into the editor, where the selection keeps its place,
 * and stays out of its history. Marks and other nodes are this editor's alone. Where there is no text yet, the
 * first that is typed makes it.
 */
export function sharedParagraphs(document: SharedDocument, path: Path): Plugin {
  return new Plugin<State>({
    key: KEY,
    state: {
      init: () => ({ isLoaded: false }),
      apply: (transaction, state) => (transaction.getMeta(KEY) as State | undefined) ?? state,
    },
    // Nothing else may change what is not here yet.
    filterTransaction: (transaction, state) =>
      !transaction.docChanged || transaction.getMeta(KEY) !== undefined || KEY.getState(state)?.isLoaded === true,
    props: { editable: (state) => KEY.getState(state)?.isLoaded === true },
    view: (view) => new Binding(view, document, path),
  });
}

/** What an editor holds, a line a paragraph. */
export function textOf(doc: Node): string {
  const lines: string[] = [];
  doc.forEach((paragraph) => lines.push(lineOf(paragraph)));
  return lines.join("\n");
}

/** The letters of a paragraph. What else is in it is this editor's alone, and stands for none. */
function lineOf(paragraph: Node): string {
  return paragraph.textBetween(0, paragraph.content.size, undefined, () => "");
}

class Binding {
  readonly #view: EditorView;
  readonly #text: BoundText;

  constructor(view: EditorView, document: SharedDocument, path: Path) {
    this.#view = view;
    this.#text = new BoundText(document, path, () => this.#pull());
  }

  update(view: EditorView, before: EditorState): void {
    if (view.state.doc === before.doc) return;
    const now = textOf(view.state.doc);
    // What came from the document is there already.
    if (now !== (this.#text.value ?? "")) this.#push(textOf(before.doc), now);
  }

  destroy(): void {
    this.#text.stop();
  }

  #push(before: string, now: string): void {
    const { index, deleted, inserted } = difference(before, now);
    if (deleted === 0 && inserted === "") return;
    this.#text.write((edit, path) => edit.spliceText(path, index, deleted, inserted));
  }

  #pull(): void {
    const { state } = this.#view;
    const isLoaded = KEY.getState(state)?.isLoaded === true;
    if (!this.#text.isEditable) {
      if (isLoaded) this.#view.dispatch(state.tr.setMeta(KEY, { isLoaded: false } satisfies State));
      return;
    }
    const { index, deleted, inserted } = difference(textOf(state.doc), this.#text.value ?? "");
    const isSame = deleted === 0 && inserted === "";
    if (isSame && isLoaded) return;
    const transaction = state.tr.setMeta(KEY, { isLoaded: true } satisfies State).setMeta("addToHistory", false);
    if (!isSame) replace(transaction, index, deleted, inserted);
    this.#view.dispatch(transaction);
  }
}

/** Replaces a part of the text, and leaves the paragraphs around it, with their marks, as they are. */
function replace(transaction: Transaction, index: number, deleted: number, inserted: string): void {
  const { doc } = transaction;
  const [from, to] = [place(doc, index), place(doc, index + deleted)];
  const lines = inserted.split("\n").map((line) => paragraph(doc.type.schema, line));
  // The first and the last join what stands before and behind.
  transaction.replace(from, to, new Slice(Fragment.from(lines), 1, 1));
  if (transaction.selection.empty && !(transaction.selection instanceof TextSelection)) {
    transaction.setSelection(TextSelection.near(transaction.doc.resolve(transaction.selection.from)));
  }
}

function paragraph(schema: Schema, line: string): Node {
  const type = schema.nodes["paragraph"];
  if (type === undefined) throw new TypeError("the schema has no paragraph");
  return type.create(null, line === "" ? null : schema.text(line));
}

/** Where a place in the text is in the editor: each paragraph opens before its line and closes behind it. */
function place(doc: Node, index: number): number {
  let [left, position] = [index, 1];
  for (let n = 0; n < doc.childCount; n += 1) {
    const paragraph = doc.child(n);
    const { length } = lineOf(paragraph);
    if (left <= length || n === doc.childCount - 1) return position + within(paragraph, left);
    left -= length + 1;
    position += paragraph.nodeSize;
  }
  return position;
}

/** Behind so many letters of a paragraph. */
function within(paragraph: Node, letters: number): number {
  let [left, behind] = [letters, 0];
  paragraph.descendants((node, position) => {
    if (!node.isText || left === 0) return left > 0;
    const taken = Math.min(left, node.nodeSize);
    left -= taken;
    behind = position + taken;
    return false;
  });
  return behind;
}
