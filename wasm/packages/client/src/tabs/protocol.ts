/**
 * What tabs and the worker say to one another.
 *
 * One tab owns the store: it holds the owner lock, and runs the worker in which the engine lives.
 * Others post to the owner's channel, which the worker itself hears, so that the owning page's own
 * work never delays them. Everything a tab hears comes in order through one channel: its own.
 */
import type { Fault } from "../error.js";
import type { Fields } from "../wire.js";

/**
 * The version of all this. A page may still be open while a newer one of the same origin is loaded:
 * they share the locks, and tell one another apart by this.
 */
export const VERSION = 3;

/** Why this tab speaks. */
export type ToOwner =
  /** It is there, and asks who the owner is. */
  | { readonly kind: "hello"; readonly tab: string; readonly version: number }
  /** It asks for something. */
  | {
      readonly kind: "call";
      readonly tab: string;
      readonly id: number;
      readonly method: string;
      readonly params: unknown;
      readonly edit: string | undefined;
      /** How many changes of documents had been told of when what it changes was read. */
      readonly seen?: number | undefined;
    }
  /** It is gone: nothing is sent to it any more. */
  | { readonly kind: "gone"; readonly tab: string };

/** What a tab hears. */
export type ToTab =
  /** This worker has the store open, and knows the tab. */
  | { readonly kind: "ready"; readonly owner: string; readonly storage: string }
  /** What came of a call. */
  | {
      readonly kind: "answer";
      readonly owner: string;
      readonly id: number;
      readonly result?: unknown;
      readonly fault?: Fault;
      /** How many changes of documents had been told of when it reached the engine. */
      readonly told?: number;
    }
  /** Something happened. */
  | {
      readonly kind: "notice";
      readonly owner: string;
      readonly method: string;
      readonly params: Fields;
    }
  /** The store can't be opened. */
  | { readonly kind: "failed"; readonly owner: string; readonly fault: Fault };

/** What all tabs hear: a worker asks who is there. */
export interface ToAll {
  readonly kind: "roll call";
}

/** What the owning page tells its worker, beside what every tab may. */
export type ToWorker =
  | ToOwner
  | {
      readonly kind: "open";
      readonly prefix: string;
      readonly owner: string;
      readonly tab: string;
      readonly options: { readonly name: string; readonly relay: string; readonly storage?: string | undefined };
    }
  | { readonly kind: "close" };

/** What the worker tells the owning page, beside what every tab hears. */
export type FromWorker =
  | ToTab
  /** The engine came to grief; the worker can do no more. */
  | { readonly kind: "crashed"; readonly message: string }
  /** The store is closed. */
  | { readonly kind: "closed" };

/** The names of locks and channels of a store. */
export const names = {
  /** What all of them begin with. */
  prefix: (store: string): string => `rejoinder/${store}`,
  /** The lock of the tab that owns the store. */
  ownerLock: (prefix: string): string => `${prefix}/owner`,
  /** The lock that a tab holds while it lives. */
  tabLock: (prefix: string, tab: string): string => `${prefix}/tab/${tab}`,
  /** Where tabs say hello, and workers call the roll. */
  hall: (prefix: string): string => `${prefix}/hall`,
  /** What a worker hears. */
  owner: (prefix: string, owner: string): string => `${prefix}/owner/${owner}`,
  /** What a tab hears. */
  tab: (prefix: string, tab: string): string => `${prefix}/tab/${tab}`,
} as const;

/** A UUID, in its standard text form. */
export function randomId(): string {
  return crypto.randomUUID();
}
