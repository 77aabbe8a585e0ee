/** One conversation. */
import { DocumentFamily } from "./document/family.js";
import { Cell, Mapped } from "./live.js";
import { MessageWindow } from "./messages.js";
import { fields, number, text } from "./shapes.js";
import type { Store } from "./store.js";
import type {
  AccountId,
  Conversation,
  ConversationInfo,
  DocumentList,
  DocumentValue,
  HistoryProgress,
  Live,
  MemberRole,
  MessageId,
  MessageList,
  Person,
  SharedDocument,
} from "./types.js";
import { who, type Method, type Notice, type Params } from "./wire.js";

/** Messages in a page, unless the app says otherwise, and at most. */
const PAGE = 50;
const PAGE_MOST = 1_000;
/** Somebody is typing until this long after they were last said to be. */
const TYPING_MS = 6_000;
/** Own typing is passed on at most so often. */
const TYPING_PACE_MS = 3_000;

/** A message that this tab wrote and that is on its way into the store. */
export interface Outgoing {
  readonly key: string;
  readonly text: string;
  readonly replyTo: MessageId | null;
  readonly atMs: number;
  /** Once it is in the store. */
  id: MessageId | null;
}

/** A conversation's calls and what is followed of it. */
export class ConversationHandle implements Conversation {
  readonly id: string;
  readonly info: Live<ConversationInfo | null | undefined>;
  readonly #store: Store;
  readonly #typing = new Cell<readonly AccountId[]>([]);
  readonly #typists = new Map<AccountId, ReturnType<typeof setTimeout>>();
  readonly #history = new Cell<HistoryProgress | null>(null);
  readonly #documents: DocumentFamily;
  readonly #windows = new Set<MessageWindow>();
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #info: Mapped<readonly ConversationInfo[] | undefined, ConversationInfo | null | undefined>;
  #typedMs = -TYPING_PACE_MS;

  /** Nothing is asked yet. */
  constructor(store: Store, id: string) {
    this.#store = store;
    this.id = id;
    this.#documents = new DocumentFamily(store.connection, id);
    this.#info = new Mapped(store.conversations, (list) =>
      list === undefined ? undefined : (list.find((info) => info.id === id) ?? null),
    );
    this.info = this.#info;
  }

  get typing(): Live<readonly AccountId[]> {
    return this.#typing;
  }

  get history(): Live<HistoryProgress | null> {
    return this.#history;
  }

  messages(options: { readonly page?: number } = {}): MessageList {
    const page = Math.max(1, Math.min(options.page ?? PAGE, PAGE_MOST));
    const window = new MessageWindow(this.#store, this.id, page, {
      outgoing: () => [...this.#outgoing.values()],
      closed: () => this.#windows.delete(window),
    });
    this.#windows.add(window);
    return window;
  }

  async send(body: string, options: { readonly replyTo?: MessageId } = {}): Promise<MessageId> {
    const params = { conversation: this.id, text: body, reply_to: options.replyTo };
    const { edit, answer } = this.#store.connection.start("message.send", params);
    if (edit === undefined) return text(fields(await answer)["message"]);
    const outgoing: Outgoing = {
      key: edit,
      text: body,
      replyTo: options.replyTo ?? null,
      atMs: Date.now(),
      id: null,
    };
    this.#outgoing.set(edit, outgoing);
    for (const window of this.#windows) window.sending();
    try {
      const id = text(fields(await answer)["message"]);
      outgoing.id = id;
      return id;
    } finally {
      for (const window of this.#windows) window.sent(outgoing);
      this.#outgoing.delete(edit);
      this.#store.conversations.invalidate();
    }
  }

  async edit(message: MessageId, body: string): Promise<void> {
    await this.#call("message.edit", { message, text: body });
  }

  async delete(message: MessageId): Promise<void> {
    await this.#call("message.delete", { message });
  }

  async react(message: MessageId, emoji: string | null): Promise<void> {
    await this.#call("message.react", { message, emoji });
  }

  async markRead(message: MessageId): Promise<void> {
    await this.#call("conversation.read", { message });
    this.#store.conversations.invalidate();
  }

  async sendTyping(): Promise<void> {
    const now = performance.now();
    if (now - this.#typedMs < TYPING_PACE_MS) return;
    this.#typedMs = now;
    await this.#call("conversation.typing", {});
  }

  async add(address: string, options: { readonly shareHistory?: boolean } = {}): Promise<void> {
    await this.#changed("conversation.add", { address, share_history: options.shareHistory ?? false });
  }

  async remove(person: Person): Promise<void> {
    await this.#changed("conversation.remove", who(person));
  }

  async setRole(person: Person, role: MemberRole): Promise<void> {
    await this.#changed("conversation.role", { ...who(person), role });
  }

  async setTitle(title: string): Promise<void> {
    await this.#changed("conversation.title", { title });
  }

  async accept(): Promise<void> {
    await this.#changed("conversation.accept", {});
  }

  async decline(options: { readonly block?: boolean } = {}): Promise<void> {
    await this.#changed("conversation.decline", { block: options.block ?? false });
  }

  async leave(): Promise<void> {
    await this.#changed("conversation.leave", {});
  }

  setMuted(muted: boolean): Promise<void> {
    return this.#mark("muted", muted);
  }

  setArchived(archived: boolean): Promise<void> {
    return this.#mark("archived", archived);
  }

  setPinned(pinned: boolean): Promise<void> {
    return this.#mark("pinned", pinned);
  }

  get documents(): Live<DocumentList | undefined> {
    return this.#documents.list;
  }

  document<T = DocumentValue>(name: string): SharedDocument<T> {
    return this.#documents.named(name);
  }

  /** What happened here. */
  hear(notice: Notice): void {
    const { method, params } = notice;
    if (method === "typing") this.#typed(text(params["account"]));
    if (method === "history") {
      const [read, total] = [number(params["read"]), number(params["total"])];
      this.#history.set(read < total ? { read, total } : null);
    }
    if (method === "message") this.#wrote(params["items"]);
    for (const window of this.#windows) window.hear(notice);
  }

  /** Notices may have been missed, or those of another account's device begin. */
  renew(): void {
    for (const window of this.#windows) window.renew();
  }

  /** Says that one is no longer at any of its documents. */
  leaveDocuments(): void {
    this.#documents.leave();
  }

  /** Ends what follows it. */
  close(): void {
    for (const timer of this.#typists.values()) clearTimeout(timer);
    for (const window of [...this.#windows]) window.close();
    this.#documents.close();
    this.#info.close();
    this.#typing.close();
    this.#history.close();
  }

  #call(method: Method, params: Params): Promise<unknown> {
    return this.#store.connection.call(method, { conversation: this.id, ...params });
  }

  async #changed(method: Method, params: Params): Promise<void> {
    await this.#call(method, params);
    this.#store.conversations.invalidate();
  }

  async #mark(what: string, value: boolean): Promise<void> {
    const key = `conversation/${this.id}/${what}`;
    await this.#store.connection.call("settings.set", { key, value: value ? true : null });
    this.#store.conversations.invalidate();
  }

  #typed(account: AccountId): void {
    if (account === this.#store.me) return;
    clearTimeout(this.#typists.get(account));
    this.#typists.set(
      account,
      setTimeout(() => this.#stopped(account), TYPING_MS),
    );
    this.#tellTyping();
  }

  /** Whoever's message is here types it no longer. */
  #wrote(items: unknown): void {
    for (const item of Array.isArray(items) ? (items as unknown[]) : []) {
      this.#stopped(text(fields(item)["author"]));
    }
  }

  #stopped(account: AccountId): void {
    if (!this.#typists.has(account)) return;
    clearTimeout(this.#typists.get(account));
    this.#typists.delete(account);
    this.#tellTyping();
  }

  #tellTyping(): void {
    this.#typing.set([...this.#typists.keys()]);
  }
}
