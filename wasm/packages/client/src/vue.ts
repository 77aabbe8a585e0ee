/**
 * Live values and documents in Vue: `@rejoinder/client/vue`.
 *
 * ```vue
 * <script setup lang="ts">
 * const plan = typed(conversation.document("plan"), Plan, { initial: { items: [] } });
 * const content = useLive(plan.value);
 * </script>
 * <template><li v-for="item in content?.items">{{ item.text }}</li></template>
 * ```
 */
import {
  onScopeDispose,
  shallowReadonly,
  shallowRef,
  toValue,
  watch,
  type MaybeRefOrGetter,
  type ShallowRef,
} from "vue";
import type { DocumentValue, Live, Path } from "./types.js";

/**
 * A live value's newest, for as long as the component or scope lives. Given a getter, it follows what that
 * gives. The value itself is not made reactive: it never changes, there is another one instead.
 */
export function useLive<T>(live: MaybeRefOrGetter<Live<T>>): Readonly<ShallowRef<T>> {
  const value = shallowRef(toValue(live).current);
  let stop: (() => void) | undefined;
  watch(
    () => toValue(live),
    (followed) => {
      stop?.();
      stop = followed.subscribe((now) => (value.value = now));
      value.value = followed.current;
    },
    { immediate: true, flush: "sync" },
  );
  onScopeDispose(() => stop?.());
  return shallowReadonly(value);
}

/** What lies at a path of a document, and nothing else. */
export function useDocumentAt<V = DocumentValue>(
  document: { at<T>(path: Path): Live<T | undefined> },
  path: Path,
): Readonly<ShallowRef<V | undefined>> {
  return useLive(document.at<V>(path));
}
