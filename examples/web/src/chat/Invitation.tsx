import type { Conversation, ConversationInfo } from "@rejoinder/client";

import { go } from "../route.ts";
import { useMe, useSession } from "../session.tsx";
import { nameOf, quoted } from "../words.ts";

interface Props {
  readonly info: ConversationInfo;
  readonly conversation: Conversation;
}

/** A stranger's invitation, and the three answers to it. */
export function Invitation({ info, conversation }: Props) {
  const { attempt } = useSession();
  const me = useMe();
  const inviter = info.members.find((member) => member.account !== me);
  const decline = async (block: boolean) => {
    if (!(await attempt(conversation.decline({ block })))) return;
    go({ page: "list" }, { replace: true });
    // What was left stays on the device; nobody wants to see this one again.
    await attempt(conversation.setArchived(true));
  };
  return (
    <section className="invitation" aria-label="Invitation">
      <p>
        <strong>{quoted(nameOf(inviter))}</strong> wants to talk with you
        {inviter?.address && inviter.name ? `, and is at the address ${inviter.address}` : ""}. Until you accept, they
        do not learn that you read it.
      </p>
      <div className="actions">
        <button type="button" className="danger quiet" onClick={() => void decline(true)}>
          Decline and block
        </button>
        <button type="button" className="quiet" onClick={() => void decline(false)}>
          Decline
        </button>
        <button type="button" className="primary" onClick={() => void attempt(conversation.accept())}>
          Accept
        </button>
      </div>
    </section>
  );
}
