import type { DocumentEdit, DocumentValue, Path, SharedDocument } from "../types.js";
import { EditError } from "./error.js";
import { SharedText } from "./kinds.js";
import { at } from "./tree.js";

/** A text of a document, as an editor is bound to it. */
export class BoundText {
  readonly #document: SharedDocument;
  readonly #path: Path;
  readonly #pull: () => void;
  readonly #stop: () => void;
  #isOver = false;

  /** Calls `pull` when what the document says is to come into the editor: once it is read, and from then on. */
  constructor(document: SharedDocument, path: Path, pull: () => void) {
    this.#document = document;
    this.#path = path;
    this.#pull = () => {
      if (!this.#isOver && document.value.current !== undefined) pull();
    };
    this.#stop = document.value.subscribe(this.#pull);
    // An editor can't be changed while it is made.
    queueMicrotask(this.#pull);
  }

  /** The text; `undefined` while there is none. */
  get value(): string | undefined {
    const found = this.#found;
    return found instanceof SharedText ? found.value : undefined;
  }

  /** What stands there and is no text can't be edited as one. */
  get isEditable(): boolean {
    return this.#found === undefined || this.value !== undefined;
  }

  get #found(): DocumentValue | undefined {
    return at(this.#document.value.current, this.#path);
  }

  /** What was typed goes into the document. Where there is no text yet, this makes it. */
  write(splice: (edit: DocumentEdit, path: Path) => void): void {
    const write = (edit: DocumentEdit): void => {
      if (this.value === undefined) edit.ensure(this.#path, new SharedText());
      splice(edit, this.#path);
    };
    this.#document.change(write).catch((error: unknown) => {
      // Not in the middle of the editor's own update.
      queueMicrotask(this.#pull);
      if (!(error instanceof EditError)) reportError(error);
    });
  }

  /** The editor is gone. */
  stop(): void {
    this.#isOver = true;
    this.#stop();
  }
}
