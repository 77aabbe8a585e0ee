import { useCallback, useEffect, useRef, useState } from "react";

/** Something that takes a while, and what came of it. */
export interface Busy {
  readonly isBusy: boolean;
  readonly error: string | null;
  /** Does it, unless something is under way. */
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

/** Keeps a form from being sent twice, and tells why it failed. */
export function useBusy(inWords: (error: unknown) => string): Busy {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const isRunning = useRef(false);
  const words = useRef(inWords);
  useEffect(() => {
    words.current = inWords;
  });
  const run = useCallback(async (work: () => Promise<void>) => {
    if (isRunning.current) return;
    isRunning.current = true;
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (caught) {
      setError(words.current(caught));
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  }, []);
  return { isBusy, error, run };
}
