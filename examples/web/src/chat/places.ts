import type { Message } from "@rejoinder/client";

/**
 * Where messages stand in a list. Each list of many has a new one whenever older messages are loaded,
 * and most of them are never asked: what is looked up by is made when something is.
 */
export class Places {
  readonly #messages: readonly Message[];
  #byKey: Map<string, number> | undefined;
  #byId: Map<string | null, Message> | undefined;

  constructor(messages: readonly Message[]) {
    this.#messages = messages;
  }

  /** The index of a message; -1 if there is none of this key. */
  of(key: string | null): number {
    if (key === null) return -1;
    const last = this.#messages.length - 1;
    if (this.#messages[last]?.key === key) return last;
    this.#byKey ??= new Map(this.#messages.map((message, index) => [message.key, index]));
    return this.#byKey.get(key) ?? -1;
  }

  /** The message of an id, if it is loaded. */
  message(id: string | null): Message | undefined {
    if (id === null) return undefined;
    this.#byId ??= new Map(this.#messages.map((message) => [message.id, message]));
    return this.#byId.get(id);
  }
}
