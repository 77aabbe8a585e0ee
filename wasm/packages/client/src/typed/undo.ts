/** Undo and redo of one's own changes. */
import { Cell } from "../live.js";
import type { DocumentValue } from "../document/kinds.js";
import { apply } from "../document/tree.js";
import type { Live } from "../types.js";
import { ownChanges, replay, type OwnChange, type TypedDocument } from "./document.js";
import { revert } from "./revert.js";

/** Changes that are remembered, unless the app says otherwise. */
const DEPTH = 100;

/** What this person changed by a document's handle since it is remembered, to be taken back. */
export interface UndoHistory {
  readonly canUndo: Live<boolean>;
  readonly canRedo: Live<boolean>;
  /**
   * Takes back the newest own change that is not taken back yet. What others changed since stays as it is,
   * also where the own change was. False if there was nothing to take back.
   */
  undo(): Promise<boolean>;
  /** Makes again what was taken back last. */
  redo(): Promise<boolean>;
}

const HISTORIES = new WeakMap<object, UndoHistory>();

/** The history of what is changed by a document's handle, from the first call on; one for each handle. */
export function undoHistory<T>(document: TypedDocument<T>, options: { readonly depth?: number } = {}): UndoHistory {
  const known = HISTORIES.get(document);
  if (known !== undefined) return known;
  const history = new Remembered(document, options.depth ?? DEPTH);
  HISTORIES.set(document, history);
  return history;
}

interface Step {
  readonly before: DocumentValue;
  readonly after: DocumentValue;
}

class Remembered<T> implements UndoHistory {
  readonly canUndo = new Cell(false);
  readonly canRedo = new Cell(false);
  readonly #document: TypedDocument<T>;
  readonly #depth: number;
  #done: readonly Step[] = [];
  #undone: readonly Step[] = [];

  constructor(document: TypedDocument<T>, depth: number) {
    this.#document = document;
    this.#depth = depth;
    ownChanges(document).add((change) => this.#remember(change));
  }

  undo(): Promise<boolean> {
    const step = this.#done.at(-1);
    if (step === undefined) return Promise.resolve(false);
    this.#done = this.#done.slice(0, -1);
    return this.#take(step, (made) => {
      this.#undone = [...this.#undone, made];
    });
  }

  redo(): Promise<boolean> {
    const step = this.#undone.at(-1);
    if (step === undefined) return Promise.resolve(false);
    this.#undone = this.#undone.slice(0, -1);
    return this.#take(step, (made) => {
      this.#done = [...this.#done, made];
    });
  }

  #remember({ before, after, made }: OwnChange): void {
    const step = { before, after };
    this.#done = [...this.#done, step].slice(-this.#depth);
    this.#undone = [];
    this.#tell();
    made.catch(() => {
      this.#done = this.#done.filter((item) => item !== step);
      this.#tell();
    });
  }

  async #take(step: Step, keep: (made: Step) => void): Promise<boolean> {
    this.#tell();
    const { document } = this.#document;
    // Only what is followed is known to be of now.
    const { current, isFollowed } = document.value as Cell<DocumentValue | undefined>;
    const before = current !== undefined && isFollowed ? current : await document.value.ready();
    const ops = revert(step.before, step.after, before);
    if (ops.length === 0) return false;
    const made = { before, after: ops.reduce(apply, before) };
    const changed = document.change((edit) => {
      for (const op of ops) replay(edit, op);
    });
    keep(made);
    this.#tell();
    await changed;
    return true;
  }

  #tell(): void {
    this.canUndo.set(this.#done.length > 0);
    this.canRedo.set(this.#undone.length > 0);
  }
}
