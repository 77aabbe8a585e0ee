/** From what the host says happened to what an app hears. */
import { list, message, number, optionalText, text, texts } from "./shapes.js";
import type { AccountId, Events, Path } from "./types.js";
import type { Fields, Notice } from "./wire.js";

type Heard = { readonly [K in keyof Events]: readonly [K, Events[K]] }[keyof Events];

const AUTHORS = ["own", "sibling", "other"] as const;
const CHANGES = ["founded", "joined", "changed", "left"] as const;

/** The event that a notice is, if it is one. */
export function toEvent({ method, params }: Notice, me: AccountId | null): Heard | undefined {
  const conversation = text(params["conversation"]);
  switch (method) {
    case "message": {
      const items = list(params["items"]).map((item) => message(item, me));
      return ["message", { conversation, messages: texts(params["messages"]), items }];
    }
    case "receipt":
      return ["receipt", { conversation, accounts: texts(params["accounts"]) }];
    case "conversation": {
      if (params["change"] === "not_added") {
        return ["notAdded", { conversation, address: text(params["address"]), kind: text(params["kind"]) }];
      }
      const change = CHANGES.find((known) => known === params["change"]);
      return change === undefined ? undefined : ["conversation", { conversation, change }];
    }
    case "device":
      if (params["change"] === "revoked") return ["ended", { unsent: number(params["unsent"]) }];
      return [
        "devices",
        {
          account: text(params["account"]),
          added: texts(params["added"]),
          revoked: texts(params["revoked"]),
        },
      ];
    case "contact":
      if (params["change"] !== "moved") return ["comparedChanged", { account: text(params["account"]) }];
      return [
        "addressMoved",
        { address: text(params["address"]), was: text(params["account"]), now: text(params["now"]) },
      ];
    case "recovery_code":
      return ["recoveryCode", { recoveryCode: text(params["recovery_code"]) }];
    case "document":
      return [
        "document",
        {
          space: text(params["space"]),
          name: text(params["name"]).replace(/^app\//, ""),
          paths: Array.isArray(params["paths"]) ? (params["paths"] as readonly Path[]) : null,
          by: AUTHORS.find((known) => known === params["by"]) ?? null,
          account: optionalText(params["account"]),
        },
      ];
    case "edited":
      return ofEdit(params);
    case "settings":
      return ["settings", { keys: texts(params["keys"]) }];
    case "typing":
      return ["typing", { conversation, account: text(params["account"]) }];
    case "evidence":
      return [
        "evidence",
        {
          space: text(params["space"]),
          reason: text(params["reason"]),
          what: text(params["what"]),
          account: typeof params["account"] === "string" ? params["account"] : null,
        },
      ];
    default:
      return undefined;
  }
}

/** What a tab of this device set itself: the engine announces only what others set. */
function ofEdit(params: Fields): Heard | undefined {
  return params["method"] === "settings.set" ? ["settings", { keys: [text(params["key"])] }] : undefined;
}
