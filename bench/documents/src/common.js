/** What each page measures with, whatever system it shows. */

/** Milliseconds on a clock that all pages of this machine share. */
export const now = () => performance.timeOrigin + performance.now();

/**
 * Shows a list, and notes when each title was on the page. `system` is one of the three:
 * `start(url, name)`, `create(other)` gives an id, `join(id)` where one has to, `open(id)`, `fill(count)`, `title(n)`, `set(n, title)`,
 * `watch(listener)`, `saved()` and `edit(parent)`.
 */
export function measure(system) {
  const seen = new Map();
  const line = document.body.appendChild(document.createElement("p"));
  let watched = 0;
  const render = () => {
    const title = system.title(watched);
    if (title === undefined || title === line.textContent) return;
    line.textContent = title;
    seen.set(title, now());
  };
  globalThis.bench = {
    start: (url, name) => system.start(url, name),
    create: (other) => system.create(other),
    join: (id) => system.join?.(id),
    open: async (id) => {
      await system.open(id);
      system.watch(render);
    },
    fill: (count) => system.fill(count),
    watch: (n) => {
      watched = n;
      render();
    },
    shown: (title) => seen.get(title),
    length: () => system.length(),
    /** Changes a title: when that was, and how soon the own page had it, if it had it at once. */
    set: (n, title) => {
      watched = n;
      const at = now();
      void system.set(n, title);
      const own = seen.get(title);
      return { at, own: own === undefined ? undefined : own - at };
    },
    /** Changes one title so many times, one change each. */
    many: async (count) => {
      for (let k = 0; k < count; k++) {
        const done = system.set(0, `edit ${k}`);
        if (k % 500 === 499) {
          await done;
          await new Promise((resolve) => setTimeout(resolve));
        }
      }
      await system.saved();
    },
    saved: () => system.saved(),
    edit: () => system.edit(document.body),
    text: () => globalThis.view.state.doc.toString(),
    /** Notes the time between two frames, from here on. */
    frames: () => {
      globalThis.gaps = [];
      let last = performance.now();
      const look = (at) => {
        gaps.push(at - last);
        last = at;
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    },
  };
}

/** Items of a to-do list, numbered from `from` on. */
export const items = (count, from = 0) =>
  Array.from({ length: count }, (_, n) => ({ title: `item ${from + n}`, done: false, note: "some words about it" }));
