/** The own account's devices. */
import { RejoinderError } from "./error.js";
import { closed } from "./live.js";
import { Query } from "./query.js";
import { device, fields, list, reuse, text } from "./shapes.js";
import type { Store } from "./store.js";
import type { AccountId, Device, DeviceId, Devices, LinkOffer, LinkRequest, Live, Whose } from "./types.js";
import type { Notice } from "./wire.js";

/** Calls about devices, and the list of them. */
export class DeviceFamily implements Devices {
  readonly #store: Store;
  readonly #list: Query<readonly Device[]>;
  readonly #ends = new Set<(error: RejoinderError) => void>();

  /** Nothing is asked yet. */
  constructor(store: Store) {
    this.#store = store;
    const { connection } = store;
    let wasConnected = false;
    this.#list = new Query<readonly Device[]>(connection, {
      load: async () => list(await connection.call("device.list")).map(device),
      concerns: ({ method, params }) => {
        // When a device was last seen is known while there is a connection.
        const isConnected = method === "status" ? params["connected"] === true : wasConnected;
        const turned = isConnected !== wasConnected;
        wasConnected = isConnected;
        const isEdit = method === "edited" && text(params["method"]).startsWith("device.");
        return turned || isEdit || method === "device" || method.startsWith("link.");
      },
      merge: (old, now) => reuse(old, now, (item) => item.id),
    });
  }

  get list(): Live<readonly Device[] | undefined> {
    return this.#list;
  }

  async offer(options: { readonly name?: string; readonly join?: AccountId | "any" } = {}): Promise<LinkOffer> {
    const { connection } = this.#store;
    // Followed before the offer is made: what comes of it may be told before the answer is.
    const progress = this.#follow();
    try {
      const { name, join: wanted = "ask" } = options;
      const qr = text(fields(await connection.call("device.offer", { name, join: wanted }))["qr"]);
      const join = async (account: AccountId): Promise<void> => {
        await connection.call("device.join", { account });
      };
      const cancel = async (): Promise<void> => {
        await connection.call("device.cancel");
        progress.fail(new RejoinderError("interrupted", "the offer was taken back"));
      };
      return { qr, whose: progress.whose, join, code: progress.code, done: progress.done, cancel };
    } catch (error) {
      progress.fail(error instanceof RejoinderError ? error : new RejoinderError("internal", String(error)));
      throw error;
    }
  }

  async accept(qr: string, options: { readonly history?: boolean } = {}): Promise<LinkRequest> {
    const { connection } = this.#store;
    const history = options.history === true ? "all" : "none";
    const answer = fields(await connection.call("device.accept", { qr, history }));
    return {
      deviceName: text(answer["name"]),
      confirm: async (code) => {
        const id = text(fields(await connection.call("device.confirm", { code }))["device"]);
        this.#list.invalidate();
        return id;
      },
      cancel: async () => {
        await connection.call("device.cancel");
      },
    };
  }

  async revoke(id: DeviceId): Promise<void> {
    await this.#store.connection.call("device.revoke", { device: id });
    this.#list.invalidate();
  }

  async makePrimary(id: DeviceId): Promise<void> {
    await this.#store.connection.call("device.primary", { device: id });
    this.#list.invalidate();
  }

  /** Ends what follows the devices. */
  close(): void {
    this.#list.close();
    for (const end of [...this.#ends]) end(closed());
  }

  #follow(): Progress {
    const progress = new Progress();
    const stop = this.#store.connection.onNotice((notice) => progress.hear(notice));
    const end = (error: RejoinderError): void => progress.fail(error);
    this.#ends.add(end);
    const over = (): void => {
      stop();
      this.#ends.delete(end);
    };
    progress.done.then(over, over);
    return progress;
  }
}

type Linked = Awaited<LinkOffer["done"]>;

/** How an offer goes. */
class Progress {
  readonly whose: Promise<Whose>;
  readonly code: Promise<string>;
  readonly done: Promise<Linked>;
  #tellWhose: (whose: Whose) => void = () => undefined;
  #tellCode: (code: string) => void = () => undefined;
  #tellDone: (linked: Linked) => void = () => undefined;
  readonly #fails: ((error: RejoinderError) => void)[] = [];

  constructor() {
    this.whose = new Promise((resolve, reject) => {
      this.#tellWhose = resolve;
      this.#fails.push(reject);
    });
    this.code = new Promise((resolve, reject) => {
      this.#tellCode = resolve;
      this.#fails.push(reject);
    });
    this.done = new Promise((resolve, reject) => {
      this.#tellDone = resolve;
      this.#fails.push(reject);
    });
    // Whoever shows only one of them need not look after the other.
    this.whose.catch(() => undefined);
    this.code.catch(() => undefined);
    this.done.catch(() => undefined);
  }

  hear({ method, params }: Notice): void {
    if (method === "link.account") {
      const address = params["address"];
      this.#tellWhose({
        account: text(params["account"]),
        address: typeof address === "string" ? address : null,
        name: text(params["name"]),
      });
    }
    if (method === "link.code") this.#tellCode(text(params["code"]));
    if (method === "link.done") {
      this.#tellDone({ account: text(params["account"]), device: text(params["device"]) });
    }
    if (method === "link.failed") this.fail(new RejoinderError(text(params["kind"]), text(params["message"])));
  }

  fail(error: RejoinderError): void {
    for (const fail of this.#fails) fail(error);
  }
}
