import { useRejoinder, useStatus } from "@rejoinder/react";
import { useEffect, useState } from "react";

/** This device was removed from its account. */
export interface End {
  /** Changes made here that nobody took in. */
  readonly unsent: number;
}

/** Whether this device was removed, now or while nobody looked. */
export function useEnd(): End | null {
  const client = useRejoinder();
  const { account, problem, waiting } = useStatus();
  const [told, setTold] = useState<(End & { readonly account: string | null }) | null>(null);
  useEffect(
    () => client.on("ended", ({ unsent }) => setTold({ unsent, account: client.status.current.account })),
    [client],
  );
  if (account === null) return null;
  if (told && told.account === account) return told;
  return problem?.kind === "revoked" ? { unsent: waiting } : null;
}
