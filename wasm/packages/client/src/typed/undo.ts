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
  readonly #done: Step[] = [];
  readonly #undone: Step[] = [];

  constructor(document: TypedDocument<T>, depth: number) {
    this.#document = document;
    this.#depth = depth;
    ownChanges(document).add((change) => this.#remember(change));
  }

  undo(): Promise<boolean> {
    return this.#take(this.#done, this.#undone);
  }

  redo(): Promise<boolean> {
    return this.#take(this.#undone, this.#done);
  }

  #remember({ before, after, made }: OwnChange): void {
    const step = { before, after };
    this.#done.push(step);
    if (this.#done.length > this.#depth) this.#done.shift();
    this.#undone.length = 0;
    this.#tell();
    made.catch(() => this.#forget(step, this.#done));
  }

  #forget(step: Step, among: Step[]): void {
    const place = among.indexOf(step);
    if (place >= 0) among.splice(place, 1);
    this.#tell();
  }

  async #take(from: Step[], to: Step[]): Promise<boolean> {
    const step = from.pop();
    if (step === undefined) return false;
    const place = from.length;
    this.#tell();
    let made: Step | undefined;
    try {
      const { document } = this.#document;
      const value = document.value as Cell<DocumentValue | undefined>;
      // Only what is followed is known to be of now. Meanwhile another step may have been taken.
      if (value.current === undefined || !value.isFollowed) await value.ready();
      const before = value.current ?? {};
      const ops = revert(step.before, step.after, before);
      if (ops.length === 0) return false;
      made = { before, after: ops.reduce(apply, before) };
      const changed = document.change((edit) => {
        for (const op of ops) replay(edit, op);
      });
      to.push(made);
      this.#tell();
      await changed;
      return true;
    } catch (error) {
      // Nothing was taken back: it still can be.
      from.splice(place, 0, step);
      if (made !== undefined) this.#forget(made, to);
      this.#tell();
      throw error;
    }
  }

  #tell(): void {
    this.canUndo.set(this.#done.length > 0);
    this.canRedo.set(this.#undone.length > 0);
  }
}
