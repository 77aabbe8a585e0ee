/** Who is at a document: told at once, said anew, and gone after a while. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { DocumentPresence } from "../src/document/presence.js";
import type { Json } from "../src/types.js";
import { FakeEngine } from "./engine.js";

/** Presence in a document `plan`, with what was said of it and a clock of its own. */
function begin(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const engine = new FakeEngine();
  const presence = new DocumentPresence(engine, "s", "plan");
  const pass = (ms: number): void => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  const said = (): (Json | undefined)[] => engine.asked.map(({ params }) => params["state"]);
  const heard = (device: string, state: Json, more = {}): void => {
    engine.tell("presence", { space: "s", name: "app/plan", account: "a", device, state, ...more });
    while (engine.step());
  };
  return { engine, presence, pass, said, heard };
}

void test("own words are said at once, not too often, and again while nothing changes", (t) => {
  const { presence, pass, said } = begin(t);
  presence.set({ at: 1 });
  assert.deepEqual(said(), [{ at: 1 }]);
  presence.set({ at: 1 });
  presence.set({ at: 2 });
  presence.set({ at: 3 });
  assert.equal(said().length, 1);
  pass(200);
  assert.deepEqual(said(), [{ at: 1 }, { at: 3 }]);
  pass(10_000);
  assert.deepEqual(said(), [{ at: 1 }, { at: 3 }, { at: 3 }]);
  presence.set(null);
  pass(200);
  assert.deepEqual(said().at(-1), null);
  pass(60_000);
  assert.equal(said().length, 4, "who left says nothing more");
});

void test("others come, move, and go with a word or without", (t) => {
  const { presence, pass, said, heard } = begin(t);
  const seen: unknown[] = [];
  const stop = presence.peers.subscribe((peers) => seen.push(peers.map(({ device, state }) => [device, state])));
  heard("d", 1);
  heard("e", 2);
  heard("d", 3);
  assert.deepEqual(seen.at(-1), [
    ["d", 3],
    ["e", 2],
  ]);
  heard("e", null);
  assert.deepEqual(seen.at(-1), [["d", 3]]);
  pass(29_000);
  heard("d", 3);
  pass(29_000);
  assert.equal(presence.peers.current.length, 1);
  pass(2_000);
  assert.deepEqual(presence.peers.current, []);
  assert.deepEqual(said(), [], "who only looks says nothing");
  stop();
});

void test("who comes is told at once of those who are here", (t) => {
  const { presence, pass, said, heard } = begin(t);
  presence.peers.subscribe(() => undefined);
  presence.set("here");
  pass(1_000);
  heard("d", 1);
  assert.deepEqual(said(), ["here", "here"]);
  heard("d", 2);
  pass(1_000);
  assert.equal(said().length, 2, "it knows by now");
});

void test("what is said of another document, or elsewhere, is not heard", (t) => {
  const { presence, heard } = begin(t);
  presence.peers.subscribe(() => undefined);
  heard("d", 1, { name: "app/other" });
  heard("d", 1, { space: "elsewhere" });
  assert.deepEqual(presence.peers.current, []);
});

void test("who only says where they are tells those who come later, too", (t) => {
  const { presence, pass, said, heard } = begin(t);
  presence.set("here");
  pass(1_000);
  heard("d", 1);
  assert.deepEqual(said(), ["here", "here"]);
  presence.set(null);
  pass(1_000);
  heard("e", 1);
  assert.deepEqual(said(), ["here", "here", null], "who left answers nobody");
});

void test("who says the same again is the same", (t) => {
  const { presence, pass, heard } = begin(t);
  let told = 0;
  presence.peers.subscribe(() => (told += 1));
  heard("d", { row: 1 });
  const [peer] = presence.peers.current;
  pass(10_000);
  heard("d", { row: 1 });
  heard("e", null);
  assert.equal(told, 1);
  assert.equal(presence.peers.current[0], peer);
  heard("d", { row: 2 });
  assert.equal(told, 2);
});

void test("who closes says that they left, at once and once", (t) => {
  const { presence, pass, said } = begin(t);
  presence.set(1);
  presence.set(2);
  presence.close();
  assert.deepEqual(said(), [1, null]);
  presence.close();
  pass(60_000);
  assert.deepEqual(said(), [1, null]);
});

void test("who only looked does not leave", (t) => {
  const { presence, said } = begin(t);
  presence.peers.subscribe(() => undefined);
  presence.close();
  assert.deepEqual(said(), []);
});

void test("what was to be said a moment later is said when one leaves before", (t) => {
  const { presence, pass, said } = begin(t);
  presence.set(1);
  presence.set(null);
  presence.leave();
  pass(60_000);
  assert.deepEqual(said(), [1, null]);
});
