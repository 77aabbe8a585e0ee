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

const LOADING = new WeakMap<object, Promise<unknown>>();

/**
 * A live value that is loaded: below a `<Suspense>`, which shows something else until it is. What fails to
 * load goes to the error boundary.
 */
export function useLoaded<T>(live: Live<T>): Exclude<T, undefined> {
  const value = useLive(live);
  if (value !== undefined) return value as Exclude<T, undefined>;
  const known = LOADING.get(live);
  // Throwing a promise is how one asks React to wait.
  // oxlint-disable-next-line typescript/only-throw-error
  if (known !== undefined) throw known;
  const loading = live.ready().finally(() => LOADING.delete(live));
  LOADING.set(live, loading);
  // oxlint-disable-next-line typescript/only-throw-error
  throw loading;
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
