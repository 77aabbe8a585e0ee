/** The document hooks in React itself, over an engine whose answers the test lets go. */
import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import type { Rejoinder } from "@rejoinder/client";
import { Window } from "happy-dom";
import { Suspense, act, memo, useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { FakeEngine } from "../../client/tests/engine.js";
import { DocumentHandle } from "../../client/src/document/handle.js";
import { RejoinderProvider, useDocument, useDocumentAt, useLoaded, usePresence, useUndo } from "../src/index.js";

interface Item {
  readonly text: string;
  readonly done: boolean;
}
interface Plan {
  readonly items: readonly Item[];
}

const window = new Window();
before(() => Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true }));
after(() => window.close());

async function mounted(t: TestContext, content: object, app: ReactNode) {
  const engine = new FakeEngine();
  engine.content = content as never;
  const handle = new DocumentHandle(engine, "s", "plan");
  const client = { document: () => handle, conversation: () => ({ document: () => handle }) } as unknown as Rejoinder;
  const place = window.document.createElement("div");
  window.document.body.append(place);
  const root = createRoot(place as unknown as Element);
  await act(async () => root.render(<RejoinderProvider client={client}>{app}</RejoinderProvider>));
  await act(() => engine.settle());
  t.after(async () => {
    await act(async () => root.unmount());
    handle.close();
  });
  return {
    engine,
    client,
    handle,
    quiet: () => act(() => engine.quiet(handle)),
    text: () => place.textContent,
    click: (n: number) =>
      // Without waiting: what a click changes shows in its own frame.
      act(() => (place.querySelectorAll("button")[n] as unknown as HTMLElement).click()),
  };
}

test("of 500 rows, one is rendered anew when one changes, whoever changed it", async (t) => {
  let renders = 0;
  const Row = memo(({ item, change }: { item: Item; change: () => void }) => {
    renders += 1;
    return <button onClick={change}>{item.done ? "x" : "."}</button>;
  });
  const changes = new Map<number, () => void>();
  function List(): ReactNode {
    const [plan, change] = useDocument<Plan>("s", "plan", { initial: { items: [] } });
    const at = (n: number): (() => void) => {
      const known =
        changes.get(n) ?? ((): void => void change((doc) => void ((doc.items[n] as { done: boolean }).done = true)));
      changes.set(n, known);
      return known;
    };
    return plan?.items.map((item, n) => <Row key={item.text} item={item} change={at(n)} />);
  }
  const items = Array.from({ length: 500 }, (_, n) => ({ text: String(n), done: false }));
  const { engine, text, click, quiet } = await mounted(t, { items }, <List />);
  assert.equal(renders, 500);
  engine.remote([["items", 250, "done"]], { op: "put", path: ["items", 250, "done"], value: true });
  await quiet();
  assert.equal(renders, 501, "theirs");
  click(7);
  assert.equal(text()?.[7], "x", "in the click's own frame");
  assert.equal(renders, 502, "one's own");
  await act(() => engine.settle());
  assert.equal(renders, 502, "and not again when it is made");
  engine.remote([["items"]], { op: "insert", path: ["items", 0], value: { text: "new", done: false } });
  await quiet();
  assert.equal(text()?.length, 501);
  // The handlers name rows by their index, which moved: the rows do not.
  assert.ok(renders <= 502 + 501);
});

test("a component that uses a path is rendered anew for it alone", async () => {
  const renders = { title: 0, done: 0 };
  function Title(): ReactNode {
    renders.title += 1;
    return useDocumentAt<string>(handle, ["title"]);
  }
  function Done(): ReactNode {
    renders.done += 1;
    return String(useDocumentAt<boolean>(handle, ["items", 0, "done"]));
  }
  const engine = new FakeEngine();
  engine.content = { title: "Plan", items: [{ done: false }], note: "" };
  const handle = new DocumentHandle(engine, "s", "plan");
  const place = window.document.createElement("div");
  const root = createRoot(place as unknown as Element);
  await act(async () => root.render([<Title key="t" />, <Done key="d" />]));
  await act(() => engine.settle());
  assert.equal(place.textContent, "Planfalse");
  const before = { ...renders };
  await act(async () => {
    engine.remote([["note"]], { op: "put", path: ["note"], value: "x" });
    engine.remote([["title"]], { op: "put", path: ["title"], value: "New" });
    await engine.quiet(handle);
  });
  assert.equal(place.textContent, "Newfalse");
  assert.deepEqual(renders, { title: before.title + 1, done: before.done });
  await act(async () => root.unmount());
  handle.close();
});

test("an edit that fails is taken back on the screen", async (t) => {
  const failures: unknown[] = [];
  function Title(): ReactNode {
    const [doc, change] = useDocument<{ title: string }>("account", "plan");
    const rename = (): void =>
      void change((draft) => void (draft.title = "Mine")).catch((error: unknown) => failures.push(error));
    return <button onClick={rename}>{doc?.title}</button>;
  }
  const { engine, text, click } = await mounted(t, { title: "Plan" }, <Title />);
  engine.refusals.set("document.change", Object.assign(new Error("full"), { kind: "store" }) as never);
  click(0);
  assert.equal(text(), "Mine");
  await act(() => engine.settle());
  assert.equal(text(), "Plan");
  assert.equal(failures.length, 1);
});

test("below Suspense a document is there, or something else is shown", async (t) => {
  function Title(): ReactNode {
    const [, , document] = useDocument<{ title: string }>("account", "plan");
    return useLoaded(document.value).title;
  }
  const app = (
    <Suspense fallback="loading">
      <Title />
    </Suspense>
  );
  const { text } = await mounted(t, { title: "Plan" }, app);
  assert.equal(text(), "Plan");
});

test("a page is rendered on a server, where nothing is loaded", async (t) => {
  function Title(): ReactNode {
    const [doc] = useDocument<{ title: string }>("account", "plan");
    return doc === undefined ? "loading" : doc.title;
  }
  const { client, handle } = await mounted(t, {}, null);
  assert.equal(
    renderToString(
      <RejoinderProvider client={client}>
        <Title />
      </RejoinderProvider>,
    ),
    "loading",
  );
  handle.close();
});

test("an own change is taken back and made again, by any component", async (t) => {
  function Count(): ReactNode {
    const [doc, change] = useDocument<{ n: number }>("account", "plan", { initial: { n: 0 } });
    return <button onClick={() => void change((draft) => void (draft.n += 1))}>{doc?.n}</button>;
  }
  function Undo(): ReactNode {
    const [, , document] = useDocument<{ n: number }>("account", "plan", { initial: { n: 0 } });
    const { canUndo, canRedo, undo, redo } = useUndo(document);
    return [
      <button key="u" disabled={!canUndo} onClick={() => void undo()} />,
      <button key="r" disabled={!canRedo} onClick={() => void redo()} />,
    ];
  }
  const { text, click, quiet } = await mounted(t, {}, [<Count key="c" />, <Undo key="u" />]);
  click(0);
  click(0);
  assert.equal(text(), "2");
  click(1);
  assert.equal(text(), "1");
  click(2);
  assert.equal(text(), "2");
  click(1);
  click(1);
  assert.equal(text(), "0");
  await quiet();
  assert.equal(text(), "0");
});

test("migrations that are written where the hook is called are the same ones each time", async (t) => {
  let renders = 0;
  const handles = new Set<unknown>();
  function Titles(): ReactNode {
    renders += 1;
    const [plan, change, document] = useDocument<{ items: { title: string }[] }>("s", "plan", {
      migrations: [
        (doc: { items: { name?: string; title?: string }[] }) => {
          for (const item of doc.items) {
            if (item.name === undefined) continue;
            item.title = item.name;
            delete item.name;
          }
        },
      ],
    });
    handles.add(document);
    const add = (): void => void change((doc) => void doc.items.push({ title: "new" }));
    return <button onClick={add}>{plan?.items.map(({ title }) => title).join()}</button>;
  }
  const { engine, text, click, quiet } = await mounted(t, { items: [{ name: "old" }] }, <Titles />);
  assert.equal(text(), "old");
  assert.deepEqual(engine.content, { items: [{ name: "old" }] }, "looking writes nothing");
  click(0);
  assert.equal(text(), "old,new");
  await quiet();
  assert.deepEqual(engine.content, { items: [{ title: "old" }, { title: "new" }] });
  assert.equal(handles.size, 1);
  assert.ok(renders < 8, String(renders));
});

test("a component that only looks takes back nothing of what another says", async (t) => {
  function Cursor(): ReactNode {
    usePresence("s", "plan", { row: 1 });
    return null;
  }
  function Peers(): ReactNode {
    return String(usePresence("s", "plan").length);
  }
  const { engine, text } = await mounted(t, {}, [<Cursor key="c" />, <Peers key="p" />]);
  await act(() => new Promise((resolve) => setTimeout(resolve, 200)));
  const said = engine.asked.filter(({ method }) => method === "document.presence").map(({ params }) => params["state"]);
  assert.deepEqual(said, [{ row: 1 }]);
  assert.equal(text(), "0");
});

test("of two components that say where one is, one stays when the other goes", async (t) => {
  function Cursor({ row }: { row: number }): ReactNode {
    usePresence("s", "plan", { row });
    return null;
  }
  function App(): ReactNode {
    const [shown, show] = useState([1, 2]);
    const rest = (): void => show((all) => all.slice(1).reverse());
    return [...shown.map((row) => <Cursor key={row} row={row} />), <button key="rest" onClick={rest} />];
  }
  const { engine, click } = await mounted(t, {}, <App />);
  const said = async (): Promise<unknown> => {
    await act(() => new Promise((resolve) => setTimeout(resolve, 200)));
    return engine.asked.findLast(({ method }) => method === "document.presence")?.params["state"];
  };
  assert.deepEqual(await said(), { row: 2 });
  click(0);
  assert.deepEqual(await said(), { row: 2 });
  click(0);
  assert.equal(await said(), null);
});
