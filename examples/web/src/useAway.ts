/** Whether the user chose to be offline, in this tab. */
import type { Rejoinder } from "@rejoinder/client";
import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let isAway = false;

/** Goes offline or back, for all tabs. */
export async function setAway(client: Rejoinder, away: boolean): Promise<void> {
  await (away ? client.goOffline() : client.goOnline());
  isAway = away;
  for (const listener of listeners) listener();
}

/** Whether the user chose to be offline. */
export function useIsAway(): boolean {
  return useSyncExternalStore(
    (changed) => {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    () => isAway,
  );
}
