import { useState } from "react";

import { Copy } from "../parts/Copy.tsx";

interface Props {
  readonly words: string;
  /** Whether it takes the place of another one. */
  readonly isReplaced: boolean;
  readonly onDone: () => void;
}

/** The recovery code, shown once, before anything else. */
export function RecoveryCode({ words, isReplaced, onDone }: Props) {
  const [isNoted, setNoted] = useState(false);
  return (
    <main className="alone step">
      <h1>{isReplaced ? "Your new recovery code" : "Your recovery code"}</h1>
      <p>
        {isReplaced && "The code you just used counts no more. "}
        These words bring your account back if you lose all your devices. They are shown <strong>only now</strong>;
        nobody else has them, and nobody can send them to you.
      </p>
      <Words words={words} />
      <Copy text={words} label="Copy the words" />
      <label className="check">
        <input type="checkbox" checked={isNoted} onChange={(event) => setNoted(event.target.checked)} />I wrote them
        down and keep them in a safe place
      </label>
      <button type="button" className="primary" disabled={!isNoted} onClick={onDone}>
        Continue
      </button>
    </main>
  );
}

/** The words of a code, numbered. */
export function Words({ words }: { readonly words: string }) {
  return (
    <ol className="words">
      {words.split(" ").map((word, index) => (
        // The same word may come twice; its place tells it apart.
        <li key={index}>{word}</li>
      ))}
    </ol>
  );
}
