import type { Conversation, Member } from "@rejoinder/client";
import { ShieldCheck } from "lucide-react";

import { Avatar } from "../parts/Avatar.tsx";
import { useMe, useSession } from "../session.tsx";
import { useBlocked } from "../useBlocked.ts";
import { useChanged } from "../useSafety.ts";
import { nameOf, quoted } from "../words.ts";

interface Props {
  readonly member: Member;
  readonly conversation: Conversation;
  /** Whether one may remove people and change roles. */
  readonly mayChange: boolean;
  readonly onSafety: () => void;
}

/** Somebody in a conversation, and what one can do about them. */
export function MemberRow({ member, conversation, mayChange, onSafety }: Props) {
  const me = useMe();
  const { attempt, ask } = useSession();
  const hasChanged = useChanged().has(member.account);
  const { blocked, setBlocked } = useBlocked();
  const isBlocked = blocked.has(member.account);
  const isMe = member.account === me;
  const name = nameOf(member);
  const person = { account: member.account };
  const isAdmin = member.role === "admin";
  const isReader = member.role === "reader";

  const remove = async () => {
    const text = "They read nothing that is written from now on. What they have read they keep.";
    const isSure = await ask({ title: `Remove ${quoted(name)}?`, text, yes: "Remove", isDangerous: true });
    if (isSure) await attempt(conversation.remove(person));
  };
  const block = async () => {
    if (isBlocked) return void (await attempt(setBlocked(member.account, false)));
    const text = "You see nothing more of them: neither what they write nor their invitations. They are not told.";
    const isSure = await ask({ title: `Block ${quoted(name)}?`, text, yes: "Block", isDangerous: true });
    if (isSure) await attempt(setBlocked(member.account, true));
  };
  return (
    <li className="person">
      <Avatar name={name} seed={member.account} />
      <div className="who">
        <strong>{isMe ? `${name} (you)` : name}</strong>
        <span>
          {[member.address, member.role === "member" ? null : member.role, isBlocked ? "blocked" : null]
            .filter(Boolean)
            .join(" · ")}
        </span>
      </div>
      <div className="acts">
        {!isMe && (
          <button type="button" className="quiet" onClick={onSafety}>
            <ShieldCheck aria-hidden /> {hasChanged ? "Compare again" : "Safety number"}
          </button>
        )}
        {!isMe && mayChange && (
          <button
            type="button"
            className="quiet"
            onClick={() => void attempt(conversation.setRole(person, isAdmin ? "member" : "admin"))}
          >
            {isAdmin ? "Make a member" : "Make an admin"}
          </button>
        )}
        {!isMe && mayChange && !isAdmin && (
          <button
            type="button"
            className="quiet"
            onClick={() => void attempt(conversation.setRole(person, isReader ? "member" : "reader"))}
          >
            {isReader ? "Let write" : "Let read only"}
          </button>
        )}
        {!isMe && mayChange && (
          <button type="button" className="danger quiet" onClick={() => void remove()}>
            Remove
          </button>
        )}
        {!isMe && (
          <button type="button" className="danger quiet" onClick={() => void block()}>
            {isBlocked ? "Unblock" : "Block"}
          </button>
        )}
      </div>
    </li>
  );
}
