/** Hooks that follow documents, and change them. */
import type { ConversationId, DocumentValue, Live, Path, SharedDocument } from "@rejoinder/client";
import {
  typed,
  undoHistory,
  type Draft,
  type Output,
  type StandardSchema,
  type TypedDocument,
} from "@rejoinder/client/typed";
import { useCallback, useMemo } from "react";
import { useLive } from "./live.js";
import { useRejoinder } from "./provider.js";

/** How a document is typed. Schema and beginning are taken when it is first rendered. */
export interface DocumentOptions<T, S extends StandardSchema = StandardSchema> {
  /** What it is held to; any library that speaks the Standard Schema. */
  readonly schema?: S;
  /** What it begins with. */
  readonly initial?: Partial<T> & { readonly [key: string]: unknown };
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
  const client = useRejoinder();
  const document: SharedDocument =
    space === "account" ? client.document(name) : client.conversation(space).document(name);
  const whole = asTyped<T>(document, options);
  const value = useLive(whole.value);
  const change = useCallback((edit: (draft: Draft<T>) => void) => whole.change(edit), [whole]);
  return [value, change, whole];
}

const TYPED = new WeakMap<object, Map<unknown, Map<string, unknown>>>();

/** One handle for all components that use a document in one way: they share what is read, and one undo. */
function asTyped<T>(document: SharedDocument, { schema, initial }: DocumentOptions<T>): TypedDocument<T> {
  const bySchema = TYPED.get(document) ?? new Map<unknown, Map<string, unknown>>();
  TYPED.set(document, bySchema);
  const byInitial = bySchema.get(schema) ?? new Map<string, unknown>();
  bySchema.set(schema, byInitial);
  // An object written where the hook is called is another one each time, and means the same.
  const key = JSON.stringify(initial ?? null);
  const known = byInitial.get(key) as TypedDocument<T> | undefined;
  if (known !== undefined) return known;
  const options = initial === undefined ? undefined : { initial };
  const made = schema === undefined ? typed<T>(document, options) : typed(document, schema, options as never);
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
