/** What every screen needs: who one is, a place for short messages, and questions. */
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { AccountId } from "@rejoinder/client";
import { useStatus } from "@rejoinder/react";

import { Dialog } from "./parts/Dialog.tsx";
import { failure } from "./words.ts";

/** A question that is answered with yes or no. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says that means yes. */
  readonly yes: string;
  /** Whether yes can't be taken back. */
  readonly isDangerous?: boolean;
}

interface Session {
  /** Says something in passing. */
  readonly say: (text: string) => void;
  /** Does something, and says so if it fails. True if it didn't. */
  readonly attempt: (work: Promise<unknown>) => Promise<boolean>;
  /** Asks, and waits for the answer. */
  readonly ask: (question: Question) => Promise<boolean>;
}

const SAID_MS = 6000;
const Context = createContext<Session | null>(null);

/** What every screen needs. */
export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("useSession belongs below SessionProvider");
  return session;
}

/** The own account; null until there is one. */
export function useMe(): AccountId | null {
  return useStatus().account;
}

interface Asked {
  readonly question: Question;
  readonly answer: (yes: boolean) => void;
}

/** Gives its children a session. */
export function SessionProvider({ children }: { readonly children: ReactNode }) {
  const [said, say] = useSaid();
  const [asked, setAsked] = useState<Asked | null>(null);
  const attempt = useCallback(
    async (work: Promise<unknown>) => {
      try {
        await work;
        return true;
      } catch (error) {
        say(failure(error));
        return false;
      }
    },
    [say],
  );
  const ask = useCallback(
    (question: Question) =>
      new Promise<boolean>((resolve) => {
        const answer = (yes: boolean) => {
          setAsked(null);
          resolve(yes);
        };
        setAsked({ question, answer });
      }),
    [],
  );
  const session = useMemo(() => ({ say, attempt, ask }), [say, attempt, ask]);
  return (
    <Context value={session}>
      {children}
      <div className="said" role="status">
        {said.map(({ id, text }) => (
          <p key={id}>{text}</p>
        ))}
      </div>
      {asked && <Asking {...asked} />}
    </Context>
  );
}

interface Said {
  readonly id: number;
  readonly text: string;
}

function useSaid(): readonly [readonly Said[], (text: string) => void] {
  const [said, setSaid] = useState<readonly Said[]>([]);
  const next = useRef(0);
  const timers = useRef(new Set<ReturnType<typeof setTimeout>>());
  useEffect(() => {
    const running = timers.current;
    return () => running.forEach(clearTimeout);
  }, []);
  const say = useCallback((text: string) => {
    const id = next.current++;
    setSaid((all) => [...all.filter((one) => one.text !== text), { id, text }].slice(-3));
    const timer = setTimeout(() => {
      timers.current.delete(timer);
      setSaid((all) => all.filter((one) => one.id !== id));
    }, SAID_MS);
    timers.current.add(timer);
  }, []);
  return [said, say];
}

function Asking({ question, answer }: Asked) {
  return (
    <Dialog title={question.title} onClose={() => answer(false)} isSmall>
      <p>{question.text}</p>
      <div className="actions">
        <button type="button" className="quiet" onClick={() => answer(false)}>
          Cancel
        </button>
        <button type="button" className={question.isDangerous ? "danger" : "primary"} onClick={() => answer(true)}>
          {question.yes}
        </button>
      </div>
    </Dialog>
  );
}
