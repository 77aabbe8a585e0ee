/** What happens to a text, as editors want it. */
import { difference } from "../document/difference.js";
import { SharedText } from "../document/kinds.js";
import { at } from "../document/tree.js";
import type { DocumentValue, Live, Path } from "../types.js";

/** What became of a text: so many UTF-16 units at an index went, and others came. */
export interface TextDelta {
  readonly index: number;
  readonly deleted: number;
  readonly inserted: string;
}

/**
 * Calls `listener` with each change of a text of a document, by whomever, and with what it says then. The
 * first call brings all of it. Returns what ends that.
 */
export function followText(
  document: { readonly value: Live<DocumentValue | undefined> },
  path: Path,
  listener: (delta: TextDelta, text: string) => void,
): () => void {
  let shown = "";
  const look = (value: DocumentValue | undefined): void => {
    const found = at(value, path);
    const text = found instanceof SharedText ? found.value : "";
    if (text === shown) return;
    const delta = difference(shown, text);
    shown = text;
    listener(delta, text);
  };
  const stop = document.value.subscribe(look);
  look(document.value.current);
  return stop;
}
