/** The other systems' own servers: `node server.js repo|yjs DIRECTORY`. Prints the port. */
import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { setupWSConnection } from "@y/websocket-server/utils";
import { WebSocketServer } from "ws";

const [, , kind, directory] = process.argv;
const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await new Promise((resolve) => sockets.once("listening", resolve));
if (kind === "yjs") {
  sockets.on("connection", setupWSConnection);
} else {
  const [network, storage] = [[new WebSocketServerAdapter(sockets)], new NodeFSStorageAdapter(directory)];
  globalThis.repo = new Repo({ network, storage, sharePolicy: async () => false });
}
console.log(sockets.address().port);
