/**
 * Bringing a document up to date, as every device does by itself.
 *
 * What a migration does to a draft becomes operations that are the same whoever makes them: what is put where
 * nothing is *begins* there, what is put in the place of something *converts* it. So two devices that bring a
 * document up to date at once make one of it, and both go on in that one.
 */
import { EditError } from "../document/error.js";
import { apply, at, isWithin, type Op } from "../document/tree.js";
import type { DocumentValue } from "../types.js";
import { record, type Draft } from "./record.js";

/**
 * Brings a document that an older version of the app wrote up to date. It is run over whatever is read, so it
 * changes what has the old form and leaves alone what has the new one: devices with an older version may bring
 * something of the old form at any time.
 *
 * It puts and deletes keys, and puts elements of lists that are there. What goes into a list or comes out of it,
 * counts or types would be there twice if two devices did it at once, and is refused.
 */
// What lies in the document is what older versions wrote: no type of today's says what.
// oxlint-disable-next-line typescript/no-explicit-any
export type Migration = (draft: Draft<any>) => void;

/** The operations that bring a document up to date; none, if it is. */
export function migrated(document: DocumentValue, migrations: readonly Migration[]): readonly Op[] {
  const all: Op[] = [];
  let now = document;
  for (const migration of migrations) {
    for (const op of record(now, migration)) {
      const made = alike(now, op, all);
      now = apply(now, made);
      all.push(made);
    }
  }
  return all;
}

/** An operation as everybody would make it. */
function alike(now: DocumentValue, op: Op, before: readonly Op[]): Op {
  const fail = (reason: string): EditError => new EditError(op.op, op.path, `in a migration, ${reason}`);
  if (op.op === "delete") {
    if (typeof op.path.at(-1) === "number") throw fail("no element is taken out of a list: two would take out two");
    return op;
  }
  if (op.op !== "put") throw fail("keys are put and deleted: what else is done would be done twice by two devices");
  if (before.some((other) => other.op === "delete" && isWithin(op.path, other.path))) {
    throw fail("nothing is put where something was deleted: put it over what is there");
  }
  return { ...op, op: at(now, op.path) === undefined ? "ensure" : "convert" };
}
