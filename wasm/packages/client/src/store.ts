/** What the parts of one open client share. */
import { Query } from "./query.js";
import { conversation, list, reuse } from "./shapes.js";
import type { Connection } from "./tabs/connection.js";
import type { AccountId, ConversationInfo, DeviceId } from "./types.js";

/** Notices after which the list of conversations may look different. */
const OF_LIST = new Set(["edited", "conversation", "message", "receipt", "settings", "status", "device", "link.done"]);

/** The way to the engine, and what more than one part follows. */
export class Store {
  readonly connection: Connection;
  readonly conversations: Query<readonly ConversationInfo[]>;
  /** The own account; null until there is one. */
  me: AccountId | null = null;
  /** This device; null until there is an account. */
  device: DeviceId | null = null;

  /** Nothing is asked yet. */
  constructor(connection: Connection) {
    this.connection = connection;
    this.conversations = new Query<readonly ConversationInfo[]>(connection, {
      load: async () => list(await connection.call("conversation.list")).map(conversation),
      concerns: ({ method }) => OF_LIST.has(method),
      merge: (old, now) => reuse(old, now, (info) => info.id),
    });
  }
}
