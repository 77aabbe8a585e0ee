/**
 * What a tab shows of a document: what it has read of the engine's, and its own edits on top, until what
 * was read contains them.
 *
 * One message is on its way to the engine at a time. Edits that are made meanwhile are made of what is
 * shown, are made anew of what others have changed, and follow together: as fast as one may type, a message
 * carries what has been typed since the last one was answered.
 */
import { apply, at, isList, isMap, replaced, share, type Op } from "./tree.js";
import type { DocumentValue } from "./kinds.js";
import type { Path } from "../types.js";

/** An own edit that was not read back yet. */
export interface Pending {
  ops: readonly Op[];
  /** On its way, and made of what the document no longer is: what it means there, should it be refused. */
  meant?: readonly Op[] | undefined;
  /** What it was made of; undefined if that is not known. */
  before: DocumentValue | undefined;
  /** It waits to be sent, is on its way, or was made. */
  state: "waits" | "sent" | "made";
  /** The reading on its way was asked for before it was sent. */
  isYounger: boolean;
  /** How much of a message it takes, as its sender counts. */
  readonly size: number;
  /** It is sent by itself: in a message of several one of them could not be made. */
  isAlone: boolean;
}

/** What was read at a path; nothing, if nothing is there. */
export interface Reading {
  readonly path: Path;
  readonly value: DocumentValue | undefined;
}

/** Makes an edit of one document one of what the document has become. */
export type Rebase = (was: DocumentValue, is: DocumentValue, ops: readonly Op[]) => readonly Op[];

/** A document as a tab has it. */
export class Replica {
  #base: DocumentValue | undefined;
  #shown: DocumentValue | undefined;
  /** What is shown on top of what was read, in its order. */
  #pending: readonly Pending[] = [];
  #onItsWay: readonly Pending[] = [];
  #isAsked = false;

  /** What to show; undefined until it was read. */
  get shown(): DocumentValue | undefined {
    return this.#shown;
  }

  /** Whether edits wait to be sent. */
  get hasWaiting(): boolean {
    return this.#pending.some(({ state }) => state === "waits");
  }

  /** A reading is asked for: it will contain what was sent before. One at a time. */
  ask(): void {
    this.#isAsked = true;
    for (const pending of this.#pending) pending.isYounger = pending.state === "waits";
  }

  /** An edit begins. It fails if it can't be made of what is shown. */
  begin(ops: readonly Op[], size: number): Pending {
    const before = this.#shown;
    if (before !== undefined) this.#shown = ops.reduce(apply, before);
    const pending: Pending = { ops, before, state: "waits", isYounger: true, size, isAlone: false };
    this.#pending = [...this.#pending, pending];
    return pending;
  }

  /** The next edits to be sent, in one message of a size, if none is on its way; from now on they are. */
  send(most: number): readonly Pending[] {
    if (this.#onItsWay.length > 0) return [];
    const next: Pending[] = [];
    let size = 0;
    for (const pending of this.#pending) {
      if (pending.state !== "waits") continue;
      const [first] = next;
      size += pending.size;
      if (first !== undefined && (size > most || !goTogether(first, pending))) break;
      next.push(pending);
    }
    for (const pending of next) {
      pending.state = "sent";
      pending.isYounger = this.#isAsked;
    }
    this.#onItsWay = next;
    return next;
  }

  /** The engine has made the edits that were sent. */
  made(sent: readonly Pending[]): void {
    this.#onItsWay = [];
    for (const pending of sent) {
      pending.state = "made";
      pending.meant = undefined;
    }
    this.#settle();
  }

  /**
   * None of the edits that were sent was made: they wait again. Gives whether a reading was taken to contain
   * some of them, which it did not: then the whole has to be read.
   */
  refused(sent: readonly Pending[]): boolean {
    this.#onItsWay = [];
    for (const pending of sent) {
      pending.state = "waits";
      pending.meant = undefined;
      pending.isYounger = true;
    }
    const taken = sent.filter((pending) => !this.#pending.includes(pending));
    this.#pending = [...taken, ...this.#pending];
    return taken.length > 0;
  }

  /** An edit can't be made: it shows no longer. A reading that was taken to contain it did not. */
  failed(pending: Pending): void {
    this.#onItsWay = this.#onItsWay.filter((item) => item !== pending);
    this.#pending = this.#pending.filter((item) => item !== pending);
    this.#show();
  }

  /**
   * Takes in what was asked for last. False if what it belongs into is not known: then the whole has to be
   * read. Edits that wait are made anew of it; `lost` hears of those that can't be.
   */
  read(
    readings: readonly Reading[],
    rebase: Rebase | undefined,
    lost: (pending: Pending, error: unknown) => void,
  ): boolean {
    this.#isAsked = false;
    const isContained = ({ isYounger }: Pending): boolean => !isYounger;
    let base = replayed(this.#base, this.#pending.filter(isContained));
    for (const { path, value } of readings) {
      base = value === undefined ? removed(base, path) : placed(base, path, 0, value);
      if (base === undefined) return false;
    }
    this.#pending = this.#pending.filter(({ isYounger }) => isYounger);
    this.#base = base;
    this.#settle();
    this.#rebase(rebase, lost);
    this.#show();
    return true;
  }

  /** Nothing came of what was asked for. */
  unread(): void {
    this.#isAsked = false;
    this.#settle();
  }

  /** What was made becomes part of what is known, unless a reading is on its way that is older. */
  #settle(): void {
    for (;;) {
      const [first, ...rest] = this.#pending;
      if (first?.state !== "made" || (this.#isAsked && first.isYounger)) return;
      this.#base = replayed(this.#base, [first]);
      this.#pending = rest;
    }
  }

  #rebase(rebase: Rebase | undefined, lost: (pending: Pending, error: unknown) => void): void {
    let now = this.#base;
    const anew = ({ before, ops }: Pending): readonly Op[] =>
      before === undefined || now === undefined ? ops : (rebase?.(before, now, ops) ?? ops);
    for (const pending of this.#pending) {
      try {
        if (pending.state === "waits") {
          pending.ops = anew(pending);
          pending.before = now;
        } else if (pending.state === "sent") {
          // Should others have changed what it was made of, it is refused, and made anew then.
          pending.meant = anew(pending);
        }
        now = now === undefined ? undefined : shown(pending).reduce(apply, now);
      } catch (error) {
        if (pending.state === "sent") pending.meant = [];
        if (pending.state !== "waits") continue;
        this.#pending = this.#pending.filter((item) => item !== pending);
        lost(pending, error);
      }
    }
  }

  #show(): void {
    const now = replayed(this.#base, this.#pending, shown);
    this.#shown = now === undefined ? undefined : share(this.#shown, now);
  }
}

/** Whether two edits may be sent in one message. */
function goTogether(one: Pending, other: Pending): boolean {
  return !one.isAlone && !other.isAlone && (one.before === undefined) === (other.before === undefined);
}

/** What is shown of an edit; what the engine makes is its operations as they were sent. */
function shown({ ops, meant }: Pending): readonly Op[] {
  return meant ?? ops;
}

/** The document with edits on top; those that can't be made of it any longer are left out. */
function replayed(
  base: DocumentValue | undefined,
  edits: readonly Pending[],
  of: (edit: Pending) => readonly Op[] = ({ ops }) => ops,
): DocumentValue | undefined {
  if (base === undefined) return undefined;
  return edits.reduce((value, edit) => {
    try {
      return of(edit).reduce(apply, value);
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
