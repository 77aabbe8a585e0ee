/**
 * The part of a tab that may come to own the store: it waits for the lock, runs the worker while it
 * has it, and makes the edits that tabs left behind when they ended.
 */
import { fromFault, type Fault } from "../error.js";
import type { Journal } from "./journal.js";
import { names, randomId } from "./protocol.js";
import type { FromWorker, ToAll, ToOwner, ToTab, ToWorker } from "./protocol.js";
import type { RejoinderError } from "../types.js";

/** Worker restarts come after this, doubled each time, up to the last. */
const RESTART_MS = 50;
const RESTART_LAST_MS = 30_000;
/** A worker that served so long starts the count anew. */
const STEADY_MS = 60_000;
/** How often the start of a journal's edit is tried again if the store failed. */
const REPLAY_AGAIN_MS = 1_000;
/** A worker that takes longer to close is ended: what was durable stays so. */
const GOODBYE_MS = 5_000;
/** Calls of the owning page on its own behalf are told from the tab's by their numbers. */
const OWN_CALLS = -1;

/** What an owner needs of its tab. */
export interface OwnerOptions {
  readonly prefix: string;
  readonly tab: string;
  readonly journal: Journal;
  readonly open: { readonly name: string; readonly relay: string; readonly storage?: string | undefined };
  readonly worker: () => Worker;
  /** What this tab hears from its own worker. */
  readonly hear: (message: ToTab) => void;
  /** An edit of a closed tab that could not be made. */
  readonly rejected: (method: string, error: RejoinderError) => void;
}

/** Waits for the store, and owns it until it is closed or the page ends. */
export class Owner {
  readonly #options: OwnerOptions;
  readonly #end = new AbortController();
  readonly #hall: BroadcastChannel;
  readonly #answers = new Map<number, (answer: { result?: unknown; fault?: Fault }) => void>();
  /** Tabs that are watched, or are known to be gone. */
  readonly #watched = new Set<string>();
  readonly #gone = new Set<string>();
  /** Edits that are being made, by key of the journal. */
  readonly #replaying = new Set<string>();
  #worker: Worker | undefined;
  #id = "";
  #isReady = false;
  #lastCall = OWN_CALLS;
  #restarts = 0;
  #readyMs = 0;
  #release: (() => void) | undefined;
  #closed: (() => void) | undefined;

  /** Stands in the queue from now on. */
  constructor(options: OwnerOptions) {
    this.#options = options;
    this.#watched.add(options.tab);
    this.#hall = new BroadcastChannel(names.hall(options.prefix));
    this.#hall.onmessage = ({ data }: MessageEvent<ToOwner | ToAll>) => {
      if (data.kind === "hello" && this.#isOwner) this.#watch(data.tab);
    };
    this.#queue();
  }

  get #isOwner(): boolean {
    return this.#release !== undefined;
  }

  /** The worker, if it is this tab's and has this id. */
  send(owner: string, message: ToOwner): boolean {
    if (this.#worker === undefined || this.#id !== owner) return false;
    this.#tell(message);
    return true;
  }

  /** Lets go of the store, or of the place in the queue. */
  async close(): Promise<void> {
    this.#end.abort();
    this.#hall.close();
    removeEventListener("storage", this.#onStorage);
    document.removeEventListener("freeze", this.#onFreeze);
    if (this.#worker !== undefined && this.#isReady) {
      await new Promise<void>((resolve) => {
        this.#closed = resolve;
        setTimeout(resolve, GOODBYE_MS);
        this.#tell({ kind: "close" });
      });
    }
    this.#stop();
    this.#release?.();
    this.#release = undefined;
  }

  #queue(): void {
    const { prefix } = this.#options;
    navigator.locks
      .request(names.ownerLock(prefix), { signal: this.#end.signal }, () => {
        if (this.#end.signal.aborted) return undefined;
        const held = new Promise<void>((resolve) => {
          this.#release = resolve;
        });
        this.#own();
        return held;
      })
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) reportError(error);
      });
  }

  #own(): void {
    addEventListener("storage", this.#onStorage);
    // A page that the browser is about to put to sleep must not take the store with it.
    document.addEventListener("freeze", this.#onFreeze);
    this.#start();
    this.#watchAll().catch(reportError);
  }

  #start(): void {
    const { prefix, tab, open } = this.#options;
    this.#id = randomId();
    this.#isReady = false;
    const worker = this.#options.worker();
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (this.#worker === worker) this.#hear(data);
    };
    worker.onerror = (event) => {
      if (this.#worker !== worker || this.#isReady) return;
      const message = event.message ?? "the worker's script can't be loaded, or what has to lie beside it";
      this.#hear({ kind: "failed", owner: this.#id, fault: { kind: "unsupported", message, retry: true } });
    };
    this.#tell({ kind: "open", prefix, owner: this.#id, tab, options: open });
  }

  #stop(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#isReady = false;
    this.#answers.clear();
    this.#replaying.clear();
  }

  #restart(why: string): void {
    console.error(`rejoinder: the worker ended, and is started again: ${why}`);
    this.#stop();
    if (performance.now() - this.#readyMs > STEADY_MS) this.#restarts = 0;
    const pause = Math.min(RESTART_MS * 2 ** this.#restarts++, RESTART_LAST_MS);
    setTimeout(() => {
      if (this.#isOwner && this.#worker === undefined) this.#start();
    }, pause);
  }

  #tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "crashed":
        return this.#restart(message.message);
      case "closed":
        return this.#closed?.();
      case "answer":
        if (message.id < 0) {
          this.#answers.get(message.id)?.(message);
          this.#answers.delete(message.id);
          return;
        }
        break;
      case "ready":
        this.#isReady = true;
        this.#readyMs = performance.now();
        this.#replay();
        break;
      case "failed":
        this.#retire();
        break;
      case "notice":
        break;
    }
    this.#options.hear(message);
  }

  /** The store can't be opened now; it is tried again, since what is in the way may go. */
  #retire(): void {
    this.#stop();
    const pause = Math.min(RESTART_MS * 2 ** (4 + this.#restarts++), RESTART_LAST_MS);
    setTimeout(() => {
      if (this.#isOwner && this.#worker === undefined) this.#start();
    }, pause);
  }

  readonly #onStorage = (event: StorageEvent): void => {
    const tab = event.key === null ? undefined : this.#options.journal.tabOf(event.key);
    if (tab !== undefined && event.newValue !== null) this.#watch(tab);
    if (tab !== undefined && this.#gone.has(tab)) this.#replay();
  };

  readonly #onFreeze = (): void => {
    if (!this.#isOwner) return;
    this.#stop();
    this.#release?.();
    this.#release = undefined;
    removeEventListener("storage", this.#onStorage);
    document.removeEventListener("freeze", this.#onFreeze);
    this.#watched.clear();
    this.#watched.add(this.#options.tab);
    this.#queue();
  };

  async #watchAll(): Promise<void> {
    for (const tab of this.#options.journal.tabs()) this.#watch(tab);
    const { held } = await navigator.locks.query();
    const prefix = names.tabLock(this.#options.prefix, "");
    for (const lock of held ?? []) {
      if (lock.name?.startsWith(prefix)) this.#watch(lock.name.slice(prefix.length));
    }
  }

  /** A tab's lock is free when the tab is gone, however it went. */
  #watch(tab: string): void {
    if (this.#watched.has(tab)) return;
    this.#watched.add(tab);
    navigator.locks
      .request(names.tabLock(this.#options.prefix, tab), { signal: this.#end.signal }, () => {
        if (!this.#isOwner) return;
        this.#gone.add(tab);
        this.#tell({ kind: "gone", tab });
        this.#replay();
      })
      .catch((error: unknown) => {
        if (!this.#end.signal.aborted) reportError(error);
      });
  }

  /** Makes what tabs that are gone left behind. The worker takes calls in order. */
  #replay(): void {
    if (!this.#isReady || this.#end.signal.aborted) return;
    for (const { key, entry } of this.#options.journal.left(this.#gone)) {
      if (this.#replaying.has(key)) continue;
      this.#replaying.add(key);
      const id = --this.#lastCall;
      this.#answers.set(id, ({ fault }) => this.#replayed(key, entry.method, fault));
      const { tab } = this.#options;
      this.#tell({ kind: "call", tab, id, method: entry.method, params: entry.params, edit: entry.edit });
    }
  }

  #replayed(key: string, method: string, fault: Fault | undefined): void {
    this.#replaying.delete(key);
    if (fault === undefined) return this.#options.journal.remove(key);
    if (fault.kind === "store") {
      setTimeout(() => this.#replay(), REPLAY_AGAIN_MS);
      return;
    }
    this.#options.journal.remove(key);
    this.#options.rejected(method, fromFault(fault));
  }
}
