/**
 * An edit that was made of a document, as one of what the document has become since: indexes of lists and
 * positions in texts are those of the elements and letters that were meant.
 */
import type { Path } from "../types.js";
import { aligned, type Places } from "./align.js";
import { EditError } from "./error.js";
import { SharedText, type DocumentValue } from "./kinds.js";
import { offsetsOf, takeOut } from "./letters.js";
import { apply, at, isList, isSame, type Op } from "./tree.js";

/** The operations, made of `was`, for `is`. Fails if what one of them is about is gone. */
export function rebase(was: DocumentValue, is: DocumentValue, ops: readonly Op[]): readonly Op[] {
  const made: Op[] = [];
  let [before, now] = [was, is];
  for (const op of ops) {
    for (const moved of rebased(before, now, op)) {
      now = apply(now, moved);
      made.push(moved);
    }
    before = apply(before, op);
  }
  return made;
}

function rebased(was: DocumentValue, is: DocumentValue, op: Op): readonly Op[] {
  if (was === is || (op.op === "ensure" && !op.path.some((step) => typeof step === "number"))) return [op];
  const parent = op.path.slice(0, -1);
  const last = op.path.at(-1);
  const [way, places] = followed(was, is, parent, op);
  if (typeof last !== "number" || places === undefined) {
    const path = last === undefined ? way : [...way, last];
    // Others took it away as well.
    if (op.op === "delete" && at(is, path) === undefined) return [];
    return placed(was, is, op, path);
  }
  if (op.op === "insert") return [{ ...op, path: [...way, places.behind(last)] }];
  const place = places.paired(last);
  if (place === undefined) throw gone(op);
  const path = [...way, place];
  if (op.op !== "move") return placed(was, is, op, path);
  // It goes behind the element that it was to follow, counted without itself.
  const list = at(was, parent);
  const rest = isList(list) ? list.filter((_, n) => n !== last) : [];
  const target = at(is, way);
  const left = isList(target) ? target.filter((_, n) => n !== place) : [];
  return [{ ...op, path, to: aligned(rest, left, isSame).behind(op.to) }];
}

/** An operation at the place that is what it was about. */
function placed(was: DocumentValue, is: DocumentValue, op: Op, path: Path): readonly Op[] {
  if (op.op === "spliceText") return spliced(was, is, op, path);
  // Others were faster, perhaps with the same conversion: it would take away what they have made of that.
  if (op.op === "convert" && !isSame(at(was, op.path) ?? null, at(is, path) ?? null)) return [];
  return [{ ...op, path }];
}

/** Where a path leads now, and where the elements of the list that it leads to stand. */
function followed(was: DocumentValue, is: DocumentValue, path: Path, op: Op): [Path, Places | undefined] {
  let [before, now]: [DocumentValue | undefined, DocumentValue | undefined] = [was, is];
  const way: (string | number)[] = [];
  for (const step of path) {
    const place: string | number | undefined =
      typeof step === "number" ? alignedLists(before, now)?.paired(step) : step;
    if (place === undefined) throw gone(op);
    way.push(place);
    [before, now] = [at(before, [step]), at(now, [place])];
  }
  return [way, alignedLists(before, now)];
}

function alignedLists(before: DocumentValue | undefined, now: DocumentValue | undefined): Places | undefined {
  return isList(before) && isList(now) ? aligned(before, now, isSame) : undefined;
}

function spliced(
  was: DocumentValue,
  is: DocumentValue,
  op: Extract<Op, { op: "spliceText" }>,
  path: Path,
): readonly Op[] {
  const [before, now] = [at(was, op.path), at(is, path)];
  if (!(now instanceof SharedText)) throw gone(op);
  if (!(before instanceof SharedText)) return [{ ...op, path }];
  const [old, letters] = [Array.from(before.value), Array.from(now.value)];
  const places = aligned(old, letters, Object.is);
  const offsets = offsetsOf(letters);
  const from = Array.from(before.value.slice(0, op.index)).length;
  const to = from + Array.from(before.value.slice(op.index, op.index + op.deleted)).length;
  const index = offsets[places.behind(from)] ?? 0;
  const ops = takeOut(path, from, to, places, offsets);
  if (op.inserted !== "") ops.push({ op: "spliceText", path, index, deleted: 0, inserted: op.inserted });
  return ops;
}

function gone(op: Op): EditError {
  return new EditError(op.op, op.path, "somebody else took it away at the same moment");
}
