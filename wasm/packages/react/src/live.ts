/** Hooks that follow what changes by itself. */
import type {
  AccountId,
  Conversation,
  ConversationId,
  ConversationInfo,
  Device,
  HistoryProgress,
  Json,
  Live,
  SharedDocument,
  Status,
} from "@rejoinder/client";
import { useCallback, useSyncExternalStore } from "react";
import { useRejoinder } from "./provider.js";

/** A live value's newest; the component is rendered anew at each change. */
export function useLive<T>(live: Live<T>): T {
  const subscribe = useCallback((changed: () => void) => live.subscribe(changed), [live]);
  const current = useCallback(() => live.current, [live]);
  return useSyncExternalStore(subscribe, current, current);
}

/** How things stand. */
export function useStatus(): Status {
  return useLive(useRejoinder().status);
}

/** All conversations, newest activity first; undefined until loaded. */
export function useConversations(): readonly ConversationInfo[] | undefined {
  return useLive(useRejoinder().conversations.list);
}

/** One conversation, and its row in the list: undefined until loaded, null if there is none. */
export function useConversation(id: ConversationId): {
  readonly conversation: Conversation;
  readonly info: ConversationInfo | null | undefined;
} {
  const conversation = useRejoinder().conversation(id);
  const info = useLive(conversation.info);
  return { conversation, info };
}

/** Who is typing there. */
export function useTyping(id: ConversationId): readonly AccountId[] {
  return useLive(useRejoinder().conversation(id).typing);
}

/** How much of the past has arrived there; null when nothing is on its way. */
export function useHistory(id: ConversationId): HistoryProgress | null {
  return useLive(useRejoinder().conversation(id).history);
}

/** The own account's devices, the primary first; undefined until loaded. */
export function useDevices(): readonly Device[] | undefined {
  return useLive(useRejoinder().devices.list);
}

/** A setting, and what sets it: undefined until loaded, null if it is not set. */
export function useSetting<T extends Json = Json>(
  key: string,
): readonly [value: T | null | undefined, set: (value: T | null) => Promise<void>] {
  const { settings } = useRejoinder();
  const all = useLive(settings.all);
  const set = useCallback((value: T | null) => settings.set(key, value), [settings, key]);
  const value = all === undefined ? undefined : ((all[key] ?? null) as T | null);
  return [value, set];
}

/**
 * A document of a conversation, or of the account's own (`"account"`), and its value: undefined
 * until loaded, an empty map where nothing was written yet.
 */
export function useDocument(
  space: ConversationId | "account",
  name: string,
): { readonly document: SharedDocument; readonly value: Json | undefined } {
  const client = useRejoinder();
  const document = space === "account" ? client.document(name) : client.conversation(space).document(name);
  const value = useLive(document.value);
  return { document, value };
}
