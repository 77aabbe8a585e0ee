import type { ConversationInfo } from "@rejoinder/client";
import { useTyping } from "@rejoinder/react";
import { BellOff, Pin } from "lucide-react";
import { memo } from "react";

import { Avatar } from "../parts/Avatar.tsx";
import { useNow } from "../parts/useNow.ts";
import { href } from "../route.ts";
import { useMe } from "../session.tsx";
import { count, nameOf, shortTime, titleOf } from "../words.ts";

interface Props {
  readonly info: ConversationInfo;
  readonly isChosen: boolean;
}

/** One conversation in the list. */
export const ConversationRow = memo(function ConversationRow({ info, isChosen }: Props) {
  const me = useMe();
  const now = useNow();
  const title = titleOf(info, me);
  return (
    <li>
      <a
        className={`row${info.unread > 0 ? " unread" : ""}`}
        href={href({ page: "chat", conversation: info.id })}
        aria-current={isChosen ? "page" : undefined}
      >
        <Avatar name={title} seed={info.id} />
        <span className="text">
          <span className="first">
            <strong>{title}</strong>
            {info.last && (
              <time dateTime={new Date(info.last.atMs).toISOString()}>{shortTime(info.last.atMs, now)}</time>
            )}
          </span>
          <span className="second">
            <span className="preview">
              <Preview info={info} />
            </span>
            {info.muted && <BellOff aria-label="Muted" />}
            {info.pinned && <Pin aria-label="Pinned" />}
            {info.unread > 0 && (
              <span className={info.muted ? "badge muted" : "badge"}>
                {info.unread > 999 ? "999+" : info.unread}
                <span className="hidden"> {count(info.unread, "unread message").replace(/^\S+ /u, "")}</span>
              </span>
            )}
          </span>
        </span>
      </a>
    </li>
  );
});

function Preview({ info }: { readonly info: ConversationInfo }) {
  const me = useMe();
  const typing = useTyping(info.id);
  const memberOf = (account: string) => info.members.find((member) => member.account === account);
  const typist = typing[0];
  if (typist !== undefined) return <em>{nameOf(memberOf(typist))} is typing…</em>;
  if (info.pending) return <em>Wants to talk with you</em>;
  if (!info.active) return <em>You are no longer in it</em>;
  const { last } = info;
  if (!last) return <em>{info.adding.length > 0 ? `Adding ${info.adding.join(", ")}…` : "No messages yet"}</em>;
  const isPair = info.members.length <= 2;
  const author = last.author === me ? "You: " : isPair ? "" : `${nameOf(memberOf(last.author))}: `;
  return last.text ? `${author}${last.text}` : <em>{author}deleted</em>;
}
