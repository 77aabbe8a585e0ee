/** Hooks that follow documents, and change them. */
import type { ConversationId, DocumentValue, Live, Path, SharedDocument } from "@rejoinder/client";
import { typed, type Draft, type Output, type StandardSchema, type TypedDocument } from "@rejoinder/client/typed";
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
  // An object written where the hook is called is another one each time, and means the same.
  // oxlint-disable-next-line react-hooks/exhaustive-deps
  const whole = useMemo(() => asTyped<T>(document, options), [document, options.schema]);
  const value = useLive(whole.value);
  const change = useCallback((edit: (draft: Draft<T>) => void) => whole.change(edit), [whole]);
  return [value, change, whole];
}

function asTyped<T>(document: SharedDocument, { schema, initial }: DocumentOptions<T>): TypedDocument<T> {
  const options = initial === undefined ? undefined : { initial };
  if (schema === undefined) return typed<T>(document, options);
  return typed(document, schema, options as never) as TypedDocument<T>;
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
