/**
 * The hooks of `@rejoinder/react`, all of which must be used below a `<RejoinderProvider>`.
 *
 * ```tsx
 * <RejoinderProvider client={client}> ... </RejoinderProvider>
 * ```
 */
import type {
  AccountId,
  Conversation,
  ConversationId,
  ConversationInfo,
  Device,
  HistoryProgress,
  Json,
  Message,
  MessagePage,
  Rejoinder,
  SharedDocument,
  Status,
} from "@rejoinder/client";

/** A window of messages, as a component uses it. */
export interface Messages extends MessagePage {
  readonly messages: readonly Message[];
  /** Whether the first page is still being loaded. */
  readonly isFirstLoad: boolean;
  /** Loads older ones; false when there are none. */
  readonly loadOlder: () => Promise<boolean>;
  /** Drops all but the newest page. */
  readonly reset: () => Promise<void>;
}

/** The hooks. */
export interface Hooks {
  /** The client that the provider has. */
  useRejoinder(): Rejoinder;
  /** How things stand. */
  useStatus(): Status;
  /** All conversations; undefined until loaded. */
  useConversations(): readonly ConversationInfo[] | undefined;
  /** One conversation, and its row in the list (undefined until loaded, null if there is none). */
  useConversation(id: ConversationId): {
    readonly conversation: Conversation;
    readonly info: ConversationInfo | null | undefined;
  };
  /** A conversation's newest messages. */
  useMessages(id: ConversationId, options?: { readonly page?: number }): Messages;
  /** Who is typing there. */
  useTyping(id: ConversationId): readonly AccountId[];
  /** How much of the past has arrived there; null when nothing is on its way. */
  useHistory(id: ConversationId): HistoryProgress | null;
  /** The own account's devices; undefined until loaded. */
  useDevices(): readonly Device[] | undefined;
  /** A setting and what sets it; undefined until loaded, null if it is not set. */
  useSetting<T extends Json = Json>(
    key: string,
  ): readonly [value: T | null | undefined, set: (value: T | null) => Promise<void>];
  /** A document of a conversation, or of the account's own (`"account"`), and its value. */
  useDocument(
    space: ConversationId | "account",
    name: string,
  ): { readonly document: SharedDocument; readonly value: Json | undefined };
}
