/** A window of a conversation's messages that follows the newest. */
import type { Outgoing } from "./conversation.js";
import { RejoinderError } from "./error.js";
import { Cell } from "./live.js";
import { list, message, same, texts } from "./shapes.js";
import type { Store } from "./store.js";
import type { Message, MessageId, MessageList, MessagePage } from "./types.js";
import type { Notice } from "./wire.js";

/** A message that is in the store. */
type Stored = Message & { readonly id: MessageId };

/** Receipts come in bursts: the marks are looked at again at most once in this time. */
const MARKS_PACE_MS = 80;
/** Messages that are looked at again at a time. */
const AGAIN = 50;
/** Sorts behind every rank. */
const NEWEST = "~";
/** At most so many are asked for at a time. */
const MOST = 500;
/** An own message may be dated so much earlier than its sending by this page's clock. */
const SKEW_MS = 60_000;

/** What a window needs of its conversation. */
export interface WindowOptions {
  /** What is on its way now. */
  readonly outgoing: () => readonly Outgoing[];
  /** The window is closed. */
  readonly closed: () => void;
}

/**
 * The messages from some one up to the newest.
 *
 * Whatever asks the engine runs in `#queue`, one after the other, so that an answer never overwrites
 * what was learned after it was given.
 */
export class MessageWindow extends Cell<MessagePage | undefined> implements MessageList {
  readonly #store: Store;
  readonly #conversation: string;
  readonly #page: number;
  readonly #options: WindowOptions;
  /** In order, without gaps up to the newest. */
  #stored: readonly Stored[] = [];
  /** Written by this tab, and not yet seen among the stored. */
  #outgoing: readonly Outgoing[] = [];
  /** What a message was called while it was on its way. */
  readonly #keys = new Map<MessageId, string>();
  #hasOlder = false;
  #isLoaded = false;
  #isStarted = false;
  #isOver = false;
  #older: Promise<boolean> | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #marks: ReturnType<typeof setTimeout> | undefined;
  #past: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  /** Loads when somebody first follows. */
  constructor(store: Store, conversation: string, page: number, options: WindowOptions) {
    super(undefined);
    this.#store = store;
    this.#conversation = conversation;
    this.#page = page;
    this.#options = options;
    this.#outgoing = options.outgoing();
  }

  loadOlder(): Promise<boolean> {
    this.#start();
    this.#older ??= this.#loadOlder().finally(() => {
      this.#older = undefined;
      this.#show();
    });
    this.#show();
    return this.#older;
  }

  async reset(): Promise<void> {
    await this.#inOrder(async () => {
      const from = Math.max(0, this.#stored.length - this.#page);
      this.#hasOlder ||= from > 0;
      this.#stored = this.#stored.slice(from);
      this.#show();
      return Promise.resolve();
    });
  }

  override close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#marks);
    clearTimeout(this.#past);
    clearTimeout(this.#retry);
    this.#options.closed();
    super.close();
  }

  /** A message of this tab is on its way. */
  sending(): void {
    const known = new Set(this.#outgoing.map((item) => item.key));
    const more = this.#options.outgoing().filter((item) => !known.has(item.key));
    this.#outgoing = [...this.#outgoing, ...more];
    this.#show();
  }

  /** It is in the store, or could not be written. */
  sent(outgoing: Outgoing): void {
    if (outgoing.id === null) {
      this.#outgoing = this.#outgoing.filter((item) => item !== outgoing);
    } else {
      this.#keys.set(outgoing.id, outgoing.key);
      if (this.#isStarted && !this.#has(outgoing.id)) this.#refresh([outgoing.id]);
    }
    this.#show();
  }

  /** What happened in the conversation. */
  hear(notice: Notice): void {
    if (!this.#isStarted) return;
    if (notice.method === "message") {
      const items = list(notice.params["items"]).map((item) => this.#read(item));
      const named = new Set(items.map((item) => item.id));
      const unnamed = texts(notice.params["messages"]).filter((id) => !named.has(id));
      if (items.length > 0) this.#inOrder(() => Promise.resolve(this.#take(items))).catch(reportError);
      if (unnamed.length > 0) this.#refresh(unnamed);
    } else if (notice.method === "history") {
      this.#past ??= setTimeout(() => {
        this.#past = undefined;
        this.#inOrder(() => this.#lookBack()).catch((error: unknown) => this.#failed(error));
      }, MARKS_PACE_MS);
    } else if (notice.method === "receipt" || notice.method === "conversation") {
      this.#marks ??= setTimeout(() => {
        this.#marks = undefined;
        this.#inOrder(() => this.#loadMarks()).catch((error: unknown) => this.#failed(error));
      }, MARKS_PACE_MS);
    }
  }

  /** Everything may look different. */
  renew(): void {
    if (!this.#isStarted) return;
    if (!this.#isLoaded || this.#stored.length === 0) this.#loadFirst();
    else this.#inOrder(() => this.#reload(() => false)).catch((error: unknown) => this.#failed(error));
  }

  protected override followed(): void {
    this.#start();
  }

  #start(): void {
    if (this.#isStarted || this.#isOver) return;
    this.#isStarted = true;
    this.#loadFirst();
  }

  #loadFirst(): void {
    this.#inOrder(() => this.#first()).catch((error: unknown) => this.#failed(error));
  }

  async #first(): Promise<void> {
    const { messages, hasOlder } = await this.#ask(undefined, this.#page);
    this.#stored = this.#renewed(messages);
    this.#hasOlder = hasOlder;
    this.#isLoaded = true;
    this.#show();
  }

  #loadOlder(): Promise<boolean> {
    return this.#inOrder(async () => {
      // Asked even where there were none: what was written before a link arrives later.
      const { messages, hasOlder } = await this.#ask(this.#stored[0]?.id, this.#page);
      this.#stored = [...this.#renewed(messages), ...this.#stored];
      this.#hasOlder = hasOlder;
      return messages.length > 0;
    });
  }

  /** What was written before this device was linked is arriving: there may be older messages now. */
  async #lookBack(): Promise<void> {
    const first = this.#stored[0]?.id;
    if (this.#hasOlder || !this.#isLoaded) return;
    const lacks = Math.max(this.#page - this.#stored.length, 0);
    const { messages, hasOlder } = await this.#ask(first, lacks);
    this.#stored = [...this.#renewed(messages), ...this.#stored];
    this.#hasOlder = hasOlder;
    this.#show();
  }

  /**
   * What belongs into the window. What stands before all that it has is loaded when it is asked for,
   * unless the window has less than a page.
   */
  #within(items: readonly Stored[]): readonly Stored[] {
    const first = this.#stored[0];
    if (first === undefined || (!this.#hasOlder && this.#stored.length < this.#page)) return items;
    const within = items.filter((item) => item.rank >= first.rank);
    this.#hasOlder ||= within.length < items.length;
    return within;
  }

  /** Some messages appeared or look different, and were not told whole: nobody knows where they stand. */
  #refresh(ids: readonly MessageId[]): void {
    this.#inOrder(async () => {
      // Less than a page was all there was.
      if (this.#stored.length < this.#page) return this.#first();
      const missing = new Set(ids);
      await this.#reload((items) => {
        for (const item of items) missing.delete(item.id);
        return missing.size === 0;
      });
    }).catch((error: unknown) => this.#failed(error));
  }

  /** Asks anew for the window, from the newest back until `isEnough`, and no further than it reaches. */
  async #reload(isEnough: (items: readonly Stored[]) => boolean): Promise<void> {
    const first = this.#stored[0]?.rank ?? "";
    const fresh: Stored[] = [];
    for (let limit = AGAIN; ; limit = Math.min(2 * limit, MOST)) {
      const { messages, hasOlder } = await this.#ask(fresh[0]?.id, limit);
      fresh.unshift(...messages);
      const oldest = messages[0]?.rank;
      if (oldest === undefined || oldest <= first || !hasOlder || isEnough(messages)) break;
    }
    const from = fresh[0]?.rank ?? "";
    const known = new Set(fresh.map((item) => item.id));
    this.#put(
      this.#stored.filter((item) => item.rank < from && !known.has(item.id)),
      fresh.filter((item) => item.rank >= first),
    );
  }

  /** Looks at the marks behind messages again, from the newest on, as far back as any moved. */
  async #loadMarks(): Promise<void> {
    let end = this.#stored.length;
    while (end > 0) {
      const from = Math.max(0, end - AGAIN);
      const before = this.#stored[end]?.id;
      const span = this.#stored.slice(from, end);
      const first = span[0]?.rank;
      if (first === undefined) return;
      const { messages } = await this.#ask(before, span.length);
      const fresh = new Map(messages.map((item) => [item.id, item]));
      const hasMoved = span.some((item) => !same(item, this.#keyed(fresh.get(item.id) ?? item)));
      if (hasMoved) this.#take(messages.filter((item) => item.rank >= first));
      if (!hasMoved && end < this.#stored.length) return;
      end = from;
    }
  }

  async #ask(before: MessageId | undefined, limit: number): Promise<{ messages: Stored[]; hasOlder: boolean }> {
    // One more than is shown tells whether there are older ones.
    const asked = Math.min(limit + 1, 1_000);
    const params = { conversation: this.#conversation, before, limit: asked };
    const found = list(await this.#store.connection.call("message.list", params)).map((item) => this.#read(item));
    const hasOlder = found.length >= asked;
    return { messages: hasOlder ? found.slice(1) : found, hasOlder };
  }

  #read(value: unknown): Stored {
    return this.#keyed(message(value, this.#store.me));
  }

  #keyed(item: Stored): Stored {
    const key = this.#keys.get(item.id) ?? item.id;
    return key === item.key ? item : { ...item, key };
  }

  /** Takes in messages that appeared or look different; the relay may have moved them. */
  #take(items: readonly Stored[]): void {
    const ids = new Set(items.map((item) => item.id));
    this.#put(
      this.#stored.filter((item) => !ids.has(item.id)),
      this.#within(items),
    );
  }

  #put(kept: readonly Stored[], fresh: readonly Stored[]): void {
    const all = [...kept, ...this.#renewed(fresh)];
    const newest = kept.at(-1)?.rank ?? "";
    if (fresh.some((item) => item.rank < newest)) all.sort((a, b) => (a.rank < b.rank ? -1 : 1));
    const isSame = all.length === this.#stored.length && all.every((item, n) => item === this.#stored[n]);
    if (!isSame) this.#stored = all;
    this.#show();
  }

  /** The known objects for those that are the same in content. */
  #renewed(messages: readonly Stored[]): readonly Stored[] {
    const known = new Map(this.#stored.map((item) => [item.id, item]));
    return messages.map((item) => {
      const keyed = this.#keyed(item);
      const old = known.get(item.id);
      return old !== undefined && same(old, keyed) ? old : keyed;
    });
  }

  #has(id: MessageId): boolean {
    return this.#stored.some((item) => item.id === id);
  }

  #show(): void {
    if (!this.#isLoaded || this.#isOver) return;
    if (this.#outgoing.length > 0) {
      const present = new Set(this.#stored.map((item) => item.id));
      this.#outgoing = this.#outgoing.filter((item) => item.id === null || !present.has(item.id));
    }
    const { messages, waiting } = this.#matched();
    const me = this.#store;
    const pending = waiting.map((item): Message => asMessage(item, me));
    const isLoading = this.#older !== undefined;
    const page = this.current;
    const all = pending.length > 0 ? [...messages, ...pending] : messages;
    if (page?.messages === all && page.hasOlder === this.#hasOlder && page.isLoading === isLoading) return;
    this.set({ messages: all, hasOlder: this.#hasOlder, isLoading });
  }

  /**
   * A message may be told of before the answer that gives its id: the newest own messages that nobody
   * knew of are taken for those on their way, by what they say, so that none shows twice.
   */
  #matched(): { messages: readonly Message[]; waiting: readonly Outgoing[] } {
    const waiting = [...this.#outgoing];
    if (waiting.length === 0) return { messages: this.#keyedAll(), waiting };
    const messages: Message[] = [...this.#keyedAll()];
    const from = Math.max(0, messages.length - AGAIN);
    for (let n = from; n < messages.length; n++) {
      const item = messages[n];
      if (item?.id == null || item.device !== this.#store.device || this.#keys.has(item.id)) continue;
      const at = waiting.findIndex((sent) => sent.id === null && isOf(item, sent));
      const sent = waiting[at];
      if (sent === undefined) continue;
      waiting.splice(at, 1);
      messages[n] = { ...item, key: sent.key };
    }
    return { messages, waiting };
  }

  #keyedAll(): readonly Message[] {
    if (this.#keys.size === 0) return this.#stored;
    if (this.#stored.some((item) => this.#keyed(item) !== item)) {
      this.#stored = this.#stored.map((item) => this.#keyed(item));
    }
    return this.#stored;
  }

  #inOrder<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(task);
    this.#queue = run.catch(() => undefined);
    return run;
  }

  /** There may be no such conversation yet, or the store failed: it is tried again. */
  #failed(error: unknown): void {
    if (this.#isOver) return;
    if (!(error instanceof RejoinderError)) reportError(error);
    else if (error.kind === "closed") return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.renew(), 1_000);
  }
}

function isOf(item: Message, sent: Outgoing): boolean {
  return item.text === sent.text && item.replyTo === sent.replyTo && item.atMs > sent.atMs - SKEW_MS;
}

function asMessage(sent: Outgoing, store: Store): Message {
  return {
    id: sent.id,
    key: sent.key,
    author: store.me ?? "",
    authorAddress: null,
    authorName: null,
    mine: true,
    device: store.device,
    text: sent.text,
    atMs: sent.atMs,
    rank: NEWEST,
    replyTo: sent.replyTo,
    edited: false,
    deleted: false,
    reactions: {},
    status: sent.id === null ? "sending" : "local",
    delivered: [],
    read: [],
    needsUpdate: false,
  };
}
