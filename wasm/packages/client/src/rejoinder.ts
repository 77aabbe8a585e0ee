/** One device, open in this tab. */
import { ConversationHandle } from "./conversation.js";
import { DeviceFamily } from "./devices.js";
import { DocumentFamily } from "./document/family.js";
import { ACCOUNT } from "./document/asking.js";
import { RejoinderError } from "./error.js";
import { toEvent } from "./events.js";
import { Cell, tell } from "./live.js";
import { Query } from "./query.js";
import { comparison, contact, fields, invite, newAccount, same, status, text } from "./shapes.js";
import { Store } from "./store.js";
import { Connection } from "./tabs/connection.js";
import type {
  Account,
  Comparison,
  Contact,
  Contacts,
  Conversation,
  ConversationId,
  Conversations,
  DocumentList,
  DocumentValue,
  Events,
  Json,
  Live,
  NewAccount,
  OpenOptions,
  Person,
  Rejoinder as RejoinderShape,
  RejoinderOpener,
  Settings,
  SharedDocument,
  Status,
  StorageStatus,
} from "./types.js";
import { who, type Notice } from "./wire.js";

/** The store's name, unless the app says otherwise. */
const NAME = "rejoinder";
/** How long `wait` waits, unless the app says otherwise. */
const WAIT_MS = 30_000;

/** Opens clients. */
export const Rejoinder: RejoinderOpener = { open };
/** One device, open in this tab. */
export type Rejoinder = RejoinderShape;

async function open(options: OpenOptions = {}): Promise<RejoinderShape> {
  refuseWithoutNeeds();
  const connection = new Connection({
    name: options.name ?? NAME,
    relay: options.relay ?? ownRelay(),
    storage: options.storage,
    worker: () => startWorker(options.worker),
  });
  const client = new OpenRejoinder(connection);
  try {
    await client.opened();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

function refuseWithoutNeeds(): void {
  if (typeof document === "undefined") {
    throw new RejoinderError("unsupported", "this is no page: the client runs in browsers, and in a tab");
  }
  const isSecure = globalThis.isSecureContext;
  const lacks = (what: string): RejoinderError => new RejoinderError("unsupported", `this browser lacks ${what}`);
  if (!isSecure) throw lacks("a secure context: the page must come over https, or from localhost");
  if (typeof Worker === "undefined") throw lacks("workers");
  if (typeof BroadcastChannel === "undefined") throw lacks("broadcast channels");
  if (navigator.locks === undefined) throw lacks("locks");
  if (typeof WebAssembly === "undefined") throw lacks("WebAssembly");
}

/** The relay that serves the page, if it does. */
function ownRelay(): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
}

function startWorker(url: string | URL | undefined): Worker {
  if (url !== undefined) return new Worker(url, { type: "module", name: "rejoinder" });
  // Written out, so that bundlers see it.
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "rejoinder" });
}

/** The one behind {@link Rejoinder}; apps know its shape alone. */
export class OpenRejoinder implements RejoinderShape {
  readonly #connection: Connection;
  readonly #store: Store;
  readonly #status: Cell<Status>;
  readonly #devices: DeviceFamily;
  readonly #settings: SettingsFamily;
  readonly #handles = new Map<ConversationId, ConversationHandle>();
  readonly #documents: DocumentFamily;
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();
  readonly #ends = new Set<() => void>();
  #storage: StorageStatus = { kind: "memory", persisted: false, failed: false };
  #said: unknown = {};
  #statusNumber = 0;

  readonly account: Account;
  readonly contacts: Contacts;
  readonly conversations: Conversations;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#store = new Store(connection);
    this.#status = new Cell(status({}, this.#storage));
    this.#devices = new DeviceFamily(this.#store);
    this.#settings = new SettingsFamily(connection);
    this.#documents = new DocumentFamily(connection, ACCOUNT);
    this.account = this.#accountFamily();
    this.contacts = this.#contactFamily();
    this.conversations = this.#conversationFamily();
    connection.onNotice((notice) => this.#hear(notice));
    connection.onRejection((rejection) => this.#emit("rejected", rejection));
    connection.onFailure(() => this.#setStorage({ failed: true }));
    connection.onOpening((kind) => {
      this.#setStorage({ kind, failed: false });
      this.#askStatus().catch(() => undefined);
      for (const handle of this.#handles.values()) handle.renew();
    });
  }

  get status(): Live<Status> {
    return this.#status;
  }

  get devices(): DeviceFamily {
    return this.#devices;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Resolves when the first status is here. */
  async opened(): Promise<void> {
    await this.#connection.opened();
    this.#setStorage({ persisted: await isPersisted() });
    await this.#askStatus();
  }

  conversation(id: ConversationId): ConversationHandle {
    const known = this.#handles.get(id);
    if (known !== undefined) return known;
    const handle = new ConversationHandle(this.#store, id);
    this.#handles.set(id, handle);
    return handle;
  }

  get documents(): Live<DocumentList | undefined> {
    return this.#documents.list;
  }

  document<T = DocumentValue>(name: string): SharedDocument<T> {
    return this.#documents.named(name);
  }

  on<K extends keyof Events>(kind: K, listener: (event: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    const entry = (event: Events[K]): void => listener(event);
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  async *events<K extends keyof Events>(kind: K): AsyncGenerator<Events[K], void, undefined> {
    const queue: Events[K][] = [];
    let wake: () => void = () => undefined;
    let isOver = false;
    const stop = this.on(kind, (event) => {
      queue.push(event);
      wake();
    });
    const end = (): void => {
      isOver = true;
      wake();
    };
    this.#ends.add(end);
    try {
      for (;;) {
        const event = queue.shift();
        if (event !== undefined) yield event;
        else if (isOver) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      stop();
      this.#ends.delete(end);
    }
  }

  async goOffline(): Promise<void> {
    await this.#connection.call("network.offline");
  }

  async goOnline(): Promise<void> {
    await this.#connection.call("network.online");
  }

  async acceptRelay(relay: string): Promise<void> {
    await this.#connection.call("network.accept_relay", { relay });
  }

  async wait(until: "stored" | "up_to_date", timeoutMs = WAIT_MS): Promise<boolean> {
    const answer = await this.#connection.call("sync.wait", { until, timeout_ms: timeoutMs });
    return fields(answer)["reached"] === true;
  }

  async persist(): Promise<boolean> {
    const persisted = (await navigator.storage?.persist?.()) ?? false;
    this.#setStorage({ persisted });
    return persisted;
  }

  async close(): Promise<void> {
    // While there is still a way to say it.
    this.#documents.leave();
    for (const handle of this.#handles.values()) handle.leaveDocuments();
    await this.#connection.close();
    for (const handle of this.#handles.values()) handle.close();
    this.#documents.close();
    this.#store.conversations.close();
    this.#devices.close();
    this.#settings.close();
    this.#status.close();
    for (const end of [...this.#ends]) end();
    this.#listeners.clear();
  }

  #hear(notice: Notice): void {
    const { method, params } = notice;
    // The reason for no connection is told by itself, and holds until there is one.
    const { connection_problem } = fields(this.#said);
    if (method === "status") this.#show({ connection_problem, ...params });
    if (method === "store") this.#setStorage({ failed: params["failed"] === true });
    if (method === "lagged") {
      this.#askStatus().catch(() => undefined);
      for (const handle of this.#handles.values()) handle.renew();
    }
    if (method === "connection") this.#show({ ...fields(this.#said), connection_problem: params["message"] });
    if (method === "edited" && params["method"] === "contact.block") {
      for (const handle of this.#handles.values()) handle.renew();
    }
    this.#handles.get(text(params["conversation"]))?.hear(notice);
    const event = toEvent(notice, this.#store.me);
    if (event !== undefined) this.#emit(event[0], event[1]);
  }

  #emit(kind: keyof Events, event: Events[keyof Events]): void {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) tell(listener as (event: unknown) => void, event);
  }

  async #askStatus(): Promise<void> {
    const number = ++this.#statusNumber;
    const said = await this.#connection.call("account.status");
    // What was told meanwhile is newer than the answer.
    if (number === this.#statusNumber) this.#show(said);
  }

  #show(said: unknown): void {
    this.#statusNumber++;
    this.#said = said;
    const now = status(said, this.#storage);
    const shown = now.connected ? { ...now, connectionProblem: null } : now;
    const isNewcomer = shown.account !== this.#store.me || shown.device !== this.#store.device;
    this.#store.me = shown.account;
    this.#store.device = shown.device;
    const isRenamed = shown.name !== this.#status.current.name;
    if (!same(shown, this.#status.current)) this.#status.set(shown);
    // Conversations name their members, and this account is one.
    if (isRenamed) this.#store.conversations.invalidate();
    // Whose messages are one's own is another question now.
    if (isNewcomer) for (const handle of this.#handles.values()) handle.renew();
  }

  #setStorage(change: Partial<StorageStatus>): void {
    const storage = { ...this.#storage, ...change };
    if (same(storage, this.#storage)) return;
    this.#storage = storage;
    this.#status.set({ ...this.#status.current, storage });
  }

  #accountFamily(): Account {
    const connection = this.#connection;
    const begin = async (answer: Promise<unknown>): Promise<NewAccount> => {
      const account = newAccount(await answer);
      await this.#askStatus();
      return account;
    };
    return {
      create: ({ address, name }) => begin(connection.call("account.create", { address, name })),
      recover: ({ address, recoveryCode, deviceName }) =>
        begin(connection.call("account.recover", { address, recovery_code: recoveryCode, name: deviceName })),
      setName: async (name) => {
        await connection.call("account.set_name", { name });
        await this.#askStatus();
      },
      newRecoveryCode: async () => text(fields(await connection.call("account.new_recovery_code"))["recovery_code"]),
      invite: async () => invite(await connection.call("account.invite")),
    };
  }

  #contactFamily(): Contacts {
    const connection = this.#connection;
    const block = async (person: Person, blocked: boolean): Promise<void> => {
      await connection.call("contact.block", { ...who(person), blocked });
      this.#store.conversations.invalidate();
    };
    return {
      lookup: async (address): Promise<Contact> =>
        contact(await found([address], connection.call("contact.lookup", { address }))),
      show: async (person): Promise<Contact> => contact(await connection.call("contact.show", { ...who(person) })),
      compare: async (account, qr): Promise<Comparison> =>
        comparison(await connection.call("contact.compare", { account, qr })),
      verify: async (account, safetyNumber): Promise<void> => {
        await connection.call("contact.verify", { account, safety_number: safetyNumber });
      },
      acceptAddress: async (address, account): Promise<void> => {
        await connection.call("contact.accept_address", { address, account });
      },
      block: (person) => block(person, true),
      unblock: (person) => block(person, false),
    };
  }

  #conversationFamily(): Conversations {
    const store = this.#store;
    return {
      list: store.conversations,
      create: async ({ title = "", members = [] }): Promise<Conversation> => {
        const created = store.connection.call("conversation.create", { title, members });
        const answer = fields(await found(members, created));
        store.conversations.invalidate();
        return this.conversation(text(answer["conversation"]));
      },
      foreground: async (conversation) => {
        await store.connection.call("conversation.foreground", { conversation });
      },
    };
  }
}

class SettingsFamily implements Settings {
  readonly #connection: Connection;
  readonly #all: Query<Readonly<Record<string, Json>>>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#all = new Query(connection, {
      load: async () => fields(await connection.call("settings.all")) as Readonly<Record<string, Json>>,
      concerns: ({ method, params }) =>
        method === "settings" || method === "link.done" || (method === "edited" && "settings.set" === params["method"]),
      merge: (old, now) => (old !== undefined && same(old, now) ? old : now),
    });
  }

  get all(): Live<Readonly<Record<string, Json>> | undefined> {
    return this.#all;
  }

  async get(key: string): Promise<Json | undefined> {
    const value = (await this.#connection.call("settings.get", { key })) as Json | undefined;
    return value ?? undefined;
  }

  async set(key: string, value: Json): Promise<void> {
    await this.#connection.call("settings.set", { key, value });
    this.#all.invalidate();
  }

  close(): void {
    this.#all.close();
  }
}

async function isPersisted(): Promise<boolean> {
  try {
    return (await navigator.storage?.persisted?.()) ?? false;
  } catch {
    return false;
  }
}

/** An address that leads to nobody is told by its name. */
async function found(addresses: readonly string[], answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof RejoinderError) || error.kind !== "not_found") throw error;
    const which = addresses.map((address) => JSON.stringify(address)).join(" or ");
    throw new RejoinderError("not_found", `the relay knows nobody at ${which}`, { cause: error });
  }
}
