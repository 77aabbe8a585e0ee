import { useRejoinder } from "@rejoinder/react";
import { useState } from "react";

import { Main } from "./Screens.tsx";
import { logOut } from "./logOut.ts";
import { Logo } from "./parts/Logo.tsx";
import { useSession } from "./session.tsx";
import type { End } from "./useEnd.ts";
import { count } from "./words.ts";

/** What a removed device says: what was lost, what is left, and how to go on. */
export function Ended({ end }: { readonly end: End }) {
  const client = useRejoinder();
  const { ask, attempt } = useSession();
  const [isLooking, setLooking] = useState(false);
  if (isLooking) return <Main onEnd={() => setLooking(false)} />;
  const forget = async () => {
    const isSure = await ask({
      title: "Erase what is here?",
      text: "Everything that this browser still has of the account is erased. Other devices keep theirs.",
      yes: "Erase and begin anew",
      isDangerous: true,
    });
    const { device } = client.status.current;
    if (isSure && device) await attempt(logOut(client, device));
  };
  return (
    <main className="alone">
      <Logo />
      <h1>This device was removed</h1>
      <p>Another device of the account took it out. Nothing new arrives here, and nothing written here is sent.</p>
      {end.unsent > 0 && <p className="problem">{count(end.unsent, "change")} made here reached nobody.</p>}
      <div className="stack">
        <button type="button" className="primary" onClick={() => void forget()}>
          Erase and begin anew
        </button>
        <button type="button" className="quiet" onClick={() => setLooking(true)}>
          Read what is left
        </button>
      </div>
    </main>
  );
}
