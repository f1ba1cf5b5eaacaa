// Loading what is shown, again when the server is back; what was shown before stays until then.
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { Problem, isReady } from "./api.js";

const NOTHING = { key: null, asked: null, value: null, problem: null, busy: false };
const LOOK = 2_000; // milliseconds between looks for a server that is gone

/** `attempt` grows when it is worth asking again; `report` tells of a Problem; `announce` says something aloud. */
export const Server = createContext({ attempt: 0, trouble: null, report() {}, retry() {}, announce() {} });

/** The value of `Server`: looks for the server while it is gone, and waits where it is busy. */
export function useServer(announce) {
  const [attempt, setAttempt] = useState(0);
  const [trouble, setTrouble] = useState(null);
  const retry = useCallback(() => {
    setTrouble(null);
    setAttempt((count) => count + 1);
  }, []);
  const report = useCallback((problem) => problem.kind !== "refused" && setTrouble(problem), []);

  useEffect(() => {
    if (trouble?.kind === "busy") {
      const timer = setTimeout(retry, 1000 * trouble.retry);
      return () => clearTimeout(timer);
    }
    if (trouble?.kind !== "gone") return undefined;
    const timer = setInterval(async () => {
      if (!(await isReady())) return;
      announce("The server is back.");
      retry();
    }, LOOK);
    return () => clearInterval(timer);
  }, [trouble, retry, announce]);

  return useMemo(
    () => ({ attempt, trouble, report, retry, announce }),
    [attempt, trouble, report, retry, announce],
  );
}

/**
 * What `load(signal)` gives, whenever `key` changes; nothing is loaded while it is null.
 * `value` belongs to `key`, which may be the one before while `busy`.
 */
export function useLoaded(key, load) {
  const { attempt, report } = useContext(Server);
  const [state, setState] = useState(NOTHING);
  const loader = useRef(load);
  loader.current = load;

  useEffect(() => {
    if (key === null) {
      setState(NOTHING);
      return undefined;
    }
    const stop = new AbortController();
    setState((before) => ({ ...before, asked: key, busy: true }));
    loader.current(stop.signal).then(
      (value) => stop.signal.aborted || setState({ key, asked: key, value, problem: null, busy: false }),
      (error) => {
        if (stop.signal.aborted) return;
        const problem = error instanceof Problem ? error : new Problem("refused", { what: String(error) });
        setState((before) => ({ ...before, problem, busy: false }));
        report(problem);
      },
    );
    return () => stop.abort();
  }, [key, attempt]);
  // What is asked next is busy before it is sent, so that nobody takes the old value for it.
  return { ...state, busy: state.busy || state.asked !== key };
}
