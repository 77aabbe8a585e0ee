/** Yjs: in the clear, over its own websocket server. */
import { EditorView } from "@codemirror/view";
import { yCollab } from "y-codemirror.next";
import { IndexeddbPersistence } from "y-indexeddb";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { items, measure } from "./common.js";

let url, doc, list, body, stored;

measure({
  start: async (server) => {
    url = server;
  },
  create: async () => `bench-${Math.random().toString(36).slice(2)}`,
  open: async (id) => {
    doc = new Y.Doc();
    stored = new IndexeddbPersistence(id, doc);
    await stored.whenSynced;
    list = doc.getArray("items");
    body = doc.getText("body");
    const provider = new WebsocketProvider(url, id, doc);
    if (list.length === 0) await new Promise((resolve) => provider.once("sync", resolve));
  },
  fill: async (count) => {
    list.push(items(count).map((item) => new Y.Map(Object.entries(item))));
  },
  length: () => list.length,
  title: (n) => list.get(n)?.get("title"),
  set: (n, title) => void list.get(n).set("title", title),
  saved: async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await stored.get("any");
  },
  watch: (listener) => list.observeDeep(listener),
  edit: (parent) => {
    globalThis.view = new EditorView({ parent, doc: body.toString(), extensions: [yCollab(body, null)] });
  },
});
