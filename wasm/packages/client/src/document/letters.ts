/** Letters of a text that others have changed meanwhile. */
import type { Path } from "../types.js";
import type { Places } from "./align.js";
import type { Op } from "./tree.js";

type Splice = Extract<Op, { op: "spliceText" }>;

/** Where each letter begins, in UTF-16 units, and where the last one ends. */
export function offsetsOf(letters: readonly string[]): readonly number[] {
  let offset = 0;
  return [0, ...letters.map((letter) => (offset += letter.length))];
}

/**
 * Takes those letters out that are there: what stands together at once, the last first. What others put between
 * stays.
 */
export function takeOut(path: Path, from: number, to: number, places: Places, offsets: readonly number[]): Splice[] {
  const ops: Splice[] = [];
  for (let n = to - 1; n >= from; n--) {
    const place = places.exact(n);
    if (place === undefined) continue;
    const [index = 0, end = index] = [offsets[place], offsets[place + 1]];
    const behind = ops.at(-1)?.index === end ? ops.pop() : undefined;
    ops.push({ op: "spliceText", path, index, deleted: end - index + (behind?.deleted ?? 0), inserted: "" });
  }
  return ops;
}
