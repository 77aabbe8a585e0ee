import { useSyncExternalStore } from "react";

const MINUTE_MS = 60_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  now = Date.now();
  for (const listener of listeners) listener();
}

function follow(changed: () => void): () => void {
  listeners.add(changed);
  if (listeners.size === 1) {
    timer = setInterval(tick, MINUTE_MS / 2);
    addEventListener("focus", tick);
  }
  return () => {
    listeners.delete(changed);
    if (listeners.size > 0) return;
    clearInterval(timer);
    removeEventListener("focus", tick);
  };
}

/** The time, anew every half minute: all that shows a time agrees. */
export function useNow(): number {
  return useSyncExternalStore(follow, () => now);
}
