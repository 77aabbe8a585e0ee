import type { LinkRequest } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { useEffect, useId, useRef, useState } from "react";

import { Dialog } from "../parts/Dialog.tsx";
import { Field } from "../parts/Field.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { useSession } from "../session.tsx";
import { linkFailure, quoted } from "../words.ts";
import { Scanner } from "./Scanner.tsx";

/** The new device shows so many digits. */
const DIGITS = 7;

/** Links another device: what it shows, what it may read, and the digits that prove it. */
export function LinkOther({ onClose }: { readonly onClose: () => void }) {
  const { say } = useSession();
  const [qr, setQr] = useState<string | null>(null);
  const [request, setRequest] = useState<LinkRequest | null>(null);
  const open = useRef<LinkRequest | null>(null);
  useEffect(
    () => () => {
      void open.current?.cancel().catch(() => undefined);
    },
    [],
  );
  const accepted = (made: LinkRequest) => {
    open.current = made;
    setRequest(made);
  };
  const linked = (name: string) => {
    open.current = null;
    say(`${name} is linked.`);
    onClose();
  };
  return (
    <Dialog title="Link a device" onClose={onClose}>
      {qr === null && <Show onRead={setQr} />}
      {qr !== null && !request && <History qr={qr} onAccepted={accepted} onAgain={() => setQr(null)} />}
      {request && (
        <Confirm
          request={request}
          onDone={linked}
          onFailed={() => {
            open.current = null;
          }}
        />
      )}
    </Dialog>
  );
}

function Show({ onRead }: { readonly onRead: (qr: string) => void }) {
  const id = useId();
  const [text, setText] = useState("");
  const [isScanning, setScanning] = useState(false);
  return (
    <div className="stack">
      <p>
        On the new device, open Rejoinder and choose <strong>Link this device</strong>. It shows a code, as a picture
        and as text.
      </p>
      {isScanning ? (
        <Scanner onRead={onRead} />
      ) : (
        <button type="button" className="primary wide" onClick={() => setScanning(true)}>
          Scan it with the camera
        </button>
      )}
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          onRead(text.trim());
        }}
      >
        <div className="field">
          <label htmlFor={id}>Or paste the text</label>
          <textarea
            id={id}
            rows={3}
            value={text}
            onChange={(event) => setText(event.target.value)}
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
          />
        </div>
        <div className="actions">
          <button type="submit" className="primary" disabled={!text.trim()}>
            Continue
          </button>
        </div>
      </form>
    </div>
  );
}

interface HistoryProps {
  readonly qr: string;
  readonly onAccepted: (request: LinkRequest) => void;
  readonly onAgain: () => void;
}

function History({ qr, onAccepted, onAgain }: HistoryProps) {
  const client = useRejoinder();
  const [history, setHistory] = useState(true);
  const { isBusy, error, run } = useBusy(linkFailure);
  const accept = () => run(async () => onAccepted(await client.devices.accept(qr, { history })));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void accept();
      }}
    >
      <fieldset>
        <legend>What may the new device read?</legend>
        <label className="check">
          <input type="radio" name="history" checked={history} onChange={() => setHistory(true)} />
          Everything, also what was written before
        </label>
        <label className="check">
          <input type="radio" name="history" checked={!history} onChange={() => setHistory(false)} />
          Only what is written from now on
        </label>
      </fieldset>
      <Problem text={error} />
      <div className="actions">
        {error && (
          <button type="button" className="quiet" onClick={onAgain}>
            Begin again
          </button>
        )}
        <button type="submit" className="primary" disabled={isBusy}>
          {isBusy ? "Connecting…" : "Continue"}
        </button>
      </div>
    </form>
  );
}

interface ConfirmProps {
  readonly request: LinkRequest;
  readonly onDone: (name: string) => void;
  /** A wrong code ends the link: there is nothing left to take back. */
  readonly onFailed: () => void;
}

function Confirm({ request, onDone, onFailed }: ConfirmProps) {
  const [code, setCode] = useState("");
  const { isBusy, error, run } = useBusy(linkFailure);
  const name = request.deviceName.trim() || "The new device";
  const confirm = () =>
    run(async () => {
      try {
        await request.confirm(code);
      } catch (reason) {
        onFailed();
        throw reason;
      }
      onDone(name);
    });
  const digits = code.replace(/\D/gu, "");
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void confirm();
      }}
    >
      <p>
        <strong>{quoted(name)}</strong> wants to join your account.
      </p>
      <Field
        label="The seven digits that it shows"
        hint="Only link a device that you hold in your hands."
        value={code}
        onChange={(event) => setCode(event.target.value)}
        inputMode="numeric"
        autoComplete="off"
        className="digits-input"
        disabled={error !== null}
        autoFocus
      />
      <Problem text={error} />
      <div className="actions">
        <button type="submit" className="primary" disabled={isBusy || error !== null || digits.length !== DIGITS}>
          {isBusy ? "Linking…" : "Link it"}
        </button>
      </div>
    </form>
  );
}
