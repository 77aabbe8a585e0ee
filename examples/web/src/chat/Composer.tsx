import type { Conversation, Message } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { SendHorizontal, X } from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type RefObject } from "react";

import { useSession } from "../session.tsx";
import { failure } from "../words.ts";

/** What is being written: something new, an answer, or an own message anew. */
export type Composing =
  | { readonly kind: "new" }
  | { readonly kind: "reply"; readonly to: Message }
  | { readonly kind: "edit"; readonly message: Message };

interface Props {
  readonly conversation: Conversation;
  readonly composing: Composing;
  /** It was sent, or given up. */
  readonly onDone: () => void;
  /** Up, out of an empty line. */
  readonly onUp: () => void;
}

/** On a touch screen, Enter begins a new line: there is a button to send. */
const HAS_KEYBOARD = "(hover: hover) and (pointer: fine)";

/** Where one writes. */
export function Composer({ conversation, composing, onDone, onUp }: Props) {
  const { say } = useSession();
  const area = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useDraft(conversation, composing);

  useEffect(() => {
    if (composing.kind !== "new" || matchMedia(HAS_KEYBOARD).matches) area.current?.focus();
  }, [composing]);
  useGrowth(area, text);

  const send = () => {
    const words = text.trim();
    if (!words) return;
    const work =
      composing.kind === "edit" && composing.message.id !== null
        ? conversation.edit(composing.message.id, words)
        : conversation.send(words, composing.kind === "reply" && composing.to.id ? { replyTo: composing.to.id } : {});
    setText("");
    onDone();
    work.catch((error: unknown) => {
      say(failure(error));
      setText((now) => now || words);
    });
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const isSend = event.key === "Enter" && !event.shiftKey && matchMedia(HAS_KEYBOARD).matches;
    if (isSend) send();
    else if (event.key === "ArrowUp" && !text) onUp();
    else if (event.key === "Escape" && composing.kind !== "new") onDone();
    else return;
    event.preventDefault();
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {composing.kind !== "new" && <About composing={composing} onCancel={onDone} />}
      <textarea
        ref={area}
        rows={1}
        aria-label="Write a message"
        placeholder="Write a message"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          if (event.target.value && composing.kind !== "edit") void conversation.sendTyping().catch(() => undefined);
        }}
        onKeyDown={onKeyDown}
      />
      <button
        type="submit"
        className="icon send"
        aria-label={composing.kind === "edit" ? "Save" : "Send"}
        disabled={!text.trim()}
      >
        <SendHorizontal aria-hidden />
      </button>
    </form>
  );
}

interface AboutProps {
  readonly composing: Exclude<Composing, { readonly kind: "new" }>;
  readonly onCancel: () => void;
}

function About({ composing, onCancel }: AboutProps) {
  const isEdit = composing.kind === "edit";
  const about = isEdit ? composing.message : composing.to;
  const author = about.mine ? "yourself" : about.authorName || about.authorAddress || "somebody";
  return (
    <div className="about">
      <p>
        <strong>{isEdit ? "Edit your message" : `Answer to ${author}`}</strong>
        <span>{about.text}</span>
      </p>
      <button
        type="button"
        className="icon"
        aria-label={isEdit ? "Give up the edit" : "Give up the answer"}
        onClick={onCancel}
      >
        <X aria-hidden />
      </button>
    </div>
  );
}

type Editing = Extract<Composing, { readonly kind: "edit" }>;

/** What became of a text that is being edited. */
interface Edited {
  readonly by: Editing;
  readonly text: string;
}

type Update = (next: string | ((now: string) => string)) => void;

/** What is half written stays with the conversation, on all own devices, until it is sent. */
function useDraft(conversation: Conversation, composing: Composing): readonly [string, Update] {
  const { settings } = useRejoinder();
  const key = `conversation/${conversation.id}/draft`;
  const [draft, setDraft] = useState("");
  const [edited, setEdited] = useState<Edited | null>(null);
  const newest = useRef("");
  const kept = useRef("");
  useEffect(() => {
    newest.current = draft;
  });

  useEffect(() => {
    let isCurrent = true;
    settings.get(key).then(
      (value) => {
        if (!isCurrent || typeof value !== "string") return;
        kept.current = value;
        setDraft((now) => now || value);
      },
      () => undefined,
    );
    const keep = () => {
      const text = newest.current.trim();
      if (text === kept.current) return;
      kept.current = text;
      void settings.set(key, text || null).catch(() => undefined);
    };
    addEventListener("pagehide", keep);
    return () => {
      isCurrent = false;
      removeEventListener("pagehide", keep);
      keep();
    };
  }, [settings, key]);

  const edit = composing.kind === "edit" ? composing : null;
  // At once what is to be edited, and not in a moment: somebody may be typing already.
  const textOf = (now: Edited | null, edit: Editing) => (now?.by === edit ? now.text : edit.message.text);
  const setEdit: Update = (next) => {
    if (edit === null) return;
    setEdited((now) => ({ by: edit, text: typeof next === "function" ? next(textOf(now, edit)) : next }));
  };
  const setNew = useCallback<Update>((next) => {
    setDraft((now) => {
      const text = typeof next === "function" ? next(now) : next;
      newest.current = text;
      return text;
    });
  }, []);
  return edit ? [textOf(edited, edit), setEdit] : [draft, setNew];
}

/** As high as its text, within what the style allows. */
function useGrowth(area: RefObject<HTMLTextAreaElement | null>, text: string): void {
  useLayoutEffect(() => {
    const element = area.current;
    if (!element || CSS.supports("field-sizing", "content")) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [area, text]);
}
