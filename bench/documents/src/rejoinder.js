/** Rejoinder: sealed, over its relay. */
import { EditorView } from "@codemirror/view";
import { Rejoinder, values } from "@rejoinder/client";
import { sharedText } from "@rejoinder/client/codemirror";
import { items, measure } from "./common.js";

/** Items that are put into a list at once. */
const STEP = 500;

let client, plan, saved;

measure({
  start: async (url, name) => {
    client = await Rejoinder.open({ relay: url });
    if (client.status.current.account === null) await client.account.create({ address: name, name });
  },
  create: async (other) =>
    (await client.conversations.create({ title: "Bench", members: other === undefined ? [] : [other] })).id,
  join: async (id) => {
    const known = async () => (await client.conversations.list.ready()).some((info) => info.id === id);
    while (!(await known())) await new Promise((resolve) => setTimeout(resolve, 50));
    await client.conversation(id).accept();
  },
  open: async (id) => {
    plan = client.conversation(id).document("plan");
    await plan.value.ready();
  },
  fill: async (count) => {
    await plan.change((edit) => edit.put(["items"], []).put(["body"], values.text("")));
    // One edit has a size that it may have.
    for (let from = 0; from < count; from += STEP) {
      const some = items(Math.min(STEP, count - from), from);
      await plan.change((edit) => some.forEach((item, n) => edit.insert(["items", from + n], item)));
    }
  },
  length: () => plan.value.current?.items?.length ?? 0,
  title: (n) => plan.value.current?.items?.[n]?.title,
  set: (n, title) => (saved = plan.change((edit) => edit.put(["items", n, "title"], title))),
  saved: () => saved,
  watch: (listener) => plan.value.subscribe(listener),
  edit: (parent) => {
    globalThis.view = new EditorView({ parent, extensions: [sharedText(plan, ["body"])] });
  },
});
