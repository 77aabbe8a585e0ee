/** An engine of documents alone, whose answers and notices wait until a test lets them go, in their order. */
import { RejoinderError } from "../src/error.js";
import { decode, encode, type DocumentValue } from "../src/document/kinds.js";
import { apply, at, type Op } from "../src/document/tree.js";
import type { Json, Path } from "../src/types.js";
import type { Call, ChangeOptions, Engine, Fields, Method, Notice, Params } from "../src/wire.js";

export class FakeEngine implements Engine {
  readonly tab = "this tab";
  /** What was asked, in its order. */
  readonly asked: { readonly method: string; readonly params: Params }[] = [];
  /** The document, whatever its name. */
  content: DocumentValue = {};
  /** The next call of a method fails so. */
  readonly refusals = new Map<string, RejoinderError>();
  /** Operations that can't be made, and what is asked for with them. */
  unmakeable: (op: Op) => boolean = () => false;
  /** What is written down, to be made at the next start. */
  readonly kept = new Set<string>();
  readonly #listeners = new Set<(notice: Notice) => void>();
  #told = 0;
  #keys = 0;
  #lastOfOthers = 0;
  readonly #queue: (() => void)[] = [];

  call(method: Method, params: Params = {}): Promise<unknown> {
    return this.start(method, params).answer;
  }

  start(method: Method, params: Params, { seen, instead = [] }: ChangeOptions = {}): Call {
    this.asked.push({ method, params });
    for (const key of instead) this.kept.delete(key);
    const told = this.#told;
    const answer = new Promise((resolve, reject) => {
      try {
        if (seen !== undefined && this.#lastOfOthers > seen) {
          const key = `k${this.asked.length}`;
          this.kept.add(key);
          throw new RejoinderError("stale", "others were faster", { details: { key } });
        }
        const refusal = this.refusals.get(method);
        this.refusals.delete(method);
        if (refusal !== undefined) throw refusal;
        const result = this.#answer(method, params);
        this.#queue.push(() => {
          call.told = told;
          resolve(result);
        });
      } catch (error) {
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors
        this.#queue.push(() => reject(error));
      }
    });
    const call: Call = { edit: undefined, answer, told: 0 };
    return call;
  }

  keep(): string {
    const key = `kept ${++this.#keys}`;
    this.kept.add(key);
    return key;
  }

  drop(key: string): void {
    this.kept.delete(key);
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onOpening(): () => void {
    return () => undefined;
  }

  /** Somebody else changes the document. */
  remote(paths: readonly Path[] | null, ...ops: readonly Op[]): void {
    this.content = ops.reduce(apply, this.content);
    this.#lastOfOthers = ++this.#told;
    this.tell("document", { space: "s", name: "app/plan", paths, by: "other", account: "a" });
  }

  /** Another tab of this browser changes it. */
  otherTab(paths: readonly Path[], ...ops: readonly Op[]): void {
    this.content = ops.reduce(apply, this.content);
    this.#lastOfOthers = ++this.#told;
    this.tell("edited", { method: "document.change", tab: "another", space: "s", name: "plan", paths });
  }

  /** Something is told, after what is on its way. */
  tell(method: string, params: Fields): void {
    this.#queue.push(() => {
      for (const listener of [...this.#listeners]) listener({ method, params });
    });
  }

  /** Lets go of what waits, and of what follows from it, until nothing does. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      quiet = this.step() ? 0 : quiet + 1;
      await new Promise((resolve) => setTimeout(resolve, quiet === 0 ? 0 : 5));
    }
  }

  /** Lets go of what waits until something has come of this, however slow the machine is. */
  async until<T>(promise: Promise<T>): Promise<T> {
    const state = { isOver: false };
    const over = (): void => void (state.isOver = true);
    promise.then(over, over);
    do await this.settle();
    while (!state.isOver);
    return promise;
  }

  /** Resolves when nothing is on its way, and a document has nothing left to read or to send. */
  async quiet(document: { readonly value: { ready(): Promise<unknown> } }): Promise<void> {
    // Who waits may be told by a reading after which there is more to read, in a while.
    for (let calm = 0; calm < 2;) {
      const asked = this.asked.length;
      await this.until(document.value.ready().catch(() => undefined));
      await this.settle();
      calm = asked === this.asked.length ? calm + 1 : 0;
    }
  }

  /** Lets go of one answer or notice; false if there is none. */
  step(): boolean {
    const next = this.#queue.shift();
    next?.();
    return next !== undefined;
  }

  #answer(method: string, params: Params): unknown {
    const path = (params["path"] ?? []) as Path;
    switch (method) {
      case "document.get": {
        const value = at(this.content, path);
        return value === undefined ? null : encode(value, "get", path);
      }
      case "document.conflicts":
        return { values: at(this.content, path) === undefined ? [] : [{ value: null }] };
      case "document.change": {
        const ops = (params["ops"] as readonly Json[]).map(toOp);
        if (ops.some(this.unmakeable)) throw new RejoinderError("too_large", "the document would be too large");
        this.content = ops.reduce(apply, this.content);
        return { heads: [] };
      }
      default:
        throw new RejoinderError("unsupported", method);
    }
  }
}

interface Sent {
  readonly op: string;
  readonly path: Path;
  readonly value: Json;
  readonly by: number;
  readonly to: number;
  readonly index: number;
  readonly delete: number;
  readonly insert: string;
}

/** With the numbers that are sent by their bits, as the engine takes them. */
export function exact(sent: Json): Json {
  if (typeof sent !== "object" || sent === null) return sent;
  if (Array.isArray(sent)) return (sent as readonly Json[]).map(exact);
  const fields = Object.entries(sent);
  const [name, bits] = fields[0] ?? [];
  if (fields.length === 1 && name === "$float" && typeof bits === "string" && /^[0-9a-f]{16}$/.test(bits)) {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(`0x${bits}`));
    return view.getFloat64(0);
  }
  return Object.fromEntries(fields.map(([key, item]) => [key, exact(item)]));
}

function toOp(sent: Json): Op {
  const { op, path, value, by, to, index, delete: deleted, insert: inserted } = sent as unknown as Sent;
  if (op === "splice_text") return { op: "spliceText", path, index, deleted, inserted };
  if (op === "increment") return { op, path, by };
  if (op === "move") return { op, path, to };
  if (op === "delete") return { op, path };
  return { op: op as "put", path, value: decode(exact(value)) };
}
