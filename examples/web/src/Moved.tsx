import type { Events } from "@rejoinder/client";
import { useRejoinder } from "@rejoinder/react";
import { TriangleAlert } from "lucide-react";
import { useEffect, useState } from "react";

import { useSession } from "./session.tsx";

type Lead = Events["addressMoved"];

/** Addresses that lead to somebody else than before, until the person decides. */
export function Moved() {
  const client = useRejoinder();
  const { attempt } = useSession();
  const [moved, setMoved] = useState<Lead | null>(null);
  useEffect(() => client.on("addressMoved", setMoved), [client]);
  if (!moved) return null;
  const accept = async () => {
    if (await attempt(client.contacts.acceptAddress(moved.address, moved.now))) setMoved(null);
  };
  return (
    <div className="banner warning" role="alert" data-testid="address-moved">
      <TriangleAlert aria-hidden />
      <span>
        The relay says that <strong>{moved.address}</strong> is another account than before. Ask the person by another
        way: somebody may have taken their address.
      </span>
      <button type="button" onClick={() => setMoved(null)}>
        Keep the one before
      </button>
      <button type="button" onClick={() => void accept()}>
        It is theirs
      </button>
    </div>
  );
}
