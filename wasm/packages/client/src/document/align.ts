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

/** Whether an app calls two rows by different names. */
export function isAnother(one: unknown, other: unknown): boolean {
  const [name, its] = [nameOf(one), nameOf(other)];
  return name !== undefined && its !== undefined && name !== its;
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

/** Lists are compared up to so many differences; of more, what is alike at both ends is found alone. */
const DIFFERENCES_MOST = 2_000;

/**
 * For each element of a list its place in another one: a longest sequence that both have, by Myers, "An O(ND)
 * difference algorithm". It costs what differs, not what there is.
 */
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
  if (height * width === 0) return matches;
  // A diagonal says how much further one is in one list than in the other: how far does each lead with so many
  // differences?
  const reached: Int32Array[] = [];
  const far = (count: number, diagonal: number): number => reached[count]?.[count + diagonal] ?? 0;
  const isAdded = (count: number, diagonal: number): boolean =>
    diagonal === -count || (diagonal !== count && far(count - 1, diagonal - 1) < far(count - 1, diagonal + 1));
  const first = (count: number, diagonal: number): number => {
    if (count === 0) return 0;
    return isAdded(count, diagonal) ? far(count - 1, diagonal + 1) : far(count - 1, diagonal - 1) + 1;
  };
  for (let count = 0; far(count - 1, height - width) < height; count++) {
    if (count > DIFFERENCES_MOST) return matches;
    const now = new Int32Array(2 * count + 1);
    for (let diagonal = -count; diagonal <= count; diagonal += 2) {
      let y = first(count, diagonal);
      while (y < height && y - diagonal < width && same(one[start + y] as T, other[start + y - diagonal] as T)) y++;
      now[count + diagonal] = y;
    }
    reached.push(now);
  }
  for (let [count, diagonal] = [reached.length - 1, height - width]; count >= 0; count--) {
    for (let y = first(count, diagonal); y < far(count, diagonal); y++) matches[start + y] = start + y - diagonal;
    diagonal += isAdded(count, diagonal) ? 1 : -1;
  }
  return matches;
}
