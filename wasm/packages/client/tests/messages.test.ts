/** A window of messages over an engine that ranks them by what the relay makes of their clocks. */
import "./browser.js";
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageWindow } from "../src/messages.js";
import type { Store } from "../src/store.js";
import type { Fields, Params } from "../src/wire.js";

interface Stored {
  readonly message: string;
  rank: string;
  text: string;
}

/** Messages as the core has them. */
class Conversation {
  readonly messages: Stored[] = [];
  readonly #windows = new Set<MessageWindow>();
  #calls: Promise<unknown> = Promise.resolve();

  window(page: number): MessageWindow {
    const store = { connection: { call: this.#call }, me: "me", device: "d" } as unknown as Store;
    const window = new MessageWindow(store, "c", page, {
      outgoing: () => [],
      closed: () => this.#windows.delete(window),
    });
    this.#windows.add(window);
    return window;
  }

  ids(): string[] {
    return this.messages.map(({ message }) => message);
  }

  /** Puts messages in, or to where they stand now. */
  put(isWhole: boolean, ...items: readonly Stored[]): void {
    for (const item of items) {
      const known = this.messages.find(({ message }) => message === item.message);
      if (known === undefined) this.messages.push({ ...item });
      else Object.assign(known, item);
    }
    this.messages.sort((a, b) => (a.rank < b.rank ? -1 : 1));
    const params = { messages: items.map(({ message }) => message), items: isWhole ? items.map(shown) : [] };
    for (const window of this.#windows) window.hear({ method: "message", params });
  }

  /** Resolves when no window asks any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 4; quiet++) {
      const before = this.#calls;
      await before;
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (this.#calls !== before) quiet = 0;
    }
  }

  readonly #call = (_: string, { before, limit }: Params): Promise<unknown> => {
    const end = before === undefined ? this.messages.length : this.ids().indexOf(before as string);
    const answer = this.messages.slice(Math.max(0, end - (limit as number)), end).map(shown);
    const call = new Promise((resolve) => setTimeout(() => resolve(answer), 0));
    this.#calls = call;
    return call;
  };
}

function shown({ message, rank, text }: Stored): Fields {
  return { message, rank, text, author: "a", at_ms: 1, device: "e", reactions: {}, delivered: [], read: [] };
}

function at(n: number, rank: string = id(n)): Stored {
  return { message: id(n), rank, text: `m${n}` };
}

function id(n: number): string {
  return String(n).padStart(6, "0");
}

test("a message by a clock that runs ahead stands where the core has it", async () => {
  const conversation = new Conversation();
  conversation.put(true, at(1), at(2), at(3));
  const window = conversation.window(50);
  window.subscribe(() => undefined);
  await window.ready();
  // It claims the far future, and the relay holds it to the present: between 2 and 3.
  conversation.put(true, at(900_000, "000002~1"));
  conversation.put(true, at(4));
  await conversation.settle();
  assert.deepEqual(
    window.current?.messages.map((message) => message.id),
    conversation.ids(),
  );
  assert.deepEqual(conversation.ids(), [id(1), id(2), id(900_000), id(3), id(4)]);
});

test("an own message moves when the relay has placed it", async () => {
  const conversation = new Conversation();
  conversation.put(true, at(1), at(900_000), at(2));
  const window = conversation.window(50);
  window.subscribe(() => undefined);
  await window.ready();
  assert.equal(window.current?.messages.at(-1)?.id, id(900_000));
  conversation.put(true, at(3), at(900_000, "000001~1"));
  await conversation.settle();
  assert.deepEqual(
    window.current?.messages.map((message) => message.id),
    conversation.ids(),
  );
});

test("whatever comes, told whole or by id, the window is the core's newest without a gap", async () => {
  let state = 11;
  const below = (most: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * most);
  };
  for (let world = 0; world < 80; world++) {
    const conversation = new Conversation();
    const page = 5 + below(60);
    conversation.put(true, ...Array.from({ length: below(150) }, (_, n) => at(2 * n)));
    const window = conversation.window(page);
    window.subscribe(() => undefined);
    await window.ready();
    for (let turn = 0; turn < 12; turn++) {
      const doing = below(6);
      const isWhole = below(2) === 0;
      const several = Array.from({ length: 1 + below(4) }, () => at(below(400)));
      if (doing === 0) await window.loadOlder();
      else if (doing === 1) window.renew();
      else if (doing === 2) conversation.put(isWhole, at(500_000 + below(9), `${id(below(400))}~${turn}`));
      else if (doing === 3) conversation.put(isWhole, { ...at(2 * below(75)), text: `edited ${turn}` });
      else conversation.put(isWhole, ...several);
      if (below(3) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await conversation.settle();
    const messages = window.current?.messages ?? [];
    const expected = conversation.messages.slice(conversation.messages.length - messages.length);
    assert.deepEqual(
      messages.map((message) => [message.id, message.text]),
      expected.map(({ message, text }) => [message, text]),
      `world ${world}`,
    );
    assert.ok(messages.length >= Math.min(page, conversation.messages.length), `world ${world}: a page at least`);
    window.close();
  }
});
