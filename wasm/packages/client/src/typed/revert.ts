/**
 * Takes an edit back out of a document that others have changed since.
 *
 * It is a merge of three: the document before the edit, right after it, and now. What the edit changed and
 * nobody touched since becomes what it was; what somebody touched stays theirs.
 */
import { aligned, hunks, isAnother, type Hunk } from "../document/align.js";
import { SharedCounter, SharedText, type DocumentValue } from "../document/kinds.js";
import { offsetsOf, takeOut } from "../document/letters.js";
import { isList, isMap, isSame, type Op } from "../document/tree.js";
import type { Path } from "../types.js";

/** The operations that make of `now` what it would be without the edit from `before` to `after`. */
export function revert(
  before: DocumentValue,
  after: DocumentValue,
  now: DocumentValue,
  path: Path = [],
): readonly Op[] {
  if (isSame(before, after)) return [];
  if (isMap(before) && isMap(after) && isMap(now)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => ofKey(own(before, key), own(after, key), own(now, key), [...path, key]));
  }
  if (isList(before) && isList(after) && isList(now)) return ofLists(before, after, now, path);
  if (before instanceof SharedText && after instanceof SharedText && now instanceof SharedText) {
    return ofTexts(before.value, after.value, now.value, path);
  }
  if (before instanceof SharedCounter && after instanceof SharedCounter && now instanceof SharedCounter) {
    return [{ op: "increment", path, by: before.value - after.value }];
  }
  return isSame(after, now) ? [{ op: "put", path, value: before }] : [];
}

type Known = DocumentValue | undefined;

function own(map: { readonly [key: string]: DocumentValue }, key: string): Known {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function ofKey(before: Known, after: Known, now: Known, path: Path): readonly Op[] {
  if (before !== undefined && after !== undefined) return now === undefined ? [] : revert(before, after, now, path);
  // It was put in, and is taken out as long as it is what was put in.
  if (after !== undefined) return now !== undefined && isSame(after, now) ? [{ op: "delete", path }] : [];
  return before !== undefined && now === undefined ? [{ op: "put", path, value: before }] : [];
}

/** What was taken out is put back, what was put in is taken out, and what was moved is moved back. */
function ofLists(
  before: readonly DocumentValue[],
  after: readonly DocumentValue[],
  now: readonly DocumentValue[],
  path: Path,
): readonly Op[] {
  const places = aligned(after, now, isSame);
  const differing = hunks(after, before, isSame);
  // One row in the place of another is not that other one, changed.
  const isEven = ({ from, to, otherFrom, otherTo }: Hunk): boolean =>
    to - from === otherTo - otherFrom &&
    range(from, to).every((n) => !isAnother(after[n], before[otherFrom + n - from]));
  const moves = moved(
    before,
    after,
    differing.filter((hunk) => !isEven(hunk)),
  );
  const list = new Reverted(now.length, path);
  for (const hunk of differing) {
    const { from, to, otherFrom, otherTo } = hunk;
    if (isEven(hunk)) {
      for (let n = 0; n < to - from; n++) {
        const place = places.paired(from + n);
        if (place === undefined) continue;
        const [old, made, is] = [before[otherFrom + n], after[from + n], now[place]];
        const at = list.path(place);
        if (at !== undefined) {
          list.ops.push(...revert(old as DocumentValue, made as DocumentValue, is as DocumentValue, at));
        }
      }
      continue;
    }
    for (let n = from; n < to; n++) {
      const place = places.exact(n);
      if (place !== undefined && !moves.from.has(n)) list.take(place);
    }
    let at = list.behind(places.behind(from));
    for (let n = otherFrom; n < otherTo; n++) {
      const source = moves.to.get(n);
      if (source === undefined) {
        list.put(at++, before[n] as DocumentValue);
        continue;
      }
      // What others took out meanwhile stays out.
      const place = places.paired(source);
      if (place !== undefined) at = list.move(place, at);
    }
  }
  return list.ops;
}

/** Which elements that the edit put in are ones that it took out elsewhere: by their indexes after, and before. */
function moved(
  before: readonly DocumentValue[],
  after: readonly DocumentValue[],
  uneven: readonly Hunk[],
): { readonly from: ReadonlySet<number>; readonly to: ReadonlyMap<number, number> } {
  const [from, to] = [new Set<number>(), new Map<number, number>()];
  const put = uneven.flatMap((hunk) => range(hunk.from, hunk.to));
  for (const old of uneven.flatMap((hunk) => range(hunk.otherFrom, hunk.otherTo))) {
    const found = put.find((n) => !from.has(n) && isSame(before[old] as DocumentValue, after[n] as DocumentValue));
    if (found === undefined) continue;
    from.add(found);
    to.set(old, found);
  }
  return { from, to };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, n) => from + n);
}

/** A list while it is reverted: which of its elements stand where by now. */
class Reverted {
  readonly ops: Op[] = [];
  readonly #path: Path;
  /** Each element by the index that it had; what was put in has none. */
  readonly #places: (number | undefined)[];
  readonly #moved = new Set<number>();

  constructor(length: number, path: Path) {
    this.#path = path;
    this.#places = Array.from({ length }, (_, place) => place);
  }

  /** The path of an element that is still there. */
  path(place: number): Path | undefined {
    const index = this.#places.indexOf(place);
    return index < 0 ? undefined : [...this.#path, index];
  }

  /** Where what follows the elements before a place goes. */
  behind(place: number): number {
    for (let before = place - 1; before >= 0; before--) {
      const index = this.#moved.has(before) ? -1 : this.#places.indexOf(before);
      if (index >= 0) return index + 1;
    }
    return 0;
  }

  take(place: number): void {
    const path = this.path(place);
    if (path === undefined) return;
    this.ops.push({ op: "delete", path });
    this.#places.splice(Number(path.at(-1)), 1);
  }

  put(index: number, value: DocumentValue): void {
    this.ops.push({ op: "insert", path: [...this.#path, index], value });
    this.#places.splice(index, 0, undefined);
  }

  /** Moves an element before what stands at an index. Gives the index behind it. */
  move(place: number, index: number): number {
    const path = this.path(place);
    if (path === undefined) return index;
    const from = Number(path.at(-1));
    const to = from < index ? index - 1 : index;
    if (from !== to) this.ops.push({ op: "move", path, to });
    this.#places.splice(from, 1);
    this.#places.splice(to, 0, place);
    this.#moved.add(place);
    return to + 1;
  }
}

function ofTexts(before: string, after: string, now: string, path: Path): readonly Op[] {
  const [old, made, is] = [Array.from(before), Array.from(after), Array.from(now)];
  const places = aligned(made, is, Object.is);
  const offsets = offsetsOf(is);
  const ops: Op[] = [];
  for (const { from, to, otherFrom, otherTo } of hunks(made, old, Object.is).reverse()) {
    // Asked before anything is deleted: what stands before the hunk does not move.
    const index = offsets[places.behind(from)] ?? 0;
    ops.push(...takeOut(path, from, to, places, offsets));
    const inserted = old.slice(otherFrom, otherTo).join("");
    if (inserted !== "") ops.push({ op: "spliceText", path, index, deleted: 0, inserted });
  }
  return ops;
}
