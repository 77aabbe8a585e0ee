import { useStatus } from "@rejoinder/react";
import { useState } from "react";

import { Ended } from "./Ended.tsx";
import { Main } from "./Screens.tsx";
import { Start } from "./start/Start.tsx";
import { useEnd } from "./useEnd.ts";
import { useUpdate } from "./useUpdate.tsx";

/** Begins where there is no account yet, and goes on where there is one. */
export function App() {
  const { account } = useStatus();
  const [isStarting, setStarting] = useState(account === null);
  const end = useEnd();
  useUpdate();
  // Beginning ends when its last step says so: a recovery code has to be read after the account is
  // there. Without an account, which logging out takes away, it begins anew.
  if (account === null && !isStarting) setStarting(true);
  if (isStarting) return <Start onDone={() => setStarting(false)} />;
  if (end) return <Ended end={end} />;
  return <Main />;
}
