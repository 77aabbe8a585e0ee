/**
 * Records what a function does to a draft of a document, as operations.
 *
 * A draft looks like the document, and can be written to. What is written shows in it at once and nowhere
 * else; the operations say the same to the engine. Places move with what is in them: an element that was
 * taken out of a list before is written to where it stands now.
 */
import { difference } from "../document/difference.js";
import { EditError } from "../document/error.js";
import { SharedCounter, SharedText, checkKey, copied, define, encode, isThenable } from "../document/kinds.js";
import { apply, at, isList, isMap, isSame, type Op } from "../document/tree.js";
import type { DocumentValue, Path } from "../types.js";

type Step = string | number;

/** What a draft of a value can do: all that the value can, and be written to. */
export type Draft<T> = T extends
  SharedText | SharedCounter | Date | Uint8Array | string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer E)[]
    ? Draft<E>[]
    : T extends object
      ? { -readonly [K in keyof T]: Draft<T[K]> }
      : T;

/** The operations that `edit` makes of a document, in their order. All or none: what it throws is thrown. */
export function record<T>(document: DocumentValue, edit: (draft: Draft<T>) => unknown): readonly Op[] {
  const recorder = new Recorder(document);
  try {
    const answer = edit(recorder.root as Draft<T>);
    if (isThenable(answer)) {
      // Nobody waits for it, and what it writes later is refused.
      Promise.resolve(answer).catch(() => undefined);
      throw new EditError("change", [], "a change is made at once: its function must not return a promise");
    }
    recorder.putLeaves();
  } finally {
    recorder.isOver = true;
  }
  return recorder.ops;
}

/** Maps and lists in one another that may still be a value; what goes on for ever goes beyond. */
const DEPTH_MOST = 64;

class Recorder {
  readonly ops: Op[] = [];
  readonly root: unknown;
  readonly #rootPlace = new Place(undefined, "");
  readonly #places = new WeakMap<object, Place>();
  /** Dates and bytes that were handed out: copies, which may be changed in place. */
  readonly #leaves = new Map<Place, { is: DocumentValue; readonly copy: DocumentValue }>();
  isOver = false;
  #document: DocumentValue;

  constructor(document: DocumentValue) {
    this.#document = document;
    this.root = this.#draft(this.#rootPlace, document);
  }

  /** What a place holds now. */
  value(place: Place): DocumentValue | undefined {
    return at(this.#document, this.path(place, "read"));
  }

  /** Where a place is now. */
  path(place: Place, operation: string): Path {
    if (this.isOver) throw new EditError(operation, [], "the change is over: its drafts can't be used any more");
    const path = place.path();
    if (path === undefined) throw new EditError(operation, place.last().path, "it is no longer in the document");
    return path;
  }

  /** The draft of what lies at a step of a place; scalars are themselves. */
  inner(place: Place, step: Step): unknown {
    const value = at(this.#document, [...this.path(place, "read"), step]);
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof Date || value instanceof Uint8Array) return this.#leaf(place.inner(step), value);
    return this.#draft(place.inner(step), value);
  }

  /** What was handed out and changed in place is put back. */
  putLeaves(): void {
    for (const [place, leaf] of this.#leaves) {
      const path = place.path();
      if (path === undefined || at(this.#document, path) !== leaf.is || isSame(leaf.is, leaf.copy)) continue;
      leaf.is = copied(leaf.copy, "put", path);
      this.#make({ op: "put", path, value: leaf.is });
    }
  }

  /** Copies of elements of a list, with all that was done to them. */
  taken(place: Place, from: number, to: number): readonly DocumentValue[] {
    this.putLeaves();
    const list = this.value(place);
    return isList(list) ? list.slice(from, to).map((item) => copied(item, "delete", [])) : [];
  }

  #leaf(place: Place, value: Date | Uint8Array): DocumentValue {
    const known = this.#leaves.get(place);
    if (known?.is === value) return known.copy;
    const copy = value instanceof Date ? new Date(value) : value.slice();
    this.#leaves.set(place, { is: value, copy });
    return copy;
  }

  put(place: Place, step: Step, value: unknown): void {
    const path = [...this.path(place, "put"), step];
    const plain = this.#plain(value, "put", path);
    const old = at(this.#document, path);
    if (value === undefined) {
      if (old !== undefined) this.remove(place, step);
      return;
    }
    if (Object.is(plain, old)) return;
    if (old instanceof SharedText && typeof plain === "string") return this.updateText(path, old.value, plain);
    if (old instanceof SharedCounter && typeof plain === "number") return this.count(path, plain - old.value);
    if (typeof step === "string") checkKey(step, "put", path);
    const made = copied(plain, "put", path);
    // What says the same would take the place of what others change in it meanwhile.
    if (old === undefined || !isSame(old, made)) this.#make({ op: "put", path, value: made });
    place.forget(step, path, old);
  }

  insert(place: Place, index: number, value: unknown): void {
    const path = [...this.path(place, "insert"), index];
    this.#make({ op: "insert", path, value: copied(this.#plain(value, "insert", path), "insert", path) });
    place.shift(index, 1);
  }

  remove(place: Place, step: Step): void {
    const path = [...this.path(place, "delete"), step];
    this.putLeaves();
    const old = at(this.#document, path);
    this.#make({ op: "delete", path });
    place.forget(step, path, old);
    if (typeof step === "number") place.shift(step, -1);
  }

  count(path: Path, by: number): void {
    if (!Number.isSafeInteger(by)) throw new EditError("increment", path, "a counter counts whole numbers");
    if (by !== 0) this.#make({ op: "increment", path, by });
  }

  splice(path: Path, index: number, deleted: number, inserted: string): void {
    encode(inserted, "spliceText", path);
    if (deleted === 0 && inserted === "") return;
    this.#make({ op: "spliceText", path, index, deleted, inserted });
  }

  updateText(path: Path, old: string, now: string): void {
    const { index, deleted, inserted } = difference(old, now);
    this.splice(path, index, deleted, inserted);
  }

  #make(op: Op): void {
    this.#document = apply(this.#document, op);
    this.ops.push(op);
  }

  #draft(place: Place, value: DocumentValue): unknown {
    const known = place.draft;
    if (known !== undefined) return known;
    const draft = this.#newDraft(place, value);
    place.draft = draft;
    this.#places.set(draft, place);
    return draft;
  }

  #newDraft(place: Place, value: DocumentValue): object {
    if (value instanceof SharedText) return new TextDraft(this, place);
    if (value instanceof SharedCounter) return new CounterDraft(this, place);
    return isList(value) ? new Proxy([], new ListHandler(this, place)) : new Proxy({}, new MapHandler(this, place));
  }

  /** A value without drafts in it. */
  #plain(value: unknown, operation: string, path: Path): DocumentValue {
    if (typeof value !== "object" || value === null) return value as DocumentValue;
    if (path.length > DEPTH_MOST)
      throw new EditError(operation, path, `it is nested deeper than ${DEPTH_MOST} objects`);
    const place = this.#places.get(value);
    if (place !== undefined) {
      this.putLeaves();
      // What was taken out can be put in elsewhere: two rows may change places.
      return (place.path() === undefined ? place.last().value : this.value(place)) as DocumentValue;
    }
    const inner = (item: unknown, step: Step): DocumentValue => this.#plain(item, operation, [...path, step]);
    if (Array.isArray(value)) return Array.from(value as readonly unknown[], inner);
    if (!isMap(value)) return value as DocumentValue;
    const plain: { [key: string]: DocumentValue } = {};
    for (const [key, item] of Object.entries(value)) define(plain, key, inner(item, key));
    return plain;
  }
}

/** What was taken out, and from where. */
interface Last {
  readonly path: Path;
  readonly value: DocumentValue | undefined;
}

/** Where a draft lies; moves when elements before it come or go. */
class Place {
  draft: object | undefined;
  #parent: Place | undefined;
  #step: Step;
  #gone: Last | undefined;
  #inner = new Map<Step, Place>();

  constructor(parent: Place | undefined, step: Step) {
    this.#parent = parent;
    this.#step = step;
  }

  /** The path to it; nothing if it was taken out. */
  path(): Path | undefined {
    if (this.#gone !== undefined) return undefined;
    if (this.#parent === undefined) return [];
    const path = this.#parent.path();
    return path === undefined ? undefined : [...path, this.#step];
  }

  inner(step: Step): Place {
    const known = this.#inner.get(step) ?? new Place(this, step);
    this.#inner.set(step, known);
    return known;
  }

  /** Where it was when it was taken out, and what it held. */
  last(): Last {
    if (this.#gone !== undefined) return this.#gone;
    const { path, value } = this.#parent?.last() ?? { path: [], value: undefined };
    return { path: [...path, this.#step], value: at(value, [this.#step]) };
  }

  /** What was at a step, which is a path, is there no longer. */
  forget(step: Step, path: Path, value: DocumentValue | undefined): void {
    const place = this.#inner.get(step);
    if (place !== undefined) place.#gone = { path, value };
    this.#inner.delete(step);
  }

  /** Elements from an index on moved by so many places. */
  shift(from: number, by: number): void {
    const moved = new Map<Step, Place>();
    for (const [step, place] of this.#inner) {
      if (typeof step === "number" && step >= from) place.#step = step + by;
      moved.set(place.#step, place);
    }
    this.#inner = moved;
  }
}

class TextDraft extends SharedText {
  readonly #recorder: Recorder;
  readonly #place: Place;

  constructor(recorder: Recorder, place: Place) {
    super();
    this.#recorder = recorder;
    this.#place = place;
    Object.defineProperty(this, "value", { get: () => (recorder.value(place) as SharedText).value });
  }

  override splice(index: number, deleted = 0, inserted = ""): void {
    this.#recorder.splice(this.#recorder.path(this.#place, "spliceText"), index, deleted, inserted);
  }

  override update(value: string): void {
    this.#recorder.updateText(this.#recorder.path(this.#place, "spliceText"), this.value, value);
  }
}

class CounterDraft extends SharedCounter {
  readonly #recorder: Recorder;
  readonly #place: Place;

  constructor(recorder: Recorder, place: Place) {
    super();
    this.#recorder = recorder;
    this.#place = place;
    Object.defineProperty(this, "value", { get: () => (recorder.value(place) as SharedCounter).value });
  }

  override increment(by = 1): void {
    this.#recorder.count(this.#recorder.path(this.#place, "increment"), by);
  }
}

/** What maps and lists have in common. */
abstract class Handler {
  protected readonly recorder: Recorder;
  protected readonly place: Place;

  constructor(recorder: Recorder, place: Place) {
    this.recorder = recorder;
    this.place = place;
  }

  /** What is not a write by name, index or method is no operation of a document. */
  defineProperty(): boolean {
    throw new EditError(
      "put",
      this.recorder.path(this.place, "put"),
      "a document has no such properties: assign to it",
    );
  }

  setPrototypeOf(): boolean {
    return this.defineProperty();
  }

  preventExtensions(): boolean {
    return this.defineProperty();
  }
}

class MapHandler extends Handler implements ProxyHandler<object> {
  #fields(): { readonly [key: string]: DocumentValue } {
    const value = this.recorder.value(this.place);
    return isMap(value) ? value : {};
  }

  get(target: object, key: string | symbol): unknown {
    if (typeof key === "symbol") return Reflect.get(target, key);
    return Object.hasOwn(this.#fields(), key) ? this.recorder.inner(this.place, key) : Reflect.get(target, key);
  }

  set(_: object, key: string | symbol, value: unknown): boolean {
    if (typeof key === "symbol") return this.defineProperty();
    this.recorder.put(this.place, key, value);
    return true;
  }

  deleteProperty(_: object, key: string | symbol): boolean {
    if (typeof key === "string" && Object.hasOwn(this.#fields(), key)) this.recorder.remove(this.place, key);
    return true;
  }

  has(_: object, key: string | symbol): boolean {
    return typeof key === "string" && Object.hasOwn(this.#fields(), key);
  }

  ownKeys(): string[] {
    return Object.keys(this.#fields());
  }

  getOwnPropertyDescriptor(_: object, key: string | symbol): PropertyDescriptor | undefined {
    if (typeof key === "symbol" || !Object.hasOwn(this.#fields(), key)) return undefined;
    return { value: this.recorder.inner(this.place, key), writable: true, enumerable: true, configurable: true };
  }
}

const REFUSED = new Set(["sort", "reverse", "copyWithin", "fill"]);

class ListHandler extends Handler implements ProxyHandler<unknown[]> {
  #length(): number {
    const value = this.recorder.value(this.place);
    return isList(value) ? value.length : 0;
  }

  get(target: unknown[], key: string | symbol): unknown {
    if (key === "length") return this.#length();
    if (typeof key === "symbol") return Reflect.get(target, key);
    const index = indexOf(key);
    if (index !== undefined) return this.recorder.inner(this.place, index);
    if (REFUSED.has(key)) {
      throw new EditError(key, this.recorder.path(this.place, key), `a shared list has no ${key}: take out and insert`);
    }
    return this.#writing(key) ?? Reflect.get(target, key);
  }

  set(_: unknown[], key: string | symbol, value: unknown): boolean {
    const index = typeof key === "string" ? indexOf(key) : undefined;
    if (key === "length") this.#setLength(Number(value));
    else if (index === undefined) return this.defineProperty();
    else if (index === this.#length()) this.recorder.insert(this.place, index, value);
    else if (value === undefined) {
      throw new EditError("put", [...this.recorder.path(this.place, "put"), index], "a document holds no undefined");
    } else this.recorder.put(this.place, index, value);
    return true;
  }

  deleteProperty(_: unknown[], key: string | symbol): boolean {
    const path = [...this.recorder.path(this.place, "delete"), String(key)];
    throw new EditError("delete", path, "a list has no holes: take elements out by `splice`");
  }

  has(target: unknown[], key: string | symbol): boolean {
    const index = typeof key === "string" ? indexOf(key) : undefined;
    return index === undefined ? Reflect.has(target, key) : index < this.#length();
  }

  ownKeys(): string[] {
    return [...Array.from({ length: this.#length() }, (_, index) => String(index)), "length"];
  }

  getOwnPropertyDescriptor(_: unknown[], key: string | symbol): PropertyDescriptor | undefined {
    if (key === "length") return { value: this.#length(), writable: true, enumerable: false, configurable: false };
    const index = typeof key === "string" ? indexOf(key) : undefined;
    if (index === undefined || index >= this.#length()) return undefined;
    return { value: this.recorder.inner(this.place, index), writable: true, enumerable: true, configurable: true };
  }

  #setLength(length: number): void {
    const now = this.#length();
    if (!(Number.isInteger(length) && length >= 0 && length <= now)) {
      const path = this.recorder.path(this.place, "put");
      throw new EditError("put", path, `the list has ${now} elements: it can't be made to have ${length}`);
    }
    this.#splice(length, now - length, []);
  }

  #writing(key: string): ((...given: unknown[]) => unknown) | undefined {
    switch (key) {
      case "push":
        return (...items) => {
          this.#splice(this.#length(), 0, items);
          return this.#length();
        };
      case "unshift":
        return (...items) => {
          this.#splice(0, 0, items);
          return this.#length();
        };
      case "pop":
        return () => this.#splice(this.#length() - 1, 1, [])[0];
      case "shift":
        return () => this.#splice(0, 1, [])[0];
      case "splice":
        return (...given) => {
          const [first, count, ...items] = given as [number?, number?, ...unknown[]];
          // As arrays take it: what is no number is the beginning.
          const start = Math.trunc(Number(first)) || 0;
          const from = start < 0 ? Math.max(this.#length() + start, 0) : Math.min(start, this.#length());
          const deleted = given.length === 1 ? this.#length() - from : (count ?? 0);
          return this.#splice(from, deleted, items);
        };
      default:
        return undefined;
    }
  }

  /** Gives what it takes out, as it was. */
  #splice(from: number, deleted: number, items: readonly unknown[]): readonly unknown[] {
    const taken = from < 0 ? [] : this.recorder.taken(this.place, from, from + Math.max(deleted, 0));
    for (const _ of taken) this.recorder.remove(this.place, from);
    for (const [n, item] of items.entries()) this.recorder.insert(this.place, from + n, item);
    return taken;
  }
}

function indexOf(key: string): number | undefined {
  return /^(?:0|[1-9]\d*)$/.test(key) ? Number(key) : undefined;
}
