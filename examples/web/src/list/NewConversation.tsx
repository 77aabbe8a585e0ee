import { useRejoinder } from "@rejoinder/react";
import { X } from "lucide-react";
import { useState } from "react";

import { Field } from "../parts/Field.tsx";
import { Page } from "../parts/Page.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { go } from "../route.ts";
import { failure } from "../words.ts";

/** Whom to talk with, and about what. */
export function NewConversation() {
  const client = useRejoinder();
  const [title, setTitle] = useState("");
  const [typed, setTyped] = useState("");
  const [members, setMembers] = useState<readonly string[]>([]);
  const { isBusy, error, run } = useBusy(failure);
  const all = [...new Set([...members, ...addresses(typed)])];
  const take = () => {
    setMembers(all);
    setTyped("");
  };
  const create = () =>
    run(async () => {
      const conversation = await client.conversations.create({ title: title.trim(), members: all });
      go({ page: "chat", conversation: conversation.id }, { replace: true });
    });
  return (
    <Page title="New conversation" back={{ page: "list" }}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <Field
          label="With whom"
          hint="Addresses of one or several people. Enter adds one; who is not found is told later."
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => {
            const isAdding = event.key === "," || (event.key === "Enter" && typed.trim());
            if (!isAdding) return;
            event.preventDefault();
            take();
          }}
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          autoFocus
        />
        {members.length > 0 && (
          <ul className="chips" aria-label="Chosen people">
            {members.map((address) => (
              <li key={address}>
                {address}
                <button
                  type="button"
                  aria-label={`Take ${address} out`}
                  onClick={() => setMembers(members.filter((other) => other !== address))}
                >
                  <X aria-hidden />
                </button>
              </li>
            ))}
          </ul>
        )}
        <Field
          label="Title"
          hint="May be left empty."
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          maxLength={256}
        />
        <Problem text={error} />
        <button type="submit" className="primary" disabled={isBusy || (all.length === 0 && !title.trim())}>
          {isBusy ? "Beginning…" : "Begin conversation"}
        </button>
      </form>
    </Page>
  );
}

/**
 * Addresses between commas, semicolons or blanks. Blanks within a phone number part nothing: what
 * follows belongs to it until a name or another country code begins.
 */
function addresses(text: string): readonly string[] {
  const all: string[] = [];
  for (const part of text.split(/[,;]/u)) {
    let isNumber = false;
    for (const word of part.split(/\s+/u).filter(Boolean)) {
      const beginsNumber = /^(?:\(?\+|00)/u.test(word);
      const goesOn: boolean = isNumber && !beginsNumber && !/^\p{L}/u.test(word);
      if (goesOn) all.push(`${all.pop() ?? ""} ${word}`);
      else all.push(word);
      isNumber = goesOn || beginsNumber;
    }
  }
  return all;
}
