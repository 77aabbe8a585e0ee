import type { ConversationId, ConversationInfo, Message } from "@rejoinder/client";
import { useConversation, useHistory, useMessages, useTyping } from "@rejoinder/react";
import { ArrowLeft, Info, Search as SearchIcon } from "lucide-react";
import { useCallback, useMemo, useRef, useState } from "react";

import { Avatar } from "../parts/Avatar.tsx";
import { go, href } from "../route.ts";
import { useMe } from "../session.tsx";
import { listed, nameOf, titleOf, unreadableLine } from "../words.ts";
import { Composer, type Composing } from "./Composer.tsx";
import { DevicesChanged } from "./DevicesChanged.tsx";
import { Invitation } from "./Invitation.tsx";
import { MessageActions } from "./MessageActions.tsx";
import { MessageList, type MessageListHandle } from "./MessageList.tsx";
import { SearchBar } from "./SearchBar.tsx";
import { useSearch } from "./useSearch.ts";

/** Messages at first, and at each step back. */
const PAGE = 60;

/** A conversation. */
export function Chat({ id }: { readonly id: ConversationId }) {
  const { conversation, info } = useConversation(id);
  const window = useMessages(id, { page: PAGE });
  const search = useSearch(window.messages);
  const list = useRef<MessageListHandle>(null);
  const [composing, setComposing] = useState<Composing>({ kind: "new" });
  const [acting, setActing] = useState<{ readonly message: Message; readonly at: DOMRect } | null>(null);
  const act = useCallback((message: Message, at: DOMRect) => setActing({ message, at }), []);
  const doneComposing = useCallback(() => setComposing({ kind: "new" }), []);

  if (info === null) return <Unknown />;
  if (info === undefined) return <main className="page chat" aria-busy="true" />;
  return (
    <main className="page chat">
      <Header info={info} isSearching={search.isOpen} onSearch={search.toggle} />
      {search.isOpen && <SearchBar search={search} window={window} onShow={(key) => list.current?.show(key)} />}
      <History id={id} />
      <DevicesChanged info={info} />
      {info.withheld && (
        <p className="history" role="alert">
          The relay keeps something back: others have read more of this conversation.
        </p>
      )}
      {info.unreadable && <p className="history">{unreadableLine(info.unreadable)}</p>}
      <MessageList
        ref={list}
        conversation={conversation}
        info={info}
        window={window}
        search={search}
        onAct={act}
        onReply={(message) => setComposing({ kind: "reply", to: message })}
      />
      {info.pending ? (
        <Invitation info={info} conversation={conversation} />
      ) : info.active ? (
        <Composer
          conversation={conversation}
          composing={composing}
          onDone={doneComposing}
          onUp={() => list.current?.focusLast()}
        />
      ) : (
        <p className="closed">You are no longer in this conversation. What you have of it stays here.</p>
      )}
      {acting && (
        <MessageActions
          message={window.messages.find(({ key }) => key === acting.message.key) ?? acting.message}
          at={acting.at}
          info={info}
          conversation={conversation}
          onCompose={setComposing}
          onClose={() => {
            setActing(null);
            list.current?.focusAgain();
          }}
        />
      )}
    </main>
  );
}

interface HeaderProps {
  readonly info: ConversationInfo;
  readonly isSearching: boolean;
  readonly onSearch: () => void;
}

function Header({ info, isSearching, onSearch }: HeaderProps) {
  const me = useMe();
  const title = titleOf(info, me);
  return (
    <header>
      <a className="icon back" href={href({ page: "list" })} aria-label="Back to the list">
        <ArrowLeft aria-hidden />
      </a>
      <Avatar name={title} seed={info.id} />
      <div className="title">
        <h1>{title}</h1>
        <Subtitle info={info} />
      </div>
      <button
        type="button"
        className="icon"
        aria-label="Search in messages"
        title="Search in messages"
        aria-pressed={isSearching}
        onClick={onSearch}
      >
        <SearchIcon aria-hidden />
      </button>
      <a
        className="icon"
        href={href({ page: "info", conversation: info.id })}
        aria-label="About this conversation"
        title="About this conversation"
      >
        <Info aria-hidden />
      </a>
    </header>
  );
}

/** Who is typing, or else who is in it. */
function Subtitle({ info }: { readonly info: ConversationInfo }) {
  const me = useMe();
  const typing = useTyping(info.id);
  const members = useMemo(() => info.members.filter((member) => member.account !== me).map(nameOf), [info.members, me]);
  const typists = info.members.filter((member) => typing.includes(member.account)).map(nameOf);
  if (typists.length > 0) {
    return <p className="typing">{`${listed(typists)} ${typists.length > 1 ? "are" : "is"} typing…`}</p>;
  }
  const adding = info.adding.map((address) => `${address} (being added)`);
  const others = [...members, ...adding];
  const other = others.length === 1 && info.members.find((member) => member.account !== me);
  // Without a title of its own, the conversation is called by their name already.
  if (other && !info.title.trim()) return <p>{other.address}</p>;
  return <p>{others.length > 0 ? `You, ${others.join(", ")}` : "Only you"}</p>;
}

/** How much of the past is here yet. */
function History({ id }: { readonly id: ConversationId }) {
  const history = useHistory(id);
  if (!history || history.read >= history.total) return null;
  return (
    <div className="history" role="status">
      <label>
        Earlier messages are arriving
        <progress value={history.read} max={history.total} />
      </label>
    </div>
  );
}

function Unknown() {
  return (
    <main className="page nothing">
      <p>There is no such conversation on this device.</p>
      <button type="button" className="quiet" onClick={() => go({ page: "list" })}>
        Back to the list
      </button>
    </main>
  );
}
