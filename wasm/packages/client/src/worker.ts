/**
 * The worker in which the engine lives: one open device, and the tabs that speak to it.
 *
 * Calls reach the engine in the order in which they came, and each tab hears answers and notices in
 * the order in which the engine gave them.
 */
import init, { Client } from "./wasm/rejoinder.js";
import { toFault } from "./error.js";
import { VERSION, names } from "./tabs/protocol.js";
import type { FromWorker, ToAll, ToOwner, ToTab, ToWorker } from "./tabs/protocol.js";
import type { Fields } from "./wire.js";

/** What of a dedicated worker's global scope is used; the page's types don't have it. */
interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
  addEventListener(kind: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(kind: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
}

type Open = Extract<ToWorker, { kind: "open" }>;

const scope = globalThis as unknown as Scope;

/** A page that just went may hold its files for a moment longer. */
const PATIENCE_MS = 5_000;
const AGAIN_MS = 20;

/** The engine, and who speaks to it. */
class Host {
  readonly #open: Open;
  readonly #hall: BroadcastChannel;
  readonly #calls: BroadcastChannel;
  readonly #tabs = new Map<string, BroadcastChannel>();
  readonly #told = new Told();
  #client: Client | undefined;

  constructor(open: Open) {
    this.#open = open;
    this.#hall = new BroadcastChannel(names.hall(open.prefix));
    this.#calls = new BroadcastChannel(names.owner(open.prefix, open.owner));
  }

  /** Opens the store, and serves from then on. */
  async start(): Promise<void> {
    this.#client = await patiently(() =>
      Client.open(this.#open.options, (method, params) => {
        const { name, by } = params as Fields;
        if (method === "document" && by !== "own") this.#told.note(bare(name), undefined);
        this.#tellAll({ kind: "notice", owner: this.#open.owner, method, params: params as Fields });
      }),
    );
    this.#hall.onmessage = ({ data }: MessageEvent<ToOwner | ToAll>) => {
      if (data.kind === "hello") this.hear(data);
    };
    this.#calls.onmessage = ({ data }: MessageEvent<ToOwner>) => this.hear(data);
    scope.postMessage(this.#ready(this.#client));
    this.#hall.postMessage({ kind: "roll call" } satisfies ToAll);
  }

  /** The store can't be opened: whoever asks is told. */
  fail(thrown: unknown): void {
    const failed: ToTab = { kind: "failed", owner: this.#open.owner, fault: toFault(thrown) };
    scope.postMessage(failed);
    this.#hall.onmessage = ({ data }: MessageEvent<ToOwner | ToAll>) => {
      if (data.kind === "hello") this.#channel(data.tab).postMessage(failed);
    };
    this.#hall.postMessage({ kind: "roll call" } satisfies ToAll);
  }

  /** Takes what a tab says. */
  hear(said: ToOwner): void {
    const client = this.#client;
    if (client === undefined) return;
    if (said.kind === "hello") {
      if (said.tab !== this.#open.tab) this.#meet(said, client);
    } else if (said.kind === "gone") {
      this.#tabs.get(said.tab)?.close();
      this.#tabs.delete(said.tab);
      this.#told.forget(said.tab);
    } else {
      // Handed over in this turn, so that calls keep their order.
      const { tab, id, method, params, edit, seen } = said;
      const owner = this.#open.owner;
      const told = this.#told.count;
      if (seen !== undefined && this.#told.since(seen, (params as Fields)["name"], tab)) {
        const fault = { kind: "stale", message: "others have changed the document since", retry: true };
        return this.#tell(tab, { kind: "answer", owner, id, fault });
      }
      client.call(method, params, edit).then(
        (result) => {
          const params = edited(said);
          if (edit !== undefined && method.startsWith("document.")) this.#told.note(params["name"], params["tab"]);
          this.#tell(tab, { kind: "answer", owner, id, result, told });
          if (edit !== undefined) this.#tellAll({ kind: "notice", owner, method: "edited", params });
        },
        (thrown: unknown) => {
          if (isCrash(thrown)) crash(thrown);
          else this.#tell(tab, { kind: "answer", owner, id, fault: toFault(thrown) });
        },
      );
    }
  }

  /** Closes the store; what is under way is finished first. */
  async close(): Promise<void> {
    this.#hall.close();
    this.#calls.close();
    await this.#client?.close();
    for (const channel of this.#tabs.values()) channel.close();
    scope.postMessage({ kind: "closed" });
  }

  #meet(hello: Extract<ToOwner, { kind: "hello" }>, client: Client): void {
    const channel = this.#channel(hello.tab);
    if (hello.version === VERSION) return channel.postMessage(this.#ready(client));
    const message = "another tab has another version of this page: reload this one, or close that one";
    channel.postMessage({
      kind: "failed",
      owner: this.#open.owner,
      fault: { kind: "outdated", message, retry: true },
    } satisfies ToTab);
    this.hear({ kind: "gone", tab: hello.tab });
  }

  #ready(client: Client): ToTab {
    return { kind: "ready", owner: this.#open.owner, storage: client.storage };
  }

  #tell(tab: string, message: ToTab): void {
    if (tab === this.#open.tab) scope.postMessage(message);
    else this.#channel(tab).postMessage(message);
  }

  #tellAll(message: ToTab): void {
    scope.postMessage(message);
    for (const channel of this.#tabs.values()) channel.postMessage(message);
  }

  #channel(tab: string): BroadcastChannel {
    const known = this.#tabs.get(tab);
    if (known !== undefined) return known;
    const channel = new BroadcastChannel(names.tab(this.#open.prefix, tab));
    this.#tabs.set(tab, channel);
    return channel;
  }
}

/** Changes of documents that were told of: how many, and which was the last of each document. */
class Told {
  count = 0;
  readonly #last = new Map<string, Map<unknown, number>>();

  /** A document was changed: by a tab, or by another device. An empty name means any. */
  note(name: unknown, tab: unknown): void {
    const key = String(name);
    const byTab = this.#last.get(key) ?? new Map<unknown, number>();
    this.#last.set(key, byTab.set(tab, ++this.count));
  }

  /** A tab is gone: what it changed is nobody's own any more. */
  forget(tab: string): void {
    for (const byTab of this.#last.values()) {
      const number = byTab.get(tab);
      if (number === undefined) continue;
      byTab.delete(tab);
      byTab.set(undefined, Math.max(number, byTab.get(undefined) ?? 0));
    }
  }

  /** Whether anybody but this tab has changed a document since so many were told of. */
  since(seen: number, name: unknown, tab: string): boolean {
    return [String(name), ""].some((key) =>
      [...(this.#last.get(key) ?? [])].some(([by, number]) => by !== tab && number > seen),
    );
  }
}

/** The name as an app says it, of the full one that notices have. */
function bare(name: unknown): string {
  return String(name).replace(/^app\//, "");
}

/**
 * The engine announces what others change. What one tab changes, the others hear in this way: what
 * was called, and on what.
 */
function edited(call: Extract<ToOwner, { kind: "call" }>): Fields {
  const { conversation, space, name, key, ops } = call.params as Fields;
  const paths = Array.isArray(ops) ? ops.map(touched) : null;
  // What the owner makes for a tab that is gone has a number below zero, and is no tab's own.
  const tab = call.id < 0 ? undefined : call.tab;
  return { method: call.method, tab, conversation, space, name, key, paths };
}

/** Where an operation on a document changes something: a list as a whole, where elements come, go or move. */
function touched(op: unknown): unknown {
  const { op: kind, path } = op as Fields;
  if (!Array.isArray(path)) return [];
  const isOfList = kind === "insert" || kind === "move" || (kind === "delete" && typeof path.at(-1) === "number");
  // What leads to it may be made, too.
  return kind === "ensure" ? path.slice(0, 1) : isOfList ? path.slice(0, -1) : path;
}

/** Tries again while another worker lets go of the store. */
async function patiently(open: () => Promise<Client>): Promise<Client> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await open();
    } catch (thrown) {
      const isBusy = toFault(thrown).kind === "in_use";
      if (!isBusy || performance.now() > end) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** After a trap the module's memory can't be relied on. */
function isCrash(thrown: unknown): boolean {
  return thrown instanceof WebAssembly.RuntimeError;
}

function crash(thrown: unknown): void {
  scope.postMessage({ kind: "crashed", message: String(thrown) });
}

let host: Host | undefined;

scope.onmessage = ({ data }) => {
  if (data.kind === "open") {
    const opened = new Host(data);
    host = opened;
    init()
      .then(() => opened.start())
      .catch((thrown: unknown) => (isCrash(thrown) ? crash(thrown) : opened.fail(thrown)));
  } else if (data.kind === "close") {
    host?.close().catch(crash);
  } else {
    host?.hear(data);
  }
};
scope.addEventListener("error", (event) => {
  if (isCrash(event.error)) crash(event.error);
});
scope.addEventListener("unhandledrejection", (event) => {
  if (isCrash(event.reason)) crash(event.reason);
});
