import { useSyncExternalStore } from "react";

/** As in the styles: narrower than this, the list and a page don't fit side by side. */
const NARROW = "(width < 760px)";

function follow(changed: () => void): () => void {
  const query = matchMedia(NARROW);
  query.addEventListener("change", changed);
  return () => query.removeEventListener("change", changed);
}

/** Whether there is room for one thing only. */
export function useIsNarrow(): boolean {
  return useSyncExternalStore(follow, () => matchMedia(NARROW).matches);
}
