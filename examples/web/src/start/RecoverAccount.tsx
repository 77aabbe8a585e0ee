import { useRejoinder } from "@rejoinder/react";
import { useId, useState } from "react";

import { Field } from "../parts/Field.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { failure, thisDeviceName } from "../words.ts";
import { Step } from "./Step.tsx";

interface Props {
  readonly onBack: () => void;
  readonly onCode: (words: string) => void;
}

/** An account comes back with its recovery code. */
export function RecoverAccount({ onBack, onCode }: Props) {
  const client = useRejoinder();
  const id = useId();
  const [address, setAddress] = useState("");
  const [code, setCode] = useState("");
  const [deviceName, setDeviceName] = useState(thisDeviceName);
  const { isBusy, error, run } = useBusy(inWords);
  const recover = () =>
    run(async () => {
      const recoveryCode = code.trim().toLowerCase().split(/\s+/u).join(" ");
      const made = await client.account.recover({
        address: address.trim(),
        recoveryCode,
        deviceName: deviceName.trim(),
      });
      void client.persist();
      onCode(made.recoveryCode);
    });
  const isComplete = address.trim() && code.trim();
  return (
    <Step title="Recover your account" onBack={onBack}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void recover();
        }}
      >
        <p>
          Your conversations come back to this device. <strong>All earlier devices are removed</strong>, and people you
          talk with are told.
        </p>
        <Field
          label="Your address"
          value={address}
          onChange={(event) => setAddress(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          autoFocus
        />
        <div className="field">
          <label htmlFor={id}>Recovery code</label>
          <textarea
            id={id}
            rows={3}
            value={code}
            onChange={(event) => setCode(event.target.value)}
            autoCapitalize="none"
            autoComplete="off"
            spellCheck={false}
            placeholder="twelve words, in order"
            required
          />
        </div>
        <Field
          label="What to call this device"
          value={deviceName}
          onChange={(event) => setDeviceName(event.target.value)}
          maxLength={64}
          required
        />
        <Problem text={error} />
        <button type="submit" className="primary" disabled={isBusy || !isComplete}>
          {isBusy ? "Recovering…" : "Recover account"}
        </button>
      </form>
    </Step>
  );
}

function inWords(error: unknown): string {
  const kind = error instanceof Error && "kind" in error ? error.kind : "";
  if (kind === "denied" || kind === "invalid") {
    return "That is not the newest recovery code of this address. Look at every word, and at their order.";
  }
  return kind === "not_found" ? "Nobody has this address." : failure(error);
}
