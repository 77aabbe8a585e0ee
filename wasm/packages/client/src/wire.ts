/** What the engine's host is asked and what it says: the methods and notices of `chat rpc`. */
import type { Json, Person } from "./types.js";

/** An object as the host sends it; `shapes.ts` reads it. */
export type Fields = { readonly [key: string]: unknown };

/** Parameters, by name. */
export type Params = { readonly [key: string]: Json | undefined };

/** A person as methods take one, whatever else is known of them. */
export function who(person: Person): Params {
  return "account" in person ? { account: person.account } : { address: person.address };
}

/** How a method is treated when the tab that runs the engine changes under it. */
export type Treatment =
  /** Asked again; it changes nothing. */
  | "read"
  /** Made exactly once, by its edit id; forgotten if its tab closes before it was made. */
  | "once"
  /** Made exactly once, and kept in the journal until it was made. */
  | "journal";

/** Every method, and how it is treated. */
export const METHODS = {
  "account.create": "once",
  "account.set_name": "journal",
  "account.recover": "once",
  "account.new_recovery_code": "once",
  "account.invite": "once",
  "account.status": "read",
  "device.offer": "once",
  "device.join": "once",
  "device.accept": "once",
  "device.confirm": "once",
  "device.cancel": "once",
  "device.list": "read",
  "device.revoke": "once",
  "device.primary": "once",
  "contact.lookup": "read",
  "contact.show": "read",
  "contact.compare": "once",
  "contact.verify": "once",
  "contact.accept_address": "once",
  "contact.block": "journal",
  "conversation.create": "journal",
  "conversation.list": "read",
  "conversation.accept": "journal",
  "conversation.decline": "journal",
  "conversation.leave": "journal",
  "conversation.add": "journal",
  "conversation.remove": "journal",
  "conversation.role": "journal",
  "conversation.title": "journal",
  "conversation.read": "journal",
  "conversation.typing": "read",
  "conversation.foreground": "read",
  "message.send": "journal",
  "message.edit": "journal",
  "message.delete": "journal",
  "message.react": "journal",
  "message.list": "read",
  "settings.get": "read",
  "settings.set": "journal",
  "settings.all": "read",
  "document.list": "read",
  "document.get": "read",
  "document.history": "read",
  "document.conflicts": "read",
  "document.rename": "journal",
  "document.archive": "journal",
  "document.delete": "journal",
  "document.change": "journal",
  "document.presence": "read",
  "document.export": "read",
  "document.import": "journal",
  "sync.wait": "read",
  "sync.digest": "read",
  "network.offline": "read",
  "network.online": "read",
  "network.accept_relay": "read",
} as const satisfies Record<string, Treatment>;

/** A method's name. */
export type Method = keyof typeof METHODS;

/** A call under way, and the edit it makes. */
export interface Call {
  /** Names the edit, for ever; undefined if it makes none. */
  readonly edit: string | undefined;
  readonly answer: Promise<unknown>;
  /** Once it is answered: how many changes of documents had been told of when it reached the engine. */
  told: number;
}

/** How a change of a document is asked for. */
export interface ChangeOptions {
  /**
   * How many changes of documents had been told of when what it is made of was read. If others have changed
   * the document since, it is refused as `stale`, and stays in the journal, whose `key` the refusal names.
   */
  readonly seen?: number | undefined;
  /** What was written into the journal for it before, and is crossed out now. */
  readonly instead?: readonly string[] | undefined;
}

/** Which way there is to the engine. */
export interface Engine {
  /** Names this tab in what the worker tells of edits. */
  readonly tab: string;
  /** Asks for something, and waits for what comes of it. Calls take effect in their order. */
  call(method: Method, params?: Params): Promise<unknown>;
  /** The same, and what else there is to know of it. */
  start(method: Method, params: Params, options?: ChangeOptions): Call;
  /** Writes down what is asked for later; gives what crosses it out. */
  keep(method: Method, params: Params): string | undefined;
  /** Crosses out what is not asked for any more. */
  drop(key: string): void;
  /** Calls `listener` at each notice. Notices and answers come in the order in which they were given. */
  onNotice(listener: (notice: Notice) => void): () => void;
  /** Calls `listener` whenever the store was opened anew: notices may have been missed. */
  onOpening(listener: () => void): () => void;
}

/** Something that happened. */
export interface Notice {
  readonly method: string;
  readonly params: Fields;
}
