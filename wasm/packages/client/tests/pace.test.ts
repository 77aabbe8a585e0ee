/** When a followed document is read again: at once if little happens, and not too often if much does. */
import "./browser.js";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { DocumentHandle } from "../src/document/handle.js";
import { FakeEngine } from "./engine.js";

/** A followed document of which a reading takes so long, by a clock of the test's own. */
async function followed(t: TestContext, costMs: number) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const engine = new FakeEngine();
  engine.content = { n: 0 };
  const document = new DocumentHandle(engine, "s", "plan");
  t.after(() => document.close());
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  /** Lets go of all that is on its way; each reading takes its time. */
  const run = async (): Promise<void> => {
    await settled();
    for (let known = engine.asked.length; engine.step();) {
      await settled();
      if (engine.asked.length > known) now += costMs;
      known = engine.asked.length;
    }
  };
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    t.mock.timers.tick(ms);
    await run();
  };
  /** Somebody else puts a number. */
  const put = (n: number): void => engine.remote([["n"]], { op: "put", path: ["n"], value: n });
  const shown: unknown[] = [];
  document.value.subscribe((value) => shown.push((value as { n: number } | undefined)?.n));
  now += costMs;
  await run();
  return { put, run, pass, shown };
}

test("what somebody else changes shows as soon as it is read, however long the reading before took", async (t) => {
  for (const costMs of [0, 1, 100, 5_000]) {
    await t.test(`${costMs} ms`, async (t) => {
      const { put, run, pass, shown } = await followed(t, costMs);
      put(1);
      await run();
      assert.deepEqual(shown, [0, 1], "right after it was opened");
      await pass(20_000);
      for (const n of [2, 3]) {
        put(n);
        await run();
        assert.equal(shown.at(-1), n, "and so does the one right after it");
      }
    });
  }
});

test("of many changes in a row each reading takes in those that came in a pause as long as it costs", async (t) => {
  const { put, pass, shown } = await followed(t, 10);
  for (let n = 1; n <= 300; n++) {
    put(n);
    await pass(1);
  }
  await pass(1_000);
  assert.equal(shown.at(-1), 300);
  // Of 300 ms beside the readings, each takes 20 for its pause.
  assert.ok(shown.length >= 14 && shown.length <= 18, `${shown.length} readings`);
});

test("a document that takes very long to read is not kept back for as long", async (t) => {
  const { put, pass, shown } = await followed(t, 10_000);
  for (let n = 1; n <= 3; n++) {
    put(n);
    await pass(1);
  }
  await pass(250);
  assert.equal(shown.at(-1), 3);
});
