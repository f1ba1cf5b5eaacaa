// The page: where one is, what is asked, and the views.
import { html, render, useCallback, useContext, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { ask } from "./api.js";
import { Compare } from "./compare.js";
import { Health } from "./health.js";
import { Server, useLoaded, useServer } from "./loading.js";
import { Recommend } from "./recommend.js";
import { VIEWS, fromFragment, isSamePerson, toFragment } from "./request.js";
import { Trouble } from "./trouble.js";
import { useUndo } from "./undo.js";
import { capitalise } from "./words.js";

function App() {
  const [spoken, setSpoken] = useState("");
  const announce = useCallback((text) => setSpoken((before) => (before === text ? `${text}\u00a0` : text)), []);
  const server = useServer(announce);
  return html`<${Server.Provider} value=${server}>
    <${Page} />
    <p class="unseen" role="status" id="spoken">${spoken}</p>
  <//>`;
}

function Page() {
  const { view, undo } = usePlace();
  const run = useLoaded("run", (signal) => ask("/v1/run", { signal })).value;
  const main = useRef(null);
  const mayAsk = useContext(Server).trouble?.kind !== "token";
  const name = run?.name ?? "";
  useEffect(() => {
    document.title = [undo.request.user ?? "", capitalise(view), name, "ReasonRec"].filter(Boolean).join(" · ");
  }, [undo.request.user, view, name]);
  const skip = (event) => {
    event.preventDefault(); // the fragment holds the request
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the list</a>
    <header>
      <div class="bar">
        <h1><span class="brand">ReasonRec</span> ${name && html`<span class="run">${name}</span>`}</h1>
        <nav aria-label="Views">${VIEWS.map((each) => html`<a key=${each} href=${toFragment(each, undo.request)}
          aria-current=${each === view ? "page" : undefined}>${capitalise(each)}</a>`)}</nav>
      </div>
    </header>
    <main id="main" tabindex="-1" ref=${main}>
      <${Trouble} />
      ${mayAsk && view === "recommend" && html`<${Recommend} run=${run} undo=${undo} />`}
      ${mayAsk && view === "compare" && html`<${Compare} run=${run} request=${undo.request} />`}
      ${mayAsk && view === "health" && html`<${Health} run=${run} />`}
    </main>`;
}

/** View and request stand in the address: a link opens them, Back goes to the person or view before. */
function usePlace() {
  const [first] = useState(() => fromFragment(location.hash));
  const [view, setView] = useState(first.view);
  const undo = useUndo(first.request);
  const { request, change } = undo;
  const written = useRef({ view, request });

  useEffect(() => {
    const follow = () => {
      const found = fromFragment(location.hash);
      written.current = found;
      setView(found.view);
      change(found.request);
    };
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, [change]);

  useEffect(() => {
    const fragment = toFragment(view, request);
    if (fragment === location.hash) return;
    const { view: oldView, request: oldRequest } = written.current;
    const isEdit = oldView === view && isSamePerson(oldRequest, request);
    written.current = { view, request };
    history[isEdit || !location.hash ? "replaceState" : "pushState"](null, "", fragment);
  }, [view, request]);
  return { view, undo };
}

render(html`<${App} />`, document.getElementById("app"));
