/**
 * A shared text in CodeMirror 6: `@rejoinder/client/codemirror`.
 *
 * ```ts
 * new EditorView({ parent, extensions: [basicSetup, sharedText(conversation.document("page"), ["body"])] });
 * ```
 */
import { Annotation, EditorState, StateEffect, StateField, Transaction, type Extension } from "@codemirror/state";
import { ViewPlugin, type EditorView, type ViewUpdate } from "@codemirror/view";
import { EditError } from "./document/error.js";
import { SharedText } from "./document/kinds.js";
import { difference } from "./document/difference.js";
import { at } from "./document/tree.js";
import type { DocumentEdit, DocumentValue, Path, SharedDocument } from "./types.js";

/** Marks what came from the document, and is not to be written to it again. */
const fromDocument = Annotation.define<boolean>();
const loaded = StateEffect.define<boolean>();

/** Whether the text is here: before that, nothing can be typed. */
const isLoaded = StateField.define<boolean>({
  create: () => false,
  update: (is, { effects }) => effects.find((effect) => effect.is(loaded))?.value ?? is,
});

/**
 * Keeps an editor and a text of a document the same. What is typed shows in the document at once; what
 * others write comes into the editor, where the selection keeps its place, and stays out of its undo.
 * Where there is no text yet, the first that is typed makes it.
 */
export function sharedText(document: SharedDocument, path: Path): Extension {
  return [
    isLoaded,
    // Otherwise what the editor takes for the end of a line is one character here and two there.
    EditorState.lineSeparator.of("\n"),
    EditorState.readOnly.compute([isLoaded], (state) => !state.field(isLoaded)),
    ViewPlugin.define((view) => new Binding(view, document, path)),
  ];
}

class Binding {
  readonly #view: EditorView;
  readonly #document: SharedDocument;
  readonly #path: Path;
  readonly #stop: () => void;
  #isOver = false;

  constructor(view: EditorView, document: SharedDocument, path: Path) {
    this.#view = view;
    this.#document = document;
    this.#path = path;
    this.#stop = document.value.subscribe(() => this.#pull());
    // An editor can't be changed while it is made.
    queueMicrotask(() => this.#pull());
  }

  update(update: ViewUpdate): void {
    if (!update.docChanged) return;
    const own = update.transactions.filter((transaction) => transaction.docChanged);
    if (own.every((transaction) => transaction.annotation(fromDocument) === true)) return;
    this.#push(update);
  }

  destroy(): void {
    this.#isOver = true;
    this.#stop();
  }

  /** What was typed goes into the document. */
  #push({ changes }: ViewUpdate): void {
    const write = (edit: DocumentEdit): void => {
      if (this.#text() === undefined) edit.ensure(this.#path, new SharedText());
      changes.iterChanges((fromA, toA, fromB, _, inserted) => {
        edit.spliceText(this.#path, fromB, toA - fromA, inserted.toString());
      });
    };
    this.#document.change(write).catch((error: unknown) => {
      // Not in the middle of the editor's own update.
      queueMicrotask(() => this.#pull());
      if (!(error instanceof EditError)) reportError(error);
    });
  }

  /** What the document says comes into the editor. */
  #pull(): void {
    const value = this.#document.value.current;
    if (this.#isOver || value === undefined) return;
    const { state } = this.#view;
    const { index, deleted, inserted } = difference(state.doc.toString(), this.#text() ?? "");
    const isSame = deleted === 0 && inserted === "";
    if (isSame && state.field(isLoaded)) return;
    this.#view.dispatch({
      ...(isSame ? {} : { changes: { from: index, to: index + deleted, insert: inserted } }),
      annotations: [fromDocument.of(true), Transaction.addToHistory.of(false)],
      effects: loaded.of(true),
    });
  }

  #text(): string | undefined {
    const text: DocumentValue | undefined = at(this.#document.value.current, this.#path);
    return text instanceof SharedText ? text.value : undefined;
  }
}
