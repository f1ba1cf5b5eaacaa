// The request that is shown, those before it, and those that were undone.
import { useCallback, useReducer } from "./vendor/htm-preact.js";
import { toFragment } from "./request.js";

const MOST = 200;
const isSame = (one, other) => toFragment("", one) === toFragment("", other);

function step({ past, now, future }, [kind, next]) {
  if (kind === "undo" && past.length) return { past: past.slice(0, -1), now: past.at(-1), future: [now, ...future] };
  if (kind === "redo" && future.length) return { past: [...past, now], now: future[0], future: future.slice(1) };
  if (kind !== "change" || isSame(now, next)) return { past, now, future };
  return { past: [...past, now].slice(-MOST), now: next, future: [] };
}

/** `change(request)` makes it the one that is shown; `undo` and `redo` go back and forth. */
export function useUndo(first) {
  const [{ past, now, future }, act] = useReducer(step, { past: [], now: first, future: [] });
  return {
    request: now,
    change: useCallback((next) => act(["change", next]), []),
    undo: useCallback(() => act(["undo"]), []),
    redo: useCallback(() => act(["redo"]), []),
    canUndo: past.length > 0,
    canRedo: future.length > 0,
  };
}
