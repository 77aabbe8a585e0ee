/**
 * Takes an edit back out of a document that others have changed since.
 *
 * It is a merge of three: the document before the edit, right after it, and now. What the edit changed and
 * nobody touched since becomes what it was; what somebody touched stays theirs.
 */
import { SharedCounter, SharedText, type DocumentValue } from "../document/kinds.js";
import { isList, isMap, share, type Op } from "../document/tree.js";
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

/** From the end to the beginning, so that no operation moves what another one is about. */
function ofLists(
  before: readonly DocumentValue[],
  after: readonly DocumentValue[],
  now: readonly DocumentValue[],
  path: Path,
): readonly Op[] {
  const places = aligned(after, now, isSame);
  const ops: Op[] = [];
  for (const hunk of hunks(after, before, isSame).reverse()) {
    const { from, to, otherFrom, otherTo } = hunk;
    if (to - from === otherTo - otherFrom) {
      for (let n = to - from - 1; n >= 0; n--) {
        const place = places.paired(from + n);
        if (place === undefined) continue;
        const [old, made, is] = [before[otherFrom + n], after[from + n], now[place]];
        ops.push(...revert(old as DocumentValue, made as DocumentValue, is as DocumentValue, [...path, place]));
      }
      continue;
    }
    for (let n = to - 1; n >= from; n--) {
      const place = places.exact(n);
      if (place !== undefined) ops.push({ op: "delete", path: [...path, place] });
    }
    const place = places.behind(from);
    for (const value of before.slice(otherFrom, otherTo).reverse())
      ops.push({ op: "insert", path: [...path, place], value });
  }
  return ops;
}

function ofTexts(before: string, after: string, now: string, path: Path): readonly Op[] {
  const [old, made, is] = [Array.from(before), Array.from(after), Array.from(now)];
  const places = aligned(made, is, Object.is);
  const offsets = [0];
  for (const char of is) offsets.push((offsets.at(-1) ?? 0) + char.length);
  const ops: Op[] = [];
  for (const { from, to, otherFrom, otherTo } of hunks(made, old, Object.is).reverse()) {
    // Asked before anything is deleted: what stands before the hunk does not move.
    const index = offsets[places.behind(from)] ?? 0;
    for (let n = to - 1; n >= from; n--) {
      const place = places.exact(n);
      const char = made[n];
      if (place === undefined || char === undefined) continue;
      ops.push({ op: "spliceText", path, index: offsets[place] ?? 0, deleted: char.length, inserted: "" });
    }
    const inserted = old.slice(otherFrom, otherTo).join("");
    if (inserted !== "") ops.push({ op: "spliceText", path, index, deleted: 0, inserted });
  }
  return ops;
}

/** A stretch of one list in the place of which another one has another. */
interface Hunk {
  readonly from: number;
  readonly to: number;
  readonly otherFrom: number;
  readonly otherTo: number;
}

/** Where the elements of a list stand in another one. */
interface Places {
  /** The same element. */
  exact(index: number): number | undefined;
  /** The same element, or the one that it was made. */
  paired(index: number): number | undefined;
  /** Behind the nearest element before it that is there. */
  behind(index: number): number;
}

function aligned<T>(one: readonly T[], other: readonly T[], same: (a: T, b: T) => boolean): Places {
  const matches = matched(one, other, same);
  const pairs = [...matches];
  for (const { from, to, otherFrom, otherTo } of hunks(one, other, same, matches)) {
    if (to - from !== otherTo - otherFrom) continue;
    for (let n = from; n < to; n++) pairs[n] = otherFrom + n - from;
  }
  return {
    exact: (index) => matches[index],
    paired: (index) => pairs[index],
    behind: (index) => {
      for (let n = index - 1; n >= 0; n--) {
        const place = pairs[n];
        if (place !== undefined) return place + 1;
      }
      return 0;
    },
  };
}

function hunks<T>(
  one: readonly T[],
  other: readonly T[],
  same: (a: T, b: T) => boolean,
  matches: readonly (number | undefined)[] = matched(one, other, same),
): Hunk[] {
  const found: Hunk[] = [];
  let [from, otherFrom] = [0, 0];
  for (let index = 0; index <= one.length; index++) {
    const place = index === one.length ? other.length : matches[index];
    if (place === undefined) continue;
    if (index > from || place > otherFrom) found.push({ from, to: index, otherFrom, otherTo: place });
    [from, otherFrom] = [index + 1, place + 1];
  }
  return found;
}

/** Two stretches that differ are compared element by element up to this product of their lengths. */
const COMPARED_MOST = 1_000_000;

/** For each element of a list its place in another one: a longest sequence that both have. */
function matched<T>(one: readonly T[], other: readonly T[], same: (a: T, b: T) => boolean): (number | undefined)[] {
  const matches = Array.from<number | undefined>({ length: one.length });
  const least = Math.min(one.length, other.length);
  let start = 0;
  while (start < least && same(one[start] as T, other[start] as T)) matches[start] = start++;
  let end = 0;
  while (end < least - start && same(one[one.length - 1 - end] as T, other[other.length - 1 - end] as T)) {
    matches[one.length - 1 - end] = other.length - 1 - end;
    end += 1;
  }
  const [height, width] = [one.length - start - end, other.length - start - end];
  if (height * width === 0 || height * width > COMPARED_MOST) return matches;
  // The longest common sequence of what is left, by the length that is left from each pair on.
  const lengths = Array.from({ length: height + 1 }, () => new Uint32Array(width + 1));
  const length = (y: number, x: number): number => lengths[y]?.[x] ?? 0;
  const isPair = (y: number, x: number): boolean => same(one[start + y] as T, other[start + x] as T);
  for (let y = height - 1; y >= 0; y--) {
    const row = lengths[y];
    if (row === undefined) continue;
    for (let x = width - 1; x >= 0; x--) {
      row[x] = isPair(y, x) ? length(y + 1, x + 1) + 1 : Math.max(length(y + 1, x), length(y, x + 1));
    }
  }
  for (let [y, x] = [0, 0]; y < height && x < width;) {
    if (isPair(y, x)) matches[start + y++] = start + x++;
    else if (length(y + 1, x) >= length(y, x + 1)) y += 1;
    else x += 1;
  }
  return matches;
}

/** Whether two values are the same in content. */
function isSame(one: DocumentValue, other: DocumentValue): boolean {
  return one === other || share(one, other) === one;
}
