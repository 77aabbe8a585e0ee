/** What a document holds beside JSON, and how it travels: as `{"$text": ...}` and the like. */
import type { Json, Path } from "../types.js";
import { EditError } from "./error.js";

const OUTSIDE = "values of a document are changed inside of `change` only";

/** A text that several people edit at once. It never changes: an edit gives a new one. */
export class SharedText {
  /** What it says. */
  readonly value: string;

  /** A text that says this. */
  constructor(value = "") {
    this.value = value;
  }

  /** Its length in UTF-16 units, as the length of a string is. */
  get length(): number {
    return this.value.length;
  }

  /** Inside a `change` by draft: deletes so many UTF-16 units at an index, and inserts others there. */
  splice(index: number, _deleted?: number, _inserted?: string): void {
    throw new EditError("spliceText", [index], OUTSIDE);
  }

  /** Inside a `change` by draft: makes it say this, and keeps what both have in common. */
  update(_value: string): void {
    throw new EditError("spliceText", [], OUTSIDE);
  }

  toString(): string {
    return this.value;
  }

  toJSON(): string {
    return this.value;
  }
}

/** A counter that several people count at once. It never changes: counting gives a new one. */
export class SharedCounter {
  /** What it stands at: a whole number. */
  readonly value: number;

  /** A counter that stands at this. */
  constructor(value = 0) {
    this.value = value;
  }

  /** Inside a `change` by draft: counts on; by 1 unless told otherwise. */
  increment(_by?: number): void {
    throw new EditError("increment", [], OUTSIDE);
  }

  valueOf(): number {
    return this.value;
  }

  toString(): string {
    return String(this.value);
  }

  toJSON(): number {
    return this.value;
  }
}

/** A value of a document: JSON, and what it has no word for. */
export type DocumentValue =
  | null
  | boolean
  | number
  | string
  | SharedText
  | SharedCounter
  | Date
  | Uint8Array
  | readonly DocumentValue[]
  | { readonly [key: string]: DocumentValue };

/** Objects in objects that a document takes. */
const DEPTH_MOST = 64;
/** Bytes of a key. */
const KEY_MOST = 256;
/** Milliseconds from 1970 to the last `Date` that there is: a document may hold later times. */
const TIME_MOST_MS = 8.64e15;

/** A value as a document will have it: a copy, which nobody else can change. Refuses what a document can't hold. */
export function copied(value: unknown, operation: string, path: Path): DocumentValue {
  return decode(encode(value, operation, path));
}

/** A value as it travels. Refuses what a document can't hold, by where it lies. */
export function encode(value: unknown, operation: string, path: readonly (string | number)[]): Json {
  if (path.length > DEPTH_MOST) throw new EditError(operation, path, `it is nested deeper than ${DEPTH_MOST} objects`);
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      return wellFormed(value, operation, path);
    case "number":
      if (!Number.isFinite(value)) throw new EditError(operation, path, `${value} is no number that JSON has`);
      // JSON has one zero.
      return value === 0 ? 0 : isShort(value) ? value : { $float: bitsOf(value) };
    case "object":
      return value === null ? null : encodeObject(value, operation, path);
    default:
      throw new EditError(operation, path, `a document holds no ${typeof value}`);
  }
}

/** Whether the engine reads a number to the last bit as it is written. */
function isShort(value: number): boolean {
  return Number.isSafeInteger(value) || /^-?\d{1,15}$/.test(String(value).replace(/^(-?)0?\.|\./, "$1"));
}

/** The bits of a number, in hex. */
function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}

function encodeObject(value: object, operation: string, path: readonly (string | number)[]): Json {
  if (value instanceof SharedText) {
    if (typeof value.value !== "string") throw new EditError(operation, path, "a shared text holds a string");
    return { $text: wellFormed(value.value, operation, path) };
  }
  if (value instanceof SharedCounter) {
    if (!Number.isSafeInteger(value.value)) throw new EditError(operation, path, "a counter counts whole numbers");
    return { $counter: value.value };
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new EditError(operation, path, "the date is no date");
    return { $time: value.getTime() };
  }
  if (value instanceof Uint8Array) return { $bytes: toBase64(value) };
  if (Array.isArray(value)) return Array.from(value, (item, index) => encode(item, operation, [...path, index]));
  if (!isPlain(value)) throw new EditError(operation, path, `a document holds no ${nameOf(value)}`);
  const encoded: { [key: string]: Json } = {};
  for (const [key, item] of Object.entries(value)) {
    checkKey(key, operation, [...path, key]);
    if (item !== undefined) define(encoded, key, encode(item, operation, [...path, key]));
  }
  return isTag(encoded) ? { $map: encoded } : encoded;
}

function nameOf(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "such object";
}

/** Whether a map of the user's own looks like one of the kinds. */
function isTag(map: object): boolean {
  const keys = Object.keys(map);
  return keys.length === 1 && keys[0]?.startsWith("$") === true;
}

/** A value as it came: the contract's typed form. */
export function decode(value: Json): DocumentValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map(decode);
  const fields = value as { readonly [key: string]: Json };
  if (isTag(fields)) {
    const { $text, $counter, $time, $bytes, $map } = fields;
    if (typeof $text === "string") return new SharedText($text);
    if (typeof $counter === "number") return new SharedCounter($counter);
    if (typeof $time === "number") return new Date(Math.max(-TIME_MOST_MS, Math.min($time, TIME_MOST_MS)));
    if (typeof $bytes === "string") return fromBase64($bytes);
    if (typeof $map === "object" && $map !== null && !Array.isArray($map))
      return decodeMap($map as { readonly [key: string]: Json });
  }
  return decodeMap(fields);
}

function decodeMap(fields: { readonly [key: string]: Json }): DocumentValue {
  const map: { [key: string]: DocumentValue } = {};
  for (const key of Object.keys(fields)) define(map, key, decode(fields[key] as Json));
  return map;
}

/** Refuses what is no key of a map. */
export function checkKey(key: string, operation: string, path: readonly (string | number)[]): void {
  if (key === "") throw new EditError(operation, path, "a key is not empty");
  wellFormed(key, operation, path);
  const isLong = key.length > KEY_MOST / 3 && new TextEncoder().encode(key).length > KEY_MOST;
  if (isLong) throw new EditError(operation, path, `a key has 1 to ${KEY_MOST} bytes`);
}

/** Refuses what is no path, and gives one that nobody else can change. */
export function checkPath(path: unknown, operation: string): Path {
  if (!Array.isArray(path)) throw new EditError(operation, [], "a path is a list of keys and indexes");
  const copy = [...(path as readonly unknown[])] as (string | number)[];
  for (const step of copy) {
    if (typeof step === "string") checkKey(step, operation, copy);
    else if (typeof step !== "number") throw new EditError(operation, [], "a path is a list of keys and indexes");
    else if (!Number.isSafeInteger(step) || step < 0) throw new EditError(operation, copy, `there is no index ${step}`);
  }
  return copy;
}

function wellFormed(text: string, operation: string, path: readonly (string | number)[]): string {
  if (!isWellFormed(text)) throw new EditError(operation, path, "the text has half of a character");
  return text;
}

/** Whether no surrogate is without its other half. */
export function isWellFormed(text: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?:[^\uD800-\uDBFF]|^)[\uDC00-\uDFFF]/.test(text);
}

/** An object written as `{...}`, in whichever frame. */
export function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** Whether something is waited for by `await`. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** Sets a field, also one called `__proto__`. */
export function define<T>(object: { [key: string]: T }, key: string, value: T): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

/** Characters that one call of `fromCharCode` is given. */
const CHUNK = 0x2000;

/** Bytes in base64. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}

/** The bytes of base64. */
export function fromBase64(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}
