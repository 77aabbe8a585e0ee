/** Which elements of two lists are the same ones. */

/** A stretch of one list in the place of which another one has another. */
export interface Hunk {
  readonly from: number;
  readonly to: number;
  readonly otherFrom: number;
  readonly otherTo: number;
}

/** Where the elements of a list stand in another one. */
export interface Places {
  /** The same element. */
  exact(index: number): number | undefined;
  /** The same element, or the one that it was made. */
  paired(index: number): number | undefined;
  /** Behind the nearest element before it that is there. */
  behind(index: number): number;
}

/** By which field an app tells rows apart, the first that there is. */
const NAMES = ["id", "_id", "key", "uuid"] as const;

/** What an app calls a row, if it does. */
function nameOf(item: unknown): unknown {
  if (typeof item !== "object" || item === null) return undefined;
  const field = NAMES.find((name) => Object.hasOwn(item, name));
  const name: unknown = field === undefined ? undefined : (item as { readonly [key: string]: unknown })[field];
  return typeof name === "string" || typeof name === "number" ? name : undefined;
}

/** Where each name stands that stands once. */
function named(list: readonly unknown[]): ReadonlyMap<unknown, number> {
  const places = new Map<unknown, number>();
  const twice = new Set<unknown>();
  for (const [place, item] of list.entries()) {
    const name = nameOf(item);
    if (name === undefined) continue;
    if (places.has(name)) twice.add(name);
    places.set(name, place);
  }
  for (const name of twice) places.delete(name);
  return places;
}

/**
 * Where the elements of a list stand in another one. Rows with names are told apart by them; others are taken
 * for the same where as many stand between the same neighbours.
 */
export function aligned<T>(one: readonly T[], other: readonly T[], same: (a: T, b: T) => boolean): Places {
  const matches = matched(one, other, same);
  const pairs = [...matches];
  const places = named(other);
  for (const { from, to, otherFrom, otherTo } of hunks(one, other, same, matches)) {
    for (let n = from; n < to; n++) {
      const place = otherFrom + n - from;
      const name = nameOf(one[n]);
      if (name !== undefined) pairs[n] = places.get(name);
      else if (to - from === otherTo - otherFrom && nameOf(other[place]) === undefined) pairs[n] = place;
    }
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

/** The stretches in which two lists differ, from the first on. */
export function hunks<T>(
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
