import type { Contact, Member } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { useEffect, useState } from "react";

import { Dialog } from "../parts/Dialog.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useSession } from "../session.tsx";
import { useChanged, useCompared } from "../useSafety.ts";
import { dateTime, failure, nameOf } from "../words.ts";

interface Props {
  readonly member: Member;
  readonly onClose: () => void;
}

/** The number that is equal on both sides when nobody stands between. */
export function SafetyNumber({ member, onClose }: Props) {
  const client = useRejoinder();
  const { attempt, say } = useSession();
  const compared = useCompared();
  const changedMs = useChanged().get(member.account);
  const [contact, setContact] = useState<Contact | null>(null);
  const [error, setError] = useState<string | null>(null);
  const { address } = member;
  const name = nameOf(member);
  useEffect(() => {
    let isCurrent = true;
    if (address === null) return setError("Their address is not known, so the relay can't be asked for their devices.");
    client.contacts.lookup(address).then(
      (found) => isCurrent && setContact(found),
      (reason: unknown) => isCurrent && setError(failure(reason)),
    );
    return () => {
      isCurrent = false;
    };
  }, [client, address]);
  const done = async () => {
    if (!(await attempt(compared(member.account)))) return;
    say(`You and ${name} have the same number: nobody stands between you.`);
    onClose();
  };
  return (
    <Dialog title={`Safety number with ${name}`} onClose={onClose}>
      {changedMs !== undefined && (
        <p className="problem">Their devices changed on {dateTime(changedMs)}: the number is a new one.</p>
      )}
      <Problem text={error} />
      {contact && (
        <>
          <p>
            Compare it with what {name} sees, side by side or in a call. If it is the same, only the two of
            you can read what you write.
          </p>
          <p className="safety" data-testid="safety-number">
            {inGroups(contact.safetyNumber).map((group, index) => (
              <span key={index}>{group} </span>
            ))}
          </p>
        </>
      )}
      <div className="actions">
        <button type="button" className="quiet" onClick={onClose}>
          Close
        </button>
        {contact && changedMs !== undefined && (
          <button type="button" className="primary" onClick={() => void done()}>
            It is the same
          </button>
        )}
      </div>
    </Dialog>
  );
}

/** Groups of five are read aloud best. */
function inGroups(number: string): readonly string[] {
  return number.replace(/\s+/gu, "").match(/.{1,5}/gu) ?? [];
}
