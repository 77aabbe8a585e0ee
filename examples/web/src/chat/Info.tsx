import type { Conversation, ConversationId, ConversationInfo, Member } from "@rejoinder/client";
import { useConversation, useStatus } from "@rejoinder/react";
import { LogOut, UserPlus } from "lucide-react";
import { useState } from "react";

import { Field, Toggle } from "../parts/Field.tsx";
import { Page } from "../parts/Page.tsx";
import { Problem } from "../parts/Problem.tsx";
import { useBusy } from "../parts/useBusy.ts";
import { useNow } from "../parts/useNow.ts";
import { go } from "../route.ts";
import { useMe, useSession } from "../session.tsx";
import { ago, count, failure, nameOf, quoted, titleOf } from "../words.ts";
import { MemberRow } from "./MemberRow.tsx";
import { SafetyNumber } from "./SafetyNumber.tsx";

/** About a conversation: title, people, what is set for it, and the way out. */
export function Info({ id }: { readonly id: ConversationId }) {
  const { conversation, info } = useConversation(id);
  const back = { page: "chat", conversation: id } as const;
  if (!info) {
    return (
      <Page title="About this conversation" back={back}>
        {info === null && <p>It is not on this device.</p>}
      </Page>
    );
  }
  return (
    <Page title="About this conversation" back={back}>
      <Title info={info} conversation={conversation} />
      <Switches info={info} conversation={conversation} />
      <People info={info} conversation={conversation} />
      {info.active && !info.pending && <Currency info={info} />}
      {info.active && !info.pending && <Leave conversation={conversation} />}
    </Page>
  );
}

interface Props {
  readonly info: ConversationInfo;
  readonly conversation: Conversation;
}

function Title({ info, conversation }: Props) {
  const me = useMe();
  const [text, setText] = useState<string | null>(null);
  const { isBusy, error, run } = useBusy(failure);
  const title = text ?? info.title;
  const mayChange = info.active && !info.pending;
  const save = () =>
    run(async () => {
      await conversation.setTitle(title.trim());
      setText(null);
    });
  return (
    <form
      className="stack card"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <Field
        label="Title"
        value={title}
        placeholder={titleOf(info, me)}
        onChange={(event) => setText(event.target.value)}
        maxLength={256}
        disabled={!mayChange}
      />
      <Problem text={error} />
      {text !== null && text.trim() !== info.title && (
        <button type="submit" className="primary" disabled={isBusy}>
          Save the title
        </button>
      )}
    </form>
  );
}

/** By whose word this is all there is, and since when. */
function Currency({ info }: { readonly info: ConversationInfo }) {
  const { account, lastConfirmedMs } = useStatus();
  const now = useNow();
  const { vouched, withheld } = info;
  const isOwn = vouched?.account === account;
  const who = isOwn
    ? "another device of yours"
    : quoted(nameOf(info.members.find((member) => member.account === vouched?.account)));
  return (
    <section className="card" aria-label="How current this is">
      <p>
        {withheld
          ? "The relay keeps something back: others have read more of this conversation."
          : lastConfirmedMs === null
            ? "The relay has not confirmed yet that this is all."
            : `All that the relay has is here: it said so ${ago(lastConfirmedMs, now)}.`}
      </p>
      <p>
        {vouched === null
          ? "Nobody else has said so yet."
          : `By the word of ${who}, nothing was missing ${ago(vouched.atMs, now)}.`}
      </p>
    </section>
  );
}

function Switches({ info, conversation }: Props) {
  const { attempt } = useSession();
  return (
    <section className="card" aria-label="Settings of this conversation">
      <Toggle
        label="Muted"
        hint="No notifications, and not counted as unread elsewhere."
        isOn={info.muted}
        onChange={(isOn) => attempt(conversation.setMuted(isOn))}
      />
      <Toggle
        label="Pinned"
        hint="Stays on top of the list."
        isOn={info.pinned}
        onChange={(isOn) => attempt(conversation.setPinned(isOn))}
      />
      <Toggle
        label="Archived"
        hint="Out of the list, but not gone."
        isOn={info.archived}
        onChange={(isOn) => attempt(conversation.setArchived(isOn))}
      />
    </section>
  );
}

function People({ info, conversation }: Props) {
  const me = useMe();
  const [shown, setShown] = useState<Member | null>(null);
  const [isAdding, setAdding] = useState(false);
  const isAdmin = info.members.some((member) => member.account === me && member.role === "admin");
  const mayChange = isAdmin && info.active && !info.pending;
  return (
    <section className="card" aria-labelledby="people">
      <div className="card-head">
        <h2 id="people">{count(info.members.length, "person", "people")}</h2>
        {mayChange && !isAdding && (
          <button type="button" className="quiet" onClick={() => setAdding(true)}>
            <UserPlus aria-hidden /> Add somebody
          </button>
        )}
      </div>
      {isAdding && <Add conversation={conversation} onDone={() => setAdding(false)} />}
      <ul className="people">
        {info.members.map((member) => (
          <MemberRow
            key={member.account}
            member={member}
            conversation={conversation}
            mayChange={mayChange}
            onSafety={() => setShown(member)}
          />
        ))}
        {info.adding.map((address) => (
          <li key={address} className="adding">
            {address} is being added…
          </li>
        ))}
      </ul>
      {shown && <SafetyNumber member={shown} onClose={() => setShown(null)} />}
    </section>
  );
}

function Add({ conversation, onDone }: { readonly conversation: Conversation; readonly onDone: () => void }) {
  const [address, setAddress] = useState("");
  const [sharesHistory, setSharesHistory] = useState(false);
  const { isBusy, error, run } = useBusy(failure);
  const add = () =>
    run(async () => {
      await conversation.add(address.trim(), { shareHistory: sharesHistory });
      onDone();
    });
  return (
    <form
      className="stack add"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Field
        label="Their address"
        value={address}
        onChange={(event) => setAddress(event.target.value)}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        autoFocus
      />
      <Toggle
        label="Show them what was written before"
        hint="Otherwise they see nothing older than now."
        isOn={sharesHistory}
        onChange={setSharesHistory}
      />
      <Problem text={error} />
      <div className="actions">
        <button type="button" className="quiet" onClick={onDone}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={isBusy || !address.trim()}>
          Add
        </button>
      </div>
    </form>
  );
}

function Leave({ conversation }: { readonly conversation: Conversation }) {
  const { ask, attempt } = useSession();
  const leave = async () => {
    const isSure = await ask({
      title: "Leave this conversation?",
      text: "Nothing new reaches you from it. What was read so far stays on your devices.",
      yes: "Leave",
      isDangerous: true,
    });
    if (isSure && (await attempt(conversation.leave()))) go({ page: "list" });
  };
  return (
    <button type="button" className="danger quiet wide" onClick={() => void leave()}>
      <LogOut aria-hidden /> Leave the conversation
    </button>
  );
}
