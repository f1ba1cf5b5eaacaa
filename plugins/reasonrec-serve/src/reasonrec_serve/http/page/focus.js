// A label that is chosen moves with its step: the focus goes along, so that nobody who uses a keyboard is thrown back.
import { useEffect, useLayoutEffect } from "./vendor/htm-preact.js";

let wanted = null;

/** What is to have the focus as soon as it is there: an element with this `data-focus`. */
export const wantFocus = (name) => {
  wanted = name;
};

/** For a view whose parts call `wantFocus`. */
export function useWantedFocus() {
  useEffect(() => {
    const forget = (event) => {
      if (event.target.dataset.focus !== wanted) wanted = null;
    };
    document.addEventListener("focusin", forget);
    return () => document.removeEventListener("focusin", forget);
  }, []);
  useLayoutEffect(() => {
    if (wanted === null || document.activeElement !== document.body) return;
    document.querySelector(`[data-focus="${CSS.escape(wanted)}"]`)?.focus({ preventScroll: true });
  });
}
