import { useRejoinder } from "@rejoinder/react";
import { useState } from "react";

import { Copy } from "../parts/Copy.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { inviteFailure } from "../words.ts";

/** Draws an invite, and shows it as a link. */
export function Invite() {
  const client = useRejoinder();
  const [link, setLink] = useState<string | null>(null);
  const { isBusy, error, run } = useBusy(inviteFailure);
  const draw = () =>
    run(async () => {
      const { code } = await client.account.invite();
      setLink(`${location.origin}/?token=${code}`);
    });
  return (
    <section className="card stack" aria-labelledby="invite">
      <h2 id="invite">Invite somebody</h2>
      {link === null ? (
        <p>Where not everybody may make an account, one new person gets in by a link of yours.</p>
      ) : (
        <>
          <p>One new person gets in by this link, for a week.</p>
          <p className="fact">{link}</p>
        </>
      )}
      <Problem text={error} />
      {link === null ? (
        <button type="button" className="quiet" disabled={isBusy} onClick={() => void draw()}>
          Make a link
        </button>
      ) : (
        <Copy text={link} label="Copy the link" />
      )}
    </section>
  );
}
