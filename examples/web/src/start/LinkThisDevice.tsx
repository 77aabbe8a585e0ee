import type { LinkOffer, Whose } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { useEffect, useState } from "react";

import { Copy } from "../parts/Copy.tsx";
import { Field } from "../parts/Field.tsx";
import { Problem } from "../parts/Problem.tsx";
import { Qr } from "../parts/Qr.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { linkFailure, quoted, thisDeviceName } from "../words.ts";
import { Step } from "./Step.tsx";

interface Props {
  readonly onBack: () => void;
  readonly onDone: () => void;
}

/** This device joins an account that another device has. */
export function LinkThisDevice({ onBack, onDone }: Props) {
  const client = useRejoinder();
  const [name, setName] = useState(thisDeviceName);
  const [offer, setOffer] = useState<LinkOffer | null>(null);
  const [whose, setWhose] = useState<Whose | null>(null);
  const [isMine, setIsMine] = useState(false);
  const [code, setCode] = useState<string | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const { isBusy, error, run } = useBusy(linkFailure);

  useEffect(() => {
    if (!offer) return;
    let isCurrent = true;
    offer.whose.then(
      (shown) => isCurrent && setWhose(shown),
      () => undefined,
    );
    offer.code.then(
      (digits) => isCurrent && setCode(digits),
      () => undefined,
    );
    offer.done.then(
      () => {
        if (!isCurrent) return;
        void client.persist();
        onDone();
      },
      (reason: unknown) => {
        if (!isCurrent) return;
        setFailed(linkFailure(reason));
        setOffer(null);
        setWhose(null);
        setIsMine(false);
        setCode(null);
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [client, offer, onDone]);

  const begin = () =>
    run(async () => {
      setFailed(null);
      setOffer(await client.devices.offer({ name: name.trim() }));
    });
  const join = (account: string) =>
    run(async () => {
      await offer?.join(account);
      setIsMine(true);
    });
  const back = () => {
    void offer?.cancel().catch(() => undefined);
    onBack();
  };
  return (
    <Step title="Link this device" onBack={back}>
      {!offer && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void begin();
          }}
        >
          <Field
            label="What to call this device"
            value={name}
            onChange={(event) => setName(event.target.value)}
            maxLength={48}
            required
            autoFocus
          />
          <Problem text={failed ?? error} />
          <button type="submit" className="primary" disabled={isBusy}>
            {isBusy ? "One moment…" : failed ? "Show a new code" : "Show the code"}
          </button>
        </form>
      )}
      {offer && !whose && <Offered qr={offer.qr} />}
      {offer && whose && !isMine && (
        <Confirm whose={whose} isBusy={isBusy} error={error} onYes={() => void join(whose.account)} onNo={back} />
      )}
      {offer && whose && isMine && code === null && (
        <p className="waiting" role="status">
          One moment…
        </p>
      )}
      {offer && whose && code !== null && <Digits code={code} whose={whose} />}
    </Step>
  );
}

function Offered({ qr }: { readonly qr: string }) {
  return (
    <div className="stack" data-testid="offer">
      <ol className="steps">
        <li>
          On your first device, open <strong>Devices</strong> and choose <strong>Link a device</strong>.
        </li>
        <li>Scan this code there, or copy it over as text. It is good for two minutes.</li>
      </ol>
      <Qr text={qr} label="Code to be scanned by your other device" />
      <details>
        <summary>As text</summary>
        <p className="offer-text" data-testid="offer-text">
          {qr}
        </p>
        <Copy text={qr} label="Copy the text" />
      </details>
      <p className="waiting" role="status">
        Waiting for your other device…
      </p>
    </div>
  );
}

interface ConfirmProps {
  readonly whose: Whose;
  readonly isBusy: boolean;
  readonly error: string | null;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

/** Whoever saw the code on this screen may have scanned it first. */
function Confirm({ whose, isBusy, error, onYes, onNo }: ConfirmProps) {
  return (
    <div className="stack" data-testid="whose">
      <p>A device of this account scanned the code:</p>
      <p>
        <strong>{whose.address ?? "an account without an address"}</strong> ({quoted(whose.name)})
      </p>
      <p className="hint offer-text">{whose.account}</p>
      <p>Is it yours? If not, somebody else saw your screen, and would read what you write on this device.</p>
      <Problem text={error} />
      <div className="actions">
        <button type="button" className="quiet" onClick={onNo}>
          No, go back
        </button>
        <button type="button" className="primary" disabled={isBusy} onClick={onYes}>
          Yes, it is mine
        </button>
      </div>
    </div>
  );
}

function Digits({ code, whose }: { readonly code: string; readonly whose: Whose }) {
  return (
    <div className="stack" role="status">
      <p>Type these digits on your other device, to join the account of {whose.address ?? quoted(whose.name)}:</p>
      <p className="digits" data-testid="digits" aria-label={Array.from(code).join(" ")}>
        {code.slice(0, 3)} {code.slice(3)}
      </p>
      <p className="hint">They prove that nobody stands between the two. Type them only on a device of your own.</p>
    </div>
  );
}
