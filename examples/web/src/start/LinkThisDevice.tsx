import type { LinkOffer } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { useEffect, useState } from "react";

import { Copy } from "../parts/Copy.tsx";
import { Field } from "../parts/Field.tsx";
import { Problem } from "../parts/Problem.tsx";
import { Qr } from "../parts/Qr.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { linkFailure, thisDeviceName } from "../words.ts";
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
  const [code, setCode] = useState<string | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const { isBusy, error, run } = useBusy(linkFailure);

  useEffect(() => {
    if (!offer) return;
    let isCurrent = true;
    offer.code.then((digits) => isCurrent && setCode(digits), () => undefined);
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
      {offer && code === null && <Offered qr={offer.qr} />}
      {offer && code !== null && <Digits code={code} />}
    </Step>
  );
}

function Offered({ qr }: { readonly qr: string }) {
  return (
    <div className="stack" data-testid="offer">
      <ol className="steps">
        <li>On your first device, open <strong>Devices</strong> and choose <strong>Link a device</strong>.</li>
        <li>Scan this code there, or copy it over as text. It is good for two minutes.</li>
      </ol>
      <Qr text={qr} label="Code to be scanned by your other device" />
      <details>
        <summary>As text</summary>
        <p className="offer-text" data-testid="offer-text">{qr}</p>
        <Copy text={qr} label="Copy the text" />
      </details>
      <p className="waiting" role="status">Waiting for your other device…</p>
    </div>
  );
}

function Digits({ code }: { readonly code: string }) {
  return (
    <div className="stack" role="status">
      <p>Type these digits on your other device:</p>
      <p className="digits" data-testid="digits" aria-label={[...code].join(" ")}>
        {code.slice(0, 3)} {code.slice(3)}
      </p>
      <p className="hint">They prove that nobody stands between the two. Type them only on a device of your own.</p>
    </div>
  );
}
