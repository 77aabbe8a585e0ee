import type { ConversationInfo, Member } from "@rejoinder/client";
import { ShieldAlert } from "lucide-react";
import { useState } from "react";

import { useMe } from "../session.tsx";
import { useChanged } from "../useSafety.ts";
import { nameOf, quoted } from "../words.ts";
import { SafetyNumber } from "./SafetyNumber.tsx";

/** Says whose devices changed, until the safety number was compared. */
export function DevicesChanged({ info }: { readonly info: ConversationInfo }) {
  const changed = useChanged();
  const me = useMe();
  const [shown, setShown] = useState<Member | null>(null);
  const members = info.members.filter((member) => member.account !== me && changed.has(member.account));
  return (
    <>
      {members.map((member) => (
        <div className="devices-changed" role="status" key={member.account}>
          <ShieldAlert aria-hidden />
          <span>The devices of {quoted(nameOf(member))} changed.</span>
          <button type="button" onClick={() => setShown(member)}>
            Compare the safety number
          </button>
        </div>
      ))}
      {shown && <SafetyNumber member={shown} onClose={() => setShown(null)} />}
    </>
  );
}
