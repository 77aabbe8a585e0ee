/**
 * What a tab shows of a document: what it has read of the engine's, and its own edits on top, until what
 * was read contains them.
 */
import { apply, at, isList, isMap, replaced, share, type Op } from "./tree.js";
import type { DocumentValue } from "./kinds.js";
import type { Path } from "../types.js";

/** An own edit under way. */
export interface Pending {
  readonly ops: readonly Op[];
  /** Counts this tab's edits of the document. */
  readonly number: number;
  /** The engine has made it. */
  isMade: boolean;
}

/** What was read at a path; nothing, if nothing is there. */
export interface Reading {
  readonly path: Path;
  readonly value: DocumentValue | undefined;
}

/** A document as a tab has it. */
export class Replica {
  #base: DocumentValue | undefined;
  #shown: DocumentValue | undefined;
  #pending: readonly Pending[] = [];
  #last = 0;
  /** The newest edit that the reading on its way contains, while there is one. */
  #asked: number | undefined;

  /** What to show; undefined until it was read. */
  get shown(): DocumentValue | undefined {
    return this.#shown;
  }

  /** A reading is asked for: it will contain all edits that began before. One at a time. */
  ask(): void {
    this.#asked = this.#last;
  }

  /** An edit begins. It fails if it can't be made of what is shown. */
  begin(ops: readonly Op[]): Pending {
    if (this.#shown !== undefined) this.#shown = ops.reduce(apply, this.#shown);
    const pending: Pending = { ops, number: ++this.#last, isMade: false };
    this.#pending = [...this.#pending, pending];
    return pending;
  }

  /** The engine has made an edit. */
  made(pending: Pending): void {
    pending.isMade = true;
    this.#settle();
  }

  /** The engine has not: it shows no longer. A reading that was taken to contain it did not. */
  failed(pending: Pending): void {
    this.#pending = this.#pending.filter((item) => item !== pending);
    this.#show();
  }

  /**
   * Takes in what was asked for last. False if what it belongs into is not known: then the whole has to be
   * read.
   */
  read(readings: readonly Reading[]): boolean {
    const asked = this.#asked ?? this.#last;
    this.#asked = undefined;
    let base = replayed(
      this.#base,
      this.#pending.filter((item) => item.number <= asked),
    );
    for (const { path, value } of readings) {
      base = value === undefined ? removed(base, path) : placed(base, path, 0, value);
      if (base === undefined) return false;
    }
    this.#pending = this.#pending.filter((item) => item.number > asked);
    this.#base = base;
    this.#settle();
    this.#show();
    return true;
  }

  /** Nothing came of what was asked for. */
  unread(): void {
    this.#asked = undefined;
    this.#settle();
  }

  /** What was made becomes part of what is known, unless a reading is on its way that is older. */
  #settle(): void {
    for (;;) {
      const [first, ...rest] = this.#pending;
      if (first?.isMade !== true || first.number > (this.#asked ?? first.number)) return;
      this.#base = replayed(this.#base, [first]);
      this.#pending = rest;
    }
  }

  #show(): void {
    const now = replayed(this.#base, this.#pending);
    this.#shown = now === undefined ? undefined : share(this.#shown, now);
  }
}

/** The document with edits on top; those that can't be made of it any longer are left out. */
function replayed(base: DocumentValue | undefined, edits: readonly Pending[]): DocumentValue | undefined {
  if (base === undefined) return undefined;
  return edits.reduce((value, { ops }) => {
    try {
      return ops.reduce(apply, value);
    } catch {
      return value;
    }
  }, base);
}

/** With another value at a path; nothing if no place leads there. */
function placed(
  base: DocumentValue | undefined,
  path: Path,
  depth: number,
  value: DocumentValue,
): DocumentValue | undefined {
  const step = path[depth];
  if (step === undefined) return base === undefined ? value : share(base, value);
  const fits = isList(base) ? typeof step === "number" && step < base.length : isMap(base) && typeof step === "string";
  if (!fits || base === undefined) return undefined;
  const before = at(base, [step]);
  if (before === undefined && depth < path.length - 1) return undefined;
  const inner = placed(before, path, depth + 1, value);
  if (inner === undefined || inner === before) return inner === undefined ? undefined : base;
  return replaced(base, step, inner);
}

function removed(base: DocumentValue | undefined, path: Path): DocumentValue | undefined {
  const step = path.at(-1);
  if (base === undefined || typeof step !== "string") return undefined;
  if (at(base, path) === undefined) return at(base, path.slice(0, -1)) === undefined ? undefined : base;
  return apply(base, { op: "delete", path });
}
