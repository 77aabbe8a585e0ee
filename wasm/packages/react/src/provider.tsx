/** The client, for all components below. */
import type { Rejoinder } from "@rejoinder/client";
import { createContext, useContext, type ReactElement, type ReactNode } from "react";

const Context = createContext<Rejoinder | undefined>(undefined);

/** Gives a client to the hooks of all components below. Who opened the client closes it. */
export function RejoinderProvider(props: { readonly client: Rejoinder; readonly children?: ReactNode }): ReactElement {
  return <Context.Provider value={props.client}>{props.children}</Context.Provider>;
}

/** The client that the provider has. */
export function useRejoinder(): Rejoinder {
  const client = useContext(Context);
  if (client === undefined) throw new Error("useRejoinder: there is no <RejoinderProvider> above");
  return client;
}
