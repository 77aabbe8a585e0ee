import type { DeviceId, Rejoinder } from "@rejoinder/client";

import { href } from "./route.ts";

/** Ends this device, which empties its store, and begins as in a browser that was never here. */
export async function logOut(client: Rejoinder, device: DeviceId): Promise<void> {
  await client.devices.revoke(device);
  history.replaceState(null, "", href({ page: "list" }));
  location.reload();
}
