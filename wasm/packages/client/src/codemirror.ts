/**
 * A shared text in CodeMirror 6: `@rejoinder/client/codemirror`.
 *
 * ```ts
 * new EditorView({ parent, extensions: [basicSetup, sharedText(conversation.document("page"), ["body"])] });
 * ```
 */
import { Annotation, EditorState, StateEffect, StateField, Transaction, type Extension } from "@codemirror/state";
import { ViewPlugin, type EditorView, type ViewUpdate } from "@codemirror/view";
import { BoundText } from "./document/bound.js";
import { difference } from "./document/difference.js";
import type { Path, SharedDocument } from "./types.js";

/** Marks what came from the document, and is not to be written to it again. */
const fromDocument = Annotation.define<boolean>();
const loaded = StateEffect.define<boolean>();

/** Whether the text is here: as long as it is not, nothing can be typed. */
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
  readonly #text: BoundText;

  constructor(view: EditorView, document: SharedDocument, path: Path) {
    this.#view = view;
    this.#text = new BoundText(document, path, () => this.#pull());
  }

  update(update: ViewUpdate): void {
    if (!update.docChanged) return;
    const own = update.transactions.filter((transaction) => transaction.docChanged);
    if (own.every((transaction) => transaction.annotation(fromDocument) === true)) return;
    this.#push(update);
  }

  destroy(): void {
    this.#text.stop();
  }

  #push({ changes }: ViewUpdate): void {
    this.#text.write((edit, path) => {
      changes.iterChanges((fromA, toA, fromB, _, inserted) => {
        edit.spliceText(path, fromB, toA - fromA, inserted.toString());
      });
    });
  }

  #pull(): void {
    const { state } = this.#view;
    if (!this.#text.isEditable) {
      if (state.field(isLoaded)) this.#view.dispatch({ effects: loaded.of(false) });
      return;
    }
    const { index, deleted, inserted } = difference(state.doc.toString(), this.#text.value ?? "");
    const isSame = deleted === 0 && inserted === "";
    if (isSame && state.field(isLoaded)) return;
    this.#view.dispatch({
      ...(isSame ? {} : { changes: { from: index, to: index + deleted, insert: inserted } }),
      annotations: [fromDocument.of(true), Transaction.addToHistory.of(false)],
      effects: loaded.of(true),
    });
  }
}
