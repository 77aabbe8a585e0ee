/** Gathers explicit operations. */
import type { DocumentEdit, Path } from "../types.js";
import { EditError } from "./error.js";
import { SharedCounter, SharedText, checkPath, copied, isThenable, type DocumentValue } from "./kinds.js";
import type { Op } from "./tree.js";

/** The operations that a function gathers. What it throws is thrown, and a promise is refused. */
export function gather(edits: (edit: DocumentEdit) => unknown): readonly Op[] {
  const gathered = new Gathered();
  const answer = edits(gathered);
  gathered.isOver = true;
  if (isThenable(answer)) {
    // Nobody waits for it, and what it adds later is refused.
    Promise.resolve(answer).catch(() => undefined);
    throw new EditError("change", [], "a change is made at once: its function must not return a promise");
  }
  return gathered.ops;
}

class Gathered implements DocumentEdit {
  readonly ops: Op[] = [];
  isOver = false;

  put(path: Path, value: DocumentValue): this {
    return this.#add({ op: "put", path, value });
  }

  insert(path: Path, value: DocumentValue): this {
    return this.#add({ op: "insert", path, value });
  }

  delete(path: Path): this {
    return this.#add({ op: "delete", path });
  }

  ensure(path: Path, value: DocumentValue): this {
    return this.#add({ op: "ensure", path, value });
  }

  convert(path: Path, value: DocumentValue): this {
    return this.#add({ op: "convert", path, value });
  }

  move(path: Path, to: number): this {
    return this.#add({ op: "move", path, to });
  }

  increment(path: Path, by = 1): this {
    return this.#add({ op: "increment", path, by });
  }

  spliceText(path: Path, index: number, deleted: number, inserted = ""): this {
    return this.#add({ op: "spliceText", path, index, deleted, inserted });
  }

  #add(op: Op): this {
    if (this.isOver) throw new EditError(op.op, op.path, "the change is over: nothing can be added to it");
    // Copies: what the caller does to its own objects afterwards is no change of the document.
    const path = checkPath(op.path, op.op);
    this.ops.push("value" in op ? { ...op, path, value: copied(op.value, op.op, path) } : { ...op, path });
    return this;
  }
}

/** Values that JSON has no word for. */
export const values = {
  /** A text that several people edit at once. */
  text: (initial = ""): SharedText => new SharedText(initial),
  /** A counter that several people count at once. */
  counter: (initial = 0): SharedCounter => new SharedCounter(initial),
  /** Bytes. */
  bytes: (bytes: Uint8Array): Uint8Array => bytes,
  /** A time. */
  time: (time: Date | number): Date => new Date(time),
} as const;
