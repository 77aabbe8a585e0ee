import type { Conversation, ConversationInfo, Message, MessageId } from "@rejoinder/client";
import { Copy, Info, Pencil, Plus, Reply, Trash2 } from "lucide-react";
import { useLayoutEffect, useRef, useState, type ReactNode } from "react";

import { useMe, useSession } from "../session.tsx";
import { dateTime, listed, nameOf } from "../words.ts";
import type { Composing } from "./Composer.tsx";
import { EMOJI, FIRST } from "./emoji.ts";

interface Props {
  readonly message: Message;
  /** What was pressed: beside it there is room on a wide screen. */
  readonly at: DOMRect;
  readonly info: ConversationInfo;
  readonly conversation: Conversation;
  readonly onCompose: (composing: Composing) => void;
  readonly onClose: () => void;
}

type View = "menu" | "emoji" | "details";

/** Keeps the menu so far from the edges. */
const MARGIN_PX = 8;

/** What one can do with a message: nothing yet in the moment before it is in the store. */
export function MessageActions(props: Props) {
  const { id } = props.message;
  return id === null ? null : <Menu {...props} id={id} />;
}

function Menu({ id, message, at, info, conversation, onCompose, onClose }: Props & { readonly id: MessageId }) {
  const { attempt, ask, say } = useSession();
  const me = useMe();
  const dialog = useRef<HTMLDialogElement>(null);
  const [view, setView] = useState<View>("menu");
  // Before the menu is placed: it has no size while it is closed.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element) place(element, at);
  }, [at, view]);

  const own = me === null ? undefined : message.reactions[me];
  const react = (emoji: string) => {
    onClose();
    void attempt(conversation.react(id, emoji === own ? null : emoji));
  };
  const compose = (composing: Composing) => {
    onClose();
    onCompose(composing);
  };
  const remove = async () => {
    onClose();
    const isSure = await ask({
      title: "Delete this message?",
      text: "It is deleted for everyone in the conversation.",
      yes: "Delete",
      isDangerous: true,
    });
    if (isSure) await attempt(conversation.delete(id));
  };
  const copy = async () => {
    onClose();
    if (await attempt(navigator.clipboard.writeText(message.text))) say("Copied.");
  };
  const canWrite = info.active && !info.pending && !message.deleted;
  return (
    <dialog
      ref={dialog}
      className="menu"
      aria-label="Actions for this message"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      {view === "menu" && (
        <div className="menu-body">
          {canWrite && (
            <div className="emoji-row" role="group" aria-label="React">
              {FIRST.map((emoji) => (
                <Emoji key={emoji} emoji={emoji} isChosen={emoji === own} onChoose={react} />
              ))}
              <button type="button" className="icon" aria-label="More emoji" onClick={() => setView("emoji")}>
                <Plus aria-hidden />
              </button>
            </div>
          )}
          {canWrite && (
            <Item icon={<Reply aria-hidden />} text="Reply" onClick={() => compose({ kind: "reply", to: message })} />
          )}
          {canWrite && message.mine && (
            <Item icon={<Pencil aria-hidden />} text="Edit" onClick={() => compose({ kind: "edit", message })} />
          )}
          {!message.deleted && <Item icon={<Copy aria-hidden />} text="Copy text" onClick={() => void copy()} />}
          <Item icon={<Info aria-hidden />} text="Details" onClick={() => setView("details")} />
          {canWrite && message.mine && (
            <Item icon={<Trash2 aria-hidden />} text="Delete for everyone" isDangerous onClick={() => void remove()} />
          )}
        </div>
      )}
      {view === "emoji" && (
        <div className="emoji-grid" role="group" aria-label="React">
          {EMOJI.map((emoji) => (
            <Emoji key={emoji} emoji={emoji} isChosen={emoji === own} onChoose={react} />
          ))}
        </div>
      )}
      {view === "details" && <Details message={message} info={info} onClose={onClose} />}
    </dialog>
  );
}

/** Beside what was pressed, within the page. On narrow screens the style places it below. */
function place(element: HTMLElement, at: DOMRect): void {
  const { offsetWidth: width, offsetHeight: height } = element;
  const wished = at.left + width < innerWidth ? at.left : at.right - width;
  const left = Math.min(Math.max(wished, MARGIN_PX), innerWidth - width - MARGIN_PX);
  const isBelow = at.bottom + height + MARGIN_PX < innerHeight;
  const top = isBelow ? at.bottom : Math.max(at.top - height, MARGIN_PX);
  element.style.setProperty("--left", `${left}px`);
  element.style.setProperty("--top", `${top}px`);
}

interface EmojiProps {
  readonly emoji: string;
  readonly isChosen: boolean;
  readonly onChoose: (emoji: string) => void;
}

function Emoji({ emoji, isChosen, onChoose }: EmojiProps) {
  return (
    <button
      type="button"
      className="emoji"
      aria-pressed={isChosen}
      aria-label={isChosen ? `Take ${emoji} back` : `React with ${emoji}`}
      onClick={() => onChoose(emoji)}
    >
      {emoji}
    </button>
  );
}

interface ItemProps {
  readonly icon: ReactNode;
  readonly text: string;
  readonly isDangerous?: boolean;
  readonly onClick: () => void;
}

function Item({ icon, text, isDangerous, onClick }: ItemProps) {
  return (
    <button type="button" className={isDangerous ? "item dangerous" : "item"} onClick={onClick}>
      {icon}
      {text}
    </button>
  );
}

interface DetailsProps {
  readonly message: Message;
  readonly info: ConversationInfo;
  readonly onClose: () => void;
}

function Details({ message, info, onClose }: DetailsProps) {
  const names = (accounts: readonly string[]) => {
    const members = info.members.filter((member) => accounts.includes(member.account));
    return members.length > 0 ? listed(members.map(nameOf)) : "nobody yet";
  };
  const reached = message.delivered.filter((account) => !message.read.includes(account));
  return (
    <div className="details">
      <dl>
        <dt>Written</dt>
        <dd>{dateTime(message.atMs)}</dd>
        {message.mine && (
          <>
            <dt>Read by</dt>
            <dd>{names(message.read)}</dd>
            <dt>Delivered to</dt>
            <dd>{names(reached)}</dd>
          </>
        )}
        {Object.entries(message.reactions).map(([account, emoji]) => (
          <div key={account}>
            <dt>{emoji}</dt>
            <dd>{names([account])}</dd>
          </div>
        ))}
      </dl>
      <button type="button" className="quiet" onClick={onClose} autoFocus>
        Close
      </button>
    </div>
  );
}
