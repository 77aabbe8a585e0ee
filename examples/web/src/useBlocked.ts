/**
 * Who is blocked, for the button that takes it back: blocking itself is the client's, this is a note
 * of it among the settings, so that the own devices' screens agree.
 */
import type { AccountId } from "@rejoinder/client";
import { useLive, useRejoinder } from "@rejoinder/react";
import { useCallback, useMemo } from "react";

/** Accounts that are blocked, and what blocks one or takes it back. */
export function useBlocked(): {
  readonly blocked: ReadonlySet<AccountId>;
  readonly setBlocked: (account: AccountId, isBlocked: boolean) => Promise<void>;
} {
  const client = useRejoinder();
  const all = useLive(client.settings.all);
  const blocked = useMemo(() => {
    const accounts = Object.entries(all ?? {}).flatMap(([key, value]) => {
      const account = /^contact\/(.+)\/blocked$/u.exec(key)?.[1];
      return account && value === true ? [account] : [];
    });
    return new Set(accounts);
  }, [all]);
  const setBlocked = useCallback(
    async (account: AccountId, isBlocked: boolean) => {
      await (isBlocked ? client.contacts.block({ account }) : client.contacts.unblock({ account }));
      await client.settings.set(`contact/${account}/blocked`, isBlocked || null);
    },
    [client],
  );
  return { blocked, setBlocked };
}
