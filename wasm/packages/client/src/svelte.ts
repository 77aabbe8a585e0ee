/**
 * Live values as Svelte's stores: `@rejoinder/client/svelte`.
 *
 * ```svelte
 * <script>
 *   const plan = typed(conversation.document("plan"), Plan, { initial: { items: [] } });
 *   const content = readable(plan.value);
 * </script>
 * {#each $content?.items ?? [] as item}<li>{item.text}</li>{/each}
 * ```
 */
import type { Live } from "./types.js";

/** A live value, as `$name` follows it. */
export function readable<T>(live: Live<T>): { subscribe(run: (value: T) => void): () => void } {
  return {
    subscribe(run) {
      const stop = live.subscribe(run);
      // A store tells at once what it has; asked for after it is followed, so that it is of now.
      run(live.current);
      return stop;
    },
  };
}
