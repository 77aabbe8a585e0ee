/** automerge-repo: in the clear, over its own sync server. */
import wasm from "@automerge/automerge/automerge.wasm?url";
import { initializeWasm } from "@automerge/automerge/slim";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb";
import { Repo } from "@automerge/automerge-repo/slim";
import { items, measure } from "./common.js";

let repo, handle;

measure({
  start: async (url) => {
    await initializeWasm(wasm);
    const [network, storage] = [[new WebSocketClientAdapter(url)], new IndexedDBStorageAdapter("bench")];
    repo = new Repo({ network, storage });
  },
  create: async () => repo.create({ items: [], body: "" }).url,
  open: async (id) => {
    handle = await repo.find(id);
  },
  fill: async (count) => handle.change((doc) => void (doc.items = items(count))),
  length: () => handle.doc()?.items.length ?? 0,
  title: (n) => handle.doc()?.items[n]?.title,
  set: (n, title) => handle.change((doc) => void (doc.items[n].title = title)),
  saved: () => repo.flush(),
  watch: (listener) => handle.on("change", listener),
});
