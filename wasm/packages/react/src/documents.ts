/** Hooks that follow documents, and change them. */
import type {
  ConversationId,
  DocumentValue,
  Json,
  Live,
  Path,
  Peer,
  Presence,
  SharedDocument,
} from "@rejoinder/client";
import {
  typed,
  undoHistory,
  type Draft,
  type Migration,
  type Output,
  type StandardSchema,
  type TypedDocument,
} from "@rejoinder/client/typed";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { useLive } from "./live.js";
import { useRejoinder } from "./provider.js";

/** How a document is typed. Of each schema there is one handle: it is written outside of the component. */
export interface DocumentOptions<T, S extends StandardSchema = StandardSchema> {
  /** What it is held to; any library that speaks the Standard Schema. */
  readonly schema?: S;
  /** What it begins with. */
  readonly initial?: Partial<T> & { readonly [key: string]: unknown };
  /** How what older versions of the app wrote is brought up to date. */
  readonly migrations?: readonly Migration[];
}

/** A document's value, what changes it, and the document. */
export type UsedDocument<T> = readonly [
  /** Undefined until loaded, and while it doesn't fit the schema. */
  value: T | undefined,
  /** Changes a draft of it, all or nothing; what is changed shows in the same frame. */
  change: (edit: (draft: Draft<T>) => void) => Promise<void>,
  document: TypedDocument<T>,
];

/**
 * A document of a conversation, or of the account's own (`"account"`).
 *
 * ```tsx
 * const [plan, change] = useDocument<Plan>(id, "plan", { initial: { items: [] } });
 * const add = () => change((doc) => { doc.items.push({ text: "milk", done: false }); });
 * ```
 */
export function useDocument<S extends StandardSchema>(
  space: ConversationId | "account",
  name: string,
  options: DocumentOptions<Output<S>, S> & { readonly schema: S },
): UsedDocument<Output<S>>;
export function useDocument<T = { readonly [key: string]: DocumentValue }>(
  space: ConversationId | "account",
  name: string,
  options?: DocumentOptions<T>,
): UsedDocument<T>;
export function useDocument<T>(
  space: ConversationId | "account",
  name: string,
  options: DocumentOptions<T> = {},
): UsedDocument<T> {
  const document = useShared(space, name);
  const whole = asTyped<T>(document, options);
  const value = useLive(whole.value);
  const change = useCallback((edit: (draft: Draft<T>) => void) => whole.change(edit), [whole]);
  return [value, change, whole];
}

function useShared(space: ConversationId | "account", name: string): SharedDocument {
  const client = useRejoinder();
  return space === "account" ? client.document(name) : client.conversation(space).document(name);
}

/**
 * Others who are at a document, and what they are at. They are told of this component's own `state` while it
 * is there; without one, or with null, they learn nothing of it.
 *
 * ```tsx
 * const peers = usePresence(id, "plan", { row: chosen });
 * ```
 */
export function usePresence<S extends Json = Json>(
  space: ConversationId | "account",
  name: string,
  state: S | null = null,
): readonly Peer<S>[] {
  const { presence } = useShared(space, name);
  const said = JSON.stringify(state);
  // Who only looks says nothing, and takes back nothing that another component says.
  const isHere = state !== null;
  const component = useRef(null);
  useEffect(() => {
    if (isHere) say(presence, component, said);
  }, [presence, said, isHere]);
  useEffect(() => (isHere ? () => say(presence, component, undefined) : undefined), [presence, isHere]);
  return useLive(presence.peers) as readonly Peer<S>[];
}

const SAYING = new WeakMap<Presence, Map<object, string>>();

/** What a component says, or nothing any more. Of several, what was said last counts. */
function say(presence: Presence, component: object, said: string | undefined): void {
  const all = SAYING.get(presence) ?? new Map<object, string>();
  SAYING.set(presence, all);
  all.delete(component);
  if (said !== undefined) all.set(component, said);
  presence.set(JSON.parse([...all.values()].at(-1) ?? "null") as Json);
}

const TYPED = new WeakMap<object, Map<unknown, Map<string, unknown>>>();

/** One handle for all components that use a document in one way: they share what is read, and one undo. */
function asTyped<T>(document: SharedDocument, { schema, ...rest }: DocumentOptions<T>): TypedDocument<T> {
  const bySchema = TYPED.get(document) ?? new Map<unknown, Map<string, unknown>>();
  TYPED.set(document, bySchema);
  const byInitial = bySchema.get(schema) ?? new Map<string, unknown>();
  bySchema.set(schema, byInitial);
  // What is written where the hook is called is another object each time, and means the same.
  const key = JSON.stringify([rest.initial ?? null, rest.migrations?.map(String)]);
  const known = byInitial.get(key) as TypedDocument<T> | undefined;
  if (known !== undefined) return known;
  const made = schema === undefined ? typed<T>(document, rest) : typed(document, schema, rest as never);
  byInitial.set(key, made);
  return made as TypedDocument<T>;
}

/** Undo and redo of what is changed by a document of {@link useDocument}; see {@link undoHistory}. */
export function useUndo<T>(document: TypedDocument<T>): {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly undo: () => Promise<boolean>;
  readonly redo: () => Promise<boolean>;
} {
  const history = undoHistory(document);
  const canUndo = useLive(history.canUndo);
  const canRedo = useLive(history.canRedo);
  return useMemo(
    () => ({ canUndo, canRedo, undo: () => history.undo(), redo: () => history.redo() }),
    [history, canUndo, canRedo],
  );
}

/**
 * What lies at a path of a document, followed by itself: the component is rendered anew when that changes,
 * and not when the rest does.
 */
export function useDocumentAt<V = DocumentValue>(
  document: { at<T>(path: Path): Live<T | undefined> },
  path: Path,
): V | undefined {
  const place = JSON.stringify(path);
  const part = useMemo(() => document.at<V>(JSON.parse(place) as Path), [document, place]);
  return useLive(part);
}
