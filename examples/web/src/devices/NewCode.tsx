import { useRejoinder } from "@rejoinder/react";
import { useState } from "react";

import { Copy } from "../parts/Copy.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { Words } from "../start/RecoveryCode.tsx";
import { failure } from "../words.ts";

/** Draws a new recovery code, and shows it once. */
export function NewCode({ onClose }: { readonly onClose: () => void }) {
  const client = useRejoinder();
  const [words, setWords] = useState<string | null>(null);
  const { isBusy, error, run } = useBusy(failure);
  const draw = () => run(async () => setWords(await client.account.newRecoveryCode()));
  return (
    <Dialog title="New recovery code" onClose={onClose}>
      {words === null ? (
        <p>The code you have now counts no more as soon as there is a new one. Have something to write at hand.</p>
      ) : (
        <>
          <p>
            Write these words down. They are shown <strong>only now</strong>.
          </p>
          <Words words={words} />
        </>
      )}
      <Problem text={error} />
      <div className="actions">
        {words === null ? (
          <>
            <button type="button" className="quiet" onClick={onClose}>
              Cancel
            </button>
            <button type="button" className="primary" disabled={isBusy} onClick={() => void draw()}>
              Show a new code
            </button>
          </>
        ) : (
          <>
            <Copy text={words} label="Copy the words" />
            <button type="button" className="primary" onClick={onClose}>
              I wrote them down
            </button>
          </>
        )}
      </div>
    </Dialog>
  );
}
