/**
 * Everything an app sees of Rejoinder.
 *
 * The families, and the order of calls: {@link RejoinderOpener.open} gives a {@link Rejoinder}. On an
 * empty store {@link Account.create}, {@link Account.recover} or {@link Devices.offer} gives it an
 * account; then {@link Conversations}, {@link Conversation}, {@link Settings} and
 * {@link SharedDocument} are there. Whatever changes by itself is a {@link Live}.
 *
 * A change is made on this device at once, connected or not. Its promise resolves when the change is
 * durable here; {@link Status} and {@link Message.status} tell how far it has come since. A change
 * whose tab is closed before that is made by another tab, or at the next start, exactly once.
 *
 * Ids are opaque strings. Times are Unix milliseconds and end in `Ms`.
 */
import type { DocumentValue } from "./document/kinds.js";

/** Names an account: a person. Equal on every device, for ever. */
export type AccountId = string;
/** Names a device: one installation of an account. */
export type DeviceId = string;
/** Names a conversation. */
export type ConversationId = string;
/** Names a message in its conversation. It says nothing of its place: {@link Message.rank} does. */
export type MessageId = string;

/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type { DocumentValue, SharedCounter, SharedText } from "./document/kinds.js";
export type { EditError } from "./document/error.js";

/** Keys and indexes that lead into a document. */
export type Path = readonly (string | number)[];

/**
 * A value that changes by itself.
 *
 * `current` is the same reference until the value changes, so that frameworks can compare it.
 * What is expensive is loaded when somebody first subscribes, iterates or calls `ready`, and
 * followed while somebody does.
 *
 * ```ts
 * const stop = client.conversations.list.subscribe((list) => render(list));
 * for await (const status of client.status) console.log(status.connected);
 * ```
 */
export interface Live<T> extends AsyncIterable<Exclude<T, undefined>> {
  /** The newest value that is known. */
  readonly current: T;
  /**
   * Calls `listener` at each change, not for the value that is there already.
   * Returns what ends the subscription.
   */
  subscribe(listener: (value: T) => void): () => void;
  /** The value, once it is loaded; rejects with a {@link RejoinderError} if that fails. */
  ready(): Promise<Exclude<T, undefined>>;
}

/** Where a store is kept. */
export type StorageKind = "opfs" | "indexeddb" | "memory";

/** How {@link RejoinderOpener.open} opens. */
export interface OpenOptions {
  /**
   * The relay, `wss://host` or `ws://host:port`, or the same as `https` and `http`, with a path and a
   * query where a server in front of it wants them; by default the page's own host.
   */
  readonly relay?: string;
  /**
   * The store's name, by default `rejoinder`. Tabs of one origin that open the same name share one
   * device; different names are different devices.
   */
  readonly name?: string;
  /** Where to keep the store; by default the best that this browser has. */
  readonly storage?: StorageKind;
  /**
   * Where the package's `worker.js` is served from. Needed only where a bundler separates it from the
   * package, as esbuild does: serve the whole of `dist` beside it, from the page's own origin, since the
   * worker loads the rest by its own address.
   */
  readonly worker?: string | URL;
}

/** Opens clients. */
export interface RejoinderOpener {
  /**
   * Opens this browser's device. Tabs that open the same name work on one store together.
   *
   * @throws {RejoinderError} `unsupported` where the browser lacks what is needed (a secure
   * context, workers, locks) and outside of browsers, `relay_url` if the relay's address is none, `outdated`
   * if another tab has another version of the page, `store` if the store can't be opened.
   */
  open(options?: OpenOptions): Promise<Rejoinder>;
}

/** One device, open in this tab. */
export interface Rejoinder {
  /** The account, the device and how the sync stands. */
  readonly status: Live<Status>;
  /** The own account. */
  readonly account: Account;
  /** The own account's devices. */
  readonly devices: Devices;
  /** Other people. */
  readonly contacts: Contacts;
  /** All conversations. */
  readonly conversations: Conversations;
  /** What is set for the account, the same on all its devices. */
  readonly settings: Settings;
  /** One conversation; the same object for the same id. It need not exist yet. */
  conversation(id: ConversationId): Conversation;
  /** The documents of the account's own. */
  readonly documents: Live<DocumentList | undefined>;
  /**
   * A document of the account's own, shared by its devices only. The type is what the app knows of it;
   * `@rejoinder/client/typed` holds it to a schema.
   */
  document<T = DocumentValue>(name: string): SharedDocument<T>;
  /** Calls `listener` at each event of a kind. Returns what ends the subscription. */
  on<K extends keyof Events>(kind: K, listener: (event: Events[K]) => void): () => void;
  /** Events of a kind, one after the other, from now on. */
  events<K extends keyof Events>(kind: K): AsyncIterable<Events[K]>;
  /**
   * Closes the connection and stays away, on behalf of all tabs, until `goOnline`, or until the store is
   * opened anew: by a reload, or by another tab when the one that keeps it goes.
   */
  goOffline(): Promise<void>;
  /** Connects again. */
  goOnline(): Promise<void>;
  /** The person accepts another relay than before: `problem.relay` says which. */
  acceptRelay(relay: string): Promise<void>;
  /**
   * Waits until everything written here is durable at the relay (`stored`), or until everything
   * the relay had is here (`up_to_date`). False if that took longer than `timeoutMs` (30,000).
   */
  wait(until: "stored" | "up_to_date", timeoutMs?: number): Promise<boolean>;
  /**
   * Asks the browser never to throw the store away under pressure. False if it makes no promise.
   * Call it from a click: some browsers ask the user.
   */
  persist(): Promise<boolean>;
  /** Lets go of the store; another tab goes on. Changes under way are finished first. */
  close(): Promise<void>;
}

/** How things stand. */
export interface Status {
  /** The account; null until there is one. */
  readonly account: AccountId | null;
  /** This device; null until there is an account. */
  readonly device: DeviceId | null;
  /** The account's address. */
  readonly address: string | null;
  /** The person's name. */
  readonly name: string;
  /**
   * The account has no name, and none of its devices knows one: it was brought back after its first
   * device was lost before it had told. Ask the person, and call {@link Account.setName}.
   */
  readonly nameless: boolean;
  /** What this device may do; null until there is an account. */
  readonly role: DeviceRole | null;
  /** Whether a session with the relay is open. */
  readonly connected: boolean;
  /** Whether everything the relay had is here. */
  readonly upToDate: boolean;
  /** When the relay last confirmed that; null if never. */
  readonly lastConfirmedMs: number | null;
  /** Changes that are not yet durable at the relay. */
  readonly waiting: number;
  /** Spaces in step: the account's own and one for each conversation. */
  readonly spaces: number;
  /** Spaces of which somebody has read more than the relay gives; see {@link ConversationInfo.withheld}. */
  readonly withheld: number;
  /** Conversations of which some can't be read any more; see {@link ConversationInfo.unreadable}. */
  readonly unreadable: number;
  /**
   * When this device last found that the relay had lost what it had confirmed, as after a backup was
   * put back, and wrote its own part of that again; null if never.
   */
  readonly putBackMs: number | null;
  /** What keeps the device from the relay, or a change from being taken; null if nothing does. */
  readonly problem: Problem | null;
  /** Why there is no connection, in words for a log; null while there is one. */
  readonly connectionProblem: string | null;
  /** Where this device's store is, and what may become of it. */
  readonly storage: StorageStatus;
}

/** Where this device's store is, and what may become of it. */
export interface StorageStatus {
  /** Where it is. `memory` is gone when the last tab closes: warn the user. */
  readonly kind: StorageKind;
  /** Whether the browser promised to keep it; without, it may be cleared when disk runs out. */
  readonly persisted: boolean;
  /** Whether writing failed and is tried again (disk full, for one); nothing is taken meanwhile. */
  readonly failed: boolean;
}

/** What an app should tell its user about. */
export interface Problem {
  /** A stable word: `revoked`, `address_taken`, `not_a_relay`, `other_relay`, `quota`, ... */
  readonly kind: ErrorKind;
  /** In words. */
  readonly message: string;
  /** The conversation it is about, if it is about one. */
  readonly space: ConversationId | null;
  /** With `other_relay`: the relay that is here now, to be accepted by `acceptRelay`. */
  readonly relay: string | null;
}

/** The account's first device, or the one it passed this on to, links and ends the others. */
export type DeviceRole = "primary" | "companion";

/** The own account. */
export interface Account {
  /**
   * Founds an account on an empty store. The code is shown once and kept nowhere. The name is as
   * for {@link Account.setName}.
   */
  create(options: { readonly address: string; readonly name: string }): Promise<NewAccount>;
  /**
   * Brings an account back on an empty store when all its devices are lost. Ends all of them.
   * The code is used up; the answer has a new one.
   */
  recover(options: {
    readonly address: string;
    readonly recoveryCode: string;
    /** What this device is to be called. */
    readonly deviceName?: string;
  }): Promise<NewAccount>;
  /**
   * Changes what the person is called, on all devices and wherever the account takes part, also
   * offline. One line of 1 to 64 characters, blanks around it aside.
   *
   * @throws {RejoinderError} `invalid` for an empty name or one of several lines, `too_large`.
   */
  setName(name: string): Promise<void>;
  /** On the primary: a new recovery code; the one before counts no more. */
  newRecoveryCode(): Promise<string>;
  /**
   * An invite, which lets one new account in at a relay that wants that. Whoever gets its code opens
   * the client with it behind the relay's address, as `?token=` and the code. Needs a connection.
   *
   * @throws {RejoinderError} `denied` at a relay that wants no invites, `quota` for more than 8 in a day.
   */
  invite(): Promise<Invite>;
}

/** What lets one new account in. */
export interface Invite {
  readonly code: string;
  /** Until about when it is good. */
  readonly untilMs: number;
}

/** An account that begins on this device. */
export interface NewAccount {
  readonly account: AccountId;
  readonly device: DeviceId;
  /** To be written down: brings the account back when all devices are lost. */
  readonly recoveryCode: string;
}

/** The own account's devices. */
export interface Devices {
  /** All of them, the primary first, those that ended too; undefined until loaded. */
  readonly list: Live<readonly Device[] | undefined>;
  /**
   * On an empty store: offers this device to an account. Show the offer's `qr` to be scanned, then
   * whose account it would join, and once the person says that it is theirs, its code to be typed.
   */
  offer(options?: {
    /** What this device is to be called. */
    readonly name?: string;
    /**
     * Whose account it may join without a question: this one, or `any` for programs that have seen to
     * it otherwise. By default the person is asked: whoever sees the offer can take it up.
     */
    readonly join?: AccountId | "any";
  }): Promise<LinkOffer>;
  /** On the primary: takes what was scanned or pasted. */
  accept(
    qr: string,
    options?: {
      /** Whether the new device may read what was written before; by default not. */
      readonly history?: boolean;
    },
  ): Promise<LinkRequest>;
  /** Ends a device: the primary any but itself, every device itself (which empties its store). */
  revoke(device: DeviceId): Promise<void>;
  /** On the primary: makes another device the primary in the place of this one. */
  makePrimary(device: DeviceId): Promise<void>;
}

/** A device of the own account. */
export interface Device {
  readonly id: DeviceId;
  readonly name: string;
  readonly role: DeviceRole;
  /** Whether it is this one. */
  readonly current: boolean;
  /** When it was linked, where known. */
  readonly linkedMs: number | null;
  /** When the relay last saw it; null while offline. */
  readonly lastSeenMs: number | null;
  /** Whether it was away for 21 days ("asleep") or 30 ("dormant"), by the relay's time. */
  readonly dormancy: "asleep" | "dormant" | null;
  /** Whether it ended. */
  readonly revoked: boolean;
}

/** On a new device: an offer to be linked. Valid for two minutes, once. */
export interface LinkOffer {
  /** The text to show as a QR code, or to be copied. */
  readonly qr: string;
  /** Whose account's device scanned the offer. Show it, and go on by `join` if it is the person's. */
  readonly whose: Promise<Whose>;
  /** The person says that the account is theirs. Before that nothing of this device goes there. */
  join(account: AccountId): Promise<void>;
  /** The seven digits to type on the primary, once the account is settled. */
  readonly code: Promise<string>;
  /** The link is made; rejects if it came to nothing. */
  readonly done: Promise<{ readonly account: AccountId; readonly device: DeviceId }>;
  /** Takes the offer back. */
  cancel(): Promise<void>;
}

/** Whose account a new device would join. */
export interface Whose {
  readonly account: AccountId;
  /** The account's address, if the relay's directory says so, too. */
  readonly address: string | null;
  /** What it calls itself: anybody can say anything. */
  readonly name: string;
}

/** On the primary: a device that asks to be linked. */
export interface LinkRequest {
  /** What the device is to be called. */
  readonly deviceName: string;
  /** The code the new device shows. A wrong one (`denied`) ends the link. */
  confirm(code: string): Promise<DeviceId>;
  /** Lets the device go. */
  cancel(): Promise<void>;
}

/** Other people. */
export interface Contacts {
  /**
   * Who is behind an address. Needs a connection. Fails with `address_moved` if the relay's directory
   * names another account than before: see {@link Contacts.acceptAddress}.
   */
  lookup(address: string): Promise<Contact>;
  /** Somebody known, with the safety number: of the account, whatever the directory says. */
  show(person: Person): Promise<Contact>;
  /** Compares the safety number with the code that the other person shows; the same is remembered. */
  compare(account: AccountId, qr: string): Promise<Comparison>;
  /** The person compared this safety number by eye or ear; null takes that back. */
  verify(account: AccountId, safetyNumber: string | null): Promise<void>;
  /** The person accepts that an address leads to another account now. */
  acceptAddress(address: string, account: AccountId): Promise<void>;
  /** Shows nothing more of somebody. */
  block(person: Person): Promise<void>;
  /** Shows them again. */
  unblock(person: Person): Promise<void>;
}

/** Somebody, by address or by account. */
export type Person = { readonly address: string } | { readonly account: AccountId };

/** A person, as an address leads to them. */
export interface Contact {
  readonly account: AccountId;
  readonly address: string | null;
  readonly name: string;
  /** Equal on both sides when nobody stands between: to be compared aloud. */
  readonly safetyNumber: string;
  /** The same to be shown as a QR code, and compared by the other person's device. */
  readonly qr: string;
  /** Whether it was compared, on any own device, and whether their devices changed since. */
  readonly compared: "never" | "same" | "changed";
}

/**
 * How two safety numbers compare. `behind`: one of the two has not heard yet of a change of devices.
 * `differs`: somebody may stand between.
 */
export type Comparison = "same" | "behind" | "differs";

/** All conversations. */
export interface Conversations {
  /** Newest activity first; undefined until loaded. */
  readonly list: Live<readonly ConversationInfo[] | undefined>;
  /**
   * Founds a conversation, and adds those who are at these addresses. Connected, it is founded only if there
   * is somebody at each; offline it is founded at once, they are added when there is a connection, and the
   * event `notAdded` tells of those who are not found.
   *
   * @throws {RejoinderError} `not_found`, with the addresses in its text, if the relay knows nobody there.
   */
  create(options: { readonly title?: string; readonly members?: readonly string[] }): Promise<Conversation>;
  /** What the user looks at, if anything: it is delivered first after a pause. */
  foreground(conversation: ConversationId | null): Promise<void>;
}

/** A conversation in the list. */
export interface ConversationInfo {
  readonly id: ConversationId;
  readonly title: string;
  /** Members, this account included. */
  readonly members: readonly Member[];
  /** Addresses whose addition is under way. */
  readonly adding: readonly string[];
  /** Messages of others not read yet. */
  readonly unread: number;
  /** The newest message. */
  readonly last: LastMessage | null;
  readonly muted: boolean;
  readonly archived: boolean;
  readonly pinned: boolean;
  /** A stranger's invitation that waits for an answer; nobody learns that it was read. */
  readonly pending: boolean;
  /** Whether this account is still a member. */
  readonly active: boolean;
  /** What was written under keys that the account has lost; null if nothing was. Tell the user. */
  readonly unreadable: Unreadable | null;
  /** Changes that are not yet durable at the relay. */
  readonly waiting: number;
  /** By whose word, besides the relay's, this device has what there is, and since when; null if nobody has said. */
  readonly vouched: Vouched | null;
  /** Somebody in it has read more of it than the relay gives to this device. Tell the user. */
  readonly withheld: boolean;
}

/** The last that is known of another device: it had read no more of a conversation than this one has. */
export interface Vouched {
  /** Whose device. */
  readonly account: AccountId;
  readonly device: DeviceId;
  /** When it said so, by its own clock, and not after this device's. */
  readonly atMs: number;
}

/**
 * What was written in a conversation while the account had no device, before it was brought back,
 * and under keys that it never got: none of its devices can read it, nor what others wrote in answer
 * to it before the account was back.
 */
export interface Unreadable {
  /** How many changes: messages, and what else people change in a conversation. */
  readonly changes: number;
  /** When the relay got the first; null if nothing from before this device came can be read. */
  readonly firstMs: number | null;
  /** When the relay got the last. */
  readonly lastMs: number | null;
}

/** A member of a conversation. */
export interface Member {
  readonly account: AccountId;
  readonly address: string | null;
  readonly name: string;
  readonly role: MemberRole;
}

/**
 * What a member may do: an admin adds, removes and changes roles; a member writes; a commenter writes messages,
 * and no documents; a reader writes neither. What somebody writes who may not counts on no device.
 */
export type MemberRole = "admin" | "member" | "commenter" | "reader";

/** The newest message of a conversation. */
export interface LastMessage {
  readonly id: MessageId;
  readonly author: AccountId;
  /** Its text; empty when deleted. */
  readonly text: string;
  readonly atMs: number;
}

/** One conversation. */
export interface Conversation {
  readonly id: ConversationId;
  /** Its row in the list; undefined until loaded, null if there is no such conversation. */
  readonly info: Live<ConversationInfo | null | undefined>;
  /** Who is typing, others only. Each name goes by itself after a few seconds. */
  readonly typing: Live<readonly AccountId[]>;
  /** How much of what was written before this device was linked is here; null when nothing is on its way. */
  readonly history: Live<HistoryProgress | null>;
  /** A window of messages that follows the newest. Close it when it is no longer shown. */
  messages(options?: {
    /** How many to load at first, and at each `loadOlder` (50, at most 1,000). */
    readonly page?: number;
  }): MessageList;
  /** Writes a message. It shows in message lists at once, as `sending`. */
  send(text: string, options?: { readonly replyTo?: MessageId }): Promise<MessageId>;
  /** Gives an own message another text. */
  edit(message: MessageId, text: string): Promise<void>;
  /** Deletes an own message for everyone. */
  delete(message: MessageId): Promise<void>;
  /** Reacts to a message; null takes the reaction back. */
  react(message: MessageId, emoji: string | null): Promise<void>;
  /** Everything up to this message was read. */
  markRead(message: MessageId): Promise<void>;
  /** Tells those who are looking that this person is typing. At most one call in 3 s is passed on. */
  sendTyping(): Promise<void>;
  /**
   * Adds somebody, without what was written before or (`shareHistory`) with all of it.
   *
   * @throws {RejoinderError} `partial` if all of it was asked for and this device has only a part:
   * it was linked without history, or came back without some. Offer to add them without, or say that
   * another device or member can.
   */
  add(address: string, options?: { readonly shareHistory?: boolean }): Promise<void>;
  /** Removes somebody. */
  remove(person: Person): Promise<void>;
  /** Changes somebody's role. */
  setRole(person: Person, role: MemberRole): Promise<void>;
  /** Changes the title. */
  setTitle(title: string): Promise<void>;
  /** Accepts a stranger's invitation. */
  accept(): Promise<void>;
  /** Declines it: leaves the conversation, and blocks whoever invited if asked to. */
  decline(options?: { readonly block?: boolean }): Promise<void>;
  /** Leaves; what was read stays on this device. */
  leave(): Promise<void>;
  /** Notifies no more, or again. Like all settings, on all own devices. */
  setMuted(muted: boolean): Promise<void>;
  /** Puts it away, or back. */
  setArchived(archived: boolean): Promise<void>;
  /** Keeps it on top, or lets it go. */
  setPinned(pinned: boolean): Promise<void>;
  /** The documents that the members share. */
  readonly documents: Live<DocumentList | undefined>;
  /** A document that the members share; the same object for the same name. */
  document<T = DocumentValue>(name: string): SharedDocument<T>;
}

/** How much of the past has arrived on a linked device. */
export interface HistoryProgress {
  /** Entries here. */
  readonly read: number;
  /** Entries there are. */
  readonly total: number;
}

/** What a message list shows. */
export interface MessagePage {
  /** In display order, oldest first, without gaps up to the newest. */
  readonly messages: readonly Message[];
  /** Whether there are older ones than those. */
  readonly hasOlder: boolean;
  /** Whether older ones are being loaded. */
  readonly isLoading: boolean;
}

/** A window of a conversation's messages, from some message up to the newest. */
export interface MessageList extends Live<MessagePage | undefined> {
  /** Loads older messages; false when there are none. Calls meanwhile share the same load. */
  loadOlder(): Promise<boolean>;
  /** Drops all but the newest page, as when the user jumps to the end. */
  reset(): Promise<void>;
  /** Follows no longer. */
  close(): void;
}

/** A message. */
export interface Message {
  /** Its id; null while `sending`. */
  readonly id: MessageId | null;
  /** Names the message in this tab from `sending` on: for a list's keys. */
  readonly key: string;
  readonly author: AccountId;
  /** The author's address, where known. */
  readonly authorAddress: string | null;
  /** The author's name, where known. */
  readonly authorName: string | null;
  /** Whether this account wrote it. */
  readonly mine: boolean;
  readonly device: DeviceId | null;
  /** Its text, edits folded in; empty when deleted. */
  readonly text: string;
  readonly atMs: number;
  /**
   * Where it stands among the others, the same on every device: ranks sort, as strings, in display
   * order. A message by a clock that runs ahead changes its rank when it reaches the relay.
   */
  readonly rank: string;
  readonly replyTo: MessageId | null;
  readonly edited: boolean;
  readonly deleted: boolean;
  /** Emoji by account. */
  readonly reactions: Readonly<Record<AccountId, string>>;
  readonly status: MessageStatus;
  /** Accounts it was delivered to. */
  readonly delivered: readonly AccountId[];
  /** Accounts that read it. */
  readonly read: readonly AccountId[];
  /** Something in it is newer than this version. */
  readonly needsUpdate: boolean;
}

/**
 * How far a message has come: `sending` (kept by this tab, not yet in the store), `local` (durable
 * on this device), `stored` (durable at the relay), `delivered` (on a device of another member),
 * `read`.
 */
export type MessageStatus = "sending" | "local" | "stored" | "delivered" | "read";

/** What is set for the account, the same on all its devices. */
export interface Settings {
  /** All settings by key; undefined until loaded. */
  readonly all: Live<Readonly<Record<string, Json>> | undefined>;
  /** One setting; undefined if it is not set. */
  get(key: string): Promise<Json | undefined>;
  /** Sets it; null takes it away. The last writer wins. */
  set(key: string, value: Json): Promise<void>;
}

/**
 * A document: maps, lists, texts, counters that several devices change at once, and that come out the same
 * on all of them.
 */
export interface SharedDocument<T = DocumentValue> {
  readonly name: string;
  /** Who else is at it, and what they are at. */
  readonly presence: Presence;
  /**
   * The whole of it; undefined until loaded, an empty map where nothing was written yet. It is also
   * undefined while nobody has handed it over yet to a device or a member who came later: see the error
   * kind `waiting`.
   *
   * Own changes show in it within the call that makes them. What did not change keeps its reference.
   */
  readonly value: Live<T | undefined>;
  /**
   * What lies at a path, followed by itself: tells only when it changes. Undefined if nothing is there; its
   * `ready` waits until something is.
   */
  at<V = DocumentValue>(path: Path): Live<V | undefined>;
  /** What lies at a path, as this device has it in its store; undefined if nothing is there. */
  get<V = DocumentValue>(
    path?: Path,
    options?: {
      /** As it was then: the id of a {@link DocumentChange}, or those of several at once. */
      readonly at?: string | readonly string[];
    },
  ): Promise<V | undefined>;
  /**
   * Makes some changes, all or none. They show in {@link SharedDocument.value} at once; the promise resolves
   * when they are durable here. If they can't be made, they show no longer, and it rejects.
   *
   * ```ts
   * await notes.change((edit) => edit.put(["title"], "Plan").insert(["items", 0], "milk"));
   * ```
   *
   * @throws {EditError} which says which operation can't be made, where and why.
   */
  change(edits: (edit: DocumentEdit) => void): Promise<void>;
  /** As bytes that any Automerge build opens. */
  export(): Promise<Uint8Array>;
  /**
   * Takes in what such bytes say: those of a fork of this document are merged; into a document in which
   * nothing was written yet anything goes.
   *
   * @throws {RejoinderError} `invalid` for an empty file, one of another kind, or one without a common past.
   */
  import(bytes: Uint8Array): Promise<void>;
  /** Who changed it and when, newest first. */
  history(options?: {
    /** How many (50). */
    readonly limit?: number;
    /** Those before this one. */
    readonly before?: string;
  }): Promise<readonly DocumentChange[]>;
  /**
   * What was put at a place at once, by whom, the one that counts first: more than one is a conflict. Empty
   * if nothing is there.
   */
  conflicts(path: Path): Promise<readonly DocumentConflict[]>;
  /**
   * Says, for all who share it, what people are to call it: one line, or nothing any more.
   * {@link DocumentList} says it. The name by which an app opens it stays.
   *
   * @throws {RejoinderError} `invalid` for an empty title or one of several lines, `too_large`.
   */
  rename(title: string | null): Promise<void>;
  /** Puts it away, or back, for all who share it: {@link DocumentList} says so, and nothing else follows. */
  archive(archived?: boolean): Promise<void>;
  /**
   * Deletes it for all who share it: what it held is gone. Who writes under its name again begins a new one.
   */
  delete(): Promise<void>;
}

/** What people are at in a document: where a cursor stands, what is chosen. Told to those who are here, and never kept. */
export interface Presence<S extends Json = Json> {
  /**
   * Others who are at the document, each device by itself; the account's own other devices, too. Who goes
   * without a word is gone from it after half a minute.
   */
  readonly peers: Live<readonly Peer<S>[]>;
  /**
   * Says what one is at, in 2,048 bytes of JSON at most; null, that one leaves. It is passed on at most every
   * 150 ms.
   *
   * @throws {RejoinderError} `invalid` for what JSON has no word for, `too_large`.
   */
  set(state: S | null): void;
}

/** Somebody at a document, on one device. */
export interface Peer<S extends Json = Json> {
  readonly account: AccountId;
  readonly device: DeviceId;
  /** In the app's own words, which nobody has checked. */
  readonly state: S;
}

/** The documents of a space. */
export interface DocumentList {
  /** By name; without those that were deleted or never written. */
  readonly documents: readonly DocumentInfo[];
  /** Some may be yet to be handed over to this device. */
  readonly isWaiting: boolean;
}

/** A document in a list. */
export interface DocumentInfo {
  /** By what an app opens it. */
  readonly name: string;
  /** What people call it, if somebody has said so: in somebody else's words. */
  readonly title: string | null;
  readonly archived: boolean;
}

/** One change of a document. */
export interface DocumentChange {
  /** Names it, for {@link SharedDocument.get}. */
  readonly id: string;
  /** Who made it; null for a beginning, or a conversion, that is the same whoever makes it. */
  readonly account: AccountId | null;
  readonly device: DeviceId | null;
  /** When the relay got it; null if it has not yet. */
  readonly atMs: number | null;
  /** Whether it is durable at the relay. */
  readonly stored: boolean;
}

/** A value of several that were put at one place at once. */
export interface DocumentConflict {
  readonly value: DocumentValue;
  readonly account: AccountId | null;
  readonly device: DeviceId | null;
}

/**
 * Gathers changes to a document. Each call gives the same object back, and takes effect after those before
 * it: indexes are those that they left.
 */
export interface DocumentEdit {
  /** Sets a key of a map or an element of a list. */
  put(path: Path, value: DocumentValue): DocumentEdit;
  /** Inserts into a list, before the index that ends the path. */
  insert(path: Path, value: DocumentValue): DocumentEdit;
  /** Takes away a key or an element. */
  delete(path: Path): DocumentEdit;
  /**
   * Puts a value where there is none, with the maps that lead to it. Two who ensure the same at once make
   * one and the same: begin lists, texts and counters so. Its path ends in a key; elements that are there may
   * lead to it.
   */
  ensure(path: Path, value: DocumentValue): DocumentEdit;
  /**
   * Puts a newer form of a value in the place of what is there. Two who find the same there and do so at once
   * make one and the same: so a newer version of an app brings documents up to date.
   */
  convert(path: Path, value: DocumentValue): DocumentEdit;
  /** Moves an element of a list to another index, counted without it. Two who move it at once move one. */
  move(path: Path, to: number): DocumentEdit;
  /** Adds to a counter; by 1 unless told otherwise. */
  increment(path: Path, by?: number): DocumentEdit;
  /**
   * In a {@link SharedText}: at `index`, deletes so many units and inserts others. Positions are in UTF-16
   * units, as in strings, in `selectionStart` and in every editor.
   */
  spliceText(path: Path, index: number, deleted: number, inserted?: string): DocumentEdit;
}

/** What happens, as it happens, by kind. A {@link Live} is often the easier way to follow. */
export interface Events {
  /** Messages appeared or look different. */
  message: {
    readonly conversation: ConversationId;
    readonly messages: readonly MessageId[];
    /** The messages themselves, while they are few. */
    readonly items: readonly Message[];
  };
  /** Receipts moved. */
  receipt: { readonly conversation: ConversationId; readonly accounts: readonly AccountId[] };
  /** A conversation appeared or changed. */
  conversation: {
    readonly conversation: ConversationId;
    readonly change: "founded" | "joined" | "changed" | "left";
  };
  /** Somebody could not be added. */
  notAdded: {
    readonly conversation: ConversationId;
    readonly address: string;
    readonly kind: ErrorKind;
  };
  /** Somebody's devices changed, perhaps one's own: compare the safety number anew. */
  devices: {
    readonly account: AccountId;
    readonly added: readonly DeviceId[];
    readonly revoked: readonly DeviceId[];
  };
  /** Somebody whose safety number was compared has other devices now. */
  comparedChanged: { readonly account: AccountId };
  /** An address leads to another account now, says the relay: nothing follows until it is accepted. */
  addressMoved: { readonly address: string; readonly was: AccountId; readonly now: AccountId };
  /** A new recovery code counts, that was asked for when the connection was lost: to be shown. */
  recoveryCode: { readonly recoveryCode: string };
  /** This device was ended by its account; so many changes made here were taken in by nobody. */
  ended: { readonly unsent: number };
  /**
   * A document changed: by whomever, on whichever device, whether somebody follows it or not. The name is
   * empty when all documents of a space have come to a device or a member who waited for them.
   */
  document: {
    readonly space: string;
    readonly name: string;
    /** The places that were written, as they are now; null if any may have been. */
    readonly paths: readonly Path[] | null;
    /** By this device, by another one of the account, or by somebody else; null if by none in particular. */
    readonly by: "own" | "sibling" | "other" | null;
    readonly account: AccountId | null;
  };
  /** Settings changed; any may have, if there are no keys. */
  settings: { readonly keys: readonly string[] };
  /** Somebody is typing. */
  typing: { readonly conversation: ConversationId; readonly account: AccountId };
  /** The relay showed different histories to different devices: somebody should be asked. */
  evidence: {
    readonly space: string;
    readonly reason: string;
    readonly what: string;
    /** Whom it is about, if about somebody's devices. */
    readonly account: AccountId | null;
  };
  /** A change that a closed tab had left behind, or that nobody waits for, could not be made. */
  rejected: { readonly method: string; readonly error: RejoinderError };
}

/**
 * Why something failed, as a stable word. Beside those listed there may be others: treat them as
 * failures that say in words what happened.
 */
export type ErrorKind =
  | "no_account"
  | "exists"
  | "offline"
  | "not_found"
  | "denied"
  | "partial"
  | "invalid"
  | "too_large"
  | "quota"
  | "rate"
  | "revoked"
  | "taken"
  | "address_taken"
  | "address_moved"
  | "other_relay"
  | "not_a_relay"
  | "unsupported"
  | "full"
  | "unavailable"
  /** Documents are yet to be handed over to a device or a member who came later; it goes on by itself. */
  | "waiting"
  | "relay_url"
  | "store"
  | "interrupted"
  | "outdated"
  | "closed"
  | (string & {});

/** A failure. Nothing was changed. */
export interface RejoinderError extends Error {
  readonly name: "RejoinderError";
  /** A stable word. */
  readonly kind: ErrorKind;
  /** Whether the client tries again by itself: there is nothing to do but to wait. */
  readonly retry: boolean;
  /** What else the engine says of it, by name. */
  readonly details: { readonly [key: string]: unknown };
}
