/** A conversation's messages, as a component shows them. */
import type { ConversationId, Message, MessageList, MessagePage } from "@rejoinder/client";
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useRejoinder } from "./provider.js";

/** A window of messages that follows the newest. */
export interface Messages extends MessagePage {
  /** Whether the first page is still being loaded. */
  readonly isFirstLoad: boolean;
  /** Loads older ones; false when there are none. */
  readonly loadOlder: () => Promise<boolean>;
  /** Drops all but the newest page. */
  readonly reset: () => Promise<void>;
}

const NONE: readonly Message[] = [];

/** A list for as long as somebody subscribes: rendering alone opens nothing that must be closed. */
class Following {
  readonly #open: () => MessageList;
  #list: MessageList | undefined;
  #page: MessagePage | undefined;
  #followers = 0;

  constructor(open: () => MessageList) {
    this.#open = open;
  }

  readonly current = (): MessagePage | undefined => this.#page;

  readonly subscribe = (changed: () => void): (() => void) => {
    const list = (this.#list ??= this.#open());
    this.#followers += 1;
    this.#page = list.current ?? this.#page;
    const stop = list.subscribe((page) => {
      this.#page = page;
      changed();
    });
    return () => {
      stop();
      this.#followers -= 1;
      if (this.#followers > 0) return;
      list.close();
      this.#list = undefined;
    };
  };

  readonly loadOlder = async (): Promise<boolean> => (await this.#list?.loadOlder()) ?? false;

  readonly reset = async (): Promise<void> => this.#list?.reset();
}

/** A conversation's newest messages, and what loads older ones; followed while it is shown. */
export function useMessages(id: ConversationId, options: { readonly page?: number } = {}): Messages {
  const client = useRejoinder();
  const { page } = options;
  const following = useMemo(
    () => new Following(() => client.conversation(id).messages(page === undefined ? {} : { page })),
    [client, id, page],
  );
  const shown = useSyncExternalStore(following.subscribe, following.current, following.current);
  const loadOlder = useCallback(() => following.loadOlder(), [following]);
  const reset = useCallback(() => following.reset(), [following]);
  return useMemo(
    () => ({
      messages: shown?.messages ?? NONE,
      hasOlder: shown?.hasOlder ?? false,
      isLoading: shown?.isLoading ?? false,
      isFirstLoad: shown === undefined,
      loadOlder,
      reset,
    }),
    [shown, loadOlder, reset],
  );
}
