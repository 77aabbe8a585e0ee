import type { Comparison, Contact, Member } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { useEffect, useState } from "react";

import { Scanner } from "../devices/Scanner.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { Problem } from "../parts/Problem.tsx";
import { Qr } from "../parts/Qr.tsx";
import { useSession } from "../session.tsx";
import { useChanged, useCompared } from "../useSafety.ts";
import { dateTime, failure, nameOf, quoted } from "../words.ts";

interface Props {
  readonly member: Member;
  readonly onClose: () => void;
}

/** The number that is equal on both sides when nobody stands between: of the member's account. */
export function SafetyNumber({ member, onClose }: Props) {
  const client = useRejoinder();
  const { attempt, say } = useSession();
  const compared = useCompared();
  const changedMs = useChanged().get(member.account);
  const [contact, setContact] = useState<Contact | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isScanning, setIsScanning] = useState(false);
  const { account } = member;
  const name = quoted(nameOf(member));
  useEffect(() => {
    let isCurrent = true;
    client.contacts.show({ account }).then(
      (found) => isCurrent && setContact(found),
      (reason: unknown) => isCurrent && setError(failure(reason)),
    );
    return () => {
      isCurrent = false;
    };
  }, [client, account]);
  const same = async () => {
    if (!(await attempt(compared(account)))) return;
    say(`You and ${name} have the same number: nobody stands between you.`);
    onClose();
  };
  const verify = async (number: string) => {
    if (await attempt(client.contacts.verify(account, number))) await same();
  };
  const scanned = (text: string) => {
    setIsScanning(false);
    client.contacts.compare(account, text).then(
      (comparison) => (comparison === "same" ? void same() : setError(inWords(comparison, name))),
      (reason: unknown) => setError(failure(reason)),
    );
  };
  return (
    <Dialog title={`Safety number with ${name}`} onClose={onClose}>
      {changedMs !== undefined && (
        <p className="problem">Their devices changed on {dateTime(changedMs)}: the number is a new one.</p>
      )}
      <Problem text={error} />
      {contact && !isScanning && (
        <>
          <p>
            Compare it with what {name} sees, side by side or in a call. If it is the same, only the two of you can read
            what you write.
          </p>
          <p className="safety" data-testid="safety-number">
            {inGroups(contact.safetyNumber).map((group, index) => (
              <span key={index}>{group} </span>
            ))}
          </p>
          <Qr text={contact.qr} label={`Safety number with ${name}, to be scanned by them`} />
          <p className="hint" data-testid="compared">
            {COMPARED[contact.compared]}
          </p>
        </>
      )}
      {isScanning && <Scanner onRead={scanned} />}
      <div className="actions">
        <button type="button" className="quiet" onClick={onClose}>
          Close
        </button>
        {contact && (
          <button type="button" className="quiet" onClick={() => setIsScanning(!isScanning)}>
            {isScanning ? "Show the number" : "Scan theirs"}
          </button>
        )}
        {contact && !isScanning && (contact.compared !== "same" || changedMs !== undefined) && (
          <button type="button" className="primary" onClick={() => void verify(contact.safetyNumber)}>
            It is the same
          </button>
        )}
      </div>
    </Dialog>
  );
}

const COMPARED: Readonly<Record<Contact["compared"], string>> = {
  never: "You have not compared it yet.",
  same: "You compared it, and their devices are the same since.",
  changed: "You compared it, and their devices changed since.",
};

function inWords(comparison: Exclude<Comparison, "same">, name: string): string {
  return comparison === "behind"
    ? `You or ${name} have not heard of a new device yet. Wait a moment, and scan again.`
    : `It is another number. Somebody may stand between you and ${name}, or you scanned somebody else's.`;
}

/** Groups of five are read aloud best. */
function inGroups(number: string): readonly string[] {
  return number.replace(/\s+/gu, "").match(/.{1,5}/gu) ?? [];
}
