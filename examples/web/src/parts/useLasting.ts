import { useEffect, useState } from "react";

/** Whether something has been so for a while; from the first moment, if it was so at the beginning. */
export function useLasting(isSo: boolean, ms: number): boolean {
  const [lasts, setLasts] = useState(isSo);
  useEffect(() => {
    if (!isSo) return setLasts(false);
    const timer = setTimeout(() => setLasts(true), ms);
    return () => clearTimeout(timer);
  }, [isSo, ms]);
  return isSo && lasts;
}
