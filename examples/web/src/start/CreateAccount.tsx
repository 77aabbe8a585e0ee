import { useRejoinder } from "@rejoinder/react";
import { useState } from "react";

import { Field } from "../parts/Field.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { failure } from "../words.ts";
import { Step } from "./Step.tsx";

interface Props {
  readonly onBack: () => void;
  readonly onCode: (words: string) => void;
}

/** A new account on this device. */
export function CreateAccount({ onBack, onCode }: Props) {
  const client = useRejoinder();
  const [name, setName] = useState("");
  const [address, setAddress] = useState("");
  const { isBusy, error, run } = useBusy(failure);
  const create = () =>
    run(async () => {
      const made = await client.account.create({ address: address.trim(), name: name.trim() });
      void client.persist();
      onCode(made.recoveryCode);
    });
  return (
    <Step title="Create an account" onBack={onBack}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <Field
          label="Your name"
          hint="Only people you talk with see it."
          value={name}
          onChange={(event) => setName(event.target.value)}
          autoComplete="name"
          maxLength={64}
          required
          autoFocus
        />
        <Field
          label="Your address"
          hint="By which others find you: a phone number, or a word of three letters or more."
          value={address}
          onChange={(event) => setAddress(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={64}
          required
        />
        <Problem text={error} />
        <button type="submit" className="primary" disabled={isBusy || !name.trim() || !address.trim()}>
          {isBusy ? "Creating…" : "Create account"}
        </button>
      </form>
    </Step>
  );
}
