/**
 * One tab's way to the engine, whichever tab's worker it lives in.
 *
 * A call waits until some worker has the store open. If that worker ends before it answered, the
 * call is made again to the next one, under the same edit id.
 */
import { RejoinderError, fromFault } from "../error.js";
import { closed, tell } from "../live.js";
import type { StorageKind } from "../types.js";
import { METHODS, type Call, type ChangeOptions, type Engine, type Method, type Notice, type Params } from "../wire.js";
import { Journal } from "./journal.js";
import { Owner } from "./owner.js";
import { VERSION, names, randomId } from "./protocol.js";
import type { ToAll, ToOwner, ToTab } from "./protocol.js";

/** How long closing waits for edits; what takes longer stays in the journal for the next start. */
const PATIENCE_MS = 5_000;

/** What a tab needs to know to open. */
export interface ConnectionOptions {
  readonly name: string;
  readonly relay: string;
  readonly storage: StorageKind | undefined;
  readonly worker: () => Worker;
}

interface Pending {
  readonly message: Extract<ToOwner, { kind: "call" }>;
  readonly key: string | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: RejoinderError) => void;
  readonly call: Call;
}

/** A tab's calls and what it hears. */
export class Connection implements Engine {
  readonly #prefix: string;
  readonly tab = randomId();
  readonly #journal: Journal;
  readonly #inbox: BroadcastChannel;
  readonly #hall: BroadcastChannel;
  readonly #pending = new Map<number, Pending>();
  readonly #notices = new Set<(notice: Notice) => void>();
  readonly #openings = new Set<(storage: StorageKind) => void>();
  readonly #failures = new Set<(error: RejoinderError) => void>();
  readonly #rejections = new Set<(rejection: { method: string; error: RejoinderError }) => void>();
  readonly #opened: Promise<void>;
  #owner: { readonly id: string; readonly calls: BroadcastChannel } | undefined;
  #lost: string | undefined;
  #part: Owner | undefined;
  #lastCall = 0;
  #isClosed = false;
  #leave: (() => void) | undefined;

  /** Joins the tabs that have this store open. */
  constructor(options: ConnectionOptions) {
    this.#prefix = names.prefix(options.name);
    this.#journal = new Journal(this.#prefix, this.tab);
    this.#inbox = new BroadcastChannel(names.tab(this.#prefix, this.tab));
    this.#inbox.onmessage = ({ data }: MessageEvent<ToTab>) => this.#hear(data);
    this.#hall = new BroadcastChannel(names.hall(this.#prefix));
    this.#hall.onmessage = ({ data }: MessageEvent<ToOwner | ToAll>) => {
      if (data.kind === "roll call") this.#hello();
    };
    this.#opened = this.#firstOpening();
    this.#opened.catch(() => undefined);
    this.#join(options);
  }

  /** Resolves when some worker has the store open. */
  opened(): Promise<void> {
    return this.#opened;
  }

  /** Calls `listener` at each notice. */
  onNotice(listener: (notice: Notice) => void): () => void {
    this.#notices.add(listener);
    return () => this.#notices.delete(listener);
  }

  /** Calls `listener` whenever a worker has opened the store: notices may have been missed. */
  onOpening(listener: (storage: StorageKind) => void): () => void {
    this.#openings.add(listener);
    return () => this.#openings.delete(listener);
  }

  /** Calls `listener` when a worker could not open the store; it is tried again. */
  onFailure(listener: (error: RejoinderError) => void): () => void {
    this.#failures.add(listener);
    return () => this.#failures.delete(listener);
  }

  /** Calls `listener` when an edit that nobody waits for could not be made. */
  onRejection(listener: (rejection: { method: string; error: RejoinderError }) => void): () => void {
    this.#rejections.add(listener);
    return () => this.#rejections.delete(listener);
  }

  /** Asks for something. An edit is written down before this returns. */
  start(method: Method, given: Params, { seen, instead = [] }: ChangeOptions = {}): Call {
    const params = withoutGaps(given);
    if (this.#isClosed) return { edit: undefined, answer: Promise.reject(closed()), told: 0 };
    const edit = METHODS[method] === "read" ? undefined : randomId();
    const key = edit === undefined ? undefined : this.#write(edit, method, params);
    for (const key of instead) this.#journal.remove(key);
    const id = ++this.#lastCall;
    const message = { kind: "call", tab: this.tab, id, method, params, edit, seen } as const;
    let [resolve, reject]: [Pending["resolve"], Pending["reject"]] = [() => undefined, () => undefined];
    const answer = new Promise<unknown>((yes, no) => {
      [resolve, reject] = [yes, no];
    });
    const call: Call = { edit, answer, told: 0 };
    this.#pending.set(id, { message, key, resolve, reject, call });
    this.#send(message);
    return call;
  }

  keep(method: Method, params: Params): string | undefined {
    return this.#isClosed ? undefined : this.#write(randomId(), method, withoutGaps(params));
  }

  drop(key: string): void {
    this.#journal.remove(key);
  }

  #write(edit: string, method: Method, params: Params): string | undefined {
    if (METHODS[method] !== "journal") return undefined;
    return this.#journal.add({ edit, method, params, atMs: Date.now() });
  }

  /** Asks for something, and waits for what comes of it. */
  call(method: Method, params: Params = {}): Promise<unknown> {
    return this.start(method, params).answer;
  }

  /** Finishes the edits under way, and leaves the store to other tabs. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const edits: Promise<unknown>[] = [];
    for (const [id, pending] of this.#pending) {
      if (pending.message.edit === undefined) {
        this.#pending.delete(id);
        pending.reject(closed());
      } else {
        edits.push(pending.call.answer);
      }
    }
    await Promise.race([Promise.allSettled(edits), pause(PATIENCE_MS)]);
    for (const pending of this.#pending.values()) pending.reject(closed());
    this.#pending.clear();
    await this.#part?.close();
    this.#owner?.calls.close();
    this.#inbox.close();
    this.#hall.close();
    this.#leave?.();
  }

  #firstOpening(): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        stops.forEach((stop) => stop());
      };
      const stops = [
        this.onOpening(() => {
          end();
          resolve();
        }),
        this.onFailure((error) => {
          end();
          reject(error);
        }),
      ];
    });
  }

  /** Holds the lock that says that this tab lives, before anything of it can be seen. */
  #join(options: ConnectionOptions): void {
    const held = new Promise<void>((resolve) => {
      this.#leave = resolve;
    });
    navigator.locks
      .request(names.tabLock(this.#prefix, this.tab), () => {
        if (this.#isClosed) return undefined;
        this.#part = new Owner({
          prefix: this.#prefix,
          tab: this.tab,
          journal: this.#journal,
          open: { name: options.name, relay: options.relay, storage: options.storage },
          worker: options.worker,
          hear: (message) => this.#hear(message),
          rejected: (method, error) => this.#rejected(method, error),
        });
        this.#hello();
        return held;
      })
      .catch((error: unknown) => {
        const reason = new RejoinderError("unsupported", "the browser grants no locks", { cause: error });
        for (const listener of [...this.#failures]) tell(listener, reason);
      });
  }

  #hello(): void {
    this.#hall.postMessage({ kind: "hello", tab: this.tab, version: VERSION } satisfies ToOwner);
  }

  #send(message: ToOwner): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    if (this.#part?.send(owner.id, message) !== true) owner.calls.postMessage(message);
  }

  #hear(message: ToTab): void {
    switch (message.kind) {
      case "ready":
        return this.#meet(message.owner, message.storage as StorageKind);
      case "failed": {
        const error = fromFault(message.fault);
        for (const listener of [...this.#failures]) tell(listener, error);
        return;
      }
      case "answer":
        if (message.owner === this.#owner?.id) this.#answered(message);
        return;
      case "notice":
        if (message.owner !== this.#owner?.id) return;
        for (const listener of [...this.#notices]) tell(listener, message);
    }
  }

  /** A worker has the store open: what is under way is asked of it, in its order. */
  #meet(id: string, storage: StorageKind): void {
    if (this.#owner?.id === id || this.#lost === id) return;
    this.#lost = this.#owner?.id;
    this.#owner?.calls.close();
    this.#owner = { id, calls: new BroadcastChannel(names.owner(this.#prefix, id)) };
    // What was told by the one before is not what this one tells.
    for (const { message } of this.#pending.values()) this.#send({ ...message, seen: undefined });
    for (const listener of [...this.#openings]) tell(listener, storage);
  }

  #answered(answer: Extract<ToTab, { kind: "answer" }>): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    pending.call.told = answer.told ?? 0;
    if (answer.fault?.kind === "stale") {
      // It will be made of what the document is now; until then it stays written down.
      return pending.reject(new RejoinderError("stale", answer.fault.message, { details: { key: pending.key } }));
    }
    // A failed edit changed nothing, and whoever made it is told: it is not made again.
    if (pending.key !== undefined) this.#journal.remove(pending.key);
    if (answer.fault === undefined) pending.resolve(answer.result);
    else pending.reject(fromFault(answer.fault));
  }

  #rejected(method: string, error: RejoinderError): void {
    for (const listener of [...this.#rejections]) tell(listener, { method, error });
  }
}

/** Without the fields that are undefined, as JSON would have it. */
function withoutGaps(params: Params): Params {
  return Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
