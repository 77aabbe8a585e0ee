/**
 * Whose devices changed since somebody last compared the safety number. It is a setting, so that all
 * own devices agree; the terminal client uses the same key.
 */
import type { AccountId } from "@rejoinder/client";
import { useLive, useRejoinder } from "@rejoinder/react";
import { useEffect, useMemo } from "react";

import { useSession } from "./session.tsx";

function keyOf(account: AccountId): string {
  return `contact/${account}/devices_changed`;
}

/** When an account's devices changed, by account. */
export function useChanged(): ReadonlyMap<AccountId, number> {
  const all = useLive(useRejoinder().settings.all);
  return useMemo(() => {
    const marks = Object.entries(all ?? {}).flatMap(([key, value]) => {
      const account = /^contact\/(.+)\/devices_changed$/u.exec(key)?.[1];
      return account && typeof value === "number" ? [[account, value] as const] : [];
    });
    return new Map(marks);
  }, [all]);
}

/** Says that the safety number was compared. */
export function useCompared(): (account: AccountId) => Promise<void> {
  const { settings } = useRejoinder();
  return (account) => settings.set(keyOf(account), null);
}

/** Marks people whose devices change, and tells of changes to the own ones. */
export function useSafetyMarks(): void {
  const client = useRejoinder();
  const { say } = useSession();
  useEffect(
    () =>
      client.on("devices", ({ account, added, revoked }) => {
        if (account === client.status.current.account) {
          if (added.length > 0) say("A device was linked to your account.");
          else if (revoked.length > 0) say("A device was removed from your account.");
        } else {
          void client.settings.set(keyOf(account), Date.now()).catch(() => undefined);
        }
      }),
    [client, say],
  );
}
