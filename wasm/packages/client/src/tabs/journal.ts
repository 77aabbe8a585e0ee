/**
 * Edits that are under way, kept where the closing of a tab doesn't reach them.
 *
 * An edit is written down before the call that makes it returns, and crossed out when it is durable
 * in the store. `localStorage` is the one place a page can write to without waiting. What a tab left
 * behind when it ended is made by the owner, under the same edit id: exactly once.
 */
import type { Params } from "../wire.js";

/** An edit under way. */
export interface Entry {
  /** Names the edit, for ever. */
  readonly edit: string;
  readonly method: string;
  readonly params: Params;
  /** When it was made, Unix milliseconds. */
  readonly atMs: number;
}

/** What is larger is not kept: a store of some megabytes is shared by the whole origin. */
const LARGEST = 256 * 1024;
/** Digits of a number in a key, so that keys sort as numbers do. */
const DIGITS = 9;

/** The journal of a store, as one tab writes it. */
export class Journal {
  readonly #prefix: string;
  readonly #tab: string;
  #next = 0;

  /** Nothing is read or written yet. */
  constructor(prefix: string, tab: string) {
    this.#prefix = `${prefix}/journal/`;
    this.#tab = tab;
  }

  /** Writes an edit down; gives what crosses it out, or nothing if it could not be kept. */
  add(entry: Entry): string | undefined {
    const number = String(this.#next++).padStart(DIGITS, "0");
    const key = `${this.#prefix}${this.#tab}/${number}`;
    try {
      const line = JSON.stringify(entry);
      if (line.length > LARGEST) return undefined;
      localStorage.setItem(key, line);
      return key;
    } catch {
      // Full, or forbidden by the browser's settings: the edit is made all the same.
      return undefined;
    }
  }

  /** Crosses an edit out. */
  remove(key: string): void {
    try {
      localStorage.removeItem(key);
    } catch {
      // What could not be crossed out is made once more, which changes nothing.
    }
  }

  /** Tabs that have edits under way, or left some behind. */
  tabs(): readonly string[] {
    return [...new Set(this.#keys().map((key) => this.tabOf(key)))].filter((tab) => tab !== undefined);
  }

  /** Whose edit a key of `localStorage` names, if it names one of this store. */
  tabOf(key: string): string | undefined {
    if (!key.startsWith(this.#prefix)) return undefined;
    return key.slice(this.#prefix.length).split("/")[0];
  }

  /** What these tabs left behind, in the order it was made. */
  left(tabs: ReadonlySet<string>): readonly { readonly key: string; readonly entry: Entry }[] {
    const found = this.#keys()
      .filter((key) => tabs.has(this.tabOf(key) ?? ""))
      .sort()
      .flatMap((key) => {
        const entry = this.#read(key);
        return entry === undefined ? [] : [{ key, entry }];
      });
    // Stable: edits of one tab stay in their order even if its clock went back.
    return mergeByTime(found, (item) => this.tabOf(item.key) ?? "");
  }

  #keys(): string[] {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(this.#prefix));
    } catch {
      return [];
    }
  }

  #read(key: string): Entry | undefined {
    try {
      const line = localStorage.getItem(key);
      if (line === null) return undefined;
      const entry = JSON.parse(line) as Partial<Entry>;
      if (typeof entry.edit !== "string" || typeof entry.method !== "string") return undefined;
      return { edit: entry.edit, method: entry.method, params: entry.params ?? {}, atMs: entry.atMs ?? 0 };
    } catch {
      return undefined;
    }
  }
}

/** Merges the tabs' lists by time; each list keeps its order. */
function mergeByTime<T extends { readonly entry: Entry }>(items: readonly T[], tab: (item: T) => string): T[] {
  const lists = new Map<string, T[]>();
  for (const item of items) {
    const list = lists.get(tab(item));
    if (list === undefined) lists.set(tab(item), [item]);
    else list.push(item);
  }
  const merged: T[] = [];
  const heads = [...lists.values()].map((list) => ({ list, at: 0 }));
  while (merged.length < items.length) {
    let first: { list: T[]; at: number } | undefined;
    for (const head of heads) {
      const next = head.list[head.at];
      const best = first?.list[first.at];
      if (next !== undefined && (best === undefined || next.entry.atMs < best.entry.atMs)) first = head;
    }
    const item = first?.list[first.at];
    if (first === undefined || item === undefined) break;
    merged.push(item);
    first.at += 1;
  }
  return merged;
}
