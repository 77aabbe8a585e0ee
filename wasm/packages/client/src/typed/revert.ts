/**
 * Takes an edit back out of a document that others have changed since.
 *
 * It is a merge of three: the document before the edit, right after it, and now. What the edit changed and
 * nobody touched since becomes what it was; what somebody touched stays theirs.
 */
import { aligned, hunks } from "../document/align.js";
import { SharedCounter, SharedText, type DocumentValue } from "../document/kinds.js";
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
