/**
 * Documents as values that never change: an edit gives a new value, in which what it didn't touch is the
 * same object as before.
 */
import type { Json, Path } from "../types.js";
import { EditError } from "./error.js";
import { SharedCounter, SharedText, checkPath, define, encode, isPlain, type DocumentValue } from "./kinds.js";

type Fields = { readonly [key: string]: DocumentValue };

/** One operation. Positions in texts are in UTF-16 units. */
export type Op =
  | { readonly op: "put"; readonly path: Path; readonly value: DocumentValue }
  | { readonly op: "insert"; readonly path: Path; readonly value: DocumentValue }
  | { readonly op: "delete"; readonly path: Path }
  | { readonly op: "ensure"; readonly path: Path; readonly value: DocumentValue }
  | { readonly op: "convert"; readonly path: Path; readonly value: DocumentValue }
  | { readonly op: "move"; readonly path: Path; readonly to: number }
  | { readonly op: "increment"; readonly path: Path; readonly by: number }
  | {
      readonly op: "spliceText";
      readonly path: Path;
      readonly index: number;
      readonly deleted: number;
      readonly inserted: string;
    };

/** A map, and neither a list nor one of the kinds that JSON lacks. */
export function isMap(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && isPlain(value);
}

/** A list. */
export function isList(value: unknown): value is readonly DocumentValue[] {
  return Array.isArray(value);
}

/** What lies at a path; undefined if nothing does. */
export function at(value: DocumentValue | undefined, path: Path): DocumentValue | undefined {
  let found = value;
  for (const step of path) {
    if (isList(found) && typeof step === "number") found = found[step];
    else if (isMap(found) && typeof step === "string" && Object.hasOwn(found, step)) found = found[step];
    else return undefined;
  }
  return found;
}

/** The document after an operation. Fails if there is no place for it, and says which. */
export function apply(document: DocumentValue, op: Op): DocumentValue {
  const last = op.path.at(-1);
  if (last === undefined) throw new EditError(op.op, op.path, "the path is empty: name a key of the document");
  if (op.op === "ensure") return ensured(document, op, 0);
  return within(document, op, 0, last);
}

/** With the value at the path if nothing is there, and with the maps that lead to it. */
function ensured(value: DocumentValue, op: Extract<Op, { op: "ensure" }>, depth: number): DocumentValue {
  const step = op.path[depth];
  if (step === undefined) return value;
  const isLast = depth === op.path.length - 1;
  if (isList(value) && typeof step === "number" && step < value.length && !isLast) {
    return replaced(value, step, ensured(value[step] as DocumentValue, op, depth + 1));
  }
  if (!isMap(value) || typeof step !== "string") {
    throw new EditError(op.op, op.path, "keys of maps, and elements that are there, alone lead to it");
  }
  const inner = at(value, [step]);
  if (isLast) return inner === undefined ? replaced(value, step, op.value) : value;
  return replaced(value, step, ensured(inner === undefined ? {} : inner, op, depth + 1));
}

type Placed = Exclude<Op, { op: "ensure" }>;

function within(value: DocumentValue, op: Placed, depth: number, last: string | number): DocumentValue {
  if (depth === op.path.length - 1) return leaf(value, op, last);
  const step = op.path[depth] as string | number;
  const inner = at(value, [step]);
  if (inner === undefined) throw new EditError(op.op, op.path, `there is nothing at ${shown(op.path, depth + 1)}`);
  return replaced(value, step, within(inner, op, depth + 1, last));
}

/** The map or list in which the operation has its place, after it. */
function leaf(value: DocumentValue, op: Placed, last: string | number): DocumentValue {
  const fail = (reason: string): EditError => new EditError(op.op, op.path, reason);
  const parent = shown(op.path, op.path.length - 1);
  if (isList(value)) {
    if (typeof last !== "number") throw fail(`${parent} is a list: an index leads into it, not a key`);
    const end = op.op === "insert" ? value.length + 1 : value.length;
    if (!Number.isInteger(last) || last < 0 || last >= end) {
      throw fail(`the list at ${parent} has ${value.length} elements: there is no index ${last}`);
    }
  } else if (isMap(value)) {
    if (typeof last !== "string") throw fail(`${parent} is a map: a key leads into it, not an index`);
    if (op.op === "insert" || op.op === "move") throw fail(`${parent} is a map, not a list`);
    if (op.op !== "put" && !Object.hasOwn(value, last)) throw fail("there is nothing");
  } else {
    throw fail(`${parent} is neither a map nor a list`);
  }
  switch (op.op) {
    case "put":
    case "convert":
      return replaced(value, last, op.value);
    case "insert":
      return isList(value) ? listWith(value, Number(last), 0, op.value) : value;
    case "delete":
      return without(value, last);
    case "move": {
      if (!isList(value)) return value;
      const { to } = op;
      if (!Number.isInteger(to) || to < 0 || to >= value.length) throw fail(`there is no index ${to} to move to`);
      const rest = listWith(value, Number(last), 1);
      return listWith(rest, to, 0, value[Number(last)] as DocumentValue);
    }
    case "increment": {
      const counter = at(value, [last]);
      if (!(counter instanceof SharedCounter)) throw fail("it is no counter");
      return replaced(value, last, new SharedCounter(counter.value + op.by));
    }
    case "spliceText": {
      const text = at(value, [last]);
      if (!(text instanceof SharedText)) throw fail("it is no shared text");
      const problem = spliceProblem(text.value, op.index, op.deleted);
      if (problem !== undefined) throw fail(problem);
      return replaced(value, last, new SharedText(spliced(text.value, op)));
    }
  }
}

function spliced(text: string, op: { index: number; deleted: number; inserted: string }): string {
  return text.slice(0, op.index) + op.inserted + text.slice(op.index + op.deleted);
}

/** Why so many units can't be deleted at an index of a text; nothing if they can. */
export function spliceProblem(text: string, index: number, deleted: number): string | undefined {
  const end = index + deleted;
  if (!Number.isInteger(index) || !Number.isInteger(deleted) || index < 0 || deleted < 0 || end > text.length) {
    return `the text has ${text.length} UTF-16 units: there are no ${deleted} at ${index}`;
  }
  if (isInside(text, index) || isInside(text, end)) return "the index lies inside of a character";
  return undefined;
}

/** Whether an index lies between the two halves of a character. */
export function isInside(text: string, index: number): boolean {
  return /[\uDC00-\uDFFF]/.test(text[index] ?? "") && /[\uD800-\uDBFF]/.test(text[index - 1] ?? "");
}

/** A map or list with another value in one place. */
export function replaced(value: DocumentValue, step: string | number, inner: DocumentValue): DocumentValue {
  if (isList(value)) return listWith(value, Number(step), 1, inner);
  const copy: { [key: string]: DocumentValue } = {};
  for (const [key, item] of Object.entries(value as Fields)) define(copy, key, item);
  define(copy, String(step), inner);
  return copy;
}

type List = readonly DocumentValue[];

function listWith(list: List, at: number, deleted: number, ...more: readonly DocumentValue[]): List {
  return [...list.slice(0, at), ...more, ...list.slice(at + deleted)];
}

function without(value: DocumentValue, step: string | number): DocumentValue {
  if (isList(value)) return listWith(value, Number(step), 1);
  const copy: { [key: string]: DocumentValue } = {};
  for (const [key, item] of Object.entries(value as Fields)) if (key !== step) define(copy, key, item);
  return copy;
}

function shown(path: Path, length: number): string {
  return length === 0 ? "the document's root" : JSON.stringify(path.slice(0, length));
}

/**
 * The new value, with the parts of the old one that are the same in content: what did not change keeps its
 * reference, and the whole does if nothing changed. An element that moved in a list keeps it, too.
 */
export function share(old: DocumentValue | undefined, now: DocumentValue): DocumentValue {
  if (Object.is(old, now) || old === undefined) return now;
  if (isList(now)) return isList(old) ? shareList(old, now) : now;
  if (isMap(now)) return isMap(old) ? shareMap(old, now) : now;
  return isSameLeaf(old, now) ? old : now;
}

function shareMap(old: Fields, now: Fields): Fields {
  const keys = Object.keys(now);
  const made: { [key: string]: DocumentValue } = {};
  let isSame = keys.length === Object.keys(old).length;
  for (const key of keys) {
    const before = Object.hasOwn(old, key) ? old[key] : undefined;
    const shared = share(before, now[key] as DocumentValue);
    isSame &&= shared === before;
    define(made, key, shared);
  }
  return isSame ? old : made;
}

function shareList(old: readonly DocumentValue[], now: readonly DocumentValue[]): readonly DocumentValue[] {
  // What is alike at both ends stays; between them, elements are paired from the end that fits.
  const made: DocumentValue[] = [];
  let start = 0;
  while (start < now.length && start < old.length) {
    const shared = share(old[start], now[start] as DocumentValue);
    if (shared !== old[start]) break;
    made.push(shared);
    start += 1;
  }
  if (start === now.length && now.length === old.length) return old;
  const tail: DocumentValue[] = [];
  let end = 0;
  while (end < now.length - start && end < old.length - start) {
    const before = old[old.length - 1 - end];
    const shared = share(before, now[now.length - 1 - end] as DocumentValue);
    if (shared !== before) break;
    tail.push(shared);
    end += 1;
  }
  const middle = now.slice(start, now.length - end);
  const gap = old.slice(start, old.length - end);
  const pairs = middle.length === gap.length;
  let known: Map<string, DocumentValue> | undefined;
  for (const [n, item] of middle.entries()) {
    const paired = pairs ? share(gap[n], item) : item;
    if (pairs && paired === gap[n]) {
      made.push(paired);
      continue;
    }
    // It may have stood elsewhere. What is alike as JSON may be of another kind.
    const elsewhere = (known ??= byContent(gap)).get(JSON.stringify(item));
    made.push(elsewhere !== undefined && share(elsewhere, item) === elsewhere ? elsewhere : paired);
  }
  return [...made, ...tail.reverse()];
}

function byContent(items: readonly DocumentValue[]): Map<string, DocumentValue> {
  return new Map(items.filter((item) => isMap(item) || isList(item)).map((item) => [JSON.stringify(item), item]));
}

function isSameLeaf(old: DocumentValue, now: DocumentValue): boolean {
  if (old instanceof SharedText) return now instanceof SharedText && old.value === now.value;
  if (old instanceof SharedCounter) return now instanceof SharedCounter && old.value === now.value;
  if (old instanceof Date) return now instanceof Date && old.getTime() === now.getTime();
  if (old instanceof Uint8Array) {
    return now instanceof Uint8Array && old.length === now.length && old.every((byte, n) => byte === now[n]);
  }
  return false;
}

/** An operation as it travels. Refuses what a document can't hold. */
export function encodeOp(op: Op): { readonly [key: string]: Json } {
  const { op: kind, path } = op;
  checkPath(path, kind);
  switch (op.op) {
    case "put":
    case "insert":
    case "ensure":
    case "convert":
      return { op: kind, path, value: encode(op.value, kind, path) };
    case "delete":
      return { op: kind, path };
    case "move":
      if (!isPlace(op.to)) throw new EditError(kind, path, `there is no index ${op.to} to move to`);
      return { op: kind, path, to: op.to };
    case "increment":
      if (!Number.isSafeInteger(op.by)) throw new EditError(kind, path, "a counter counts whole numbers");
      return { op: kind, path, by: op.by };
    case "spliceText": {
      if (!isPlace(op.index) || !isPlace(op.deleted)) {
        throw new EditError(kind, path, `a text has no ${op.deleted} UTF-16 units at ${op.index}`);
      }
      if (typeof op.inserted !== "string") throw new EditError(kind, path, "a string goes into a text");
      const insert = encode(op.inserted, kind, path);
      return { op: "splice_text", path, index: op.index, delete: op.deleted, insert, unit: "utf16" };
    }
  }
}

function isPlace(index: number): boolean {
  return Number.isSafeInteger(index) && index >= 0;
}

/** Whether a path leads to a place inside of another one, or to the same. */
export function isWithin(inner: Path, outer: Path): boolean {
  return outer.length <= inner.length && outer.every((step, depth) => inner[depth] === step);
}

/** Whether two values are the same in content. */
export function isSame(one: DocumentValue, other: DocumentValue): boolean {
  return one === other || share(one, other) === one;
}
